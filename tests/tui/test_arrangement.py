"""The panes of the dashboard at every size: which there are, how large, what they tell, where they lead."""

from __future__ import annotations

import tomllib
from itertools import product
from pathlib import Path

import pytest

from stepflow.model.run import WorkerRecord
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.config import Config
from stepflow_tui.panes.fleet import FleetPane
from stepflow_tui.panes.recent_failures import RecentFailures
from stepflow_tui.panes.saved_views import KeptViews
from stepflow_tui.presentation.arrangement import PANES, Contents, arrange
from stepflow_tui.presentation.breakpoints import LEAST, Breakpoints, read_breakpoints
from stepflow_tui.presentation.fingerprints import groups_of, short_group_row
from stepflow_tui.presentation.fleet import Fleet, Today, fleet_lines, size, today_of
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import cells
from stepflow_tui.screens.arranging import COLUMNS
from stepflow_tui.screens.failures import FailuresView
from stepflow_tui.screens.run import RunView
from stepflow_tui.screens.workers import WorkersView
from stepflow_tui.widgets.lines import LineView
from tests.support.engine import start, until, working
from tests.support.flows import chain
from tests.tui.records import NOW, ago, run
from tests.tui.test_dashboard import Screen, failing, screen_on, sleeping

UNICODE, ASCII = Glyphs(), Glyphs(ascii_only=True)


@pytest.mark.parametrize("points", [Breakpoints(), LEAST])
@pytest.mark.parametrize("height", [5, 8, 10, 12, 18, 24, 25, 30, 36, 40, 45, 60, 100])
@pytest.mark.parametrize("width", [20, 80, 100, 120, 160, 300])
def test_all_panes_have_room_whatever_there_is_to_show(width: int, height: int, points: Breakpoints) -> None:
    for many in product((0, 1, 7, 5000), (0, 1, 9, 2000), (0, 3, 40), (0, 2, 30)):
        contents = Contents(many[0], many[1], many[1] > 0, many[2], many[3])
        arranged = arrange(width, height, contents, points)
        assert set(arranged.panes) <= set(PANES[arranged.kind])
        heights = arranged.heights
        top = heights.get("top")
        if top is None:
            assert height < points.steps
            continue
        below = height - 2 - top - heights.get("timeline", 0)
        assert below >= 3
        assert heights.get("timeline", 3) >= 3
        for column in COLUMNS[arranged.kind].values():
            panes = [pane for pane in column if pane in arranged.panes]
            if not panes:
                continue
            rest = top - sum(heights.get(pane, 0) for pane in panes)
            filling = [pane for pane in panes if pane not in heights]
            assert rest >= 3 if filling else rest == 0, (column, contents, arranged)
            assert all(heights.get(pane, 3) >= 3 for pane in panes), (contents, arranged)


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("medium = [79, 30]", "breakpoints.medium: it takes columns and rows, medium = [80, 25] or more"),
        ("large = 160", "breakpoints.large: it takes columns and rows, large = [120, 36] or more"),
        ("large = [160, 45, 1]", "breakpoints.large: it takes columns and rows, large = [120, 36] or more"),
        ("log = [1, 2]", "breakpoints.log: it takes rows, log = 12 or more"),
        ("steps = true", "breakpoints.steps: it takes rows, steps = 8 or more"),
        ("step = 9", "breakpoints.step: there is none; did you mean 'steps'?"),
    ],
)
def test_a_breakpoint_that_cannot_be_is_said_with_the_way_out(text: str, trouble: str) -> None:
    points, troubles = read_breakpoints(tomllib.loads(text))
    assert points == Breakpoints()
    assert troubles == [trouble]


async def test_the_sizes_from_which_more_is_shown_are_settings_and_hold_at_once(
    storage: SQLiteStorage, tmp_path: Path
) -> None:
    file = tmp_path / "ui.toml"
    file.write_text("[breakpoints]\nmedium = [120, 41]\n")
    start(storage, chain(1))
    async with screen_on(storage, (120, 40), config=Config(file)) as screen:
        await screen.until(lambda: bool(screen.dashboard.executions.runs))
        assert screen.dashboard.kind == "small"
        file.write_text("[breakpoints]\nmedium = [90, 30]\nlarge = [110, 36]\n")
        await screen.press("ctrl+r")
        await screen.until(lambda: screen.dashboard.kind == "medium")
        file.write_text("[breakpoints]\nlarge = [120, 40]\n")
        await screen.press("ctrl+r")
        await screen.until(lambda: screen.dashboard.kind == "large" and screen.dashboard.has_class("-widest"))
        await screen.press("8")
        await screen.until(lambda: screen.app.screen.has_class("-widest"))


