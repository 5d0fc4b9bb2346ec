import time
import unittest

from ledger.limiter import Limiter


class LimiterTest(unittest.TestCase):
    """These take their time: a limiter is there to make its caller wait."""

    def check(self, postings, seconds, times):
        limiter, start = Limiter(postings, seconds), time.monotonic()
        for _ in range(times):
            limiter.wait()
        self.assertGreaterEqual(time.monotonic() - start, (times - 1) * seconds / postings)

    def test_the_first_posting_does_not_wait(self):
        self.check(1, 60, 1)

    def test_ten_in_a_second(self):
        self.check(10, 1, 9)

    def test_five_in_a_second(self):
        self.check(5, 1, 5)

    def test_twenty_in_half_a_second(self):
        self.check(40, 1, 20)
