"""The filter language: what it reads, what it refuses, and that the storage is never asked for too little."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.executions import WORDS, execution_row
from stepflow_tui.presentation.filters import FIELDS, Filter, FilterError, completions, parse_filter
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import fit_line
from stepflow_tui.widgets.filter_field import candidates_line
from tests.tui.records import NOW, ago, run

FAILED = run(
    RunStatus.FAILED,
    id="exec_mwum0000abcd1234",
    template="etl-daily",
    error={"code": "HTTP_STATUS", "message": "HTTP 503 upstream", "details": {"step_key": "load"}},
    created_at=ago(7200),
    started_at=ago(7200),
    finished_at=ago(6000),
)
RUNNING = run(RunStatus.RUNNING, id="exec_mwum0000efgh5678", template="orders", started_at=ago(30), created_at=ago(31))
QUEUED = run(RunStatus.QUEUED, template="orders", started_at=None, reason="no worker offers /http/get")


def said(text: str) -> str:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("", [FAILED, RUNNING, QUEUED]),
        ("status:failed,running", [FAILED, RUNNING]),
        ("STATUS:Error", [FAILED]),
        ("-status:failed", [RUNNING, QUEUED]),
        ("template:etl*", [FAILED]),
        ("tmpl:etl-daily,orders", [FAILED, RUNNING, QUEUED]),
        ("template:etl", []),
        ("template~ETL", [FAILED]),
        ("template:order?", [RUNNING, QUEUED]),
        ("dur:>5m", [FAILED]),
        ("dur:<1m", [RUNNING]),
        ("-dur:<1m", [FAILED, QUEUED]),
        ("since:1h", [RUNNING, QUEUED]),
        ("-since:1h", [FAILED]),
        ("since:2026-01-05T11:00:00+00:00", [RUNNING, QUEUED]),
        ("err~503", [FAILED]),
        ('err~"http 503"', [FAILED]),
        ("err:HTTP_STATUS", [FAILED]),
        ("-err~503", [RUNNING, QUEUED]),
        ("step:load", [FAILED]),
        ("step:lo*", [FAILED]),
        ("id:abcd", []),
        ("id:1234", [FAILED, QUEUED]),
        ("id:mwum0000e", [RUNNING]),
        ("id:exec_mwum0000abcd1234", [FAILED, QUEUED]),
        ("id~abcd", [FAILED, QUEUED]),
        ("upstream", [FAILED]),
        ("orders", [RUNNING, QUEUED]),
        ("-orders", [FAILED]),
        ("'worker offers' orders", [QUEUED]),
        ("12:30", []),
    ],
)
def test_a_filter_keeps_what_matches(text: str, matching: list[RunRecord]) -> None:
    kept = [one for one in (FAILED, RUNNING, QUEUED) if parse_filter(text).matches(one, NOW)]
    assert kept == matching


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stauts:failed", "There is no field 'stauts'; did you mean 'status'?"),
        ("http://x", "There is no field 'http'; to look for the text, write \"http://x\""),
        ("status:faild", "There is no status 'faild'; did you mean 'failed'?"),
        ("status:", "status needs a value: status:failed,running"),
        ("status~failed", "status takes ':', not '~': status:failed,running"),
        ("dur:5m", "dur needs > or <: dur:>5m or dur:<10s"),
        ("dur:>5", "a duration needs a unit: '5s' or '5ms', '5m', '5h'"),
        ("since:yesterday", "'yesterday' is no time: since:24h or since:2025-01-20"),
        ("err~", 'err needs a value: err~503 or err~"connection refused"'),
        ("template:,", "template needs a value: template:order-flow or template:etl*"),
        ('"open', 'The quote " is not closed'),
        ('"a"b', "After a closing quote comes a space"),
        ("-", "'-' needs what must not be there, as in -nightly"),
        ('""', "The quotes have nothing in them"),
    ],
)
def test_a_wrong_filter_says_what_is_wrong_and_the_way_out(text: str, message: str) -> None:
    assert said(text) == message
    assert said(f"status:failed {text}") == message


def test_what_the_storage_can_tell_is_asked_of_it_and_the_rest_is_judged() -> None:
    asked = parse_filter("status:failed,running -status:running template:etl since:24h").asked(NOW)
    assert asked.statuses == (RunStatus.FAILED,)
    assert asked.template == "etl"
    assert asked.since == NOW - timedelta(hours=24)
    assert parse_filter("since:7d since:1h").asked(NOW).since == NOW - timedelta(hours=1)
    assert parse_filter("status:failed status:running").asked(NOW).statuses == ()
    assert Filter().asked(NOW).statuses is None
    for text in ("", "status:failed", "-status:failed since:24h template:a", "template:a"):
        assert parse_filter(text).is_known_to_storage
    for text in (
        "template:a*",
        "-template:a",
        "template:a template:b",
        "err~5",
        "dur:>1s",
        "-since:1h",
        "word",
        "id:ab",
    ):
        assert not parse_filter(text).is_known_to_storage


TERMS = st.sampled_from(
    [
        "status:failed,running",
        "-status:failed",
        "template:orders",
        "template:etl*",
        "-template:orders",
        "template:orders,etl-daily",
        "dur:>5m",
        "-dur:<1m",
        "since:1h",
        "-since:1h",
        "err~503",
        "id:1234",
        "upstream",
        "-orders",
        '"two words"',
    ]
)
RUNS = st.builds(
    lambda status, template, age, took: run(
        status,
        template=template,
        created_at=ago(age),
        started_at=ago(age) if took is not None else None,
        finished_at=ago(age - took) if took is not None and status.is_final else None,
    ),
    st.sampled_from(RunStatus),
    st.sampled_from(["orders", "etl-daily", "order"]),
    st.integers(1, 10_000),
    st.none() | st.integers(0, 1000),
)


@given(st.lists(TERMS, max_size=5), RUNS)
def test_the_storage_is_never_asked_for_less_than_matches(terms: list[str], one: RunRecord) -> None:
    wanted = parse_filter(" ".join(terms))
    asked = wanted.asked(NOW)
    is_given = (
        (asked.statuses is None or one.status in asked.statuses)
        and (asked.template is None or one.template == asked.template)
        and (asked.since is None or one.created_at >= asked.since)
    )
    assert is_given or not wanted.matches(one, NOW)
    assert not is_given or wanted.matches(one, NOW) or not wanted.is_known_to_storage
    # Each term by itself says the same as all together, in any order.
    assert wanted.matches(one, NOW) is all(parse_filter(term).matches(one, NOW) for term in terms)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_with_a_place_in_it(text: str) -> None:
    try:
        wanted, place = parse_filter(text), 0
    except FilterError as error:
        wanted, place = Filter(), error.column
    assert 0 <= place <= len(text)
    wanted.matches(FAILED, NOW)
    assert parse_filter(wanted.text) == wanted


@given(st.text(alphabet=st.characters(exclude_characters="'\"", exclude_categories=["C"]), min_size=1, max_size=20))
def test_any_text_is_found_when_it_is_quoted(text: str) -> None:
    error: dict[str, Any] = {"code": "X", "message": f"before {text} after"}
    assert parse_filter(f'"{text}"').matches(run(RunStatus.FAILED, error=error), NOW)
    assert parse_filter(f"-err~'{text}'").matches(run(RunStatus.FAILED, error=error), NOW) is False


@pytest.mark.parametrize(
    ("text", "begin", "candidates"),
    [
        ("", 0, list(FIELDS)),
        ("st", 0, ["status:", "step:"]),
        ("upstream -te", 10, ["template:"]),
        ("status:fa", 7, ["failed"]),
        ("status:failed,ru", 14, ["running"]),
        ("status:failed", 7, []),
        ("template:e", 9, ["etl-daily"]),
        ("template:ETL", 9, ["etl-daily"]),
        ("STATUS:Fa", 7, ["failed"]),
        ("step:L", 5, ["load", "Load-2"]),
        ("step:save,l", 10, ["load", "Load-2"]),
        ("dur:", 4, [">10s", ">1m", ">5m", ">1h"]),
        ("nothing:x", 8, []),
    ],
)
def test_the_end_of_a_filter_is_completed(text: str, begin: int, candidates: list[str]) -> None:
    assert completions(text, ["etl-daily", "orders"], ["load", "Load-2"]) == (begin, candidates)


@pytest.mark.parametrize("status", RunStatus)
def test_a_status_is_known_by_its_word_in_a_row(status: RunStatus) -> None:
    row = "".join(part for part, _ in execution_row(run(status, steps_total=0), 100, NOW, Glyphs()))
    word = WORDS.get(status, status.value)
    assert f" {word} " in row
    for written in (f'status:"{word}"', f"status:{word.replace(' ', '-')}".upper(), f"status:{status.value}"):
        assert parse_filter(written).terms[0].statuses == {status}


def test_those_that_are_asked_to_end_are_found_by_the_word_of_their_rows() -> None:
    asked, other = run(RunStatus.RUNNING, cancel_requested=True), run(RunStatus.RUNNING)
    for written, of_asked, of_other in (
        ("status:cancelling", True, False),
        ("-status:cancelling", False, True),
        ("status:cancelling,running", True, True),
        ("status:ok,cancelling", True, False),
    ):
        wanted = parse_filter(written)
        assert (wanted.matches(asked, NOW), wanted.matches(other, NOW)) == (of_asked, of_other), written
        assert not wanted.is_known_to_storage
        statuses = wanted.asked(NOW).statuses
        assert statuses is None or RunStatus.RUNNING in statuses, "the storage gives all that may match"


def test_the_candidate_that_is_chosen_is_seen_however_many_come_before_it() -> None:
    statuses = [status.value for status in RunStatus]
    for width in (40, 80):
        for place, status in enumerate(statuses):
            line = fit_line(candidates_line(statuses, place, width), width)
            assert (status, "title") in line
    assert candidates_line(statuses, 0, 80)[1] == ("scheduled", "title")
    assert fit_line(candidates_line([*FIELDS], 6, 30), 30)[1:3] == [("< ", "dim"), ("id:", "title")]


def test_what_is_inside_an_execution_is_matched_by_its_own_words() -> None:
    wanted = parse_filter("status:failed err~503 step:load*")
    assert wanted.matches_step("load-2", "HTTP 503")
    assert not wanted.matches_step("save", "HTTP 503")
    assert not wanted.matches_step("load", "HTTP 404")
    assert wanted.matches_line("load", "got a 503")
    assert not wanted.matches_line("", "got a 503")
    assert parse_filter("load").matches_step("load-2", "")
    assert not parse_filter("load").matches_line("load-2", "nothing")
    assert not parse_filter("-debug").matches_line("a", "DEBUG x")
    assert [term.field for term in wanted.inside.terms] == ["status"]
    assert parse_filter("a -b err~c").needles == ["a", "c"]
