"""Lint: every rule finds its bad example and leaves its good one alone; comments silence; fixes keep the meaning."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepflow.components.registry import builtin_registry
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.dsl.lint.dependencies import without_implied_dependencies
from stepflow.dsl.lint.linter import LintOptions, fix_text, lint_flow, rules
from stepflow.dsl.lint.rule import Rule
from stepflow.dsl.lint.view import ComponentFacts
from stepflow.dsl.validate import read_flow
from stepflow.model.flow import Flow
from tests.dsl.test_load import JSON
from tests.house import tree

OURS = {
    one.path: ComponentFacts(one.external, one.output_schema, input_schema=one.input_schema)
    for one in builtin_registry()
}
MAPPED = {**OURS, "/builtin/map": ComponentFacts()}
RULES = {rule.name: rule for rule in rules()}
FIXABLE = [rule for rule in rules() if rule.fix is not None]

each_rule = pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)


def lint(text: str, components: dict[str, ComponentFacts] | None = None) -> tuple[Diagnostic, ...]:
    """What the rules find in a valid template, without what validation notes."""
    result = lint_flow(text, file="flow.yaml", components=components or OURS)
    assert result.flow is not None, result.diagnostics
    return tuple(one for one in result.diagnostics if one.code.startswith("L"))


def lint_example(rule: Rule, text: str) -> tuple[Diagnostic, ...]:
    return lint(text, {**OURS, **rule.example_components})


def names_of(found: tuple[Diagnostic, ...]) -> list[str]:
    name_of = {rule.code: rule.name for rule in rules()}
    return [name_of[one.code] for one in found]


def steps(*bodies: dict[str, Any], **flow: Any) -> str:
    return json.dumps({"description": "A test", **flow, "steps": list(bodies)}, indent=1)


def meaning(text: str) -> str:
    flow = read_flow(text).flow
    assert flow is not None, text
    return repr(without_implied_dependencies(flow))


# The rules


def test_a_rule_is_named_after_its_file_and_has_a_code_of_its_own() -> None:
    files = {path.stem.replace("_", "-") for path in (tree.ENGINE / "dsl" / "lint" / "rules").glob("[a-z]*.py")}
    assert {rule.name for rule in rules()} == files
    assert len({rule.code for rule in rules()}) == len(rules()) >= 16
    assert all(re.fullmatch(r"L2\d\d", rule.code) for rule in rules())


@each_rule
def test_a_rule_gives_its_reason_in_one_sentence(rule: Rule) -> None:
    assert re.fullmatch(r"[A-Z`][^.]*\.", rule.reason)


@each_rule
def test_the_bad_example_of_a_rule_breaks_it_and_no_other(rule: Rule) -> None:
    found = lint_example(rule, rule.bad)
    assert {(one.code, one.level) for one in found} == {(rule.code, rule.level)}
    assert all(one.line > 0 and one.message and one.hint for one in found)


@each_rule
def test_the_good_example_of_a_rule_breaks_none(rule: Rule) -> None:
    assert lint_example(rule, rule.good) == ()


def test_the_two_texts_of_the_command_lines_document_are_said_word_for_word() -> None:
    found = lint(steps({"id": "x", "component": "/http/get", "timeout": "5s", "input": {"url": "http://a.example"}}))
    assert [one.message for one in found] == [
        "Step 'x' has no error handler",
        "Consider adding retry policy to step 'x'",
    ]
    assert {one.level for one in found} == {"warning"}


@pytest.mark.parametrize("handler", ["fail", "skip", "continue", "retry", {"action": "fail"}])
def test_every_on_error_is_a_handler_also_an_explicit_fail_and_one_of_the_flow(handler: Any) -> None:
    body = {"id": "x", "component": "/shell/run", "timeout": "5s", "input": {"command": ["true"]}}
    assert names_of(lint(steps({**body, "on_error": handler}))) == []
    assert names_of(lint(steps(body, on_error=handler))) == []
    assert names_of(lint(steps(body))) == ["no-error-handler"]


def test_what_breaks_a_template_is_said_alone() -> None:
    result = lint_flow("steps:\n  - {id: a, component: /http/got}\n", components=OURS)
    assert result.flow is None
    assert [one.code for one in result.diagnostics] == ["E150"]


def test_what_validation_notes_is_said_beside_the_rules() -> None:
    result = lint_flow(steps({"id": "a", "component": "/user/load"}), components=OURS)
    assert [one.code for one in result.diagnostics] == ["W151"]


def test_without_facts_components_are_judged_by_their_family() -> None:
    result = lint_flow(steps({"id": "x", "component": "/http/get"}, {"id": "y", "component": "/user/load"}))
    assert {one.path for one in result.diagnostics} == {"steps[0]"}
    assert names_of(result.diagnostics) == ["no-error-handler", "no-retry", "no-timeout"]


def test_rules_can_be_left_out() -> None:
    text = steps({"id": "x", "component": "/http/get", "input": {"url": "$.input.url"}})
    result = lint_flow(text, components=OURS, options=LintOptions(ignore=["no-retry", "L203"]))
    assert names_of(result.diagnostics) == ["no-error-handler"]


def test_the_demo_has_few_findings_and_no_errors() -> None:
    files = sorted((tree.ROOT / "examples" / "demo").glob("*.yaml"))
    found = {file.stem: lint(file.read_text(encoding="utf-8")) for file in files}
    assert len(found) == 6
    kinds = {name for one in found.values() for name in names_of(one)}
    assert kinds <= {"no-error-handler", "no-timeout"}, "what a shell step deserves, and nothing else"
    assert all(len(one) <= 4 for one in found.values())


# Cases of single rules


def test_what_needs_a_step_that_never_runs_never_runs_either_unless_it_has_a_default() -> None:
    found = lint(
        steps(
            {"id": "a", "component": "/builtin/echo", "when": False},
            {"id": "b", "component": "/builtin/echo", "input": {"x": "$.steps.a.output"}},
            {"id": "c", "component": "/builtin/echo", "input": "$.steps.b.output.x"},
            {"id": "d", "component": "/builtin/echo", "input": {"$from": {"step": "a"}, "$default": 1}},
            {"id": "e", "component": "/builtin/echo", "input": {"$coalesce": ["$.steps.a.output", 1]}},
            {"id": "f", "component": "/builtin/echo", "when": "$.steps.c.output"},
        )
    )
    assert [one.path for one in found] == ["steps[0].when", "steps[1]", "steps[2]", "steps[5]"]
    assert {one.code for one in found} == {RULES["unreachable-step"].code}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("$.inputs.x", "'$.input.x'"),
        ("$.step.a.output", "'$.steps.a.output'"),
        ("$.variable.v", "'$.variables.v'"),
        ("$.a.x", "'$.steps.a.output.x'"),
        ("$.field", "'$.input.field'"),
        ("$.zzz", "wrap it in $literal"),
    ],
)
def test_a_text_with_an_unknown_root_is_told_the_root_that_was_meant(text: str, meant: str) -> None:
    schema = {"type": "object", "properties": {"field": {}}}
    body = {"id": "b", "component": "/builtin/echo", "input": {"v": [text, "$.steps.a.output", "$.input.field"]}}
    (found,) = lint(steps({"id": "a", "component": "/builtin/echo"}, body, input_schema=schema))
    assert found.code == RULES["unknown-root"].code
    assert meant in found.hint
    assert found.path == "steps[1].input.v[0]"


def test_paths_beside_references_literals_and_prices_are_no_references() -> None:
    value = {"a": {"$step": "a", "path": "$.x"}, "b": {"$literal": "$.inputs.x"}, "c": "$5", "d": "$.50"}
    body = {"id": "b", "component": "/builtin/echo", "input": value}
    assert lint(steps({"id": "a", "component": "/builtin/echo"}, body)) == ()


@pytest.mark.parametrize(
    ("value", "is_secret"),
    [
        ({"password": "hunter2"}, True),
        ({"headers": {"Authorization": "Basic aHVudGVyMg"}}, True),
        ({"clientSecret": "s3"}, True),
        ({"list": [{"api-key": "k"}]}, True),
        ({"url": "https://me:hunter2@example.com/"}, True),
        ({"anything": "AKIA" + "A" * 16}, True),
        ({"$literal": {"token": "t"}}, True),
        ({"password": "$.input.password"}, False),
        ({"token": "$TOKEN and ${TOKEN}"}, False),
        ({"token": "<your token>"}, False),
        ({"token": ""}, False),
        ({"page_token": "3"}, False),
        ({"max_tokens": "3"}, False),
        ({"password": {"type": "string"}}, False),
    ],
)
def test_a_secret_in_clear_is_found_by_its_name_or_its_looks_and_never_repeated(value: Any, is_secret: bool) -> None:
    found = lint(steps({"id": "a", "component": "/builtin/echo", "input": value}))
    assert names_of(found) == ["secret-in-clear"] * is_secret
    assert not any("hunter2" in one.message + one.hint for one in found)


def test_a_secret_as_the_default_of_a_variable_is_found() -> None:
    variables = {"token": {"type": "string", "default": "abc"}}
    found = lint(steps({"id": "a", "component": "/builtin/echo", "input": "$.variables.token"}, variables=variables))
    assert names_of(found) == ["secret-in-clear"]


@pytest.mark.parametrize("cron", ["0 0 29 2 *", "*/5 * * * *", "30 6 * * mon-fri"])
def test_a_cron_that_fires_is_left_alone(cron: str) -> None:
    assert lint(steps({"id": "a", "component": "/builtin/echo"}, triggers=[{"cron": cron}, {"after": "x"}])) == ()


def test_a_cron_that_never_fires_is_an_error() -> None:
    (found,) = lint(steps({"id": "a", "component": "/builtin/echo"}, triggers={"cron": "0 0 30 2 *"}))
    assert (found.level, found.path) == ("error", "triggers.cron")


def test_steps_that_all_start_at_once_are_said_only_of_typed_steps_without_a_decision() -> None:
    typed = [{"id": key, "type": "log", "input": {"message": key}} for key in "ab"]
    assert names_of(lint(steps(*typed))) == ["all-start-at-once"]
    assert lint(steps(*typed, order="graph")) == ()
    assert lint(steps(typed[0], {**typed[1], "depends_on": ["a"]})) == ()
    assert lint(steps(typed[0])) == ()
    untyped = [{"id": key, "component": "/builtin/log", "input": {"message": key}} for key in "ab"]
    assert lint(steps(*untyped)) == ()


def test_a_path_into_the_data_of_a_file_is_not_judged() -> None:
    body = {"id": "b", "component": "/builtin/echo", "input": "$.steps.a.output.orders"}
    assert lint(steps({"id": "a", "component": "/builtin/load_file", "input": {"path": "orders.json"}}, body)) == ()


def test_a_field_that_an_output_never_has_is_found_where_it_is_read() -> None:
    shell = {"id": "a", "component": "/shell/run", "timeout": "5s", "on_error": "fail", "input": {"command": ["ls"]}}
    value = {"x": ["$.steps.a.output.stdot", {"$step": "a", "path": "stdout[0]"}, "$.steps.a.error.code"]}
    (found,) = lint(steps(shell, {"id": "b", "component": "/builtin/echo", "input": value}))
    assert (found.path, found.hint) == ("steps[1].input.x[0]", "did you mean 'stdout'?")


def test_flows_written_out_inside_a_step_are_linted_in_their_own_scope() -> None:
    inner = {"steps": [{"id": "a", "type": "http.get", "input": {"url": "$.inputs.url"}}]}
    body = {"id": "all", "type": "map", "parameters": {"items": [1], "workflow": {"$literal": inner}}}
    found = lint_flow(steps(body, {"id": "b", "type": "echo", "depends_on": ["all"]}), components=MAPPED).diagnostics
    base = "steps[0].parameters.workflow.$literal.steps[0]"
    assert [(name, one.path) for name, one in zip(names_of(found), found, strict=True)] == [
        ("deprecated-spelling", "steps[0].parameters"),
        ("no-error-handler", base),
        ("no-retry", base),
        ("no-timeout", base),
        ("unknown-root", f"{base}.input.url"),
    ]
    assert [one.line for one in found] == [7, 14, 14, 14, 18]


def test_conditions_and_expressions_count_as_reading() -> None:
    text = steps(
        {"id": "a", "component": "/builtin/echo", "when": "$.input.x > 1 and $.variables.v == 'y'"},
        {"id": "b", "component": "/builtin/log", "input": {"message": "seen: ${{ $.steps.a.output.z }}"}},
        variables={"v": {"type": "string"}},
        input_schema={"type": "object", "properties": {"x": {"type": "integer"}}},
        output={"done": True},
    )
    assert lint(text) == ()


def test_a_name_in_depends_on_is_needed_where_the_reference_may_not_fail_the_step() -> None:
    a = {"id": "a", "component": "/builtin/echo"}
    for body in (
        {"input": {"$coalesce": ["$.steps.a.output", 1]}},
        {"input": "$.steps.a.status"},
        {"input": "${{ $.steps.a.output.x if $.input.y else 1 }}"},
        {"input": {"$if": "$.input.x", "then": "$.steps.a.output"}},
        {"skip_if": "$.steps.a.output.x"},
        {"on_error": {"action": "continue", "default_output": "$.steps.a.output"}},
    ):
        text = steps(a, {"id": "b", "component": "/builtin/echo", "depends_on": ["a"], **body})
        assert lint(text) == (), body
        assert fix_text(text) == (text, 0)


# Silence


SHELL = """\
description: Silence
steps:
  - id: a{first}
    component: /shell/run
    input: {{ command: ["true"] }}{second}