def test_what_has_little_to_show_leaves_its_room_to_the_steps() -> None:
    for width, height in ((80, 24), (120, 40), (200, 60)):
        few, many = (arrange(width, height, Contents(2, count, True, 1, 0)).heights for count in (2, 200))
        assert few["top"] < many["top"]
        assert few["timeline"] > many["timeline"]


def test_templates_are_seen_where_nothing_has_run_or_there_is_room() -> None:
    assert "templates" not in arrange(80, 24, Contents(3, 4)).panes
    assert "templates" in arrange(80, 24, Contents(3, 0, is_begun=False)).panes
    assert "templates" in arrange(100, 30, Contents(3, 4)).panes
    assert "kept" not in arrange(200, 60, Contents()).panes
    assert "kept" in arrange(200, 60, Contents(kept=1)).panes


def test_the_fleet_is_told_in_four_lines() -> None:
    runs = [
        run(RunStatus.COMPLETED, started_at=ago(70), finished_at=ago(10)),
        run(RunStatus.FAILED, started_at=ago(70), finished_at=ago(10)),
        run(RunStatus.RUNNING),
    ]
    today = today_of(runs, is_whole=True)
    assert (today.count, today.completed, today.failed, today.ended, today.p95_seconds) == (3, 1, 1, 2, 60)
    assert today.success == 0.5
    worker = WorkerRecord("w", 1, "here", ago(60), alive=True, slots=8, held_runs=2)
    told = Fleet({RunStatus.QUEUED: 12}, (worker, worker), today, 1_234_567)
    lines = ["".join(text for text, _ in line) for line in fleet_lines(told, 34, NOW, UNICODE)]
    assert lines == [
        " queue    ◦12 ",
        " workers  4/16 ██░░░░░░ 2 alive",
        " 24 h     ✓1 ✗1 p95 1m00",
        " file     1.2 MB",
    ]
    assert all(
        line.isascii() for line in ("".join(text for text, _ in one) for one in fleet_lines(told, 34, NOW, ASCII))
    )
    nothing = Fleet({RunStatus.QUEUED: 1}, (), today_of([], is_whole=True), 0)
    lines = ["".join(text for text, _ in line) for line in fleet_lines(nothing, 34, NOW, UNICODE)]
    assert lines == [" queue    ◦1 ", " workers  none", " 24 h     nothing ran", " file     0 B"]
    assert fleet_lines(nothing, 34, NOW, UNICODE)[1][1][1] == "bad"  # it waits in vain


def test_of_many_only_the_newest_are_told_of() -> None:
    told = Fleet({}, (), Today(1000, False, 990, 10, 1000, 2.0), 0)
    assert fleet_lines(told, 34, NOW, UNICODE)[2][0] == (" last 1k  ", "dim")


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (291_000, "291 kB"), (4.5e12, "4.5 TB")]
)
def test_sizes_are_read_at_a_glance(count: float, said: str) -> None:
    assert size(count) == said


def test_a_kind_of_failure_has_room_for_what_and_where() -> None:
    error = {"message": "HTTP 503 upstream\x1b[2J", "details": {"step_key": "load"}}
    (group,) = groups_of([run(RunStatus.FAILED, error=error)])
    for width in range(4, 60):
        line = short_group_row(group, width, UNICODE)
        assert "\x1b" not in "".join(text for text, _ in line)
        assert width < 12 or cells(line) <= width
    assert "".join(text for text, _ in short_group_row(group, 40, UNICODE)).rstrip().endswith("load")


async def pane_of(screen: Screen, name: str) -> LineView:
    await screen.until(lambda: screen.dashboard.pane(name) is not None, name)
    pane = screen.dashboard.pane(name)
    assert pane is not None
    return pane


