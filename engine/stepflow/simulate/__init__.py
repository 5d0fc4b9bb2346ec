"""Runs without a storage: the same decisions as in real ones, on a virtual clock, with outcomes given or made up."""