"""


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        ("", ["no-error-handler", "no-timeout"]),
        ("  # stepflow: ignore", []),
        ("  # stepflow: ignore[no-timeout]", ["no-error-handler"]),
        ("  # stepflow: ignore[L201]", ["no-timeout"]),
        ("  # stepflow:ignore[L201, no-timeout] because it is quick", []),
        ("  # it is quick; stepflow: ignore[no-timeout]", ["no-error-handler"]),
        ("  # stepflow: ignore[]", ["no-error-handler", "no-timeout"]),
        ("  # stepflow: ignored", ["no-error-handler", "no-timeout"]),
        ("  # stepflow: ignore[no-timeout", ["no-error-handler", "no-timeout"]),
    ],
)
def test_a_comment_on_the_line_silences_what_it_names(comment: str, left: list[str]) -> None:
    assert names_of(lint(SHELL.format(first=comment, second=""))) == left


def test_a_comment_on_another_line_silences_nothing() -> None:
    assert len(lint(SHELL.format(first="", second="  # stepflow: ignore"))) == 2


def test_a_comment_of_its_own_silences_the_line_below_it_also_above_other_comments() -> None:
    text = SHELL.format(first="", second="")
    for comment in ("  # stepflow: ignore\n", "  # stepflow: ignore[no-timeout, L201]\n  # It is quick.\n"):
        assert lint(text.replace("  - id: a", f"{comment}  - id: a")) == ()


def test_a_comment_silences_what_validation_notes_too() -> None:
    text = "description: x\nsteps:\n  - { id: a, component: /user/load }  # stepflow: ignore[W151]\n"
    assert lint_flow(text, components=OURS).diagnostics == ()


def test_what_only_looks_like_a_comment_silences_nothing() -> None:
    text = """\
