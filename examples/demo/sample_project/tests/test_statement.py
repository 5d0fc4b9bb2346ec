import unittest

from ledger.book import Book
from ledger.statement import statement


class StatementTest(unittest.TestCase):
    def test_it_ends_with_the_balance(self):
        book = Book()
        book.post("cash", "rent", 70_000, "October")
        self.assertEqual(statement(book, "rent").splitlines()[-1].split(), ["balance", "700.00"])

    def test_what_left_the_account_is_negative(self):
        book = Book()
        book.post("cash", "rent", 100, "October")
        self.assertIn("-1.00", statement(book, "cash"))
