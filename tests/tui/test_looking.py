"""What is looked at by keys: the view before, a template's executions, an execution in words, words in a pane."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import clipboard
from stepflow_tui.panes.executions import Executions
from stepflow_tui.panes.overlay import Overlay
from stepflow_tui.panes.run_log import RunLog
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.spans import with_found
from stepflow_tui.screens.executions import ExecutionsView
from stepflow_tui.screens.run import TABS, RunView
from stepflow_tui.screens.templates import TemplatesView
from stepflow_tui.screens.workers import WorkersView
from stepflow_tui.widgets.find import Find
from tests.runtime.test_children import one_step
from tests.support.engine import start, until, working
from tests.support.flows import chain, echo, flow
from tests.tui.test_dashboard import Screen, failing, screen_on, sleeping
from tests.tui.test_run import ended, run_shown, tab, work
from tests.tui.test_templates import ORDER, WRONG, screen_in, view, workspace

__all__ = ["workspace"]  # the fixture


async def find(screen: Screen, words: str) -> None:
    await screen.press("slash")
    await screen.until(lambda: bool(screen.app.screen.query(Find)))
    await screen.press("ctrl+u", *words, "enter")
    await screen.until(lambda: not screen.app.screen.query(Find))


async def test_minus_goes_to_the_view_before_and_back(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, failing())
    async with screen_on(storage) as screen:
        await screen.press("minus")
        await screen.expect("No other view was seen yet")
        await screen.press("2")
        await screen.until(lambda: isinstance(screen.app.screen, ExecutionsView))
        await screen.press("5", "minus")
        await screen.until(lambda: isinstance(screen.app.screen, ExecutionsView))
        await screen.expect(short_id(run_id))
        await screen.press("enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        executions = screen.app.screen_stack[-2]
        await screen.expect("no such column")
        await screen.press("i", "minus")
        await screen.until(lambda: screen.app.screen is executions, "the same screen, not a new one")
        await screen.press("minus")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        assert screen.app.screen.place == ("run", (run_id, "bad", "values"))  # type: ignore[attr-defined]  # a frame
        await screen.press("5")
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))
        await screen.press("minus")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        await screen.press("q")
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))


async def test_h_lists_the_executions_of_the_template_at_hand(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        await screen.press("h")
        await screen.expect("There is no template to list the executions of")
    bad = await ended(storage, failing())
    ok = await ended(storage, chain(1))
    async with screen_on(storage, begin_on=bad) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await screen.press("h")
        await screen.until(lambda: isinstance(screen.app.screen, ExecutionsView))
        pane = screen.app.screen.query_one(Executions)
        await screen.until(lambda: [run.id for run in pane.runs] == [bad])
        assert pane.listing.filter.text == "template:failing"
        await screen.press("escape")
        await screen.until(lambda: [run.id for run in pane.runs] == [ok, bad])
        await screen.press("g", "h")
        await screen.until(lambda: [run.id for run in pane.runs] == [ok])


async def test_l_and_i_open_an_execution_of_a_list_at_its_log_and_its_values(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, work())
    async with screen_on(storage) as screen:
        await screen.press("2")
        await screen.expect(short_id(run_id))
        for key, name, words in (("l", "log", "two"), ("i", "values", '"input"')):
            await screen.press(key)
            await screen.until(lambda: isinstance(screen.app.screen, RunView))
            opened = screen.app.screen
            assert isinstance(opened, RunView)
            assert TABS[opened._tab] == name
            await screen.expect(words)
            await screen.press("q")
            await screen.until(lambda: isinstance(screen.app.screen, ExecutionsView))


@pytest.mark.parametrize("size", [(40, 10), pytest.param((80, 24), marks=pytest.mark.full)])
async def test_d_describes_an_execution_in_words(storage: SQLiteStorage, size: tuple[int, int]) -> None:
    first = await ended(storage, work(), {"order": 7})
    async with screen_on(storage, size) as screen:
        await screen.until(lambda: screen.dashboard.executions.selected is not None)
        await screen.press("d")
        await screen.until(lambda: bool(screen.app.screen.query(Overlay)))
        overlay = screen.app.screen.query_one(Overlay)
        await screen.until(lambda: overlay.text.row_count > 0)
        said = "\n".join("".join(text for text, _ in line) for line in overlay.text._lines)
        for words in (
            "✗ failed  work v1",
            first,
            "FAILED",
            "no such column",
            "the step bad",
            "further attempt",
        ):
            assert words.replace("  ", " ") in " ".join(said.split()) or words in said, said
        assert "1 step after it did not run" in " ".join(said.split())
        await screen.press("slash", *"order", "enter")
        await screen.expect('"order": 7')
        await screen.press("n")
        assert "n N go on" in str(overlay.text.border_subtitle)
        await screen.press("slash", "ctrl+u", *"wibble", "enter")
        await screen.until(lambda: "nothing has 'wibble'" in str(overlay.text.border_subtitle))
        await screen.press("escape")
        await screen.until(lambda: not screen.app.screen.query(Overlay))
        assert screen.app.screen.focused is screen.dashboard.executions


async def test_a_key_of_the_screen_closes_the_description_before_it_asks(storage: SQLiteStorage) -> None:
    run_id = start(storage, sleeping())
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        for key, asks in (("c", "#question"), ("colon", "#palette"), ("semicolon", "#palette"), ("X", "#ask")):
            await screen.press("d")
            await screen.until(lambda: bool(screen.app.screen.query(Overlay)))
            await screen.press(key)
            await screen.until(lambda asks=asks: bool(screen.app.screen.query(asks)))  # type: ignore[misc]  # bound here
            await screen.until(lambda: not screen.app.screen.query(Overlay))
            await screen.press("escape")
            await screen.until(lambda asks=asks: not screen.app.screen.query(asks))  # type: ignore[misc]  # bound here
        assert not storage.get_run(run_id).cancel_requested
        await screen.press("d")
        await screen.until(lambda: bool(screen.app.screen.query(Overlay)))
        await screen.press("t")
        await screen.expect("it has not ended")
        assert screen.app.screen.focused is screen.dashboard.executions


async def test_a_description_says_what_is_waited_for_and_what_can_be_done(storage: SQLiteStorage) -> None:
    run_id = start(storage, one_step("approval", {"name": "ship", "message": "Ship it?"}))
    async with working(storage), screen_on(storage) as screen:
        await until(storage, run_id, RunStatus.WAITING)
        await screen.until(
            lambda: (run := screen.dashboard.run_at_hand) is not None and run.status is RunStatus.WAITING
        )
        await screen.press("d")
        await screen.expect("? waiting", "for event ship", "A answer ship")
        await screen.press("d")
        await screen.until(lambda: not screen.app.screen.query(Overlay))


async def test_f_stays_with_the_newest_execution_until_the_cursor_leaves(storage: SQLiteStorage) -> None:
    ids = [start(storage, sleeping()) for _ in range(3)]
    async with screen_on(storage) as screen:
        pane = screen.dashboard.executions
        await screen.until(lambda: len(pane.runs) == 3)
        await screen.press("j", "f")
        assert pane.selected is not None
        assert pane.selected.id == ids[2]
        await screen.until(lambda: "follows" in str(pane.border_subtitle))
        new = start(storage, sleeping())
        await screen.until(lambda: pane.selected is not None and pane.selected.id == new)
        await screen.until(
            lambda: screen.dashboard.timeline.run is not None and screen.dashboard.timeline.run.id == new
        )
        await screen.press("j")
        assert "follows" not in str(pane.border_subtitle)
        start(storage, sleeping())
        await screen.until(lambda: len(pane.runs) == 5)
        assert pane.selected is not None
        assert pane.selected.id == ids[2]


async def test_f_holds_the_log_and_follows_it_again(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, work())
    async with screen_on(storage) as screen:
        log = screen.dashboard.log_pane
        await screen.expect("run.failed")
        await screen.until(lambda: log.row_count > 5)
        log.focus()
        await screen.press("f")
        assert not log.follows
        rows = log.row_count
        start(storage, sleeping())
        await screen.until(lambda: log.row_count > rows)
        assert log.cursor == rows - 1
        await screen.press("f")
        assert log.follows
        assert log.cursor == log.row_count - 1
    async with run_shown(storage, run_id) as (screen, shown):
        await screen.press("f")
        await screen.expect("That is for the log and the events")
        await tab(screen, shown, "log")
        await screen.until(lambda: shown.log_pane.row_count > 0)
        await screen.press("f")
        assert not shown.log_pane.follows
        await screen.press("H", "f")
        await screen.expect("In the past nothing comes")


async def test_lines_of_a_log_are_marked_and_found_again(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, chain(5))
    async with run_shown(storage, run_id) as (screen, shown):
        await tab(screen, shown, "events")
        pane = shown.event_pane
        await screen.until(lambda: pane.row_count > 8)
        await screen.press("n")
        await screen.expect("Nothing is looked for here")
        await screen.press("g", "j", "m", "j", "j", "m", "G")
        assert screen.text_of(pane).count("* ") == 2
        rows = []
        for key in "nnN":
            await screen.press(key)
            await screen.until(lambda: pane.cursor in (1, 3))
            rows.append(pane.cursor)
        assert rows == [1, 3, 1]
        await screen.press("w", "n")
        await screen.until(lambda: pane.place == 3)
        await screen.press("m")
        assert pane.marked == {pane.events[1].seq}


async def test_x_unfolds_a_line_of_the_log_to_all_it_says(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, flow(echo("a", {"deep": {"needle": 1}})))
    async with run_shown(storage, run_id) as (screen, shown):
        await tab(screen, shown, "events")
        pane = shown.event_pane
        await screen.until(lambda: pane.row_count > 3)
        rows = pane.row_count
        completed = next(row for row, event in enumerate(pane.events) if event.event_type == "step.completed")
        pane.move_to(completed)
        await screen.press("x")
        await screen.until(lambda: pane.row_count > rows)
        assert '"needle": 1' in screen.text_of(pane)
        assert pane.selected is pane.events[completed]
        await screen.press("w", "x")
        await screen.until(lambda: "needle" not in screen.text_of(pane))


@pytest.mark.parametrize(
    "name",
    ["log", *(pytest.param(name, marks=pytest.mark.full) for name in ("timeline", "graph", "events", "attempts"))],
)
async def test_slash_finds_words_in_the_tab_that_is_shown(storage: SQLiteStorage, name: str) -> None:
    run_id = await ended(storage, chain(12))
    async with run_shown(storage, run_id, (100, 24)) as (screen, shown):
        await tab(screen, shown, name)
        await screen.until(lambda: shown.pane.row_count > (10 if name in ("timeline", "events") else 0))
        await find(screen, "completed" if name == "log" else "s7")
        await screen.until(lambda: shown.pane.sought != "")
        await screen.press("n", "N")
        if name in ("timeline", "graph", "attempts"):
            await screen.until(lambda: shown.step_key == "s7")
        await find(screen, "wibble")
        await screen.expect("Nothing has 'wibble'")
        await screen.press("slash", "escape", "n")
        await screen.expect("Nothing is looked for here")


@pytest.mark.full
async def test_what_is_found_may_be_far_above_in_the_log(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.panes.log.PAGE", 10)
    run_id = await ended(storage, chain(12))
    async with run_shown(storage, run_id) as (screen, shown):
        await tab(screen, shown, "events")
        pane = shown.event_pane
        await screen.until(lambda: pane.row_count > 0)
        assert not pane.is_whole
        await find(screen, "s1 step.started")
        await screen.until(
            lambda: isinstance(pane, RunLog) and pane.selected is not None and pane.selected.step_key == "s1"
        )


async def test_slash_on_the_dashboard_filters_executions_and_looks_through_other_panes(storage: SQLiteStorage) -> None:
    await ended(storage, work())
    async with screen_on(storage) as screen:
        await screen.expect("run.failed")
        log = screen.dashboard.log_pane
        log.focus()
        await find(screen, "run.failed")
        assert log.sought == "run.failed"
        await screen.until(lambda: log.selected is not None and log.selected.event_type == "run.failed")
        await screen.press("m")
        assert log.marked
        screen.dashboard.executions.focus()
        await screen.press("m")
        await screen.expect("That is for the log")
        await screen.press("slash")
        await screen.until(lambda: bool(screen.app.screen.query("#filter")))


@pytest.mark.parametrize(
    ("line", "words", "found"),
    [
        ([("one two", "a")], "two", [("one ", "a"), ("two", "late-reverse")]),
        ([("on", "a"), ("e two", "b")], "ONE", [("on", "late-reverse"), ("e", "late-reverse"), (" two", "b")]),
        ([("aXbXc", "")], "x", [("a", ""), ("X", "late-reverse"), ("b", ""), ("X", "late-reverse"), ("c", "")]),
        ([("İstanbul x", "")], "x", [("İstanbul ", ""), ("x", "late-reverse")]),
        ([("none", "a")], "z", [("none", "a")]),
        ([("none", "a")], "", [("none", "a")]),
    ],
)
def test_words_are_shown_wherever_they_stand(
    line: list[tuple[str, str]], words: str, found: list[tuple[str, str]]
) -> None:
    assert with_found(line, words) == found


async def test_capital_v_checks_the_file_also_while_none_is_watched(storage: SQLiteStorage, workspace: Path) -> None:
    async with screen_in(storage, workspace) as screen:
        await screen.press("V")
        await screen.expect("order: ")
        await screen.press("w")
        await screen.expect("Files are not watched")
        (workspace / "order.yaml").write_text(WRONG)
        await screen.press("V")
        await screen.expect("1 error", "furst")
        assert "not saved" in str(view(screen).source.border_title)
        assert storage.get_template_version("order").source == ORDER
        await screen.press("w")
        await screen.expect("not saved")
        (workspace / "order.yaml").write_text(ORDER.replace("0.001", "0.002"))
        await screen.until(lambda: "0.002" in storage.get_template_version("order").source)
        await screen.press("V")
        await screen.until(lambda: all(one.level != "error" for one in view(screen).problems.problems))


async def test_w_and_v_say_why_they_do_nothing(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        await screen.press("3")
        await screen.until(lambda: isinstance(screen.app.screen, TemplatesView))
        await screen.press("V")
        await screen.expect("There is no template to check")
        await screen.press("w")
        await screen.expect("There is no workspace whose files could be watched")


@pytest.mark.full
async def test_a_template_is_described_copied_and_written_to_a_file(
    storage: SQLiteStorage, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    monkeypatch.setattr(clipboard, "copy", lambda app, text, way: copied.append(text) or "tmux")
    (away := tmp_path / "away").mkdir()
    monkeypatch.chdir(away)
    async with screen_in(storage, workspace) as screen:
        await screen.until(lambda: screen.app.screen.template_at_hand == "order")  # type: ignore[attr-defined]  # a frame
        await screen.press("d")
        await screen.until(lambda: bool(screen.app.screen.query(Overlay)))
        await screen.expect("order  v1", "none has ended yet", "order.yaml", "/builtin/")
        await screen.press("d")
        await screen.until(lambda: not screen.app.screen.query(Overlay))
        line = f"stepflow --db {storage.url} --workspace {workspace} get order"
        for key, text in (("i", "order"), ("c", line), ("f", str(workspace / "order.yaml")), ("s", ORDER)):
            await screen.press("y", key)
            await screen.until(lambda text=text: copied[-1:] == [text])  # type: ignore[misc]  # bound here
        for key, name in (("s", "again.yaml"), ("p", "plan.json")):
            await screen.press("E", key)
            await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
            await screen.press("ctrl+u", *name, "enter")
            await screen.expect("Wrote ", name)
        assert (away / "again.yaml").read_text() == ORDER
        assert json.loads((away / "plan.json").read_text())["steps"]
        await screen.press("E", "p")
        await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
        await screen.press("ctrl+u", *"plan.json", "enter")
        await screen.expect("plan.json exists")
        await screen.press("n")
        await screen.until(lambda: not screen.app.screen.query("#question"))


async def test_what_has_no_output_yet_says_so_in_place_of_null(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    monkeypatch.setattr(clipboard, "copy", lambda app, text, way: copied.append(text) or "tmux")
    run_id = start(storage, sleeping())
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await screen.press("y", "o")
        await screen.expect(f"{short_id(run_id)} has no output yet")
        assert not copied


@pytest.mark.full
async def test_z_gives_a_list_the_lines_around_it(storage: SQLiteStorage) -> None:
    await ended(storage, failing())
    async with screen_on(storage) as screen:
        for key in "2567":
            await screen.press(key)
            await screen.until(lambda key=key: screen.app.screen.place[0] != "dashboard")  # type: ignore[misc,attr-defined]  # bound here
            seen = screen.app.screen
            header = seen.query_one("#header")
            await screen.until(lambda header=header: header.region.height == 1)  # type: ignore[misc]  # bound here
            seen.focus_main()  # type: ignore[attr-defined]  # a frame
            await screen.press("z")
            await screen.until(lambda header=header: not header.display)  # type: ignore[misc]  # bound here
            await screen.press("escape")
            await screen.until(lambda header=header: header.display)  # type: ignore[misc]  # bound here
            assert screen.app.screen is seen
            await screen.press("1")
            await screen.until(lambda: screen.app.screen is screen.dashboard)