description: Silence
steps:
  - { id: a, component: /builtin/echo, input: { password: "x # stepflow: ignore" } }
  - id: b
    component: /builtin/echo
    input:
      password: |
        # stepflow: ignore
        x
"""
    assert names_of(lint(text)) == ["secret-in-clear", "secret-in-clear"]


# Fixes


@pytest.mark.parametrize("rule", FIXABLE, ids=lambda rule: rule.name)
def test_the_fixed_bad_example_is_the_good_one(rule: Rule) -> None:
    fixed, number = fix_text(rule.bad)
    assert fixed == rule.good
    assert number == len(lint_example(rule, rule.bad))


OLDER = """\
# Kept as it is.
name: older   # with its name
inputSchema: {type: object}
maxConcurrency:   3
timeoutSeconds: 1.5   # of all
onError: terminate
steps:
- {"id": a, 'type': echo, "skipIf": $.input.x}
- key: b
  component: '/builtins/echo'
  parameters: {v: $.steps.a.output}
  dependsOn:
    - a
  timeoutSeconds: 30
  retry: {maxAttempts: 3, baseDelayMs: 250, maxDelay: 1m}
  onError:
    action: useDefaultOutput
    defaultValue: {onError: data}
outputs: $.steps.b.output
"""
NEWER = """\
# Kept as it is.
name: older   # with its name
input_schema: {type: object}
max_concurrency:   3
timeout: 1500ms   # of all
on_error: terminate
steps:
- {"id": a, 'type': echo, "skip_if": $.input.x}
- id: b
  component: '/builtin/echo'
  input: {v: $.steps.a.output}
  timeout: 30s
  retry: {max_attempts: 3, base_delay: 250ms, max_delay: 1m}
  on_error:
    action: continue
    default_output: {onError: data}
