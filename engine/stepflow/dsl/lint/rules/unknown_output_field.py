"""A reference to a field that the component's output never has."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from stepflow.dsl.diagnostics import did_you_mean
from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View, property_names
from stepflow.dsl.places import Place
from stepflow.model.flow import Json
from stepflow.model.paths import parse_path

LOAD_FILE = "/builtin/load_file"
"""A path that is not found in its output is looked up in its data, which nobody knows before."""


def check(view: View) -> Iterator[Finding]:
    named = {step.key: _fields(view.facts(step).output_schema) for step in view.flow.steps}
    for step in view.flow.steps:
        if step.component == LOAD_FILE:
            named[step.key] = ()
    values = [(step.input, view.place(step, "input")) for step in view.flow.steps]
    for value, start in (*values, (view.flow.output, ("output",))):
        for key, field, place in _read_fields(value, start):
            fields = named[key]
            if fields and field not in fields:
                hint = did_you_mean(field, fields).removeprefix("; ") or f"it has {', '.join(fields)}"
                yield Finding(f"The output of step '{key}' has no '{field}'", place, hint)


def _read_fields(value: Json, place: Place) -> Iterator[tuple[str, str, Place]]:
    """The first key of every path into the output of a step, in a canonical value template."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _read_fields(item, (*place, index))
    elif isinstance(value, dict) and "$literal" not in value:
        source = value.get("$from", {})
        if "step" in source and "part" not in source and value.get("path") is not None:
            path = parse_path(value["path"])
            if path and isinstance(path[0], str):
                yield source["step"], path[0], place
        for key, item in value.items():
            if key != "$from":
                yield from _read_fields(item, (*place, key))


def _fields(schema: Json) -> Collection[str]:
    """All that an output can have; empty: that is not known."""
    if not isinstance(schema, dict) or schema.get("additionalProperties") or "patternProperties" in schema:
        return ()
    return property_names(schema)


RULES: tuple[Rule, ...] = (
    Rule(
        code="L225",
        name="unknown-output-field",
        level="warning",
        reason="A path that is not there fails the step that refers to it, after all before it has been done.",
        bad="""\
description: Count the lines
steps:
  - id: count
    component: /shell/run
    on_error: fail
    timeout: 30s
    input: { command: [wc, -l, data.csv] }
output: "$.steps.count.output.stdot"
""",
        good="""\
description: Count the lines
steps:
  - id: count
    component: /shell/run
    on_error: fail
    timeout: 30s
    input: { command: [wc, -l, data.csv] }
output: "$.steps.count.output.stdout"
""",
        check=check,
    ),
)
