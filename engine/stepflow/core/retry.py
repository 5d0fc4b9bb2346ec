"""When a failed attempt is tried again: delays of a retry policy, in milliseconds."""

from __future__ import annotations

import random

from stepflow.model.flow import RetryPolicy


def retry_delay_ms(policy: RetryPolicy, attempt: int, seed: str) -> int:
    """The wait after failed attempt `attempt` (1, 2, …). `jittered` is uniform in [0, the exponential delay], drawn
    from `seed`, so that deciding again gives the same wait."""
    if policy.strategy == "fixed":
        return min(policy.base_delay_ms, policy.max_delay_ms)
    # Past 2^60 every delay is at its cap; the limit keeps a huge attempt from overflowing a float.
    growth = policy.factor ** min(attempt - 1, 60) if policy.factor < 1e5 else float("inf")
    delay = min(policy.base_delay_ms * growth, policy.max_delay_ms)
    if policy.strategy == "jittered":
        delay *= random.Random(seed).random()  # noqa: S311 - jitter, not a secret
    return round(delay)
