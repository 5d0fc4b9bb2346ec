"""Timelines as text: when what is left will end, which rows are folded, what items stand for, on any axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.executions import execution_row
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.history import history_of
from stepflow_tui.presentation.spans import Line, fit_line
from stepflow_tui.presentation.timeline import (
    Scene,
    Told,
    activity_of,
    ends_of,
    label_width,
    line_of,
    name_of,
    ready_at,
    step_row,
)
from stepflow_tui.presentation.timeline_activity import Activity, density_line, profile
from stepflow_tui.presentation.timeline_axis import (
    BESIDE,
    Axis,
    Zoom,
    axis_line,
    axis_of,
    panned,
    part_of,
    zoom_in,
    zoom_out,
)
from stepflow_tui.presentation.timeline_folding import MANY, SLOWEST, Choices, Rest, Row, Shown, rows_of, shown_rows
from stepflow_tui.presentation.timeline_grid import grid_cells, grid_rows, legend
from stepflow_tui.presentation.timeline_items import Begun, Item, Items, items_of
from stepflow_tui.presentation.timeline_losses import Loss, losses_of, may_have_lost, with_losses
from stepflow_tui.presentation.timeline_prediction import (
    Prediction,
    StepHistory,
    Usual,
    predict,
    step_history,
    subtitle_of,
    when_of,
)
from tests.tui.records import NOW, ago, run, step

UNICODE, ASCII = Glyphs(), Glyphs(ascii_only=True)
LIVE = run(RunStatus.RUNNING)


def text(line: Line) -> str:
    return "".join(span for span, _ in line)


def usually(**seconds: float) -> StepHistory:
    """Of three executions that all took the same."""
    steps = {key: Usual(took, took, 3) for key, took in seconds.items()}
    return StepHistory(steps, Usual(100.0, 120.0, 3), 10)


# What is expected


def after(prediction: Prediction, key: str) -> tuple[float, float]:
    """Seconds from now to its begin and its end."""
    one = prediction.steps[key]
    return (one.begin - NOW).total_seconds(), (one.end - NOW).total_seconds()


def test_each_step_is_expected_when_what_it_waits_for_has_ended() -> None:
    steps = [
        step("last", StepStatus.PENDING, 0, depends_on=("b",)),
        step("a", StepStatus.RUNNING, 1, started_at=ago(3)),
        step("b", StepStatus.PENDING, 2, depends_on=("a",)),
        step("c", StepStatus.PENDING, 3),
    ]
    prediction = predict(LIVE, steps, usually(a=10, b=5, last=1, c=2), NOW)
    assert prediction is not None
    assert (after(prediction, "b"), after(prediction, "last"), after(prediction, "c")) == ((7, 12), (12, 13), (0, 2))
    assert prediction.seconds_left(NOW) == 13
    assert prediction.is_whole


def test_only_as_many_are_expected_at_a_time_as_there_is_room_for() -> None:
    steps = [step(f"s{i}", StepStatus.PENDING, i) for i in range(3)]
    history = msgspec.structs.replace(usually(s0=4, s1=4, s2=4), slots=1)
    prediction = predict(LIVE, [*steps, step("r", StepStatus.RUNNING, 3, started_at=ago(60))], history, NOW)
    assert prediction is not None
    assert [after(prediction, f"s{i}") for i in range(3)] == [(0, 4), (4, 8), (8, 12)]


def test_without_a_history_nothing_is_invented() -> None:
    left = [step("a", StepStatus.PENDING, 0), step("b", StepStatus.PENDING, 1, depends_on=("a",))]
    assert predict(LIVE, left, StepHistory(), NOW) is None
    assert predict(run(RunStatus.PAUSED), left, usually(a=1, b=1), NOW) is None
    assert predict(LIVE, [step("a", StepStatus.COMPLETED)], usually(a=1), NOW) is None
    prediction = predict(LIVE, left, usually(b=5), NOW)
    assert prediction is not None
    assert set(prediction.steps) == {"b"}
    assert not prediction.is_whole
    assert "ETA >5.0s" in subtitle_of(LIVE, prediction, usually(b=5), NOW, UNICODE)
    assert "ETA" not in subtitle_of(LIVE, None, None, NOW, UNICODE)


def test_one_that_is_scheduled_is_expected_from_when_it_is_to_begin_on() -> None:
    later = NOW + timedelta(hours=1)
    scheduled = run(RunStatus.SCHEDULED, started_at=None, wake_at=later, steps_done=0)
    steps = [step("a", StepStatus.PENDING, 0), step("b", StepStatus.PENDING, 1, depends_on=("a",))]
    prediction = predict(scheduled, steps, usually(a=10, b=5), NOW)
    assert prediction is not None
    assert (after(prediction, "a"), after(prediction, "b")) == ((3600, 3610), (3610, 3615))
    assert "ETA 1h00m" in subtitle_of(scheduled, prediction, usually(a=10, b=5), NOW, UNICODE)
    rows = rows_of(steps)
    assert ready_at(rows[0], scheduled, {}) is None
    axis = axis_of(scheduled, NOW, prediction.end)
    assert (axis.begin, axis.seconds) == (later, 15)
    told = Told(expected=prediction.steps["b"])
    assert text(step_row(rows[1], axis, 8, 78, NOW, UNICODE, told))[18:] == " " * 40 + "╌" * 20
    # One whose time has come waits from then on, not since it was made.
    queued = run(RunStatus.QUEUED, started_at=None, created_at=ago(600), wake_at=ago(5))
    assert ready_at(rows[0], queued, {}) == ago(5)


def test_what_is_tried_again_has_not_ended() -> None:
    retried = step("a", StepStatus.AWAITING_RETRY, 0, finished_at=ago(30), wake_at=NOW + timedelta(seconds=9))
    rows = rows_of([retried, step("b", StepStatus.PENDING, 1, depends_on=("a",))])
    assert ready_at(rows[1], LIVE, ends_of(rows)) is None


def test_beyond_the_usual_it_is_expected_with_the_slow_ones_and_then_late() -> None:
    history = StepHistory({"a": Usual(10, 30, 5)}, Usual(20, 40, 5), 10)
    (row,) = rows_of([step("a", StepStatus.RUNNING, started_at=ago(20))])
    prediction = predict(LIVE, [row.step], history, NOW)
    assert prediction is not None
    assert after(prediction, "a")[1] == 10
    axis = axis_of(LIVE, NOW, prediction.end)
    assert "66%  ETA 10s" in text(step_row(row, axis, 8, 120, NOW, UNICODE, Told(expected=prediction.steps["a"])))
    late = [step("a", StepStatus.RUNNING, started_at=ago(50))]
    prediction = predict(LIVE, late, history, NOW)
    assert prediction is not None
    line = step_row(rows_of(late)[0], axis, 8, 90, NOW, UNICODE, Told(expected=prediction.steps["a"]))
    assert "late 40s" in text(line)
    assert "late 40s (p50 20s)" in subtitle_of(LIVE, prediction, history, NOW, UNICODE)
    # Whatever the list would say from durations of whole executions.
    usual = history_of([run(RunStatus.COMPLETED, started_at=ago(11), finished_at=ago(10)) for _ in range(3)])
    when = when_of(LIVE, prediction, history.run, NOW)
    assert "late 40s" in text(execution_row(LIVE, 120, NOW, UNICODE, usual, when=when))
    assert "late 59s" in text(execution_row(LIVE, 120, NOW, UNICODE, usual))


def test_a_history_is_of_what_completed_in_this_execution_alone() -> None:
    done = StepStatus.COMPLETED
    first = [step("a", done), step("b", StepStatus.SKIPPED, 1), step("c", done, 2, reused=True)]
    second = [step("a", done, finished_at=ago(20)), step("b", StepStatus.SKIPPED, 1), step("c", done, 2)]
    ended = run(RunStatus.COMPLETED)
    history = step_history([(ended, first), (ended, second)], 4)
    assert history.steps["a"] == Usual(35.0, 39.5, 2)
    assert history.steps["b"].median == 0
    assert history.steps["c"].count == 1
    assert history.run == Usual(50.0, 50.0, 2)


graphs = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        *(st.lists(st.integers(0, max(0, place - 1)), max_size=3 if place else 0) for place in range(count))
    )
)


@given(graphs, st.integers(1, 4), st.lists(st.floats(0, 100), min_size=12, max_size=12))
def test_nothing_is_expected_before_what_it_waits_for(
    graph: Sequence[list[int]], slots: int, took: Sequence[float]
) -> None:
    steps = [
        step(f"s{place}", StepStatus.PENDING, place, depends_on=tuple(f"s{one}" for one in others))
        for place, others in enumerate(graph)
    ]
    seconds = {one.key: took[one.index] for one in steps}
    history = msgspec.structs.replace(usually(**seconds), slots=slots)
    prediction = predict(LIVE, steps, history, NOW)
    assert prediction is not None
    assert set(prediction.steps) == set(seconds)
    for one in steps:
        assert all(prediction.steps[one.key].begin >= prediction.steps[key].end for key in one.depends_on)
    spans = Activity((one.begin.timestamp(), one.end.timestamp()) for one in prediction.steps.values())
    assert spans.peak <= slots or any(seconds[key] < 1e-3 for key in seconds)


# Bars


def drawn(record: StepRecord, told: Told, axis: Axis | None = None, glyphs: Glyphs = UNICODE) -> str:
    (row,) = rows_of([record])
    return text(step_row(row, axis or Axis(ago(60), 60), 8, 78, NOW, glyphs, told))[18:]


def test_a_wait_for_room_stands_before_the_bar() -> None:
    record = step("a", StepStatus.COMPLETED, started_at=ago(50), finished_at=ago(40))
    assert drawn(record, Told(ready_at=ago(60))) == "░" * 10 + "█" * 10
    assert drawn(record, Told(ready_at=ago(60)), glyphs=ASCII) == "-" * 10 + "#" * 10
    waits = step("a", StepStatus.PENDING)
    assert drawn(waits, Told(ready_at=ago(30))) == " " * 30 + "░" * 30
    before = step("b", StepStatus.COMPLETED, 0)
    row = Row(msgspec.structs.replace(waits, depends_on=("b",)), (waits,))
    assert ready_at(row, LIVE, {"b": before.finished_at}) == before.finished_at
    assert ready_at(row, LIVE, {"b": None}) is None
    assert ready_at(row, run(RunStatus.CANCELLED), {"b": before.finished_at}) is None
    assert ready_at(rows_of([waits])[0], run(RunStatus.QUEUED, started_at=None), {}) == ago(61)


def test_what_only_waits_is_hollow_and_what_waits_for_its_items_is_not() -> None:
    sleeping = step("a", StepStatus.SLEEPING, started_at=ago(30), wake_at=NOW)
    assert drawn(sleeping, Told()).endswith("wakes in 0ms " + "═" * 30)  # no room behind it, but before it
    nap = step("a", StepStatus.COMPLETED, component="/builtin/sleep", started_at=ago(60), finished_at=ago(30))
    assert drawn(nap, Told()) == "═" * 30
    assert drawn(nap, Told(), glyphs=ASCII) == "=" * 30
    parent = step("a", StepStatus.WAITING, awaits="children", component="/builtin/eval", started_at=ago(30))
    assert drawn(parent, Told()) == " " * 30 + "█" * 30


def test_what_is_expected_is_dotted_behind_the_present() -> None:
    axis = axis_of(LIVE, NOW, NOW + timedelta(seconds=60))
    assert axis.seconds == 120
    usual = Usual(90, 90, 3)
    prediction = predict(LIVE, [step("a", StepStatus.RUNNING)], StepHistory({"a": usual}, usual), NOW)
    assert prediction is not None
    line = drawn(step("a", StepStatus.RUNNING), Told(expected=prediction.steps["a"]), axis)
    assert line == "█" * 30 + "╌" * 15 + " 66%  ETA 30s"
    pending = predict(LIVE, [step("a", StepStatus.PENDING)], StepHistory({"a": usual}, usual), NOW)
    assert pending is not None
    (row,) = rows_of([step("a", StepStatus.PENDING)])
    line = text(step_row(row, axis, 8, 78, NOW, ASCII, Told(expected=pending.steps["a"])))
    assert "~1m30" in line
    assert line[18:] == " " * 30 + "." * 30


def test_the_present_is_marked_where_the_axis_goes_on() -> None:
    axis = axis_of(LIVE, NOW, NOW + timedelta(seconds=60))
    line = text(axis_line(axis, 8, 78))
    assert line[18 + 30 :].startswith("┆now")
    assert text(axis_line(axis, 8, 78, ascii_only=True))[18 + 30] == "|"
    assert "┆" not in text(axis_line(axis_of(run(RunStatus.COMPLETED), NOW, NOW), 8, 78))


def test_where_a_bar_is_that_is_out_of_sight_is_pointed_at() -> None:
    record = step("a", StepStatus.COMPLETED, started_at=ago(50), finished_at=ago(45))
    whole = Axis(ago(60), 60)
    assert drawn(record, Told(), part_of(whole, Zoom(30, 10))) == "‹"
    assert drawn(record, Told(), part_of(whole, Zoom(0, 5))).lstrip() == "›"
    assert drawn(record, Told(), part_of(whole, Zoom(30, 10)), ASCII) == "<"


@given(st.lists(st.sampled_from(["in", "out", "left", "right"]), max_size=30), st.floats(0.05, 1e6), st.floats(0, 1))
def test_whatever_part_is_seen_it_is_a_part_of_the_whole(keys: list[str], seconds: float, around: float) -> None:
    axis = Axis(NOW, seconds)
    zoom: Zoom | None = None
    for key in keys:
        if key == "in":
            zoom = zoom_in(axis, zoom, around * seconds)
        elif zoom is not None:
            zoom = zoom_out(axis, zoom) if key == "out" else panned(axis, zoom, 1 if key == "right" else -1)
        if zoom is not None:
            assert zoom.begin >= 0
            assert zoom.begin + zoom.seconds <= seconds * 1.000001
            line = text(axis_line(part_of(axis, zoom), 8, 78))
            labels = line.split()
            assert len(set(labels)) == len(labels)


# What a lost worker did


def moved(event_type: str, at: datetime, attempt: int = 1) -> WorkflowEvent:
    return WorkflowEvent(
        seq=1, run_id=LIVE.id, run_seq=1, kind="order-flow", event_type=event_type, step_key="a", attempt=attempt,
        level="info", timestamp=at, payload={},
    )  # fmt: skip


def test_what_a_lost_worker_did_is_drawn_as_an_attempt_and_not_as_a_wait() -> None:
    events = [moved("step.started", ago(60)), moved("step.released", ago(40)), moved("step.started", ago(30))]
    losses = losses_of(events)
    assert losses == (Loss(1, ago(60), ago(40)),)
    (row,) = rows_of([step("a", StepStatus.RUNNING, started_at=ago(30))])
    assert may_have_lost([row], LIVE, {}, 1.0) == [row.step]
    assert may_have_lost([row], LIVE, {}, 31.0) == []
    whole = with_losses(row, losses)
    assert may_have_lost([whole], LIVE, {}, 1.0) == []
    line = step_row(whole, Axis(ago(60), 60), 8, 78, NOW, UNICODE, Told(ready_at=ready_at(whole, LIVE, {})))
    assert text(line)[10:].startswith("  1m00 ")
    assert text(line)[18:] == "█" * 20 + "┊" + " " * 9 + "█" * 30
    # Taken back, and not begun again; and as it was before it was lost.
    back = step("a", StepStatus.PENDING, attempt=1)
    assert may_have_lost(rows_of([back]), LIVE, {}, 1.0) == [back]
    assert len(with_losses(rows_of([back])[0], losses).attempts) == 2
    (then,) = rows_of([step("a", StepStatus.RUNNING, started_at=ago(60))])
    assert with_losses(then, losses) == then
    # Before the second attempt, if that was lost.
    tries = [step("a", StepStatus.FAILED, attempt=1, started_at=ago(90), finished_at=ago(70)), row.step]
    tries[1] = msgspec.structs.replace(row.step, attempt=2)
    lost = losses_of([moved("step.started", ago(60), 2), moved("step.released", ago(40), 2)])
    starts = [one.started_at for one in with_losses(rows_of(tries)[0], lost).attempts]
    assert starts == [ago(90), ago(60), ago(30)]


# Many at a time


spans = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 50), st.booleans()), max_size=20)


@given(spans, st.integers(1, 60))
def test_the_activity_of_all_cells_is_that_of_all_spans(some: list[tuple[float, float, bool]], cells: int) -> None:
    zero = ago(100).timestamp()
    known = [(zero + begin, None if goes_on else zero + begin + took) for begin, took, goes_on in some]
    activity = Activity(known)
    levels = activity.levels(Axis(ago(100), 200), cells, NOW + timedelta(seconds=100))
    end = zero + 200
    busy = sum((end if last is None else last) - first for first, last in known)
    assert sum(levels) * 200 / cells == pytest.approx(busy, abs=0.011 * 200 + 0.001)
    begins = sorted(first for first, _ in known)
    most = max((sum(f <= at and (e is None or e > at) for f, e in known) for at in begins), default=0)
    assert most <= activity.peak <= max(most, 1) + sum(first == last for first, last in known)
    assert len(profile(levels, activity.peak, UNICODE)) == cells


def test_the_density_says_how_many_there_were_at_most() -> None:
    rows = rows_of([step(f"s{i}", StepStatus.COMPLETED, i) for i in range(3)])
    line = text(density_line(activity_of(rows, {}), Axis(ago(60), 60), 8, 78, NOW, UNICODE))
    assert line.rstrip() == "  max 3 at a time".ljust(18) + "█" * 30
    for names in range(7, 12):
        line = text(density_line(activity_of(rows, {}), Axis(ago(60), 60), names, 70 + names, NOW, UNICODE))
        assert line[names + BESIDE - 1 : names + BESIDE + 1] == " █"
        assert ("at a time" in line) is (names >= 8)


# Items


def child(
    number: int, status: RunStatus = RunStatus.COMPLETED, template: str = "order-flow/m", **more: object
) -> RunRecord:
    record: dict[str, object] = {"created_at": ago(40), "started_at": ago(40), "finished_at": ago(40 - number)}
    if not status.is_final:
        record["finished_at"] = None
    return run(status, id=f"exec_{number:016}", template=template, **{**record, **more})


def attempts(*records: StepRecord) -> Mapping[str, Sequence[StepRecord]]:
    return {row.step.key: row.attempts for row in rows_of(records)}


def test_items_belong_to_the_step_that_their_flow_is_written_in() -> None:
    steps = attempts(
        step("m", StepStatus.COMPLETED, 0, component="/builtin/map", started_at=ago(45), finished_at=ago(10)),
        step("n", StepStatus.COMPLETED, 1, component="/builtin/map", started_at=ago(45), finished_at=ago(10)),
    )
    children = [
        child(0),
        child(1, template="order-flow/n"),
        child(2),
        child(3, template="order-flow/gone", created_at=ago(39)),
    ]
    items = items_of(LIVE, steps, children, {"m": [Begun(ago(40), 5)]})
    assert [item.run_id for item in items["m"].items] == [children[0].id, children[2].id]
    assert [item.number for item in items["m"].items] == [0, 1]
    assert (items["m"].total, items["n"].total) == (5, 1)


def test_items_of_a_named_template_belong_to_the_step_that_began_to_wait_then() -> None:
    steps = attempts(
        step("m", StepStatus.WAITING, 0, component="/builtin/map", started_at=ago(41)),
        step("n", StepStatus.WAITING, 1, component="/builtin/map", started_at=ago(41)),
    )
    begun = {"m": [Begun(ago(40), 2)], "n": [Begun(ago(39), 1)]}
    children = [
        child(0, template="item"),
        child(1, template="item", created_at=ago(20)),
        child(2, template="other", created_at=ago(39)),
    ]
    items = items_of(LIVE, steps, children, begun)
    assert {key: [item.run_id for item in own.items] for key, own in items.items()} == {
        "m": [children[0].id, children[1].id],
        "n": [children[2].id],
    }


def test_what_a_component_started_without_awaiting_it_is_an_item_of_the_only_step_that_ran() -> None:
    own = step("own", StepStatus.COMPLETED, 0, component="/me/job", started_at=ago(45), finished_at=ago(30))
    echo = step("e", StepStatus.COMPLETED, 1, started_at=ago(45), finished_at=ago(30))
    late = step("late", StepStatus.RUNNING, 2, component="/me/job", started_at=ago(20))
    children = [child(n, template="item") for n in range(2)]
    items = items_of(LIVE, attempts(own, echo, late), children, {})
    assert {key: [item.run_id for item in some.items] for key, some in items.items()} == {
        "own": [one.id for one in children]
    }
    (row,) = rows_of([own])
    line = text(step_row(row, Axis(ago(60), 60), 8, 78, NOW, UNICODE, Told(items=items["own"])))
    assert line[18:].strip().startswith("█" * 15), "its bar is its own work"
    assert "2✓" in line
    # Of two that ran then, nobody knows which one it was.
    beside = step("late", StepStatus.RUNNING, 2, component="/me/job", started_at=ago(50))
    assert items_of(LIVE, attempts(own, echo, beside), children, {}) == {}


def test_items_are_those_of_the_last_attempt_and_as_they_were_then() -> None:
    steps = attempts(
        step("m", StepStatus.FAILED, 0, attempt=1, component="/builtin/map", started_at=ago(60), finished_at=ago(30)),
        step("m", StepStatus.WAITING, 0, attempt=2, component="/builtin/map", started_at=ago(25)),
    )
    again = child(5, created_at=ago(20), started_at=ago(15), finished_at=ago(10))
    items = items_of(LIVE, steps, [child(0), again], {})
    assert [item.run_id for item in items["m"].items] == [again.id]
    for seconds, status in ((5, RunStatus.COMPLETED), (12, RunStatus.RUNNING), (18, RunStatus.QUEUED)):
        (item,) = items_of(LIVE, steps, [again], {}, ago(seconds))["m"].items
        assert item.status is status
    assert items_of(LIVE, steps, [again], {}, ago(22)) == {}


def many_items(count: int, failed: Sequence[int] = (), total: int | None = None) -> Items:
    made = [
        Item(
            f"exec_{number:016}",
            number,
            RunStatus.FAILED if number in failed else RunStatus.COMPLETED,
            ago(50),
            ago(50 - number % 40),
            f"KeyError '{number}' in row" if number in failed else "",
        )
        for number in range(count)
    ]
    return Items(made, total)


# Folding


FOLDED = Choices()


def fanned(items: Items, *, glyphs: Glyphs = UNICODE, choices: Choices = FOLDED) -> tuple[Scene, list[Shown]]:
    rows = rows_of(
        [
            step("m", StepStatus.COMPLETED, 0, component="/builtin/map", started_at=ago(50), finished_at=ago(10)),
            step("end", StepStatus.PENDING, 1, depends_on=("m",)),
        ]
    )
    axis = Axis(ago(60), 60)
    own = {"m": items}
    scene = Scene(LIVE, axis, label_width(rows, 80, own), NOW, glyphs, items=own, choices=choices)
    return scene, shown_rows(rows, (), choices, own, 80 - scene.names - BESIDE, NOW)


def test_x_shows_the_items_failures_first_then_a_grid_then_folds_them() -> None:
    items = many_items(200, (37, 91, 120), 210)
    scene, shown = fanned(items)
    assert len(shown) == 2
    line = text(line_of(shown[0], scene, 80))
    assert "m ×210 ▸" in line
    assert "197✓ 3✗ 10·" in line
    choices = Choices().toggled(shown[0], scene.items)
    scene, shown = fanned(items, choices=choices)
    said = [text(line_of(row, scene, 80)) for row in shown]
    assert "▾" in said[0]
    assert "3× ▸ KeyError '37' in row  [37] [91] [120]" in said[1]
    assert "[39]" in said[2]
    assert len(said) == 2 + 1 + SLOWEST + 1
    assert "… 202 more items  x unfolds  192✓ 10·" in said[-2]
    opened = choices.toggled(shown[1], scene.items).toggled(shown[-2], scene.items)
    assert len(fanned(items, choices=opened)[1]) == len(shown) + 3 + 192
    grid = choices.toggled(shown[2], scene.items)
    scene, shown = fanned(items, choices=grid)
    said = [text(line_of(row, scene, 80)) for row in shown]
    assert "█ ok ▒ slow ▓ running ✗ failed · waiting" in said[1], "above the grid, however many rows that has"
    assert sum(line.count("✗") for line in said[2:-1]) == 3
    assert len(fanned(items, choices=grid.toggled(shown[1], scene.items))[1]) == 2


@pytest.mark.parametrize("room", range(8, 30))
def test_how_many_items_a_step_has_is_never_cut(room: int) -> None:
    told = Told(items=many_items(3, (), 1000))
    for key in ("work", "transform-everything"):
        name = name_of(step(key, StepStatus.RUNNING), told, UNICODE, room)
        assert " ×1,000" in name
        assert cell_len(name) <= room
    assert name_of(step("work", StepStatus.RUNNING), told, UNICODE, 11) == "work ×1,000"
    assert name_of(step("work", StepStatus.RUNNING), told, UNICODE, 13) == "work ×1,000 ▸"


def test_a_thousand_items_are_two_a_cell() -> None:
    items = many_items(1000, (7,), 1000)
    rows = grid_rows(1000, 50)
    assert len(rows) == 10
    cells = "".join(text(grid_cells(items, some, UNICODE)) for some in rows)
    assert len(cells) == 500
    assert cells[3] == "✗"
    assert "2 items a cell" in text(legend(items, UNICODE))
    assert len(grid_rows(999, 50)) == 20


@given(st.integers(0, 3000), st.integers(1, 200))
def test_each_item_has_its_place_in_the_grid(count: int, cells: int) -> None:
    rows = grid_rows(count, cells)
    assert [number for row in rows for number in row] == list(range(count))
    items = many_items(min(count, 50), (3,))
    assert "[3] KeyError" in text(legend(items, UNICODE)) or count < 4


def many_steps(count: int) -> list[Row]:
    records = [
        step(f"s{i}", StepStatus.COMPLETED, i, started_at=ago(60), finished_at=ago(60 - i % 30)) for i in range(count)
    ]
    records[7] = step("s7", StepStatus.FAILED, 7, error={"code": "X", "message": "no such column"})
    records[9] = step("s9", StepStatus.RUNNING, 9)
    error = {"code": "UPSTREAM_FAILED", "message": "Step 's7' failed", "details": {"by": "s7"}}
    for place in (10, 11):
        records[place] = step(f"s{place}", StepStatus.FAILED, place, error=error, started_at=None)
    return rows_of(records)


def keys(shown: Sequence[Shown]) -> list[str]:
    return [row.step.key for row in shown if isinstance(row, Row)]


def test_of_many_steps_those_are_shown_that_matter() -> None:
    rows = many_steps(100)
    shown = shown_rows(rows, ("s3",), Choices(), {}, 40, NOW)
    assert {"s3", "s7", "s9", "s29", "s59", "s89"} <= set(keys(shown))
    assert len(shown) == 3 + SLOWEST + 2
    assert isinstance(shown[-1], Rest)
    assert sum(shown[-1].counts.values()) == 100 - 2 - 3 - SLOWEST
    assert "s10" not in keys(shown)
    scene = Scene(LIVE, Axis(ago(60), 60), 8, NOW, UNICODE)
    assert text(line_of(shown[2], scene, 80)).strip() == "▸ 2 not run because of it: s10, s11"
    unfolded = Choices().toggled(shown[2], {})
    assert {"s10", "s11"} <= set(keys(shown_rows(rows, (), unfolded, {}, 40, NOW)))
    everything = unfolded.toggled(shown[-1], {})
    shown = shown_rows(rows, (), everything, {}, 40, NOW)
    assert sorted(keys(shown)) == sorted(row.step.key for row in rows)
    assert "these 91 steps  x folds them" in text(line_of(shown[-1], scene, 80))
    assert keys(shown_rows(rows, ("s3", "s7"), Choices(only_critical=True), {}, 40, NOW)) == ["s3", "s7"]
    assert "s50" in keys(shown_rows(rows, (), Choices(kept="s50"), {}, 40, NOW))
    few = shown_rows(many_steps(MANY), (), Choices(), {}, 40, NOW)
    assert len(keys(few)) == MANY - 2


@pytest.mark.parametrize("width", [1, 10, 24, 40, 80, 200])
@pytest.mark.parametrize("form", ["list", "grid"])
def test_every_line_fits_any_width_with_any_signs(width: int, form: str) -> None:
    statuses = list(RunStatus)
    made = [
        Item(f"exec_{place:016}", place, status, ago(50), NOW if status.is_final else None, "x" * 300)
        for place, status in enumerate(statuses * 100)
    ]
    for glyphs in (UNICODE, ASCII):
        choices = Choices(frozenset({("items", "m")}), {"m": form})  # type: ignore[dict-item]  # one of the forms
        scene, shown = fanned(Items(made, 2000), glyphs=glyphs, choices=choices)
        shown += [*shown_rows(many_steps(60), (), Choices(), {}, 40, NOW)]
        for row in [*shown[:60], *shown[-60:]]:
            line = line_of(row, scene, width)
            assert cell_len(text(fit_line(line, width))) == width
            assert glyphs is UNICODE or text(line).replace("…", "").isascii()


def test_a_star_marks_the_critical_path() -> None:
    (row,) = rows_of([step("a-very-long-name-of-a-step", StepStatus.RUNNING)])
    line = step_row(row, Axis(ago(60), 60), 12, 80, NOW, UNICODE, Told(is_critical=True))
    assert line[1] == ("a-ver…step ★", "title")
    assert step_row(row, Axis(ago(60), 60), 12, 80, NOW, ASCII, Told(is_critical=True))[1][0].endswith(" *")


def test_a_moment_of_the_past_is_seen_on_the_axis_of_all() -> None:
    moment: datetime = ago(30)
    axis = axis_of(run(RunStatus.COMPLETED), NOW)
    record = step("a", StepStatus.RUNNING, started_at=ago(60))
    (row,) = rows_of([record])
    assert text(step_row(row, axis, 8, 68, moment, UNICODE))[18:] == "█" * 30
