"""The rules, one file each, found by their place: a file named after its rule defines `RULES`."""
