"""Lists are drawn line by line, and only where something is otherwise."""

from __future__ import annotations

import pytest
from rich.style import Style
from textual.app import App, ComposeResult
from textual.filter import Monochrome
from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.strip import Strip

from stepflow_tui.presentation.spans import Line
from stepflow_tui.theme import STYLES
from stepflow_tui.widgets.lines import LineView
from stepflow_tui.widgets.only_ascii import OnlyAscii


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


class Framed(Numbers):
    DEFAULT_CSS = """
    Framed { border: round $secondary; scrollbar-gutter: stable; }
    Framed:focus { border: heavy $primary; }
    Framed.-padded { padding: 1 2; }
    """

    def line_at(self, row: int, width: int) -> Line:
        return [("né ", "good"), (f"row {row} ", "dim"), ("日本", ""), ("…", "bad-reverse")]


def cells(strips: list[Strip]) -> list[list[tuple[str, Style]]]:
    """Each with its style, however it was cut: without the places for the mouse, nor the colour of what is blank."""

    def seen(character: str, style: Style | None) -> Style:
        style = Style() if style is None else style.clear_meta_and_links()
        return style if character != " " or style.reverse else Style(bgcolor=style.bgcolor)

    return [
        [(character, seen(character, segment.style)) for segment in strip for character in segment.text]
        for strip in strips
    ]


class FramedScreen(Screen):
    def compose(self) -> ComposeResult:
        yield Framed()


async def test_lines_look_as_textual_would_draw_them() -> None:
    app = FramedScreen()
    async with app.run_test(size=(40, 12)) as pilot:
        view = app.query_one(Framed)

        async def compare() -> None:
            await pilot.pause()
            whole = view.outer_size.region
            for crop in (whole, whole, Region(3, 2, 20, 4).intersection(whole)):
                ours = view.render_lines(crop)
                view._styles_cache.clear()
                textuals = ScrollView.render_lines(view, crop)
                assert cells(ours) == cells(textuals)
                assert [strip.cell_length for strip in ours] == [strip.cell_length for strip in textuals]

        await compare()
        view.focus()
        await compare()
        view.move_to(50)
        await compare()
        view.seek("row 5")
        await compare()
        view.border_title = "title"
        await compare()
        view.set_rows(3)
        await compare()
        await pilot.resize_terminal(25, 6)
        await compare()
        view.set_rows(100, 99)
        await compare()
        for size in ((3, 3), (1, 1), (60, 20)):
            await pilot.resize_terminal(*size)
            await compare()
        view.styles.border = ("solid", "red")
        await compare()
        view.styles.opacity = 0.5
        await compare()
        view.styles.opacity = 1
        view.add_class("-padded")
        await compare()
        view.remove_class("-padded")
        app.theme = "textual-light"
        await compare()
        app._filters.append(Monochrome())
        await compare()
        app._filters.append(OnlyAscii())
        await compare()
        assert not any("…" in strip.text for strip in view.render_lines(view.outer_size.region))


async def test_what_is_marked_with_the_mouse_can_be_copied() -> None:
    app = FramedScreen()
    async with app.run_test(size=(40, 12)) as pilot:
        view = app.query_one(Framed)
        view.move_to(50)
        await pilot.pause()
        top = view.scroll_offset.y
        await pilot.mouse_down(view, offset=(4, 3))
        await pilot.hover(view, offset=(9, 4))
        await pilot.mouse_up(view, offset=(9, 4))
        (line,) = view.render_lines(Region(0, 3, view.outer_size.width, 1))
        assert [segment.text for segment in line if segment.style is not None and segment.style.reverse] != []
        text = app.screen.get_selected_text()
        assert text is not None
        first, second = text.splitlines()
        assert first.startswith(f"row {top + 1}")
        assert second == f"né row {top + 2}"[: len(second)]
        assert len(second) >= 8
