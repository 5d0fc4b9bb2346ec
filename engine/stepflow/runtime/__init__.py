"""The only asyncio: the worker's loop, what it performs, and the small services beside it."""
