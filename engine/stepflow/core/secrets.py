"""Secret variables: while a run is decided they are marks, which only the performing of a step turns into values.

A mark is unguessable and lives as long as its process, so no data can pretend to be one; whatever is stored or shown
has `***` in its place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

from stepflow.model.flow import Flow, Json

MASK = "***"
_NONCE = os.urandom(8).hex()
_MARK = re.compile(f"\ue000{_NONCE}:([^\ue001]*)\ue001")


def with_marks(flow: Flow, variables: Mapping[str, Json] | None) -> Mapping[str, Json]:
    """The variables as values see them, with their defaults."""
    names = flow.secrets
    variables = {**flow.variable_defaults, **(variables or {})}
    if not names:
        return variables
    return {name: f"\ue000{_NONCE}:{name}\ue001" if name in names else value for name, value in variables.items()}


def with_secrets_named(flow: Flow, variables: Mapping[str, Json] | None) -> dict[str, Json]:
    """The variables with a name for every secret that was not given one: for a run that is only simulated, which reads
    none."""
    return {**{name: f"env:{name}" for name in flow.secrets}, **(variables or {})}


def has_mark(value: Json) -> bool:
    found = False

    def see(text: str) -> str:
        nonlocal found
        found = found or _MARK.search(text) is not None
        return text

    replaced(value, see)
    return found


def mask(value: Json) -> Json:
    return replaced(value, lambda text: _MARK.sub(MASK, text))


def reveal(value: Json, secret: Callable[[str], str]) -> Json:
    """`value` with each mark replaced by what `secret` says of its variable."""
    return replaced(value, lambda text: _MARK.sub(lambda mark: secret(mark[1]), text))


def replaced(value: Json, change: Callable[[str], str]) -> Json:
    """`value` with `change` made to each of its texts, keys included."""
    if type(value) is str:
        return change(value)
    if type(value) is list:
        return [replaced(item, change) for item in value]
    if type(value) is dict:
        return {change(key): replaced(item, change) for key, item in value.items()}
    return value
