import unittest

from ledger.book import Book


class BookTest(unittest.TestCase):
    def test_a_posting_moves_money(self):
        book = Book()
        book.post("cash", "rent", 70_000)
        self.assertEqual((book.balance("cash"), book.balance("rent")), (-70_000, 70_000))

    def test_the_book_always_sums_to_zero(self):
        book = Book()
        for number in range(1, 2_000):
            book.post(f"a{number % 7}", f"b{number % 5}", number)
        self.assertEqual(book.total(), 0)

    def test_nothing_cannot_be_posted(self):
        with self.assertRaises(ValueError):
            Book().post("cash", "rent", 0)

    def test_a_posting_needs_two_accounts(self):
        with self.assertRaises(ValueError):
            Book().post("cash", "cash", 1)
