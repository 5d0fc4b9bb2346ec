"""Finding anything by its name, and doing it."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Input

from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import clipboard
from stepflow_tui.keymap import KEYS, VIEWS, Key, hints_of, other_words, where_is
from stepflow_tui.panes.overlay import Overlay
from stepflow_tui.panes.palette import CommandList, Palette
from stepflow_tui.presentation.commands import AtHand, all_words_of
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.filters import parse_filter
from stepflow_tui.presentation.fuzzy import look_up
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.help import Help, help_lines
from stepflow_tui.screens.run import RunView
from stepflow_tui.screens.templates import TemplatesView
from stepflow_tui.screens.workers import WorkersView
from stepflow_tui.theme import DEFAULT
from stepflow_tui.widgets.lines import LineView
from tests.support.engine import save, start
from tests.support.flows import chain, echo, flow
from tests.tui import records
from tests.tui.test_dashboard import Screen, screen_on


async def open_palette(screen: Screen, key: str = "colon") -> CommandList:
    await screen.press(key)
    await screen.until(lambda: bool(screen.app.screen.query(Palette)) and bool(screen.app.screen.query(Input)))
    return screen.app.screen.query_one(CommandList)


def found(screen: Screen) -> list[str]:
    return [row.command.text for row in screen.app.screen.query_one(CommandList).found]


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


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("terminate", "End it: its id is typed"),
        ("kill", "End it: its id is typed"),
        ("approve", "Answer what it waits for"),
        ("resume", "Pause it and its children"),
        ("rerun", "Retry it from the steps"),
        ("time travel", "Look at it as it was after an event"),
        ("drain", "Stop it: it gives its executions back"),
        ("graph", "Tab: Graph of"),
        ("attempts", "Tab: Attempts of"),
        ("values", "Tab: Input/Output of"),
    ],
)
async def test_words_that_are_used_elsewhere_find_it(storage: SQLiteStorage, words: str, first: str) -> None:
    start(storage, chain(1))
    async with screen_on(storage, (80, 24)) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await open_palette(screen)
        await screen.press(*("space" if one == " " else one for one in words))
        await screen.until(lambda: found(screen)[0].startswith(first))
        assert len(found(screen)) < 12, "nothing that only has the letters"


@pytest.mark.parametrize(
    "key", [key for key in KEYS if key.group == "Act" and key.id != "terminate"], ids=lambda key: key.id
)
def test_each_verb_of_a_command_line_finds_its_key(key: Key) -> None:
    """But for the one that has no verb of its own: `cancel` ends what hangs, too."""
    at = AtHand(records.run(RunStatus.WAITING), "etl", step="a", worker="w1")
    for words in all_words_of(key.id, at):
        if words[0] not in ("execution", "get", "workers"):  # which name what is looked at
            hit = look_up(words[0], key.help, other_words(key.id, key.label))
            assert hit is not None
            assert hit.is_whole


async def test_an_execution_is_opened_by_its_id_and_a_template_by_its_name(storage: SQLiteStorage) -> None:
    save(storage, flow(echo("a", 1), name="etl-daily"))
    run_id = start(storage, chain(1))
    start(storage, chain(1))
    async with screen_on(storage, (80, 24)) as screen:
        for sign in (short_id(run_id), run_id):
            await open_palette(screen)
            await screen.press(*("underscore" if one == "_" else one for one in sign))
            await screen.until(lambda: any(text.startswith("Open execution") for text in found(screen)))
            assert found(screen)[0].startswith(f"Open execution {short_id(run_id)}")
            await screen.press("enter")
            await screen.until(lambda: isinstance(screen.app.screen, RunView))
            assert isinstance(screen.app.screen, RunView)
            assert screen.app.screen.run_id == run_id
            await screen.press("q")
            await screen.until(lambda: isinstance(screen.app.screen, Dashboard))
        await open_palette(screen)
        await screen.press(*"daily")
        await screen.until(lambda: "Run etl-daily" in found(screen))
        assert found(screen)[0] == "Open template etl-daily"
        await screen.press("enter")
        await screen.until(lambda: isinstance(screen.app.screen, TemplatesView))
        await screen.until(lambda: screen.app.screen.template_at_hand == "etl-daily")  # type: ignore[attr-defined]  # as above


async def test_a_tab_of_an_execution_is_reached_by_its_name(storage: SQLiteStorage) -> None:
    start(storage, chain(1))
    async with screen_on(storage, (80, 24)) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        for words, tab in (("dag", "graph"), ("attempts", "attempts"), ("events", "events")):
            await open_palette(screen)
            await screen.press(*words)
            await screen.until(lambda: found(screen)[0].startswith("Tab: "))
            await screen.press("enter")
            await screen.until(lambda: isinstance(screen.app.screen, RunView))
            await screen.until(lambda tab=tab: screen.app.screen.place[1][2] == tab)  # type: ignore[misc, attr-defined]  # bound here
            assert len(screen.app.screen_stack) == 2, "a tab of it is no other screen above it"


async def test_a_tab_is_that_of_the_execution_it_names_whatever_the_list_shows_by_then(storage: SQLiteStorage) -> None:
    run_id = start(storage, chain(1))
    async with screen_on(storage, (80, 24)) as screen:
        await screen.until(lambda: screen.dashboard.run_at_hand is not None)
        await open_palette(screen)
        await screen.press(*"dag")
        await screen.until(lambda: found(screen)[0] == f"Tab: Graph of {short_id(run_id)}")
        screen.dashboard.choose(parse_filter("template:nothing"))
        await screen.until(lambda: screen.dashboard.run_at_hand is None)
        await screen.press("enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        assert screen.app.screen.run_id == run_id  # type: ignore[attr-defined]  # as above


async def test_what_is_called_nothing_is_said_to_be(storage: SQLiteStorage) -> None:
    start(storage, chain(1))
    async with screen_on(storage, (80, 24)) as screen:
        await open_palette(screen)
        await screen.press(*"qqqzzz")
        await screen.expect("Nothing is called 'qqqzzz'; / filters the list, 6 searches")
        await screen.press("enter")
        await screen.expect("Nothing is called 'qqqzzz'")
        await screen.pilot.resize_terminal(40, 10)
        await screen.until(lambda: "Nothing is called 'qqqzzz'; 6 searches" in screen.text)


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


async def test_a_key_of_another_screen_says_where_it_works(storage: SQLiteStorage) -> None:
    start(storage, chain(1))
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        for key, says in (
            ("H", "H is on an execution that enter opens"),
            ("left_square_bracket", "[ is on Templates or Search"),
            ("V", "V is on Templates"),
            ("4", "Schedules come with the scheduler"),
        ):
            await screen.press(key)
            await screen.expect(says)
        await screen.press("d")
        await screen.until(lambda: bool(screen.app.screen.query(Overlay)))
        await screen.press("V")
        await screen.until(lambda: not screen.app.screen.query(Overlay))
        await screen.press("5")
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))
        await screen.press("t")
        await screen.expect("t is on Dashboard or Executions")
        await screen.press("slash", "t")
        assert screen.app.screen.query_one(Input).value == "t"


def test_where_a_key_works_is_said_of_the_keys_that_a_person_has() -> None:
    assert where_is("V", {}) == "Templates"
    assert where_is("f5", {"validate": "f5"}) == "Templates"
    assert where_is("Z", {}) is None


def test_the_footer_of_who_only_reads_has_nothing_that_is_off() -> None:
    hinted = {key.id for key in hints_of("dashboard", read_only=True)}
    assert hinted == {key.id for key in hints_of("dashboard", read_only=False)} - {"run", "cancel", "retry"} - {
        "pause",
        "answer",
        "edit",
    }
    assert "simulate" in hinted


async def test_it_finds_yank_by_both_its_names_and_copies_the_command_line(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    monkeypatch.setattr(clipboard, "copy", lambda app, text, way: copied.append(text) or "tmux")
    run_id = start(storage, chain(1))
    async with screen_on(storage, (80, 24)) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        for words in ("yank", "copy"):
            await open_palette(screen)
            await screen.press(*words)
            assert any(text.startswith("Yank: copy its id") for text in found(screen)[:4])
            await screen.press("escape")
            await screen.until(lambda: not screen.app.screen.query(Palette))
        await open_palette(screen)
        await screen.press(*"cancel")
        await screen.expect("f2 copies it", run_id)
        await screen.press("f2")
        await screen.until(lambda: copied == [f"stepflow --db {storage.url} cancel {run_id}"])
        await screen.until(lambda: not screen.app.screen.query(Palette))
        await open_palette(screen)
        await screen.press(*"theme", "f2")
        await screen.expect("No command line does this")
        assert len(copied) == 1


async def test_a_key_that_comes_late_does_not_leave_what_lies_above_the_help(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        for above in (1, 2):
            screen.dashboard.action_help()
            await screen.until(lambda above=above: len(screen.app.screen_stack) == 1 + above)  # type: ignore[misc]  # bound here
        beneath = screen.app.screen_stack[1]
        beneath.post_message(events.Key("x", "x"))
        await screen.pilot.pause()
        assert len(screen.app.screen_stack) == 3
        for _ in range(2):
            await screen.press("escape")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))


async def test_help_moves_as_lists_do(storage: SQLiteStorage) -> None:
    lines = help_lines("settings")
    assert [("Act", "title")] not in lines
    assert any("Schedules" in text for line in lines for text, _ in line)
    async with screen_on(storage, (80, 24)) as screen:
        await screen.press("question_mark")
        await screen.until(lambda: isinstance(screen.app.screen, Help))
        lines_seen = screen.app.screen.query_one(LineView)
        await screen.press("G")
        await screen.until(lambda: lines_seen.scroll_offset.y > 20)
        bottom = lines_seen.scroll_offset.y
        for key in ("ctrl+u", "ctrl+d", "ctrl+u", "ctrl+f", "g"):
            await screen.press(key)
            await screen.until(lambda key=key: (lines_seen.scroll_offset.y < bottom) == (key in ("ctrl+u", "g")))  # type: ignore[misc]  # bound here
        await screen.until(lambda: lines_seen.scroll_offset.y == 0)
        assert isinstance(screen.app.screen, Help)
