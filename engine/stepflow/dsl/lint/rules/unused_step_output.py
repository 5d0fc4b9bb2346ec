"""A step that only makes a value, which nobody reads."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View

ONLY_A_VALUE = frozenset(
    {
        "/builtin/echo",
        "/builtin/set",
        "/builtin/load_file",
        "/builtin/get_blob",
        "/builtin/create_messages",
        "/data/merge",
        "/data/query",
    }
)
"""Components without any other effect: there is no reason to run them but their output."""


def check(view: View) -> Iterator[Finding]:
    flow = view.flow
    waited_for = {key for step in flow.steps for key in step.depends_on}
    if flow.order == "sequential":
        waited_for.update(step.key for step in flow.steps[:-1])
    for step in flow.steps:
        if step.component not in ONLY_A_VALUE or step.must_execute or step.key in view.read_steps:
            continue
        is_the_runs_output = not flow.has_output and step.key not in waited_for
        if not is_the_runs_output and not view.mentions(f"steps.{step.key}"):
            yield Finding(
                f"The output of step '{step.key}' is never used",
                view.place(step),
                f"read it as $.steps.{step.key}.output, in a step or in `output:`, or remove the step",
            )


RULES: tuple[Rule, ...] = (
    Rule(
        code="L206",
        name="unused-step-output",
        level="warning",
        reason="A step whose only effect is a value that nobody reads is work for nothing, or a reference forgotten.",
        bad="""\
description: Greet
steps:
  - { id: names, component: /builtin/load_file, input: { path: names.json } }
  - { id: greet, component: /builtin/echo, input: { text: hello } }
output: "$.steps.greet.output"
""",
        good="""\
description: Greet
steps:
  - { id: names, component: /builtin/load_file, input: { path: names.json } }
  - { id: greet, component: /builtin/echo, input: { text: hello, names: "$.steps.names.output.data" } }
output: "$.steps.greet.output"
""",
        check=check,
    ),
)
