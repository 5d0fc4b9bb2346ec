"""A book as text."""


def statement(book, account):
    """The account's postings, one a line, and its balance."""
    lines = []
    for source, target, cents, text in book.postings:
        if account in (source, target):
            sign = -1 if account == source else 1
            lines.append(f"{text or 'posting':<20}{sign * cents / 100:>12.2f}")
    lines.append(f"{'balance':<20}{book.balance(account) / 100:>12.2f}")
    return "\n".join(lines)
