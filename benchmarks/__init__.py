"""What is fast, how we know, and against what: `python -m benchmarks` measures everything and writes README.md."""