output: $.steps.b.output
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_older_spellings_are_written_anew_and_all_else_is_kept(newline: str, start: str) -> None:
    older, newer = (start + text.replace("\n", newline) for text in (OLDER, NEWER))
    fixed, number = fix_text(older)
    assert fixed == newer
    assert number == 17
    assert meaning(fixed) == meaning(older)
    assert fix_text(fixed) == (fixed, 0)


def test_json_is_fixed_as_json() -> None:
    text = '{\n\t"timeoutSeconds": 30,\n\t"steps": [{"id": "a", "type": "echo", "dependsOn": [], "input": "\\ud83d"}]}'
    fixed, number = fix_text(text, file="flow.json")
    assert number == 2
    assert json.loads(fixed) == {
        "timeout": "30s",
        "steps": [{"id": "a", "type": "echo", "depends_on": [], "input": "\ud83d"}],
    }


FIRST_OUTPUT = "input: $.steps.a.output"
BOTH_OUTPUTS = "input: [$.steps.a.output, $.steps.b.output]"
IN_LINES = "id: c\n    type: echo"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{ id: c, type: echo, depends_on: [a], INPUT }", "{ id: c, type: echo, INPUT }"),
        ("{ id: c, type: echo, depends_on: [a, b], INPUT }", "{ id: c, type: echo, depends_on: [b], INPUT }"),
        ("{ id: c, type: echo, depends_on: [b, a], INPUT }", "{ id: c, type: echo, depends_on: [b], INPUT }"),
        ("{ id: c, type: echo, BOTH, depends_on: [a, b] }", "{ id: c, type: echo, BOTH }"),
        ("{ id: c, type: echo, BOTH,\n      depends_on: [a, b] }", "{ id: c, type: echo, BOTH }"),
        ("{ id: c,\n      depends_on: [a],\n      type: echo, INPUT }", "{ id: c,\n      type: echo, INPUT }"),
        ("{ id: c, type: echo, depends_on: a, INPUT }", "{ id: c, type: echo, INPUT }"),
        ("{ id: c, type: echo, depends_on: [b, b] }", "{ id: c, type: echo, depends_on: [b] }"),
        ("LINES\n    depends_on:\n      - a\n      - b\n    INPUT", "LINES\n    depends_on:\n      - b\n    INPUT"),
        ("LINES\n    depends_on:\n      - b\n      - a\n    INPUT", "LINES\n    depends_on:\n      - b\n    INPUT"),
        ("LINES\n    depends_on:\n    - a\n    INPUT", "LINES\n    INPUT"),
        ("LINES\n    INPUT\n    depends_on: [a]", "LINES\n    INPUT"),
    ],
)
def test_a_name_that_is_implied_is_taken_out_of_depends_on(before: str, after: str) -> None:
    def written(step: str) -> str:
        step = step.replace("INPUT", FIRST_OUTPUT).replace("BOTH", BOTH_OUTPUTS).replace("LINES", IN_LINES)
        return f"steps:\n  - {{ id: a, type: echo }}\n  - {{ id: b, type: echo }}\n  - {step}\n"

    fixed, number = fix_text(written(before))
    assert fixed == written(after)
    assert number > 0
    assert meaning(fixed) == meaning(written(before))


