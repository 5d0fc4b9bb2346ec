"""The line of tabs."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from stepflow_tui.keymap import RUN_TABS
from stepflow_tui.widgets.tabs import Tabs

TITLES = tuple(RUN_TABS.values())


def line(shown: int, width: int) -> str:
    tabs = Tabs(TITLES, id="tabs")
    tabs.choose(shown)
    return "".join(piece for piece, _ in tabs.line_at(0, width))


@pytest.mark.parametrize("shown", range(len(TITLES)))
@pytest.mark.parametrize("width", [20, 38, 40, 80])
def test_tabs_are_there_whole_or_not_at_all(shown: int, width: int) -> None:
    said = line(shown, width)
    assert cell_len(said) <= width
    assert f"[{TITLES[shown]}]" in said
    words = said.replace("[ ] tabs", "").replace("[", " ").replace("]", " ").split()
    assert set(words) <= {*TITLES, "‹", "›"}
    assert ("‹" in words) == (TITLES[0] not in words)
    assert ("›" in words) == (TITLES[-1] not in words)


def test_where_all_have_room_all_are_there() -> None:
    assert line(0, 80).startswith(" [Timeline] Graph  Log  Events  Input/Output  Attempts    [ ] tabs")
