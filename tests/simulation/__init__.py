"""Simulated runs: their time, their report, and that they end as real ones do."""
