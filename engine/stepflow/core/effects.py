"""What a decision asks of the worker, once it is durable."""

from __future__ import annotations

import msgspec

from stepflow.core.facts import Children
from stepflow.model.flow import Json


class Perform(msgspec.Struct, frozen=True):
    """Perform this attempt, once the decision is durable."""

    step: int
    attempt: int
    input: Json
    sensitive: bool = False
    """Its input must not be shown."""


class StartChildren(msgspec.Struct, frozen=True):
    """Start these for a step, in the same commit."""

    step: int
    attempt: int
    children: Children
