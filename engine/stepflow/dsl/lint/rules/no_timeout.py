"""A step that talks to the outside and does not say how long that may take."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View


def check(view: View) -> Iterator[Finding]:
    for step in view.flow.steps:
        has_own = isinstance(step.input, dict) and step.input.get("timeout") is not None
        if view.facts(step).external and step.timeout_ms is None and not has_own:
            yield Finding(
                f"Step '{step.key}' has no timeout", view.place(step), "e.g. `timeout: 30s`, for each attempt"
            )


RULES: tuple[Rule, ...] = (
    Rule(
        code="L203",
        name="no-timeout",
        level="warning",
        reason="Without a timeout the other side decides how long the run takes.",
        bad="""\
description: Count the lines
steps:
  - id: count
    component: /shell/run
    on_error: fail
    input: { command: [wc, -l, data.csv] }
""",
        good="""\
description: Count the lines
steps:
  - id: count
    component: /shell/run
    on_error: fail
    timeout: 30s
    input: { command: [wc, -l, data.csv] }
""",
        check=check,
    ),
)
