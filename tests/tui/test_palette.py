"""Finding anything by its name, and doing it."""

from __future__ import annotations

from textual.widgets import Input

from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.keymap import KEYS, VIEWS
from stepflow_tui.panes.palette import CommandList, Palette
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.workers import WorkersView
from stepflow_tui.theme import DEFAULT
from tests.support.engine import save, start
from tests.support.flows import chain, echo, flow
from tests.tui.test_dashboard import Screen, screen_on


async def open_palette(screen: Screen, key: str = "colon") -> CommandList:
    await screen.press(key)
    await screen.until(lambda: bool(screen.app.screen.query(Palette)) and bool(screen.app.screen.query(Input)))
    return screen.app.screen.query_one(CommandList)


def found(screen: Screen) -> list[str]:
    return [command.text for command, _ in screen.app.screen.query_one(CommandList).found]


async def test_it_lists_every_key_every_screen_and_every_theme(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        await open_palette(screen)
        texts = found(screen)
        assert {key.help for key in KEYS if key.id != "commands"} <= set(texts)
        assert {f"Screen: {title}" for _, title, _ in VIEWS.values()} <= set(texts)
        assert {f"Theme: {name}" for name in screen.app.session.themes} <= set(texts)


async def test_a_few_letters_and_enter_go_to_a_screen(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        await open_palette(screen, "ctrl+p")
        await screen.press(*"scwork")
        assert found(screen)[0] == "Screen: Workers"
        await screen.press("enter")
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))
        await open_palette(screen)
        await screen.press(*"dash", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))


async def test_it_runs_a_template(storage: SQLiteStorage) -> None:
    save(storage, flow(echo("a", 1), name="etl-daily"))
    save(storage, flow(echo("a", 1), name="other"))
    async with screen_on(storage) as screen:
        await open_palette(screen)
        await screen.until(lambda: "Run etl-daily" in found(screen))
        await screen.press(*"rundaily", "enter")
        await screen.until(lambda: not screen.app.screen.query(Palette))
        await screen.until(lambda: bool(screen.app.screen.query(Input)))
        await screen.press("enter")
        await screen.until(lambda: storage.count_runs(None, None) == 1)
        assert storage.list_runs(1, None, None, None, False)[0][0].template == "etl-daily"


async def test_it_changes_the_theme(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        await open_palette(screen)
        await screen.press(*"themenightj", "enter")
        await screen.until(lambda: screen.app.theme != DEFAULT)
        assert screen.app.theme == "nightjar"


async def test_what_cannot_be_done_says_why(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        await open_palette(screen)
        await screen.press(*"cancel")
        await screen.expect("There is no execution")
        await screen.press("enter")
        await screen.until(lambda: not screen.app.screen.query(Palette))
        await screen.expect("Cancel the selected execution and what it runs: There is no execution")


async def test_escape_closes_it_and_the_focus_is_where_it_was(storage: SQLiteStorage) -> None:
    start(storage, chain(1))
    async with screen_on(storage) as screen:
        await screen.press("tab")
        before = screen.dashboard.focused
        for key in ("escape", "ctrl+p", "ctrl+c"):
            commands = await open_palette(screen)
            await screen.press("down", "down", "pagedown", "up")
            assert commands.cursor == 11
            await screen.press(key)
            await screen.until(lambda: not screen.app.screen.query(Palette))
            assert screen.dashboard.focused is before


async def test_nothing_found_is_nothing_done(storage: SQLiteStorage) -> None:
    async with screen_on(storage, (40, 10)) as screen:
        commands = await open_palette(screen)
        await screen.press(*"qqqzzz", "enter", "down")
        assert commands.found == []
        assert screen.app.screen.query(Palette)
        await screen.press("escape")
        await screen.until(lambda: not screen.app.screen.query(Palette))


async def test_help_finds_words(storage: SQLiteStorage) -> None:
    async with screen_on(storage, (100, 120)) as screen:
        await screen.press("question_mark")
        await screen.expect("Screens", "Signs")
        await screen.press("slash")
        await screen.until(lambda: bool(screen.app.screen.query(Input)))
        await screen.press(*"clipboard")
        await screen.until(lambda: "Signs" not in screen.text)
        await screen.expect("Look", "Theme, signs, keys, clipboard")
        await screen.press(*"xyz")
        await screen.expect("Nothing has these words.")
        await screen.press("escape")
        await screen.expect("Screens")
        await screen.press("x")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))
