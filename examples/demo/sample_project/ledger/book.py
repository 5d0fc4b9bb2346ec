"""Accounts and postings. A posting moves cents from one account to another; the book always sums to zero."""

from collections import defaultdict


class Book:
    def __init__(self):
        self._balances = defaultdict(int)
        self.postings = []

    def post(self, source, target, cents, text=""):
        """Move `cents` from `source` to `target`."""
        if cents <= 0:
            raise ValueError("a posting moves a positive amount")
        if source == target:
            raise ValueError("a posting needs two accounts")
        self._balances[source] -= cents
        self._balances[target] += cents
        self.postings.append((source, target, cents, text))

    def balance(self, account):
        return self._balances[account]

    def total(self):
        return sum(self._balances.values())
