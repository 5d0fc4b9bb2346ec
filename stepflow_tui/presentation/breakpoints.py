"""The sizes from which on screens show more: `[breakpoints]` of ui.toml, else ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from stepflow.dsl.diagnostics import did_you_mean

MOST_CELLS = 9999
NARROW = 60
"""Columns below which a form has no room for explanations."""


class Breakpoints(msgspec.Struct, frozen=True):
    medium: tuple[int, int] = (100, 30)
    large: tuple[int, int] = (160, 45)
    """Columns and rows from which on it is so."""
    log: int = 18
    steps: int = 12
    """Rows from which on the dashboard has room for them."""

    @property
    def horizontal(self) -> list[tuple[int, str]]:
        """As Textual takes them: columns, and the class of a screen that has as many."""
        return [(0, "-narrow"), (NARROW, "-medium"), (self.medium[0], "-wide"), (self.large[0], "-widest")]

    @property
    def vertical(self) -> list[tuple[int, str]]:
        return [(0, "-lowest"), (self.steps, "-low"), (self.log, "-tall")]


LEAST = Breakpoints((80, 25), (120, 36), 12, 8)
"""With less the panes would have no room."""


def read_breakpoints(table: Mapping[str, Any]) -> tuple[Breakpoints, list[str]]:
    """As the table says; and what in it is wrong, with the way out."""
    found: dict[str, Any] = {}
    troubles = []
    for name, value in table.items():
        if name not in Breakpoints.__struct_fields__:
            troubles.append(f"breakpoints.{name}: there is none{did_you_mean(name, Breakpoints.__struct_fields__)}")
            continue
        least = getattr(LEAST, name)
        if isinstance(least, int) and _is_size(value, least):
            found[name] = value
        elif (
            isinstance(least, tuple)
            and isinstance(value, list)
            and len(value) == 2
            and all(map(_is_size, value, least))
        ):
            found[name] = tuple(value)
        else:
            takes = "rows" if isinstance(least, int) else "columns and rows"
            shown = str(least) if isinstance(least, int) else str(list(least))
            troubles.append(f"breakpoints.{name}: it takes {takes}, {name} = {shown} or more")
    return Breakpoints(**found), troubles


def _is_size(value: object, least: int) -> bool:
    return type(value) is int and least <= value <= MOST_CELLS
