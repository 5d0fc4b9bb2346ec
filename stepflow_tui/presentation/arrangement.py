"""Which panes the dashboard has at a size, and how many lines each gets: what has more to show gets more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from stepflow_tui.presentation.breakpoints import Breakpoints

Kind = Literal["small", "medium", "large"]
BARS, BORDER = 2, 2
LEAST_LIST = 5
FLEET = 4 + BORDER
DETAIL = 7 + BORDER
"""Of the execution at hand, where little room is."""
GRAPH = 9 + BORDER
MOST_KEPT = 4
MOST_GROUPS = 6

PANES: dict[Kind, tuple[str, ...]] = {
    "small": ("templates", "executions", "timeline", "log"),
    "medium": ("templates", "fleet", "failures", "executions", "detail", "timeline", "log"),
    "large": ("templates", "fleet", "failures", "kept", "executions", "graph", "detail", "events", "timeline", "log"),
}
"""In the order in which they are read."""


class Contents(msgspec.Struct, frozen=True):
    """How many lines the panes could fill."""

    templates: int = 0
    executions: int = 0
    is_begun: bool = True
    """There are executions, though perhaps none that match."""
    failures: int = 0
    kept: int = 0
    """Filters that were kept under a name."""


class Arrangement(msgspec.Struct, frozen=True):
    kind: Kind
    panes: tuple[str, ...]
    heights: Mapping[str, int]
    """Of panes, and of `top`: all above the timeline; what is not named gets the rest of its column."""


def arrange(width: int, height: int, contents: Contents, points: Breakpoints | None = None) -> Arrangement:
    points = points or Breakpoints()
    kind = _kind(width, height, points)
    if kind != "large":
        contents = msgspec.structs.replace(contents, kept=0)
    panes = tuple(pane for pane in PANES[kind] if _is_wanted(pane, kind, contents))
    room = height - BARS
    match kind:
        case "small":
            heights = _small(height, room, contents, points)
        case "medium":
            heights = _medium(room, contents)
        case "large":
            heights = _large(room, contents)
    return Arrangement(kind, panes, heights)


def _kind(width: int, height: int, points: Breakpoints) -> Kind:
    if width >= points.large[0] and height >= points.large[1]:
        return "large"
    return "medium" if width >= points.medium[0] and height >= points.medium[1] else "small"


def _is_wanted(pane: str, kind: Kind, contents: Contents) -> bool:
    """Where there is little room the templates are only seen as long as nothing has run."""
    if pane == "templates" and kind == "small":
        return not contents.is_begun
    return pane != "kept" or contents.kept > 0


def _small(height: int, room: int, contents: Contents, points: Breakpoints) -> dict[str, int]:
    if height < points.steps:
        return {}
    wanted = (contents.executions if contents.is_begun else contents.templates) + BORDER
    if height < points.log:
        return {"top": _between(wanted, LEAST_LIST, room // 2)}
    top = _between(wanted, LEAST_LIST, room * 9 // 22)
    return {"top": top, "timeline": (room - top) * 9 // 15}


def _medium(room: int, contents: Contents) -> dict[str, int]:
    left = contents.templates + BORDER + FLEET + _groups(contents)
    top = _between(max(contents.executions + BORDER + DETAIL, left), LEAST_LIST + DETAIL, room * 10 // 19)
    return {"top": top, "detail": DETAIL, "timeline": (room - top) * 2 // 3, **_left(top, contents)}


def _large(room: int, contents: Contents) -> dict[str, int]:
    left = contents.templates + BORDER + FLEET + _groups(contents) + _kept(contents)
    top = _between(max(contents.executions + BORDER + GRAPH, left), LEAST_LIST + 2 * GRAPH, room * 31 // 58)
    executions = _between(contents.executions + BORDER, LEAST_LIST, top - GRAPH)
    return {
        "top": top,
        "executions": executions,
        "detail": top - GRAPH,
        "timeline": (room - top) * 15 // 27,
        **_left(top, contents),
    }


def _left(top: int, contents: Contents) -> dict[str, int]:
    """Of the left column, where the failures get the rest."""
    kept = _kept(contents)
    left = top - FLEET - kept
    templates = _between(contents.templates + BORDER, LEAST_LIST, left - min(_groups(contents), left // 2))
    return {"templates": templates, "fleet": FLEET, "kept": kept}


def _groups(contents: Contents) -> int:
    return _between(contents.failures, 1, MOST_GROUPS) + BORDER


def _kept(contents: Contents) -> int:
    return min(contents.kept, MOST_KEPT) + BORDER if contents.kept else 0


def _between(wanted: int, least: int, most: int) -> int:
    return max(min(wanted, most), min(least, most))
