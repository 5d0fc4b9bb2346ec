"""A cron trigger whose time never comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View

_ANY_DAY = datetime(2024, 1, 1, tzinfo=UTC)
"""Fixed, so that the same text always has the same findings."""


def check(view: View) -> Iterator[Finding]:
    is_list = isinstance(view.body.get("triggers"), list)
    for index, trigger in enumerate(view.flow.triggers or ()):
        cron = trigger.get("cron")
        if cron is not None and _never_fires(cron):
            yield Finding(
                f"Cron '{cron}' never fires: there is no such day",
                ("triggers", index, "cron") if is_list else ("triggers", "cron"),
                "minute hour day month weekday, e.g. `0 0 28 2 *`",
            )


def _never_fires(cron: str) -> bool:
    # Loaded only for a template that has a trigger.
    from croniter import CroniterBadDateError, croniter  # type: ignore[import-untyped]  # it ships no types

    try:
        croniter(cron, _ANY_DAY).get_next(datetime)
    except CroniterBadDateError:
        return True
    return False


RULES: tuple[Rule, ...] = (
    Rule(
        code="L205",
        name="cron-never-fires",
        level="error",
        reason="A schedule that never comes due fails in silence.",
        bad="""\
description: Close the books
triggers:
  - cron: "0 0 31 2 *"
steps:
  - { id: close, component: /python/call, input: { function: "books:close" } }
""",
        good="""\
description: Close the books
triggers:
  - cron: "0 0 1 3 *"
steps:
  - { id: close, component: /python/call, input: { function: "books:close" } }
""",
        check=check,
    ),
)
