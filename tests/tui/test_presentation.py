"""Records to text: what fits, what is safe, what is said."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from stepflow.model.differences import Change, compare_runs
from stepflow.model.event import WorkflowEvent
from stepflow.model.run import NO_WORKER, WORKER_DIED, Awaited, Retried
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.description import describe
from stepflow_tui.presentation.differences import Pair, difference_lines, longest_ms, pair_row, pairs_of
from stepflow_tui.presentation.durations import short, ticks
from stepflow_tui.presentation.executions import execution_row, short_id, what_now
from stepflow_tui.presentation.fleet import Today
from stepflow_tui.presentation.glyphs import RUN_GLYPHS, STEP_GLYPHS, Glyphs
from stepflow_tui.presentation.header import Standing, header_line
from stepflow_tui.presentation.history import history_of
from stepflow_tui.presentation.log import event_line
from stepflow_tui.presentation.run import run_header
from stepflow_tui.presentation.search import run_row
from stepflow_tui.presentation.search import step_row as found_step
from stepflow_tui.presentation.spans import Line, cells, fit, fit_line, fit_name, safe
from stepflow_tui.presentation.step import step_lines
from stepflow_tui.presentation.timeline import step_row
from stepflow_tui.presentation.timeline_axis import Axis, axis_line, axis_of
from stepflow_tui.presentation.timeline_folding import rows_of
from stepflow_tui.presentation.timeline_prediction import StepHistory, step_history
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
        (
            run(RunStatus.AWAITING_RETRY, wake_at=NOW + timedelta(seconds=11), last_error=FAILED),
            ("↻", "load: HTTP 503  again in 11s"),
        ),
        (run(RunStatus.WAITING, awaits=(Awaited("ask", "paid"),)), ("?", "waiting", "signal paid")),
        (run(RunStatus.WAITING, awaits=(Awaited("each", children=200, ended=9),)), ("9/200 each",)),
        (run(RunStatus.SCHEDULED, started_at=None, wake_at=NOW + timedelta(hours=3)), ("◷", "begins in 3h00m")),
        (run(RunStatus.SLEEPING, wake_at=NOW + timedelta(hours=3)), ("z", "sleeping", "goes on in 3h00m")),
        (run(RunStatus.CANCELLED, reason="enough"), ("⊘", "cancelled", "enough")),
        (
            run(RunStatus.QUEUED, started_at=None, reason="no worker is running"),
            ("◦", "queued", "no worker is running; start"),
        ),
        (run(RunStatus.RUNNING, cancel_requested=True), ("▶", "cancelling")),
        (run(RunStatus.TIMED_OUT), ("⧖", "timed out")),
    ],
)
def test_a_row_says_how_an_execution_stands(record: object, says: tuple[str, ...]) -> None:
    line = text(execution_row(record, 90, NOW, UNICODE))  # type: ignore[arg-type]  # parametrize gives objects
    assert all(word in line for word in says), line


def test_a_waiting_row_says_when_it_times_out_after_what_it_waits_for() -> None:
    awaits = (Awaited("ops", "deploy", "Deploy version 2.3.1\x1b?"),)
    waiting = run(RunStatus.WAITING, awaits=awaits, wake_at=NOW + timedelta(days=1, hours=23))
    assert " ops: Deploy version 2.3.1·?  times out in 1d23h" in text(execution_row(waiting, 120, NOW, UNICODE))
    assert what_now(waiting) == "A answer"
    assert what_now(run(RunStatus.WAITING, awaits=(Awaited("each", children=3),))) == ""
    assert what_now(run(RunStatus.PAUSED)) == "p y go on"


@pytest.mark.parametrize("width", [72, 80])
def test_a_long_error_is_cut_before_it_hides_when_it_is_tried_again(width: int) -> None:
    error = {"message": "HTTP 503 from the warehouse of the north", "details": {"step_key": "load"}}
    retrying = run(RunStatus.AWAITING_RETRY, wake_at=NOW + timedelta(seconds=11), last_error=error)
    line = text(fit_line(execution_row(retrying, width, NOW, UNICODE), width))
    assert "load: HTTP" in line
    assert line.rstrip().endswith("…  again in 11s")


def test_the_trend_is_in_every_row_where_there_is_room_for_what_is_wrong_beside_it() -> None:
    known = history_of([run(RunStatus.COMPLETED, id=f"exec_000{n}") for n in range(3)])
    for message in ("HTTP 503", "HTTP 503 from the warehouse of the north"):
        failed = run(RunStatus.FAILED, error={"message": message})
        assert "▃ HTTP 503" in text(execution_row(failed, 80, NOW, UNICODE, known))
        assert "▃" not in text(execution_row(failed, 73, NOW, UNICODE, known))


def test_one_that_was_retried_says_as_what_and_how_that_stands() -> None:
    failed = run(RunStatus.FAILED, error=FAILED, retried_as=Retried("exec_w4f2", RunStatus.COMPLETED))
    assert "↻ w4f2 ✓  load: HTTP 503" in text(execution_row(failed, 90, NOW, UNICODE))
    assert "@ w4f2 +  load: HTTP 503" in text(execution_row(failed, 90, NOW, ASCII))


def test_of_one_step_no_part_is_told() -> None:
    assert "running" in text(execution_row(run(RunStatus.RUNNING, steps_total=1, steps_done=0), 80, NOW, UNICODE))


@pytest.mark.parametrize("reason", [WORKER_DIED, f"{WORKER_DIED}; another one takes it over", NO_WORKER])
def test_nothing_is_expected_of_one_that_no_worker_goes_on_with(reason: str) -> None:
    left = run(RunStatus.RUNNING, worker="w_1", reason=reason, lacks_worker=True)
    row = execution_row(left, 130, NOW, UNICODE, when=("ETA 5s", "dim"))
    assert "ETA" not in text(row)
    assert style_of(row, reason) == "bad"
    assert ("start one: stepflow worker" in text(row)) is ("another" not in reason)
    header = text(run_header(left, [], [], 5.0, 200, NOW, UNICODE))
    assert "ETA" not in header
    assert reason in header
    assert "ETA" not in text(execution_row(run(RunStatus.QUEUED), 130, NOW, UNICODE, when=("ETA 5s", "dim")))
    told = "\n".join(map(text, describe(left, [], NOW, 80, UNICODE)))
    assert "w_1, dead" in told
    assert reason in told


def test_steps_that_another_one_kept_from_running_are_counted_apart() -> None:
    upstream = {"code": "UPSTREAM_FAILED", "message": "Step 'load' failed", "details": {"by": "load"}}
    steps = [step("load", StepStatus.FAILED, error=FAILED, index=0)]
    steps += [step(key, StepStatus.FAILED, error=upstream, index=n) for n, key in enumerate("ab", 1)]
    failed = run(RunStatus.FAILED, error=FAILED)
    assert "3 steps ✗1 2 not run" in text(run_header(failed, steps, [], None, 200, NOW, UNICODE))
    told = [text(line) for line in describe(failed, steps, NOW, 80, UNICODE)]
    assert any("✗ 1 failed, 2 not run" in line for line in told)
    assert sum("HTTP 503" in line for line in told) == 1, "the step's error is the execution's"
    begins = [line.split("  ")[0] for line in told]
    assert begins.index("error") < begins.index("what now") <= begins.index("error") + 5
    line = event_line(event("step.failed", payload={"error": upstream}, level="error"), 80, with_run=False)
    assert {style for part, style in line if part.strip() and part != "load "} == {"dim"}


def test_what_is_found_of_a_step_that_another_one_kept_from_running_is_dim() -> None:
    said = {"code": "UPSTREAM_FAILED", "message": "Step 'load' failed"}
    for error, style in ((said, "dim"), (FAILED, "bad")):
        row = found_step(event("step.failed", payload={"error": error}), run(RunStatus.FAILED), [], 120, NOW, UNICODE)
        assert (row[0][1], style_of(row, error["message"])) == (style, style)  # type: ignore[arg-type]  # a text


def test_what_is_found_of_an_execution_says_what_it_waits_for() -> None:
    waiting = run(RunStatus.WAITING, awaits=(Awaited("ask", "paid"),))
    assert "waits for signal paid" in text(run_row(waiting, [], 120, NOW, UNICODE))
    assert "its worker died; start one" in text(
        run_row(run(RunStatus.RUNNING, reason=WORKER_DIED), [], 120, NOW, UNICODE)
    )


def test_a_description_compares_with_the_last_one_that_completed() -> None:
    known = history_of([run(RunStatus.COMPLETED, id="exec_0000000000000007", started_at=ago(30), finished_at=ago(10))])
    told = [text(line) for line in describe(run(RunStatus.FAILED), [], NOW, 80, UNICODE, known)]
    assert "vs last ok 30s longer than 0007, which took 20s" in told
    assert not any("vs last" in text(line) for line in describe(run(RunStatus.RUNNING), [], NOW, 80, UNICODE, known))


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


# A step in full

STACK = """\
Traceback (most recent call last):
  File "/srv/flows/load.py", line 5, in load
    return [inner(row) for row in rows]
