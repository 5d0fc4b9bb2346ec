"""The templates on 3: text, problems, versions, differences, simulation, the form, and files edited meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from textual.widgets import Input

from stepflow.client import Client
from stepflow.model.flow import Step
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.app import StepFlowApp
from stepflow_tui.panes.template_tabs import Simulated, SourceDiff, Tab, Versions
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.form import Form
from stepflow_tui.screens.templates import TemplatesView
from tests.support.engine import save, until, working
from tests.support.flows import echo, flow
from tests.tui.test_dashboard import Screen, screen_on

ORDER = """\
name: order
description: Charges and ships
input_schema:
  type: object
  required: [n]
  properties:
    n: {type: integer, minimum: 1}
    speed: {type: string, enum: [slow, fast], default: slow}
    gift: {type: boolean}
    tags: {type: array}
steps:
  - id: first
    type: echo
    input: $.input.n
  - id: second
    type: sleep
    input: {seconds: 0.001}
    depends_on: [first]
output: {n: $.steps.first.output}
"""
ZERO = "  - id: zero\n    type: echo\n    input: 1\n  - id: first"
WRONG = ORDER.replace("[first]", "[furst]")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "stepflow.toml").touch()
    (folder / "order.yaml").write_text(ORDER)
    monkeypatch.chdir(folder)
    return folder


@asynccontextmanager
async def screen_in(
    storage: SQLiteStorage, workspace: Path, size: tuple[int, int] = (120, 40), *, read_only: bool = False
) -> AsyncIterator[Screen]:
    """On the templates, once the files were looked at."""
    async with Client(storage.url, workspace, durability="normal") as client:
        app = StepFlowApp(client, start_worker=False, read_only=read_only)
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await screen.until(lambda: read_only or app.session.files.is_watched, "the files were looked at")
            await screen.press("3")
            await screen.until(lambda: isinstance(app.screen, TemplatesView) and bool(app.screen.entries.entries))
            yield screen


@asynccontextmanager
async def screen_with(
    storage: SQLiteStorage, size: tuple[int, int] = (120, 40), text: str = ORDER
) -> AsyncIterator[Screen]:
    """On the templates, without a workspace; one is saved."""
    async with Client(storage.url) as client:
        await client.save_template(None, text)
    async with screen_on(storage, size) as screen:
        await screen.press("3")
        await screen.until(lambda: isinstance(screen.app.screen, TemplatesView) and bool(view(screen).entries.entries))
        yield screen


def view(screen: Screen) -> TemplatesView:
    shown = screen.app.screen
    assert isinstance(shown, TemplatesView)
    return shown


def title(screen: Screen) -> str:
    return str(view(screen).source.border_title)


async def edited(screen: Screen, file: Path, text: str) -> None:
    """Save it, and see it saved."""
    file.write_text(text)
    await screen.until(lambda: view(screen).source.text == text and title(screen).startswith(f"{file.name} · v"))


async def ran(screen: Screen, storage: SQLiteStorage) -> None:
    """Its newest version stays when there are newer ones, because it ran."""
    async with working(storage):
        await until(storage, await screen.app.client.start_run("order", {"n": 1}))


async def to_tab(screen: Screen, kind: type[Tab]) -> None:
    while not isinstance(view(screen).tab, kind):
        await screen.press("right_square_bracket")


async def test_a_template_is_seen_with_its_text_and_its_problems(storage: SQLiteStorage) -> None:
    async with screen_with(storage) as screen:
        await screen.expect("order", "1 │ name: order", "L220")
        await screen.press("J")
        assert view(screen).source.line == 8
        await screen.press("J", "J", "J", "J")
        await screen.expect("No other problem")
        assert view(screen).source.line == 10
        await screen.press("tab", "tab")
        await screen.until(lambda: view(screen).problems.has_focus)
        await screen.press("g", "enter")
        await screen.until(lambda: view(screen).source.has_focus)
        assert view(screen).source.line == 8
        await screen.press("escape", "escape")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))


async def test_a_save_is_seen_a_wrong_one_keeps_what_was_and_is_pointed_at(
    storage: SQLiteStorage, workspace: Path
) -> None:
    file = workspace / "order.yaml"
    async with screen_in(storage, workspace) as screen:
        await screen.until(lambda: title(screen) == "order.yaml · v1")
        view(screen).source.move_to(12)
        await ran(screen, storage)
        await edited(screen, file, ORDER.replace("0.001", "0.002"))
        await screen.expect("seconds: 0.002", "saved", "order.yaml: order v2 (")
        assert view(screen).source.line == 13
        file.write_text(WRONG)
        await screen.until(lambda: title(screen) == "order.yaml · not saved · v2 works on")
        await screen.expect("[furst]", "✗ not saved", "did you mean 'first'")
        assert storage.get_template("order").version == 2
        await screen.press("J")
        await screen.until(lambda: "furst" in str(view(screen).source.border_subtitle))
        assert ORDER.splitlines()[view(screen).source.line - 1] == "    depends_on: [first]"
        await edited(screen, file, ORDER.replace("0.001", "0.003"))
        await screen.until(lambda: "not saved" not in screen.text_of(view(screen).entries))


async def test_files_that_never_were_templates_or_are_gone_are_seen(storage: SQLiteStorage, workspace: Path) -> None:
    async with screen_in(storage, workspace) as screen:
        (workspace / "new.yaml").write_text("steps:\n  - id: a\n    type: eco\n")
        await screen.expect("new.yaml", "✗ not saved")  # in its row, not in the note that comes before
        await screen.press("g")
        await screen.expect("type: eco", "Unknown component")
        for key in "rs":
            await screen.press(key)
            await screen.expect("new.yaml is not saved: 3:11 Unknown component")
        for tab in (Versions, SourceDiff):
            await to_tab(screen, tab)
            pane = view(screen).query_one(tab)
            await screen.until(lambda pane=pane: "the file never was a template" in screen.text_of(pane))  # type: ignore[misc]  # bound here
        assert str(view(screen).entries.border_subtitle) == "2 watched · ● live"
        (workspace / "new.yaml").unlink()
        await screen.expect("new.yaml is gone")
        (workspace / "order.yaml").unlink()
        await screen.expect("file gone")
        await screen.until(lambda: title(screen) == "order.yaml · v1")


async def test_a_file_that_is_mended_keeps_the_cursor_as_the_template_that_it_is_now(
    storage: SQLiteStorage, workspace: Path
) -> None:
    broken = workspace / "unk.yaml"
    broken.write_text("steps:\n  - id: a\n    type: eco\n")
    async with screen_in(storage, workspace) as screen:
        await screen.until(lambda: [one.name for one in view(screen).entries.entries] == ["unk.yaml", "order"])
        await screen.press("g", "enter", "j", "j")
        await screen.until(lambda: view(screen).source.line == 3)
        broken.write_text("steps:\n  - id: a\n    type: echo\n")
        await screen.until(lambda: [one.name for one in view(screen).entries.entries] == ["order", "unk"])
        assert view(screen).template_at_hand == "unk"
        await screen.until(lambda: title(screen) == "unk.yaml · v1")
        assert view(screen).source.line == 3


async def test_the_dashboard_tells_of_files_too(storage: SQLiteStorage, workspace: Path) -> None:
    async with screen_in(storage, workspace) as screen:
        await screen.press("1")
        (workspace / "order.yaml").write_text(WRONG)
        await screen.expect("order.yaml:18:18 not saved", "order")
        await screen.until(lambda: "!" in screen.text_of(screen.dashboard.templates))


@pytest.mark.full
async def test_two_that_watch_one_workspace_make_one_version_of_a_save(storage: SQLiteStorage, workspace: Path) -> None:
    async with Client(storage.url, workspace) as other, aclosing(other.watch_workspace()) as rounds:
        await anext(rounds)
        async with screen_in(storage, workspace) as screen:
            for number in range(2, 6):
                await ran(screen, storage)
                text = ORDER.replace("0.001", f"0.00{number}")
                heard, _ = await asyncio.gather(anext(rounds), edited(screen, workspace / "order.yaml", text))
                assert heard.outcomes
            await screen.expect("saved", "v5")
        assert [one.version for one in storage.template_versions("order", None)] == [5, 4, 3, 2, 1]


async def test_where_nothing_may_be_changed_no_file_is_saved(storage: SQLiteStorage, workspace: Path) -> None:
    save(storage, flow(echo("a", 1)))
    async with screen_in(storage, workspace, read_only=True) as screen:
        await screen.expect("flow")
        assert storage.count_templates() == 1
        assert not screen.app.session.files.is_watched


async def test_versions_say_what_changed_and_any_of_them_is_run(storage: SQLiteStorage, workspace: Path) -> None:
    file = workspace / "order.yaml"
    async with screen_in(storage, workspace) as screen, working(storage):
        for text in (ORDER.replace("0.001", "0.002"), ORDER.replace("  - id: first", ZERO)):
            await until(storage, await screen.app.client.start_run("order", {"n": 1}))
            await edited(screen, file, text)
        await screen.press("tab", "tab", "right_square_bracket")
        await screen.until(lambda: view(screen).versions.has_focus)
        await screen.expect("+zero", "~second (input)", "the first", "1 run", "never ran")
        await screen.press("j", "enter")
        await screen.until(lambda: isinstance(view(screen).tab, SourceDiff))
        await screen.expect("v1 → v2", "-    input: {seconds: 0.001}", "+    input: {seconds: 0.002}")
        await screen.press("D")
        await screen.expect("v2 → the file", "+  - id: zero")
        await screen.press("left_square_bracket", "r")
        await screen.until(lambda: bool(screen.app.screen.query(Form)))
        await screen.press("7", "enter")
        await screen.until(lambda: storage.count_runs([RunStatus.COMPLETED], None) == 3)
        run = storage.list_runs(1, None, None, None, False)[0][0]
        assert run.version == 2
        await screen.expect("Started")
        await screen.until(lambda: "✓" in screen.text_of(view(screen).entries))


async def test_s_shows_what_would_happen_from_the_dashboard_too(storage: SQLiteStorage) -> None:
    async with screen_with(storage) as screen:
        async with working(storage):
            for number in (1, 2):
                await until(storage, await screen.app.client.start_run("order", {"n": number}))
        runs = storage.count_runs(None, None)
        await screen.press("1", "s")
        await screen.until(lambda: bool(screen.app.screen.query(Form)))
        await screen.press("enter")
        await screen.until(lambda: isinstance(screen.app.screen, TemplatesView))
        await screen.until(lambda: isinstance(view(screen).tab, Simulated) and view(screen).tab.has_focus)
        await screen.expect("✓ would be completed", "from 2 exec", "★second", "Output", '"n": 2')
        assert "computed" not in screen.text_of(view(screen).tab)  # all of it is
        await screen.press("s", *["ctrl+e"])
        await screen.until(lambda: bool(screen.app.screen.query("#ask")))
        screen.app.screen.query_one("#input", Input).value = '{"n": 40}'
        await screen.press("enter")
        await screen.expect('"n": 40')
        assert storage.count_runs(None, None) == runs
        assert storage.count_templates() == 1


async def test_a_simulation_that_fails_says_where(storage: SQLiteStorage) -> None:
    save(
        storage,
        flow(
            Step(key="bad", component="/builtin/fail", input={"message": "no\x1b[2J luck"}),
            echo("after", 1, depends_on=("bad",)),
            name="failing",
        ),
    )
    async with screen_on(storage) as screen:
        await screen.press("3")
        await screen.until(lambda: isinstance(screen.app.screen, TemplatesView) and view(screen).entries.row_count == 1)
        await screen.press("s")
        await screen.until(lambda: bool(screen.app.screen.query("#ask")))
        await screen.press("enter")
        await screen.expect("✗ would be failed", "no·[2J luck", "Error  bad:")


@pytest.mark.full
async def test_the_form_says_what_is_wrong_field_by_field(storage: SQLiteStorage) -> None:
    async with screen_with(storage) as screen, working(storage):

        def said() -> list[str]:
            return [str(one.render()).strip() for one in screen.app.screen.query("#form .said").results()]

        await screen.press("r")
        await screen.until(lambda: bool(screen.app.screen.query(Form)))
        form = screen.app.screen.query_one(Form)
        await screen.press("enter")
        await screen.until(lambda: said()[0] == "! is required")
        await screen.press("x")
        await screen.until(lambda: said()[0] == "! not a whole number")
        await screen.press("backspace", "0", "enter")
        await screen.until(lambda: "less than the minimum" in said()[0])
        assert storage.count_runs(None, None) == 0
        await screen.press("backspace", "5", "down", "right", "tab", "y", "tab", *"[1, oops", "enter")
        await screen.until(lambda: said()[3].startswith("! not JSON"))
        await screen.press("end", *["backspace"] * 4, *"2]", "enter")
        await screen.until(lambda: storage.count_runs([RunStatus.COMPLETED], None) == 1)
        assert not form.is_attached
        run = storage.get_run(storage.list_runs(1, None, None, None, False)[0][0].id)
        assert run.input == {"n": 5, "speed": "fast", "gift": True, "tags": [1, 2]}
        await screen.press("r")
        await screen.until(lambda: bool(screen.app.screen.query(Form)))
        assert screen.app.screen.query(Input).first().value == "5"
        await screen.press("escape")
        await screen.until(lambda: not screen.app.screen.query(Form))
        assert view(screen).entries.has_focus


@pytest.mark.parametrize(
    "size", [(40, 10), *(pytest.param(size, marks=pytest.mark.full) for size in ((80, 24), (20, 5)))]
)
async def test_it_works_at_every_size(storage: SQLiteStorage, size: tuple[int, int]) -> None:
    async with screen_with(storage, size) as screen:
        for key in ("tab", "tab", "z", "escape", "G", "right_square_bracket", "D", "J", "K", "enter", "z", "z"):
            await screen.press(key)
        await screen.press("r")
        await screen.until(lambda: bool(screen.app.screen.query(Form)))
        await screen.press("9", "down", "down", "down", "up", "enter")
        await screen.until(lambda: storage.count_runs(None, None) == 1)
        await screen.until(lambda: not screen.app.screen.query(Form))
        await screen.pilot.resize_terminal(120, 40)
        await screen.expect("order", "1 │ name: order")


async def test_from_a_hundred_columns_on_the_text_and_its_problems_stand_beside_each_other(
    storage: SQLiteStorage,
) -> None:
    async with screen_with(storage, (120, 40)) as screen:
        shown = view(screen)
        await screen.until(lambda: shown.source.region.y == shown.tab.region.y == shown.entries.region.bottom)
        assert shown.source.region.width == shown.tab.region.width == 60
        assert shown.entries.region.height == 3
        await screen.press("z")
        await screen.until(lambda: shown.entries.region.height == 38)
        await screen.press("z")
        await screen.pilot.resize_terminal(120, 17)
        await screen.until(lambda: shown.source.region.height == 12)
        await screen.pilot.resize_terminal(200, 50)
        await screen.until(lambda: shown.source.region.x == shown.entries.region.right == 44)
        await screen.pilot.resize_terminal(80, 24)
        await screen.until(lambda: shown.tab.region.y == shown.source.region.bottom)


async def test_a_small_screen_shows_one_pane_at_a_time(storage: SQLiteStorage) -> None:
    async with screen_with(storage, (40, 10)) as screen:

        def seen() -> list[str | None]:
            panes = (view(screen).entries, view(screen).source, *screen.app.screen.query(Tab))
            return [pane.id for pane in panes if pane.region.height and pane.display]

        await screen.until(lambda: seen() == ["list"])
        await screen.press("enter")
        await screen.until(lambda: seen() == ["source"] and view(screen).source.has_focus)
        await screen.press("tab")
        await screen.until(lambda: seen() == ["problems"] and view(screen).problems.has_focus)
        await screen.press("right_square_bracket")
        await screen.until(lambda: seen() == ["versions"] and view(screen).versions.has_focus)
        await screen.press("escape")
        await screen.until(lambda: seen() == ["list"])
        assert view(screen).pane is view(screen).entries


@pytest.mark.full
async def test_ten_thousand_lines_scroll_at_once(storage: SQLiteStorage) -> None:
    steps = "".join(f"  - id: s{number}\n    type: echo\n    input: {number} # one\n" for number in range(3333))
    async with screen_with(storage, text=f"name: order\nsteps:\n{steps}") as screen:
        source = view(screen).source
        await screen.until(lambda: source.row_count == 10_001)
        await screen.until(lambda: bool(view(screen).problems.problems))
        source.focus()
        await screen.press("G")
        await screen.expect("id: s3332")
        began = perf_counter()
        for _ in range(100):
            source.action_page(-1)
            for y in range(source.size.height):
                source.render_line(y)
        assert perf_counter() - began < 2.0


async def test_e_without_an_editor_says_what_to_set(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    async with screen_with(storage) as screen:
        await screen.press("e")
        await screen.expect("No editor is set")
        monkeypatch.setenv("EDITOR", "vim '")
        await screen.press("e")
        await screen.expect("EDITOR is no command")
        monkeypatch.setenv("EDITOR", "true")
        await screen.press("e")
        await screen.expect("An editor needs the terminal")


async def test_problems_of_a_template_are_seen_in_the_list_before_it_is_selected(storage: SQLiteStorage) -> None:
    risky = "name: risky\nsteps:\n  - id: a\n    type: /http/get\n    input: {url: 'https://example.org'}\n"
    async with Client(storage.url) as client:
        await client.save_template(None, risky)
    async with screen_with(storage) as screen:
        await screen.until(lambda: view(screen).entries.row_count == 2)
        await screen.until(lambda: "!3 v1" in screen.text_of(view(screen).entries))
        await screen.until(lambda: bool(view(screen).problems.problems))
        assert view(screen).problems.problems == view(screen).entries.problems["order"]


async def test_the_selected_problem_is_read_to_its_end_where_there_is_little_room(storage: SQLiteStorage) -> None:
    get = "    type: /http/get\n    input: {url: 'https://example.org'}\n"
    async with screen_with(storage, (80, 24), f"name: order\nsteps:\n  - id: a\n{get}  - id: b\n{get}") as screen:
        problems = view(screen).problems
        await screen.until(lambda: len(problems.problems) > 3)
        await screen.press("tab", "tab")
        await screen.until(lambda: problems.has_focus)
        seen = []
        for _ in problems.problems:
            assert problems.selected is not None
            seen.append(problems.selected)
            shown = " ".join(screen.text_of(problems).split())
            assert f"{problems.selected.message} {problems.selected.hint or ''}".strip() in shown
            await screen.press("j")
        assert seen == list(problems.problems)
        await screen.press("g", "G")
        assert problems.selected is seen[-1]


async def test_what_nobody_watches_is_said_and_checked_as_its_file_is_now(
    storage: SQLiteStorage, tmp_path: Path
) -> None:
    file = tmp_path / "order.yaml"
    file.write_text(WRONG)
    async with Client(storage.url) as client:
        await client.save_template(None, ORDER, base_dir=str(tmp_path), file="order.yaml")
    async with screen_on(storage) as screen:
        await screen.press("3")
        await screen.until(lambda: isinstance(screen.app.screen, TemplatesView) and bool(view(screen).entries.entries))
        assert str(view(screen).entries.border_subtitle) == "1 unwatched · ● live"
        await screen.until(lambda: title(screen) == "order.yaml · v1")
        await screen.press("V")
        await screen.expect("not saved, for nobody watches: stepflow update order --dsl order.yaml", "[furst]")
        assert view(screen).problems.problems[0].level == "error"
        file.write_text(ORDER)
        await screen.press("V")
        await screen.until(lambda: view(screen).source.text == ORDER)
        await screen.until(lambda: "nobody watches" not in screen.text)


async def test_a_very_large_text_is_checked_when_somebody_asks(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.screens.templates.MOST_CHECKED", 100)
    async with screen_with(storage) as screen:
        await screen.expect("V checks it")
        assert not view(screen).problems.problems
        await screen.press("V")
        await screen.expect("L220")


async def test_of_large_texts_only_the_newest_versions_are_read(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.screens.templates.MOST_TEXT", 1)
    async with screen_with(storage) as screen:
        for number in (2, 3):
            await ran(screen, storage)
            await screen.app.client.update_template("order", ORDER.replace("0.001", f"0.00{number}"))
        await to_tab(screen, Versions)
        await screen.until(lambda: [one.version.version for one in view(screen).versions.rows] == [3, 2])
        await screen.until(lambda: "the newest 2" in str(view(screen).versions.border_subtitle))
        assert not view(screen).versions.rows[0].version.flow.steps


@pytest.mark.parametrize("size", [(80, 24), pytest.param((120, 40), marks=pytest.mark.full)])
async def test_where_there_is_no_template_yet_it_is_said_how_to_have_one(
    storage: SQLiteStorage, size: tuple[int, int]
) -> None:
    async with screen_on(storage, size) as screen:
        ways = ("No template yet", "stepflow init", "stepflow run FILE")
        await screen.expect(*ways)
        await screen.press("3")
        await screen.until(lambda: isinstance(screen.app.screen, TemplatesView))
        await screen.expect(*ways)
        await screen.press("j", "enter", "V")
        await screen.expect("There is no template to check")


async def test_long_lines_are_seen_to_their_end(storage: SQLiteStorage) -> None:
    words = "漢字 and " * 12 + "the end"
    async with screen_with(storage, (80, 24), f"name: order # {words}\nsteps:\n  - id: a\n    type: echo\n") as screen:
        await screen.expect("# 漢字")
        await screen.press("tab")
        await screen.until(lambda: view(screen).source.has_focus)
        for _ in range(9):
            await screen.press("right")
            assert all(view(screen).source.render_line(y).cell_length <= 80 for y in range(5))
        await screen.expect("the end")
        await screen.press(*["left"] * 9)
        await screen.expect("name: order")


async def test_changed_python_makes_an_idle_worker_of_ours_give_way(storage: SQLiteStorage, workspace: Path) -> None:
    class OwnWorker:
        pid, stopped = 1, False

        def is_alive(self) -> bool:
            return not self.stopped

        def stop(self) -> None:
            self.stopped = True

    async with screen_in(storage, workspace) as screen:
        own: Any = OwnWorker()
        screen.app.session.worker_process = own
        components = workspace / "components"
        components.mkdir()
        (components / "shop.py").write_text("x = 1\n")
        await screen.expect("The Python changed")
        await screen.until(lambda: own.stopped)
