"""A step that talks to the outside and does not say what happens when that fails."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View


def check(view: View) -> Iterator[Finding]:
    if view.body.get("on_error") is not None:
        return
    for step in view.flow.steps:
        if view.facts(step).external and view.step_body(step).get("on_error") is None:
            yield Finding(
                f"Step '{step.key}' has no error handler",
                view.place(step),
                "say what follows when it fails: `on_error: fail`, skip, or continue with a default_output",
            )


RULES: tuple[Rule, ...] = (
    Rule(
        code="L201",
        name="no-error-handler",
        level="warning",
        reason="What is outside fails sooner or later, and what the run does then is better decided than found out.",
        bad="""\
description: Fetch the prices
steps:
  - id: prices
    component: /http/get
    timeout: 10s
    retry: { max_attempts: 3 }
    input: { url: "https://shop.example.com/prices" }
""",
        good="""\
description: Fetch the prices
steps:
  - id: prices
    component: /http/get
    timeout: 10s
    retry: { max_attempts: 3 }
    on_error: { action: continue, default_output: { body: [] } }
    input: { url: "https://shop.example.com/prices" }
""",
        check=check,
    ),
)
