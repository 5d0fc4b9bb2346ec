"""What the tests share: flows, a running worker, and the invariants that every run must keep."""
