"""What happens next: pure functions over values. No I/O, no clock, no asyncio; `now` is an argument."""
