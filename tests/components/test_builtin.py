"""echo, log, fail, sleep."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stepflow.contracts.component import SleepUntil
from stepflow.errors import ComponentError
from tests.components.performing import REGISTRY, perform
from tests.components.recorder import Recorder


def call(path: str, value: Any, context: Recorder) -> Any:
    assert REGISTRY.get(path).mode == "inline"
    return perform(path, value, context)


@pytest.mark.parametrize("path", ["/builtin/echo", "/builtin/set", "/builtin/noop", "/builtins/echo"])
@pytest.mark.parametrize("value", [None, 0, "text", [1, {"a": None}], {}])
def test_echo_and_its_other_names_return_their_input(path: str, value: Any, context: Recorder) -> None:
    assert call(path, value, context) is value


def test_log_writes_a_line_with_its_level_and_fields(context: Recorder) -> None:
    assert call("/builtin/log", {"message": "half", "level": "warn", "fields": {"rows": 5}}, context) is None
    assert context.logs == [("half", "warn", {"rows": 5})]


def test_log_writes_a_value_as_json(context: Recorder) -> None:
    call("/builtin/log", {"message": {"n": [1]}}, context)
    assert context.logs == [('{"n":[1]}', "info", {})]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"message": "m", "level": "loud"}, "level: "),
        ({"level": "info"}, '"message" is a required property'),
        ({"message": "m", "fields": {"level": 3}}, "'level' is a key of its own"),
    ],
)
def test_log_refuses_what_it_cannot_write(value: Any, message: str, context: Recorder) -> None:
    with pytest.raises(ComponentError, match=message) as caught:
        call("/builtin/log", value, context)
    assert caught.value.code == "INVALID_INPUT"
    assert context.logs == []


def test_fail_fails_with_its_own_code_message_and_data(context: Recorder) -> None:
    with pytest.raises(ComponentError) as caught:
        call("/builtin/fail", {"message": "closed", "code": "CLOSED", "data": [1]}, context)
    assert caught.value.to_record() == {"code": "CLOSED", "message": "closed", "details": {"data": [1]}}


def test_fail_without_a_code_is_failed(context: Recorder) -> None:
    with pytest.raises(ComponentError) as caught:
        call("/builtin/fail", {"message": "closed"}, context)
    assert caught.value.code == "FAILED"  # a code, not a status


@pytest.mark.parametrize(
    ("value", "wait_ms"),
    [
        ({"seconds": 2.5}, 2500),
        ({"seconds": 0}, 0),
        ({"duration_ms": 40, "seconds": None}, 40),
        ({"duration": "1h30m"}, 5_400_000),
    ],
)
def test_sleep_counts_from_the_engines_clock(value: Any, wait_ms: int, context: Recorder) -> None:
    assert call("/builtin/sleep", value, context) == SleepUntil(context.instant + wait_ms)


@pytest.mark.parametrize("text", ["2026-01-20T14:22:10Z", "2026-01-20T15:22:10+01:00", "2026-01-20 14:22:10.000+00:00"])
def test_sleep_until_an_instant(text: str, context: Recorder) -> None:
    moment = datetime(2026, 1, 20, 14, 22, 10, tzinfo=UTC)
    assert call("/builtin/sleep", {"until": text}, context) == SleepUntil(round(moment.timestamp() * 1000))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "exactly one of seconds, duration_ms, duration, until"),
        ({"seconds": 1, "duration": "1s"}, "exactly one of seconds, duration_ms, duration, until"),
        ({"seconds": -1}, "seconds: -1 is less than the minimum"),
        ({"seconds": "3"}, "seconds: "),
        ({"seconds": True}, "seconds: "),
        ({"seconds": 1e12}, "longer than 100 years"),
        ({"seconds": 10**400}, "seconds: "),
        ({"duration": "5"}, "a duration needs a unit"),
        ({"until": "tomorrow"}, "until: 'tomorrow' is no instant with a time zone; write it like 2026-01-20T14:22:10Z"),
        ({"until": "2026-01-20T14:22:10"}, "is no instant with a time zone"),
        ({"seconds": None}, "exactly one of seconds"),
        ({"minutes": 3}, "'minutes' was unexpected"),
    ],
)
def test_sleep_says_what_is_wrong_with_its_input(value: Any, message: str, context: Recorder) -> None:
    with pytest.raises(ComponentError, match=message) as caught:
        call("/builtin/sleep", value, context)
    assert caught.value.code == "INVALID_INPUT"
