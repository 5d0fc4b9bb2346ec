"""How our components fail: a code, a sentence for people, details for programs."""

from __future__ import annotations

from typing import Any

from stepflow.errors import ComponentError


def failure(code: str, message: str, **details: Any) -> ComponentError:
    """To be raised."""
    error = ComponentError(code, message)
    error.details.update(details)
    return error


def invalid_input(message: str) -> ComponentError:
    """To be raised where an input is wrong in a way its schema cannot say; never retried by itself."""
    return failure("INVALID_INPUT", message)