@pytest.mark.parametrize(
    "step",
    [
        "depends_on: [a]\n    id: c\n    type: echo\n    input: $.steps.a.output",
        "id: c\n    type: echo\n    depends_on: [a]  # said by the law\n    input: $.steps.a.output",
        "id: c\n    type: echo\n    depends_on:\n      # said by the law\n      - a\n    input: $.steps.a.output",
        "id: c\n    type: echo\n    depends_on: &names [a]\n    input: [$.steps.a.output, {$literal: *names}]",
    ],
)
def test_what_would_take_more_than_itself_away_is_left_alone(step: str) -> None:
    text = f"steps:\n  - {{ id: a, type: echo }}\n  - {step}\n"
    assert "redundant-depends-on" in names_of(lint(text))
    assert fix_text(text) == (text, 0)


def test_what_is_silenced_is_not_fixed() -> None:
    text = "maxConcurrency: 3  # stepflow: ignore[deprecated-spelling]\nsteps: [{ id: a, type: echo }]\n"
    assert fix_text(text) == (text, 0)


def test_what_is_no_template_is_not_fixed() -> None:
    assert fix_text("maxConcurrency: 3") == ("maxConcurrency: 3", 0)


OLDER_BODIES = st.fixed_dictionaries(
    {},
    optional={
        "timeoutSeconds": st.integers(1, 5000) | st.floats(0.001, 5000, allow_nan=False),
        "dependsOn": st.lists(st.sampled_from("ab"), max_size=4),
        "onError": st.sampled_from(
            ["terminate", "useDefaultOutput", {"action": "useDefaultOutput", "defaultValue": {"dependsOn": 1}}]
        ),
        "retry": st.fixed_dictionaries(
            {"maxAttempts": st.integers(1, 9)}, optional={"baseDelayMs": st.integers(0, 9999)}
        ),
        "parameters": st.recursive(
            st.sampled_from(["$.steps.a.output", "$.steps.b.output.x", "$.input.y", "dependsOn", 3, None]),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["args", "key"]), inner),
            max_leaves=5,
        ),
        "mustExecute": st.booleans(),
    },
)  # fmt: skip


