"""A step that may take longer than the whole run."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View
from stepflow.model.times import format_duration


def check(view: View) -> Iterator[Finding]:
    limit = view.flow.timeout_ms
    for step in view.flow.steps:
        if limit is not None and step.timeout_ms is not None and step.timeout_ms > limit:
            yield Finding(
                f"Step '{step.key}' has a timeout of {format_duration(step.timeout_ms)}, the run one of "
                f"{format_duration(limit)}",
                view.place(step, "timeout"),
                "the run's timeout ends the step first; lengthen that one or shorten this",
            )


RULES: tuple[Rule, ...] = (
    Rule(
        code="L217",
        name="timeout-beyond-flow",
        level="warning",
        reason="A timeout that another one always comes before is never seen, nor is what should follow it.",
        bad="""\
description: Sum up the year
timeout: 5m
steps:
  - { id: sum, component: /python/call, timeout: 10m, input: { function: "books:sum_up" } }
""",
        good="""\
description: Sum up the year
timeout: 15m
steps:
  - { id: sum, component: /python/call, timeout: 10m, input: { function: "books:sum_up" } }
""",
        check=check,
    ),
)