@pytest.mark.full
async def test_panes_come_and_go_with_the_size(storage: SQLiteStorage) -> None:
    run_id = start(storage, failing())
    async with working(storage):
        await until(storage, run_id)
    async with screen_on(storage, (80, 24)) as screen:
        await screen.expect("no such column")
        assert not screen.app.screen.query("#fleet, #graph, #detail")
        assert not screen.dashboard.templates.region
        await screen.pilot.resize_terminal(120, 40)
        await screen.expect("nothing waits", "✗1", "error", "bad: no such column", "what now")
        assert not screen.app.screen.query("#graph, #events")
        await screen.pilot.resize_terminal(200, 60)
        await screen.expect("run.failed", "asked for", "nothing waits")
        await screen.until(lambda: screen.dashboard.graph is not None and screen.dashboard.graph.row_count > 0)
        order = [pane.id for pane in screen.dashboard.seen_panes()]
        assert order == [name for name in PANES["large"] if name != "kept"]
        for pane in order[order.index("executions") :]:
            assert screen.app.focused is not None
            assert screen.app.focused.id == pane
            await screen.press("z")
            assert [one.id for one in screen.dashboard.seen_panes()] == [pane]
            await screen.press("z", "tab")
        assert screen.app.focused is screen.dashboard.templates
        await screen.press("tab")
        assert screen.app.focused is screen.dashboard.pane("fleet")
        await screen.pilot.resize_terminal(80, 24)
        await screen.until(lambda: not screen.app.screen.query("#fleet"))
        assert screen.app.focused is screen.dashboard.executions


async def test_the_detail_is_of_what_the_keys_are_on(storage: SQLiteStorage) -> None:
    run_id = start(storage, chain(3), {"n": 7})
    async with working(storage):
        await until(storage, run_id)
    async with screen_on(storage, (200, 60)) as screen:
        await screen.expect("asked for", '"n"')
        detail = await pane_of(screen, "detail")
        screen.dashboard.timeline.focus()
        await screen.until(lambda: "s0 ✓ completed" in str(detail.border_title))
        await screen.press("j")
        await screen.until(lambda: "s1 ✓ completed" in str(detail.border_title))
        graph = await pane_of(screen, "graph")
        graph.focus()
        await screen.press("right")
        await screen.until(lambda: "s2 ✓ completed" in str(detail.border_title))
        assert screen.dashboard.timeline.selected_key == "s2"
        await screen.press("enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        await screen.press("q", "escape")
        await screen.until(lambda: "completed" in str(detail.border_title) and "flow" in str(detail.border_title))


async def test_what_is_beside_follows_what_happens(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepflow_tui.screens.counting.LEAST_REST_SECONDS", 0.05)
    async with screen_on(storage, (200, 60)) as screen, working(storage):
        await screen.expect("nothing ran", "Nothing failed", "nothing waits")
        start(storage, chain(2))
        await screen.expect("run.completed", "✓1 ✗0")
        start(storage, failing())
        await screen.press("g")
        await screen.expect("✗1", "1× no such column", "run.failed")
        await screen.press("5")
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))
        start(storage, failing())
        await screen.press("1")
        await screen.expect("2× no such column")


@pytest.mark.full
async def test_the_ways_to_elsewhere(storage: SQLiteStorage, tmp_path: Path) -> None:
    for made in (chain(1), failing(), sleeping()):
        run_id = start(storage, made)
        async with working(storage):
            await until(storage, run_id, "failed", "completed", "sleeping")
    file = tmp_path / "ui.toml"
    file.write_text('[views]\nbroken = "status:failed"\n')
    async with screen_on(storage, (200, 60), config=Config(file)) as screen:
        await screen.expect("1× no such column", "broken", "status:failed")
        failures, kept, fleet = [await pane_of(screen, name) for name in ("failures", "kept", "fleet")]
        assert isinstance(failures, RecentFailures)
        assert isinstance(kept, KeptViews)
        assert isinstance(fleet, FleetPane)
        fleet.focus()
        await screen.press("enter")
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))
        await screen.press("1")
        await screen.pilot.click(failures, offset=(3, 1))
        await screen.until(lambda: isinstance(screen.app.screen, FailuresView) and bool(screen.app.screen.pane.rows))
        await screen.press("1")
        kept.focus()
        await screen.press("enter")
        await screen.until(lambda: screen.dashboard.executions.row_count == 1)
        assert screen.dashboard.executions.listing.filter.text == "status:failed"