@given(st.lists(OLDER_BODIES, min_size=1, max_size=4), st.sampled_from([None, 1, 2]))
@settings(max_examples=60)
def test_whatever_is_fixed_says_the_same_and_has_nothing_left_to_fix(bodies: list[Any], indent: int | None) -> None:
    listed = [{"id": "a", "type": "echo"}, {"key": "b", "type": "echo"}]
    listed += [{"key": f"s{index}", "type": "echo", **body} for index, body in enumerate(bodies)]
    text = json.dumps({"failFast": True, "steps": listed}, indent=indent)
    fixed, number = fix_text(text)
    assert meaning(fixed) == meaning(text)
    assert number > 0
    assert fix_text(fixed) == (fixed, 0)
    assert not {"redundant-depends-on", "deprecated-spelling"} & set(names_of(lint_flow(fixed).diagnostics))


# Robustness


@given(JSON, JSON, JSON)
@settings(max_examples=100)
def test_no_value_anywhere_makes_it_raise(one: Any, two: Any, three: Any) -> None:
    for dsl in (
        {"steps": [{"id": "a", "type": "noop", "input": one, "metadata": {"x": two}, "simulate": {"output": three}}]},
        {"steps": [{"id": "a", "type": "sleep", "input": one}, {"id": "b", "type": "http.request", "input": two}]},
        {"steps": [{"id": "a", "type": "load_file", "input": {"path": one}}], "output": two, "triggers": three},
        {"steps": {"a": {"type": "http.post", "input": {"headers": one}, "retry": True}}, "triggers": [{"cron": two}]},
    ):  # fmt: skip
        text = json.dumps(dsl)
        assert lint_flow(text, components=OURS).diagnostics == lint_flow(text, components=OURS).diagnostics


@pytest.mark.full
def test_ten_thousand_lines_are_linted_and_fixed_quickly() -> None:
    listed = "".join(
        f"  - id: s{index + 1}\n    type: echo\n    dependsOn: [s{index}]\n    input: $.steps.s{index}.output\n"
        for index in range(2499)
    )
    text = f"description: long\nsteps:\n  - {{ id: s0, type: echo }}\n{listed}"
    began = time.perf_counter()
    assert len(lint(text)) == 2 * 2499
    fixed, number = fix_text(text)
    assert number == 2499, "a name that is taken out needs no other spelling"
    assert "dependsOn" not in fixed
    assert time.perf_counter() - began < 30, "that is a hang, not a slow machine"


def test_the_examples_are_whole_templates_whose_flow_can_be_stored(tmp_path: Path) -> None:
    for rule in rules():
        for text in (rule.bad, rule.good):
            flow = read_flow(text, components={**OURS, **rule.example_components}).flow
            assert flow is not None
            assert Flow.from_json(flow.to_json()) == flow
