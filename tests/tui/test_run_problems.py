"""`J` and `K` on a list of executions: what failed, also where it was not read yet, then what waits, is late, runs."""

from __future__ import annotations

import pytest

from stepflow.model.run import Awaited, Retried, RunRecord
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.presentation.run_problems import kind_of, said_of
from stepflow_tui.presentation.timeline_problems import Kind, next_place
from tests.support.engine import start, until, working
from tests.support.flows import chain
from tests.tui.records import run
from tests.tui.test_dashboard import Screen, screen_on, sleeping
from tests.tui.test_failures import failing

ASKS, WORKS = (Awaited("ship", "ship"),), (Awaited("pages", children=3),)


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (run(RunStatus.FAILED), Kind.FAILED),
        (run(RunStatus.STALLED), Kind.FAILED),
        (run(RunStatus.AWAITING_RETRY), Kind.FAILED),
        (run(RunStatus.FAILED, retried_as=Retried("exec_2", RunStatus.FAILED)), None),
        (run(RunStatus.WAITING, awaits=ASKS), Kind.WAITS),
        (run(RunStatus.WAITING, awaits=WORKS), Kind.RUNS),
        (run(RunStatus.RUNNING), Kind.RUNS),
        (run(RunStatus.COMPLETED), None),
        (run(RunStatus.SLEEPING), None),
    ],
)
def test_there_is_to_look_after_what_failed_asks_or_runs(record: RunRecord, kind: Kind | None) -> None:
    assert kind_of(record) is kind
    assert kind_of(record, is_late=True) is (Kind.LATE if kind is Kind.RUNS else kind)


def test_all_of_a_kind_come_before_the_next_and_back_the_same_way() -> None:
    kinds = (Kind.RUNS, Kind.FAILED, None, Kind.WAITS, Kind.FAILED, Kind.LATE)
    places = [(kind, row) for row, kind in enumerate(kinds) if kind is not None]
    at, seen = (Kind.FAILED, 0), []
    while (found := next_place(places, at, 1)) is not None:
        seen.append(at := found)
    assert seen == [
        (Kind.FAILED, 1),
        (Kind.FAILED, 4),
        (Kind.WAITS, 3),
        (Kind.LATE, 5),
        (Kind.RUNS, 0),
    ]
    assert next_place(places, (Kind.WAITS, 3), -1) == (Kind.FAILED, 4)
    assert next_place(places, (Kind.FAILED, 1), -1) is None
    assert said_of(Kind.FAILED, Kind.FAILED) == ""
    assert said_of(Kind.WAITS, Kind.FAILED) == "None below failed; this one waits"
    assert said_of(Kind.LATE, Kind.WAITS) == "This one is late"


async def some(storage: SQLiteStorage) -> tuple[list[str], str]:
    """Three that failed below many that completed, and one of another template that failed too, below all."""
    async with working(storage):
        other = start(storage, failing("no", name="other"))
        await until(storage, other)
        bad = [start(storage, failing("no", name="bad")) for _ in range(3)]
        for _ in range(12):
            last = start(storage, chain(1))
        for one in (*bad, last):
            await until(storage, one)
    return bad, other


def reads_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five executions, and no more by itself."""
    for name, value in (("PAGE", 5), ("ENOUGH", 2), ("MOST_PAGES", 1)):
        monkeypatch.setattr(f"stepflow_tui.listing.{name}", value)
    monkeypatch.setattr("stepflow_tui.panes.executions.MORE_WITHIN", -100)


def at(screen: Screen) -> str:
    selected = screen.dashboard.executions.selected
    assert selected is not None
    return selected.id


async def test_what_failed_is_come_to_where_it_was_not_read_yet(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads_little(monkeypatch)
    bad, other = await some(storage)
    async with screen_on(storage) as screen:
        await screen.until(lambda: len(screen.dashboard.executions.runs) == 5)
        for one in (*reversed(bad), other):
            await screen.press("J")
            await screen.until(lambda one=one: at(screen) == one)
            await screen.until(lambda one=one: screen.dashboard.timeline.run.id == one)  # type: ignore[union-attr]
        await screen.press("J")
        await screen.expect("No other execution failed, waits or runs")
        assert at(screen) == other


async def test_only_what_the_filter_lets_through_is_come_to(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads_little(monkeypatch)
    _, other = await some(storage)
    async with screen_on(storage) as screen:
        await screen.press("slash", *"-template:bad", "enter")
        await screen.until(lambda: screen.dashboard.executions.listing.filter.text == "-template:bad")
        await screen.until(lambda: len(screen.dashboard.executions.runs) == 5)
        await screen.press("J")
        await screen.until(lambda: at(screen) == other)
        assert len(screen.dashboard.executions.listing.runs) == 5


async def test_where_none_failed_what_runs_is_come_to_and_said(storage: SQLiteStorage) -> None:
    start(storage, sleeping())
    async with screen_on(storage) as screen:
        await screen.press("J")
        await screen.expect("No other execution failed, waits or runs")
        await screen.press("K")
        await screen.expect("None above failed")