KeyError: 'ts'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/opt/lib/python3.12/concurrent/futures/thread.py", line 58, in run
    result = self.fn(*self.args)
  File "/srv/flows/load.py", line 7, in load
    raise ValueError("column 'ts' is missing") from error
  File "/srv/.venv/lib/python3.12/site-packages/frames/one.py", line 1, in one
    two()
  File "/srv/.venv/lib/python3.12/site-packages/frames/two.py", line 2, in two
    three()
ValueError: column 'ts' is missing
"""


def told_of(error: dict[str, object], room: int = 0, *, unfolded: bool = False) -> list[str]:
    failed = step("load", StepStatus.FAILED, error=error)
    lines = step_lines(run(RunStatus.FAILED), [failed], [], 100, NOW, UNICODE, unfolded=unfolded, room=room)
    return [text(line) for line in lines]


def test_of_several_attempts_each_says_what_it_failed_by() -> None:
    error = {"code": "SOON", "message": "not yet"}
    tried = [step("load", StepStatus.FAILED, attempt=number, error=error) for number in (1, 2)]
    lines = [text(line) for line in step_lines(run(RunStatus.FAILED), tried, [], 80, NOW, UNICODE, unfolded=False)]
    assert sum("#" in line and "SOON not yet" in line for line in lines) == 2
    alone = [text(line) for line in step_lines(run(RunStatus.FAILED), tried[:1], [], 80, NOW, UNICODE, unfolded=False)]
    assert sum("not yet" in line for line in alone) == 1


def test_a_long_value_in_a_diff_is_cut_to_where_it_differs() -> None:
    long = "a" * 1000
    differs = Change("$.prompt", f"{long}old{long}", f"{long}new{long}")
    one, other = step("a", StepStatus.COMPLETED), step("a", StepStatus.COMPLETED)
    lines = difference_lines(Pair("a", "a", one, other, True, (("input", (differs,)),)), 80, UNICODE)
    said = "".join(text(line) for line in lines)
    assert "aold" in said
    assert "anew" in said
    assert len(said) < 600


def test_a_folded_stack_says_the_cause_and_where_ones_own_code_stood() -> None:
    error = {"code": "COMPONENT_FAILED", "message": "no 'ts'", "details": {"type": "ValueError", "stack": STACK}}
    told = told_of(error)
    assert told[2:-1] == [
        "COMPONENT_FAILED  no 'ts'",
        "cause KeyError: 'ts'",
        "type: ValueError",
        "stack: ",
        '    File "/srv/flows/load.py", line 7, in load',
        "      raise ValueError(\"column 'ts' is missing\") from error",
        "  … 12 lines; x unfolds",
        '    File "/srv/.venv/lib/python3.12/site-packages/frames/two.py", line 2, in two',
        "      three()",
        "  ValueError: column 'ts' is missing",
    ]
    assert len(told) < len(told_of(error, 18)) <= 18
    for whole in (told_of(error, 40), told_of(error, unfolded=True)):
        assert len(whole) == len(told) - 6 + len(STACK.splitlines())
        assert not any("unfolds" in line for line in whole)
    within = {"code": "X", "message": "no", "details": {"stack": "Traceback\n" * 9 + STACK.splitlines()[-1]}}
    assert "  … 7 lines; x unfolds" in told_of(within)


def test_details_are_said_in_words_and_nothing_twice() -> None:
    errors = [{"path": "age", "message": "4 is no string"}, {"path": "", "message": "name is missing"}]
    error = {"code": "INVALID_INPUT", "message": "Input of /x: age: 4 is no string", "details": {"errors": errors}}
    assert told_of(error)[2:-1] == ["INVALID_INPUT  Input of /x: age: 4 is no string", "errors: name is missing"]
    assert 'seen: {"n": null}' in told_of({"code": "X", "message": "no", "details": {"seen": {"n": None}}})


def test_a_step_says_what_it_usually_took() -> None:
    ended = run(RunStatus.COMPLETED)
    before = [
        (ended, [step("load", StepStatus.COMPLETED, started_at=ago(60), finished_at=ago(60 - n))]) for n in (20, 10, 10)
    ]
    history = step_history(before, 0)

    def told(key: str, history: StepHistory | None) -> list[str]:
        lines = step_lines(
            ended, [step(key, StepStatus.COMPLETED)], [], 80, NOW, UNICODE, unfolded=False, history=history
        )
        return [text(line) for line in lines]

    assert "usual ▃▃▆ p50 10s  p95 19s  of 3" in told("load", history)
    for others in (told("other", history), told("load", None)):
        assert not any(line.startswith("usual") for line in others)


def test_in_a_diff_a_step_took_all_of_its_attempts() -> None:
    once = step("load", StepStatus.COMPLETED, started_at=ago(60), finished_at=ago(50))
    failed = step("load", StepStatus.FAILED, attempt=1, started_at=ago(60), finished_at=ago(50))
    again = step("load", StepStatus.COMPLETED, attempt=2, started_at=ago(22), finished_at=ago(20))
    ended = run(RunStatus.COMPLETED)
    difference = compare_runs(ended, [once], ended, [again])
    pairs = pairs_of(difference, [once], [failed, again])
    assert longest_ms(pairs) == 40_000
    line = text(pair_row(pairs[1], 8, longest_ms(pairs), 100, UNICODE))
    assert "40s" in line
    assert "▲ +30s" in line


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
    assert text(header_line(standing, 80, UNICODE)) == " stepflow  ✗1 ▶3 │ ● 1 worker │ shop"
    assert text(header_line(standing, 80, UNICODE, ("5", "Workers"))).endswith("│ shop" + " " * 34 + "5 Workers ")
    assert text(header_line(standing, 30, UNICODE, ("5", "Workers"))) == " stepflow  ✗1 ▶3 │ ● 1 worker"
    counts = dict.fromkeys(RunStatus, 1_000_000)
    for width in range(20, 200):
        assert cells(header_line(Standing("shop", counts, 2), width, UNICODE, ("5", "Workers"))) <= max(width, 25)
    standing = Standing("shop", {RunStatus.QUEUED: 2}, 0)
    assert style_of(header_line(standing, 80, UNICODE), "no worker") == "bad"
    standing = Standing("shop", {}, 1, "the disk is full")
    assert "! the disk is full" in text(header_line(standing, 80, UNICODE))


@pytest.mark.parametrize(
    ("width", "read_only", "says", "says_not"),
    [
        (40, False, "✗1 ▶3 │ no worker │ shop", "✓"),
        (40, True, "✗1 ▶3 │ no worker │ ro", "✓"),
        (60, True, "✗1 ▶3 ✓412 │ no worker │ read-only ", "shop"),
        (50, False, "shop     5 Workers", "✓"),
        (120, False, "✓412 │ no worker │ shop │ 20 in 24 h ✓50.0% p95 3m12", "\n"),
    ],
)
def test_how_many_went_well_gives_way_first(width: int, read_only: bool, says: str, says_not: str) -> None:
    counts = {RunStatus.RUNNING: 3, RunStatus.FAILED: 1, RunStatus.COMPLETED: 412}
    standing = Standing("shop", counts, 0, read_only=read_only)
    line = text(header_line(standing, width, UNICODE, ("5", "Workers"), Today(20, True, 10, 10, 20, 192)))
    assert says in line
    assert says_not not in line
