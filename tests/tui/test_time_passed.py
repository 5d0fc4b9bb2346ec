"""How far an execution is: how much of its time is over where that is known, the same number wherever it is said."""

from __future__ import annotations

import pytest

from stepflow.model.run import Awaited, RunRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.executions import execution_row
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.history import History, history_of
from stepflow_tui.presentation.run import run_header
from stepflow_tui.presentation.spans import Line, fit_line
from stepflow_tui.presentation.timeline_prediction import StepHistory, Usual, predict, share_done, subtitle_of, when_of
from tests.tui.records import NOW, ago, run, step

UNICODE = Glyphs()


def text(line: Line) -> str:
    return "".join(span for span, _ in line)


def after(*seconds: float) -> History:
    return history_of(
        [
            run(RunStatus.COMPLETED, id=f"exec_000{number}", started_at=ago(900), finished_at=ago(900 - took))
            for number, took in enumerate(seconds)
        ]
    )


def row(record: RunRecord, known: History | None = None, width: int = 78) -> str:
    return text(fit_line(execution_row(record, width, NOW, UNICODE, known), width))


@pytest.mark.parametrize("steps", [1, 2])
def test_one_earlier_execution_tells_how_far_it_is_and_when_it_ends(steps: int) -> None:
    said = row(run(RunStatus.RUNNING, steps_total=steps, steps_done=0), after(240))
    assert "run 25%" in said
    assert "ETA 3m00" in said


def test_past_its_time_it_is_not_said_to_be_done_and_late_only_after_enough() -> None:
    record = run(RunStatus.RUNNING, steps_total=2, steps_done=0)
    for known, is_late in ((after(10), False), (after(10, 10), False), (after(10, 10, 10), True)):
        assert "run 99%" in row(record, known)
        assert ("late 50s" in row(record, known)) is is_late


def test_where_nothing_is_known_its_steps_tell_but_not_a_single_one() -> None:
    assert "run 25%" in row(run(RunStatus.RUNNING))
    assert "running" in row(run(RunStatus.RUNNING, steps_total=1, steps_done=0))
    lost = run(RunStatus.RUNNING, lacks_worker=True, reason="its worker died")
    assert "run 25%" in row(lost, after(600)), "its time does not pass"


@pytest.mark.parametrize(("usual", "share"), [(180.0, "33%"), (10.0, "99%")])
def test_the_row_the_timeline_and_the_header_say_the_same_number(usual: float, share: str) -> None:
    record = run(RunStatus.RUNNING, steps_total=2, steps_done=0)
    steps = [step("a", StepStatus.RUNNING)]
    history = StepHistory({"a": Usual(usual, usual, 5)}, None, 10)
    prediction = predict(record, steps, history, NOW)
    assert prediction is not None
    left = prediction.seconds_left(NOW)
    when = when_of(record, prediction, None, NOW)
    told = execution_row(record, 78, NOW, UNICODE, when=when, share=share_done(record, left, NOW))
    assert f"run {share}" in text(told)
    assert f"▶{share} 0/2" in subtitle_of(record, prediction, history, NOW, UNICODE)
    header = text(run_header(record, steps, [], left, 120, NOW, UNICODE))
    assert f"running {share}" in header
    assert ("ETA" in header) is (left > 0)


def test_what_children_do_is_told_whole_at_80_cells() -> None:
    fans_out = run(RunStatus.WAITING, awaits=(Awaited("work", children=1000, ended=458, failed=3),))
    assert "ETA 1m01 458/1,000 3 failed" in row(fans_out, after(121))
    assert "458/1,000 work, 3 failed" in row(fans_out)
    assert "ETA 1m01  458/1,000 work, 3 failed" in row(fans_out, after(121), 100)
    lots = run(RunStatus.WAITING, awaits=(Awaited("work", children=10000, ended=4580, failed=317),))
    assert "4,580/10,000 317 failed" in row(lots, after(121)), "what failed matters more than when it ends"
