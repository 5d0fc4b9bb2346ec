"""The command line: one file a verb, found by its place. It speaks only to the client and the worker."""
