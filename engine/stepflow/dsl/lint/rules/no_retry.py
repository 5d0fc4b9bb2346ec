"""A call over the network that is tried only once."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View

COMMANDS = "/shell/"
"""Tried again, a command that failed mostly fails again, and does twice what it did before it failed."""


def check(view: View) -> Iterator[Finding]:
    for step in view.flow.steps:
        # `retry: false` is an answer too.
        is_decided = step.retry is not None or view.step_body(step).get("retry") is not None
        if view.facts(step).external and not step.component.startswith(COMMANDS) and not is_decided:
            yield Finding(
                f"Consider adding retry policy to step '{step.key}'",
                view.place(step),
                "e.g. `retry: { max_attempts: 4, delay: 1s }`; `retry: false` says that once is meant",
            )


RULES: tuple[Rule, ...] = (
    Rule(
        code="L202",
        name="no-retry",
        level="warning",
        reason="Most failures of a network are over a second later.",
        bad="""\
description: Fetch the prices
steps:
  - id: prices
    component: /http/get
    timeout: 10s
    on_error: fail
    input: { url: "https://shop.example.com/prices" }
""",
        good="""\
description: Fetch the prices
steps:
  - id: prices
    component: /http/get
    timeout: 10s
    on_error: fail
    retry: { max_attempts: 4, delay: 1s }
    input: { url: "https://shop.example.com/prices" }
""",
        check=check,
    ),
)
