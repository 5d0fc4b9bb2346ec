"""The verbs: a file each, with its `command`."""
