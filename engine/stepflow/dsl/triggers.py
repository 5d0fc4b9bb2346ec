"""`triggers:` of a template: what is to start it, by the clock or after another template."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from stepflow.dsl.kinds import Kinds
from stepflow.dsl.places import Place
from stepflow.dsl.problems import Problems
from stepflow.dsl.spellings import TRIGGER_KEYS, fold_keys
from stepflow.model.flow import Json
from stepflow.model.statuses import RunStatus

_CRON_KNOWN = frozenset({"cron", "timezone", "input", "enabled", "description"})
_AFTER_KNOWN = frozenset({"after", "statuses", "input", "enabled", "description"})


def read_triggers(raw: Json, problems: Problems, kinds: Kinds) -> Json:
    """A list of triggers in canonical keys; None: there are none."""
    if raw is None:
        return None
    listed = [raw] if isinstance(raw, dict) else raw
    if not isinstance(listed, list):
        problems.error("E160", "'triggers' is a list of triggers", ("triggers",), 'e.g. `- cron: "0 7 * * *"`')
        return None
    found: list[Json] = []
    for index, one in enumerate(listed):
        place: Place = ("triggers",) if isinstance(raw, dict) else ("triggers", index)
        trigger = _trigger(one, place, problems, kinds)
        if trigger is not None:
            found.append(trigger)
    problems.info(
        "I131", "Triggers are checked and kept, but schedules are not active yet", ("triggers",),
        "start it with `stepflow run`, from cron for example",
    )  # fmt: skip
    return found


def _trigger(raw: Json, place: Place, problems: Problems, kinds: Kinds) -> dict[str, Any] | None:
    trigger = fold_keys(raw, TRIGGER_KEYS, place, problems) if isinstance(raw, dict) else {}
    if ("cron" in trigger) == ("after" in trigger):
        problems.error(
            "E160",
            "A trigger has either 'cron' or 'after'",
            place,
            'e.g. `cron: "0 7 * * *"` or `after: other-template`',
        )
        return None
    kinds.unknown_keys(trigger, _CRON_KNOWN if "cron" in trigger else _AFTER_KNOWN, place)
    kinds.flag(trigger, "enabled", place)
    if "cron" in trigger:
        _cron(trigger["cron"], (*place, "cron"), problems)
        _timezone(trigger.get("timezone"), (*place, "timezone"), problems)
    else:
        if not isinstance(trigger["after"], str) or not trigger["after"]:
            problems.error("E163", "'after' is the name of a template", (*place, "after"))
        _statuses(trigger.get("statuses"), (*place, "statuses"), problems)
    return trigger


def _cron(expression: Json, place: Place, problems: Problems) -> None:
    from croniter import croniter  # type: ignore[import-untyped]  # it ships no types

    hint = "five fields: minute, hour, day, month, weekday; or @hourly, @daily, @weekly, @monthly, @yearly"
    if not isinstance(expression, str) or len(expression) > 200:
        problems.error("E161", f"Invalid cron expression: {str(expression)[:200]}", place, hint)
        return
    is_word = expression.startswith("@")
    try:
        valid = (is_word or len(expression.split()) == 5) and croniter.is_valid(expression)
    except Exception:  # noqa: BLE001 - whatever the library makes of a strange text, it is no cron expression
        valid = False
    if not valid:
        problems.error("E161", f"Invalid cron expression: {expression}", place, hint)


def _timezone(name: Json, place: Place, problems: Problems) -> None:
    if name is None:
        return
    try:
        if not isinstance(name, str):
            raise ValueError(name)
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        problems.error("E162", f"Unknown time zone: {name}", place, "write it like Europe/Berlin, or UTC")


def _statuses(raw: Json, place: Place, problems: Problems) -> None:
    for status in [raw] if isinstance(raw, str) else raw if isinstance(raw, list) else []:
        try:
            is_final = isinstance(status, str) and RunStatus(status).is_final
        except ValueError:
            is_final = False
        if not is_final:
            known = ", ".join(one.value for one in RunStatus if one.is_final)
            problems.error("E164", f"'{status}' is not a status an execution ends with", place, f"use {known}")
    if raw is not None and not isinstance(raw, str | list):
        problems.error("E164", "'statuses' is a list of final statuses", place)
