"""A sleep that the run's timeout always ends."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View
from stepflow.model.flow import Json
from stepflow.model.times import MAX_DURATION_MS, format_duration, parse_duration

SLEEP = "/builtin/sleep"


def check(view: View) -> Iterator[Finding]:
    limit = view.flow.timeout_ms
    for step in view.flow.steps:
        duration_ms = _duration_ms(step.input) if step.component == SLEEP else 0
        if limit is not None and duration_ms >= limit:
            yield Finding(
                f"Step '{step.key}' sleeps {format_duration(round(duration_ms))}, the run's timeout is "
                f"{format_duration(limit)}",
                view.place(step, "input"),
                "lengthen the flow's `timeout`; sleeps count",
            )


def _duration_ms(value: Json) -> float:
    """Of a sleep whose length is written out; 0 for any other."""
    if not isinstance(value, dict):
        return 0
    for key, unit_ms in (("seconds", 1000), ("duration_ms", 1)):
        amount = value.get(key)
        if isinstance(amount, int | float) and not isinstance(amount, bool):
            return min(amount * unit_ms, MAX_DURATION_MS)
    try:
        return parse_duration(str(value.get("duration")))
    except ValueError:
        return 0


RULES: tuple[Rule, ...] = (
    Rule(
        code="L218",
        name="sleep-beyond-timeout",
        level="warning",
        reason="The timeout of a run counts its sleeps, so such a run never gets to its end.",
        bad="""\
description: Remind tomorrow
timeout: 1h
steps:
  - { id: night, component: /builtin/sleep, input: { duration: 12h } }
""",
        good="""\
description: Remind tomorrow
timeout: 1d
steps:
  - { id: night, component: /builtin/sleep, input: { duration: 12h } }
""",
        check=check,
    ),
)
