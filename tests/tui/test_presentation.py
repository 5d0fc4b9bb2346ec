"""Records to text: what fits, what is safe, what is said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from stepflow.model.event import WorkflowEvent
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.durations import short, ticks
from stepflow_tui.presentation.executions import execution_row, short_id
from stepflow_tui.presentation.glyphs import RUN_GLYPHS, STEP_GLYPHS, Glyphs
from stepflow_tui.presentation.header import Standing, header_line
from stepflow_tui.presentation.log import event_line
from stepflow_tui.presentation.spans import Line, cells, fit, fit_line, fit_name, safe
from stepflow_tui.presentation.timeline import step_row
from stepflow_tui.presentation.timeline_axis import Axis, axis_line, axis_of
from stepflow_tui.presentation.timeline_folding import rows_of
from tests.tui.records import NOW, ago, run, step

UNICODE, ASCII = Glyphs(), Glyphs(ascii_only=True)


def text(line: Line) -> str:
    return "".join(span for span, _ in line)


def style_of(line: Line, part: str) -> str:
    return next(style for span, style in line if part in span)


@given(st.text(max_size=30), st.integers(0, 20))
def test_whatever_is_fitted_has_exactly_its_width(words: str, width: int) -> None:
    for fitted in (fit(safe(words), width), fit_name(safe(words), width), text(fit_line([(safe(words), "")], width))):
        assert cell_len(fitted) == width


@given(st.text(max_size=40))
def test_nothing_that_is_shown_can_command_a_terminal(words: str) -> None:
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in safe(words))
    assert "\u202e" not in safe(words + "\u202e")


def test_names_are_cut_in_their_middle() -> None:
    assert fit_name("features-of-the-north", 11) == "featu…north"


@pytest.mark.parametrize("which", [0, 1])
def test_every_status_has_a_sign_of_its_own(which: int) -> None:
    for glyphs, statuses in ((RUN_GLYPHS, RunStatus), (STEP_GLYPHS, StepStatus)):
        assert set(glyphs) == set(statuses)
        signs = [entry[which] for entry in glyphs.values()]
        assert len(set(signs)) == len(signs)
        assert all(cell_len(sign) == 1 for sign in signs)
        assert which == 0 or all(sign.isascii() for sign in signs)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0ms"), (0.048, "48ms"), (2.44, "2.4s"), (59, "59s"), (271, "4m31"), (7500, "2h05m"), (360_000, "4d04h")],
)
def test_durations_are_short(seconds: float, expected: str) -> None:
    assert short(seconds) == expected


def test_ticks_are_round_and_apart() -> None:
    assert [label for _, label in ticks(60, 60)] == ["0s", "10s", "20s", "30s", "40s", "50s", "1m"][:6]
    for seconds in (0.004, 0.3, 7, 95, 4000, 90_000, 1e7):
        columns = [column for column, _ in ticks(seconds, 80)]
        assert columns == sorted(set(columns))
        assert len(columns) <= 10


FAILED = {"code": "HTTP_STATUS", "message": "HTTP 503", "details": {"step_key": "load"}}


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (run(RunStatus.RUNNING), ("▶", "run 25%", "1m00", "1/4 steps")),
        (run(RunStatus.COMPLETED), ("✓", "ok", "50s")),
        (run(RunStatus.FAILED, error=FAILED), ("✗", "failed", "load: HTTP 503")),
        (run(RunStatus.AWAITING_RETRY, wake_at=NOW + timedelta(seconds=5)), ("↻", "retrying", "goes on in 5.0s")),
        (run(RunStatus.SLEEPING, wake_at=NOW + timedelta(hours=3)), ("z", "sleeping", "goes on in 3h00m")),
        (run(RunStatus.CANCELLED, reason="enough"), ("⊘", "cancelled", "enough")),
        (
            run(RunStatus.QUEUED, started_at=None, reason="no worker is running"),
            ("◦", "queued", "no worker is running"),
        ),
        (run(RunStatus.RUNNING, cancel_requested=True), ("▶", "cancelling")),
        (run(RunStatus.TIMED_OUT), ("⧖", "timed out")),
    ],
)
def test_a_row_says_how_an_execution_stands(record: object, says: tuple[str, ...]) -> None:
    line = text(execution_row(record, 90, NOW, UNICODE))  # type: ignore[arg-type]  # parametrize gives objects
    assert all(word in line for word in says), line


def test_a_narrow_row_keeps_the_sign_and_the_name() -> None:
    line = text(fit_line(execution_row(run(RunStatus.FAILED, error=FAILED), 20, NOW, UNICODE), 20))
    assert line == "✗ 1234 orde…low     "


def test_a_short_id_is_the_end_of_an_id() -> None:
    assert short_id("exec_mwum0000abcd1234") == "1234"


# The timeline


def bar_row(record: object, *, cells: int = 60, attempts: tuple[object, ...] = ()) -> Line:
    (row,) = rows_of([*attempts, record])  # type: ignore[list-item]  # records
    return step_row(row, Axis(ago(60), 60), 8, 8 + 10 + cells, NOW, UNICODE)


def test_a_bar_spans_the_time_of_its_step_in_eighths() -> None:
    line = bar_row(step("a", StepStatus.COMPLETED, started_at=ago(60), finished_at=ago(30)))
    assert text(line)[18:] == "█" * 30
    line = bar_row(step("a", StepStatus.COMPLETED, started_at=ago(60), finished_at=ago(59.5)))
    assert text(line)[18:] == "▌"
    line = bar_row(step("a", StepStatus.COMPLETED, started_at=ago(59.5), finished_at=ago(58)))
    assert text(line)[18:] == "▌█"
    assert line[-2][1] == "good-reverse"


def test_the_shortest_bar_is_an_eighth() -> None:
    assert text(bar_row(step("a", StepStatus.COMPLETED, started_at=ago(60), finished_at=ago(60))))[18:] == "▏"
    at_the_end = bar_row(step("a", StepStatus.COMPLETED, started_at=NOW, finished_at=NOW))
    assert at_the_end[-1] == ("▉", "good-reverse")


def test_attempts_stand_side_by_side() -> None:
    first = step("a", StepStatus.FAILED, attempt=1, started_at=ago(60), finished_at=ago(50))
    line = bar_row(step("a", StepStatus.RUNNING, attempt=2, started_at=ago(40)), attempts=(first,))
    assert "┊" in text(line)
    assert style_of(line, "█" * 10) == "bad"
    assert text(line).endswith("█ attempt 2 ")
    assert style_of(line, " attempt 2 ") == "active-reverse"  # within the bar, which is seen all the same


def test_a_failure_says_why_and_what_another_caused_is_dim() -> None:
    error = {"code": "X", "message": "no such column"}
    assert "no such column" in text(bar_row(step("a", StepStatus.FAILED, error=error)))
    upstream = {"code": "UPSTREAM_FAILED", "message": "Step 'load' failed"}
    line = bar_row(step("a", StepStatus.FAILED, error=upstream, started_at=None, finished_at=NOW))
    assert "not run: Step 'load' failed" in text(line)
    assert line[0][1] == "dim"


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (step("a", StepStatus.SKIPPED, reason="skip_if is true", started_at=None), "skip_if is true"),
        (step("a", StepStatus.SLEEPING, wake_at=NOW + timedelta(seconds=90)), "wakes in 1m30"),
        (step("a", StepStatus.COMPLETED, reused=True, started_at=None, finished_at=None), "taken over"),
        (step("a", StepStatus.COMPLETED, recovered=True, error={"message": "gone"}), "with its default: gone"),
        (
            step("a", StepStatus.AWAITING_RETRY, wake_at=NOW + timedelta(seconds=4), error={"message": "503"}),
            "again in 4.0s: 503",
        ),
    ],
)
def test_a_step_says_what_a_bar_cannot(record: object, says: str) -> None:
    assert says in text(bar_row(record))


@pytest.mark.parametrize("width", [1, 10, 24, 40, 80, 200])
def test_any_width_is_survived(width: int) -> None:
    for status in StepStatus:
        (row,) = rows_of([step("a-long-name-of-a-step", status, wake_at=NOW, error={"message": "x" * 300})])
        axis = axis_of(run(RunStatus.RUNNING), NOW)
        line = fit_line(step_row(row, axis, max(6, width // 3), width, NOW, UNICODE), width)
        assert cell_len(text(line)) == width
        assert cell_len(text(fit_line(axis_line(axis, 6, width), width))) == width
        assert text(step_row(row, axis, 6, width, NOW, ASCII)).replace("…", "").isascii()


# The log and the header


def event(event_type: str, **more: object) -> WorkflowEvent:
    record: dict[str, object] = {
        "seq": 1, "run_id": "exec_mwum0000abcd1234", "run_seq": 1, "kind": "order-flow", "event_type": event_type,
        "step_key": "load", "attempt": 1, "level": "info", "timestamp": NOW, "payload": {},
    }  # fmt: skip
    return WorkflowEvent(**{**record, **more})  # type: ignore[arg-type]  # a record's fields


def test_a_log_line_says_who_and_what() -> None:
    line = event_line(event("log", payload={"message": "503 \x1b[2J"}, level="warn"), 80, with_run=True)
    assert "WARN  1234 order-flow load 503 ·[2J" in text(line)
    line = event_line(event("step.failed", payload={"error": FAILED}, level="error"), 80, with_run=False)
    assert "ERROR load step.failed HTTP 503" in text(line)
    assert style_of(line, "step.failed") == "bad"


def test_the_header_counts_and_names_trouble() -> None:
    standing = Standing("shop", {RunStatus.RUNNING: 3, RunStatus.FAILED: 1}, 1)
    assert text(header_line(standing, 80, UNICODE)) == " stepflow  ▶3 ✗1 │ ● 1 worker │ shop"
    assert text(header_line(standing, 80, UNICODE, ("5", "Workers"))).endswith("│ shop" + " " * 34 + "5 Workers ")
    assert text(header_line(standing, 30, UNICODE, ("5", "Workers"))) == " stepflow  ▶3 ✗1 │ ● 1 worker"
    counts = dict.fromkeys(RunStatus, 1_000_000)
    for width in range(20, 200):
        assert cells(header_line(Standing("shop", counts, 2), width, UNICODE, ("5", "Workers"))) <= max(width, 25)
    standing = Standing("shop", {RunStatus.QUEUED: 2}, 0)
    assert style_of(header_line(standing, 80, UNICODE), "no worker") == "bad"
    standing = Standing("shop", {}, 1, "the disk is full")
    assert "! the disk is full" in text(header_line(standing, 80, UNICODE))
