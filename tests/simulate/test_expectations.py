"""Rewriting what cases expect: only the values that differ change, in whatever style they are written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepflow.dsl.expectations import with_expectations
from stepflow.dsl.load import load
from stepflow.model import jsontext

BLOCK = """\
steps:
  - {id: a, type: noop}
tests:
  - name: first   # the plain one
    input: {x: 1}
    expect:
      status: completed # at once
      output:
        id: "2"   # of the order
        many: [1, 2]
        text: |
          some
          lines
  # the second
  - {name: second, expect: {output: {x: 1}}}
  - name: third

# the end
"""


def changed(text: str, wanted: dict[int, Any], file: str = "x.yaml") -> str:
    made = with_expectations(text, file, wanted)
    assert made is not None
    return made


def lines_changed(before: str, after: str) -> list[tuple[str, str]]:
    assert before.count("\n") == after.count("\n")
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    return [(old.strip(), new.strip()) for old, new in pairs if old != new]


FIRST = {"status": "completed", "output": {"id": "2", "many": [1, 2], "text": "some\nlines\n"}}


def test_only_the_values_that_differ_are_touched() -> None:
    wanted = {"status": "failed", "output": {**FIRST["output"], "id": "3", "many": [1, True]}}  # type: ignore[dict-item]
    assert lines_changed(BLOCK, changed(BLOCK, {0: wanted})) == [
        ("status: completed # at once", "status: failed # at once"),
        ('id: "2"   # of the order', 'id: "3"   # of the order'),
        ("many: [1, 2]", "many: [1, true]"),
    ]


def test_a_text_of_many_lines_is_replaced_whole() -> None:
    after = changed(BLOCK, {0: {**FIRST, "output": {**FIRST["output"], "text": "one"}}})  # type: ignore[dict-item]
    assert "        text: one\n  # the second\n" in after


def test_what_has_other_keys_is_replaced_whole() -> None:
    after = changed(BLOCK, {1: {"output": {"y": None, "z z": "no: comment"}}})
    assert '  - {name: second, expect: {output: {y: null, "z z": "no: comment"}}}\n' in after


def test_a_case_without_expectations_gets_them() -> None:
    assert "  - name: third\n    expect: {status: failed}\n\n# the end\n" in changed(BLOCK, {2: {"status": "failed"}})
    text = "steps: []\ntests:\n- {name: a, }\n- {name: b}\n- name: c\n  expect:\n- name: d"
    after = changed(text, {number: {"status": "failed"} for number in range(4)})
    assert after == (
        "steps: []\ntests:\n- {name: a, expect: {status: failed} }\n- {name: b, expect: {status: failed}}\n"
        "- name: c\n  expect: {status: failed}\n- name: d\n  expect: {status: failed}"
    )


def test_the_ends_of_lines_stay_as_they_are() -> None:
    dos = BLOCK.replace("\n", "\r\n")
    wanted = {0: {**FIRST, "status": "failed"}, 2: {"status": "failed"}}
    assert changed(dos, wanted) == changed(BLOCK, wanted).replace("\n", "\r\n")


def test_the_cases_may_stand_under_test() -> None:
    text = "test:\n  config: {}\n  cases:\n    - name: a\n      expect: {status: completed}  # yes\nsteps: []\n"
    after = changed(text, {0: {"status": "failed"}})
    assert lines_changed(text, after) == [("expect: {status: completed}  # yes", "expect: {status: failed}  # yes")]


def test_the_authors_spellings_are_kept() -> None:
    text = (
        "steps: []\ntests:\n"
        "- {name: a, output: {outcome: success, result: {n: 1}}}\n"
        "- {name: b, expect: {outcome: success, result: 1}}\n"
        "- {name: c, expect: {steps: {x: skipped, y: {status: success, output: 1}}}}\n"
    )
    wanted: dict[int, Any] = {
        0: {"status": "completed", "output": {"n": 2}},
        1: {"status": "failed", "output": None},
        2: {"steps": {"x": {"status": "failed"}, "y": {"status": "completed", "output": 2}}},
    }
    assert changed(text, wanted) == (
        "steps: []\ntests:\n"
        "- {name: a, output: {outcome: success, result: {n: 2}}}\n"
        "- {name: b, expect: {outcome: failed, result: null}}\n"
        "- {name: c, expect: {steps: {x: failed, y: {status: success, output: 2}}}}\n"
    )


def test_json_stays_json() -> None:
    before = {"steps": [], "tests": [{"name": "a"}, {"name": "b", "expect": {"status": "completed", "output": ["x"]}}]}
    text = json.dumps(before, indent="\t")
    after = changed(text, {0: {"status": "failed"}, 1: {"status": "completed", "output": ["\x7f"]}}, "x.json")
    assert json.loads(after)["tests"] == [
        {"name": "a", "expect": {"status": "failed"}},
        {"name": "b", "expect": {"status": "completed", "output": ["\x7f"]}},
    ]
    assert after.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        "steps: []\nx-one: &one {name: a}\ntests: [*one]\n",
        "steps: []\ntests:\n  - {}\n",
    ],
)
def test_where_it_cannot_be_said_where_to_write_nothing_is_written(text: str) -> None:
    assert with_expectations(text, "x.yaml", {0: {"status": "failed"}}) is None


# YAML's reader takes no keys of more than 1024 characters, escapes included.
texts = st.text(max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(texts, below, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values, st.sampled_from(["flow", "block", "json"]))
@settings(deadline=None, max_examples=200)
def test_whatever_came_out_is_what_is_expected_afterwards(before: Any, after: Any, style: str) -> None:
    document = {"steps": [], "tests": [{"name": "a", "expect": {"output": before}}, {"name": "b", "input": 1}]}
    if style == "json":
        text, file = json.dumps(document), "x.json"
    else:
        file, written = "x.yaml", json.dumps(before)
        text = f"steps: []\ntests:\n  - name: a\n    expect: {{ output: {written} }} # c\n  - name: b\n    input: 1\n"
        if style == "block":
            text = (
                f"steps: []\ntests:\n  - name: a\n    expect:\n      output: {written} # c\n  - name: b\n    input: 1\n"
            )
    if load(text, "json" if style == "json" else "yaml").diagnostics:
        return  # JSON that YAML's reader refuses
    wanted = {0: {"output": jsontext.normalise(after)[0]}, 1: {"status": "failed"}}
    made = with_expectations(text, file, wanted)
    assert made is not None
    cases = load(made, "json" if style == "json" else "yaml").data["tests"]
    assert cases == [{"name": "a", "expect": wanted[0]}, {"name": "b", "input": 1, "expect": wanted[1]}]
    assert style == "json" or "# c" in made
