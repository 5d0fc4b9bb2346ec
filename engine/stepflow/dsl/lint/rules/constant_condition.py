"""A condition that never keeps its step from running."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View, literal_truth


def check(view: View) -> Iterator[Finding]:
    for step in view.flow.steps:
        body = view.step_body(step)
        for key, truth in (("skip_if", False), ("when", True)):
            if literal_truth(body.get(key)) is truth:
                said = str(truth).lower()
                message = f"`{key}` of step '{step.key}' is always {said}"
                yield Finding(message, view.place(step, key), "leave it out, or let it refer to something")


RULES: tuple[Rule, ...] = (
    Rule(
        code="L208",
        name="constant-condition",
        level="info",
        reason="A condition that is always the same decides nothing, and looks as if it did.",
        bad="""\
description: Greet
steps:
  - { id: greet, component: /python/call, input: { function: "shop:greet" }, when: true }
""",
        good="""\
description: Greet
steps:
  - { id: greet, component: /python/call, input: { function: "shop:greet" }, when: "$.input.greeting" }
""",
        check=check,
    ),
)
