"""A small double-entry ledger: the code base that check-code.yaml checks."""
