"""How earlier executions went, as bars, expectations, fingerprints: records in, text out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from stepflow.model.run import Awaited, RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.executions import Listed, execution_row, layout_of, list_title, titles_row
from stepflow_tui.presentation.fingerprints import (
    buckets,
    failure_row,
    fingerprint,
    group_row,
    groups_of,
    without_particulars,
)
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.history import CELLS, History, expected, history_of, newest_line, past_line
from stepflow_tui.presentation.spans import Line, fit_line
from stepflow_tui.presentation.sparkline import ASCII_BARS, BARS, bar_of, counts_line
from tests.tui.records import NOW, ago, run

UNICODE, ASCII = Glyphs(), Glyphs(ascii_only=True)


def text(line: Line) -> str:
    return "".join(span for span, _ in line)


def past(number: int, seconds: float, status: RunStatus = RunStatus.COMPLETED) -> RunRecord:
    return run(status, id=f"exec_{number:04d}", started_at=ago(100), finished_at=ago(100 - seconds))


def history(*seconds: float) -> History:
    """The last of `seconds` is the newest."""
    return history_of([past(number, took) for number, took in reversed(list(enumerate(seconds)))])


def test_the_usual_duration_is_three_eighths_high_and_others_stand_out() -> None:
    assert [bar_of(value, 10, UNICODE) for value in (0, 1, 10, 20, 1000)] == ["▁", "▁", "▃", "▆", "█"]
    assert bar_of(5, 0, UNICODE) == "▃"
    assert counts_line([0, 1, 4, 8], UNICODE) == "·▁▄█"
    assert counts_line([], UNICODE) == ""
    assert counts_line([0, 0], ASCII) == "  "
    assert len(ASCII_BARS) == len(BARS) == 8
    assert ASCII_BARS.isascii()


def test_the_past_of_an_execution_is_that_before_it() -> None:
    known = history(10, 10, 10, 10, 10, 30, 5)
    assert text(past_line(known, past(6, 5), UNICODE)) == "▃▃▃▃█▂"
    assert text(past_line(known, past(2, 10), UNICODE)) == "   ▃▃▃"
    running = run(RunStatus.RUNNING, id="exec_0009")
    assert text(past_line(known, running, UNICODE)) == "▃▃▃█▂▶"
    assert text(past_line(None, running, ASCII)) == "     >"


def test_those_that_did_not_complete_have_their_sign() -> None:
    known = history_of([past(3, 1, RunStatus.FAILED), past(2, 1), past(1, 1, RunStatus.CANCELLED)])
    assert text(newest_line(known, UNICODE)) == "   ⊘▃✗"
    assert text(newest_line(known, ASCII)) == "   /-x"
    assert text(newest_line(None, UNICODE)) == " " * CELLS
    assert (known.median, known.late_after) == (1, None)


@pytest.mark.parametrize(
    ("elapsed", "says", "style"),
    [(4, "ETA 6.0s", "dim"), (12, "ETA <6.0s", "dim"), (30, "late 20s", "late")],
)
def test_an_execution_is_expected_as_its_template_usually_takes(elapsed: float, says: str, style: str) -> None:
    known = history(10, 10, 10, 10, 20)
    assert (known.median, known.late_after) == (10, 18)
    running = run(RunStatus.RUNNING, started_at=ago(elapsed))
    assert expected(known, running, NOW) == (says, style)
    assert says in text(execution_row(running, 100, NOW, UNICODE, known))


def test_of_a_few_it_is_known_when_it_will_end_and_not_when_it_is_late() -> None:
    assert expected(history(10), run(RunStatus.RUNNING, started_at=ago(4)), NOW) == ("ETA 6.0s", "dim")
    assert expected(history(10, 10), run(RunStatus.RUNNING, started_at=ago(30)), NOW) == ("", "")


def test_one_whose_children_work_is_expected_to_end_and_one_that_asks_is_not() -> None:
    fans_out = run(RunStatus.WAITING, started_at=ago(4), awaits=(Awaited("pages", children=200, ended=9, failed=3),))
    assert expected(history(10, 10, 10), fans_out, NOW) == ("ETA 6.0s", "dim")
    assert "ETA 6.0s  9/200 pages, 3 failed" in text(execution_row(fans_out, 90, NOW, UNICODE, history(10, 10, 10)))
    asks = run(RunStatus.WAITING, started_at=ago(4), awaits=(*fans_out.awaits, Awaited("ship", "ship")))
    assert expected(history(10, 10, 10), asks, NOW) == ("", "")


def test_nothing_is_expected_without_history_or_of_what_does_not_run() -> None:
    assert expected(history(), run(RunStatus.RUNNING), NOW) == ("", "")
    assert expected(None, run(RunStatus.RUNNING), NOW) == ("", "")
    assert expected(history(1, 1, 1), run(RunStatus.SLEEPING), NOW) == ("", "")


def test_more_columns_appear_as_there_is_room() -> None:
    record = run(RunStatus.RUNNING, worker="w_1", version=7, started_at=NOW - timedelta(days=2))
    shown = {width: text(execution_row(record, width, NOW, UNICODE, full=True)) for width in (40, 80, 100, 120, 160)}
    assert "v7" not in shown[100]
    assert "v7" in shown[120]
    assert "01-03" in shown[100]
    assert "w_1" not in shown[120]
    assert "w_1" in shown[160]
    titles = text(titles_row(160, "started", UNICODE, reverse=False))
    assert titles.index("worker") == shown[160].index("w_1")
    assert "started▾" in titles
    assert "took▴" in text(titles_row(100, "duration", UNICODE, reverse=True))
    assert "●" in text(execution_row(record, 40, NOW, UNICODE, is_marked=True))


@given(st.integers(10, 220), st.booleans(), st.sampled_from(RunStatus))
def test_a_row_never_needs_more_than_there_is_but_in_its_last_column(width: int, full: bool, status: RunStatus) -> None:
    layout = layout_of(width, full=full)
    columns = layout.status + layout.started + layout.took + layout.past + layout.version + layout.worker
    assert 2 + 4 + 1 + layout.name + columns + layout.what <= max(width, 15)
    line = execution_row(run(status, worker="w"), width, NOW, UNICODE, history(1, 2, 3), full=full)
    assert cell_len(text(fit_line(line, width))) == width


@pytest.mark.parametrize(
    ("listed", "title", "subtitle"),
    [
        ({}, "2 Executions", "1,234"),
        ({"filter": "status:x"}, "2 Executions  /status:x", "9 of 1,234"),
        ({"filter": "err~[5]", "matching": None}, "2 Executions  /err~[5]", "9 in 200 looked at, more below"),
        ({"sort": "duration", "reverse": True}, "2 Executions", "1,234 · ▴ duration"),
    ],
)
def test_a_list_says_what_it_shows(listed: dict[str, Any], title: str, subtitle: str) -> None:
    given = {"filter": "", "sort": "created", "reverse": False, "found": 9, "matching": 9, "total": 1234}
    state = Listed(**{**given, "looked_at": 200, **listed})
    assert list_title(state, 0, 80, UNICODE) == (title, subtitle)
    assert list_title(state, 3, 80, UNICODE)[1].startswith("3 marked · ")


@pytest.mark.parametrize(
    ("message", "without"),
    [
        ("HTTP 503 for order 'a-17' after 3 tries", "HTTP 503 for order … after … tries"),
        ("can't open \"x y\", don't retry", "can't open …, don't retry"),
        ("request 7f3a-11ee timed out after 30.5s", "request … timed out after …"),
        ("exit code 137", "exit code 137"),
        ("two\n lines  here", "two lines here"),
    ],
)
def test_numbers_ids_and_quoted_parts_make_no_difference(message: str, without: str) -> None:
    assert without_particulars(message) == without
    assert without_particulars(without) == without


@given(st.text(max_size=80), st.integers(0, 10**9), st.integers(0, 10**9))
def test_two_numbers_in_one_place_are_one_failure(words: str, first: int, second: int) -> None:
    one, other = (without_particulars(f"{words} item {number} of the lot") for number in (first, second))
    assert one == other


def failed(number: int, message: str, **more: Any) -> RunRecord:
    error = {"code": "STEP_ERROR", "message": message, "details": {"step_key": "load"}}
    return run(RunStatus.FAILED, id=f"exec_{number:04d}", error=error, finished_at=ago(number * 60), **more)


def test_failures_are_grouped_by_fingerprint_the_most_frequent_first() -> None:
    runs = [failed(0, "row 7"), failed(1, "no column"), failed(2, "row 9"), failed(3, "row 1", template="other")]
    groups = groups_of(runs)
    assert [[one.id for one in group.runs] for group in groups] == [
        ["exec_0000", "exec_0002"],
        ["exec_0001"],
        ["exec_0003"],
    ]
    assert fingerprint(runs[0]) == fingerprint(runs[2])
    assert groups[0].example == "row 7"
    stalled = run(RunStatus.STALLED, reason="its code is not registered")
    assert fingerprint(stalled).code == RunStatus.STALLED
    assert buckets(runs, ago(240), NOW, 4) == [0, 1, 1, 2]
    for width in (30, 80, 120):
        for glyphs in (UNICODE, ASCII):
            row = text(group_row(groups[0], width, ago(240), NOW, 2, glyphs, is_open=False))
            assert "row 7" in row
            assert glyphs is UNICODE or width < 80 or row.isascii()
            assert "row 7" in text(failure_row(runs[0], width, NOW, glyphs, is_retried=True))
