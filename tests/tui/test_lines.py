"""Lists are drawn line by line, and only where something is otherwise."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from stepflow_tui.presentation.spans import Line
from stepflow_tui.theme import STYLES
from stepflow_tui.widgets.lines import LineView


class Numbers(LineView):
    header_lines = 1

    def __init__(self) -> None:
        super().__init__()
        self.words: dict[int, str] = {}
        self.still: set[int] = set()
        self.refreshed: list[int | None] = []

    def refresh(self, *regions: Region, **options: bool) -> Numbers:  # type: ignore[override] - the same, written shorter
        self.refreshed += [region.y for region in regions] if regions else [None]
        return super().refresh(*regions, **options)

    def may_move(self, row: int) -> bool:
        return row not in self.still

    def line_at(self, row: int, width: int) -> Line:
        return [(self.words.get(row, f"row {row}"), "")]


class Screen(App[None]):
    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {name.replace("_", "-"): style for name, style in STYLES.items()}

    def compose(self) -> ComposeResult:
        yield Numbers()

    def on_mount(self) -> None:
        self.query_one(Numbers).set_rows(100)


@pytest.fixture
def app() -> Screen:
    return Screen()


def text_of(view: LineView, y: int) -> str:
    return "".join(segment.text for segment in view.render_line(y)).rstrip()


async def test_a_moved_cursor_draws_the_row_it_leaves_and_the_row_it_comes_to(app: Screen) -> None:
    async with app.run_test(size=(40, 10)) as pilot:
        view = app.query_one(Numbers)
        view.focus()
        await pilot.pause()
        view.refreshed.clear()
        await pilot.press("j", "j")
        assert view.refreshed == [1, 2, 2, 3]
        before = [view.render_line(y) for y in (2, 3)]
        await pilot.press("k")
        assert [view.render_line(y) for y in (2, 3)] != before
        await pilot.press("G")
        await pilot.pause()
        assert text_of(view, 9) == "row 99"


async def test_a_tick_draws_the_lines_that_look_otherwise(app: Screen) -> None:
    async with app.run_test(size=(40, 10)) as pilot:
        view = app.query_one(Numbers)
        await pilot.pause()
        view.refresh_moved()
        await pilot.pause()
        view.refreshed.clear()
        view.refresh_moved()
        assert view.refreshed == []
        view.words = {3: "another", 50: "out of sight"}
        view.refresh_moved()
        assert view.refreshed == [4]
        view.refresh_moved()
        view.still = {5}
        view.words = {3: "yet another", 5: "not looked at", 6: "a third"}
        view.refreshed.clear()
        view.refresh_moved()
        assert view.refreshed == [4, 7]
        view.refresh()
        view.words = {}
        view.refreshed.clear()
        view.refresh_moved()
        assert view.refreshed == [None]  # what is seen since the last tick is not known
