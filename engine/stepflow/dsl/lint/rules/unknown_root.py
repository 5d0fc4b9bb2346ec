"""A text that looks like a reference and is none."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stepflow.dsl.diagnostics import did_you_mean
from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View, property_names, strings_in
from stepflow.dsl.places import Place

ROOTS = ("input", "steps", "variables", "run")
_LOOKS_LIKE_ONE = re.compile(r"\$\.(?P<root>[A-Za-z_][\w-]*)(?P<rest>[.\[].*)?", re.DOTALL)
_TAKES_PATHS = ("/data/query",)
"""Components whose input is paths into data, not references."""


def check(view: View) -> Iterator[Finding]:
    for step in view.flow.steps:
        if step.component in _TAKES_PATHS:
            continue
        body = view.step_body(step)
        for key in ("input", "skip_if", "when", "on_error"):
            for place, text in strings_in(body.get(key), view.place(step, key)):
                yield from _judge(view, place, text)
    for place, text in strings_in(view.body.get("output"), ("output",)):
        yield from _judge(view, place, text)


def _judge(view: View, place: Place, text: str) -> Iterator[Finding]:
    found = _LOOKS_LIKE_ONE.fullmatch(text)
    # The path beside a reference begins with `$.` as well.
    if found is None or place[-1] == "path" or found["root"] in ROOTS:
        return
    meant = _meant(view, found["root"], found["rest"] or "")
    yield Finding(f"'{text}' is kept as a text: there is no root '{found['root']}'", place, meant)


def _meant(view: View, root: str, rest: str) -> str:
    if any(step.key == root for step in view.flow.steps):
        return f"did you mean '$.steps.{root}.output{rest}'?"
    if root in property_names(view.flow.variables):
        return f"did you mean '$.variables.{root}{rest}'?"
    if root in property_names(view.flow.input_schema):
        return f"did you mean '$.input.{root}{rest}'?"
    close = did_you_mean(root, ROOTS).removeprefix("; did you mean '").removesuffix("'?")
    if close:
        return f"did you mean '$.{close}{rest}'? Otherwise wrap it in $literal"
    return "a reference begins with $.input, $.steps, $.variables or $.run; to keep the text, wrap it in $literal"


RULES: tuple[Rule, ...] = (
    Rule(
        code="L213",
        name="unknown-root",
        level="warning",
        reason="A reference with a mistyped root is not refused, it arrives as the text that it is.",
        bad="""\
description: Check an order
steps:
  - { id: check, component: /python/call, input: { function: "orders:check", args: ["$.inputs.order"] } }
""",
        good="""\
description: Check an order
steps:
  - { id: check, component: /python/call, input: { function: "orders:check", args: ["$.input.order"] } }
""",
        check=check,
    ),
)
