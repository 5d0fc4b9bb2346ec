"""What the data of a template may be at most, wherever it comes from. The reader of YAML judges while it reads; what it
never read is judged here."""

from __future__ import annotations

import math

from stepflow.dsl.diagnostics import Diagnostic
from stepflow.model.flow import Json

MAX_NODES = 200_000
MAX_NESTING = 100
LONG_TEXT = 100
"""Characters of a text that count as one value more where aliases repeat it: many texts are as much as many values."""


def beyond_bounds(data: Json) -> Diagnostic | None:
    """Why data is too much; None: it is not."""
    stack = [(data, 1)]
    nodes = 0
    while stack:
        value, depth = stack.pop()
        nodes += 1
        if isinstance(value, dict | list):
            if depth > MAX_NESTING:
                return Diagnostic("E003", "error", f"Nested deeper than {MAX_NESTING} levels")
            stack.extend((one, depth + 1) for one in (value.values() if isinstance(value, dict) else value))
        elif isinstance(value, float) and math.isinf(value):
            return Diagnostic("E010", "error", "A number in it is too large", hint="quote it to keep it as text")
        if nodes > MAX_NODES:
            return Diagnostic("E005", "error", f"More than {MAX_NODES:,} values")
    return None
