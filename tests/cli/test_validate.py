"""`stepflow validate`: its words, what `--strict` makes of warnings, components of the workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call

ELSEWHERE = "steps:\n  - {id: a, component: /warehouse/reserve}\n"
WRONG = """\
input_schema: {type: object, properties: {order: {type: string}}, additionalProperties: false}
steps:
  - id: a
  - {id: b, type: echo, input: $.input.unknownField}
  - {id: c, type: ecko}
"""


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    for name, text in (("good", "steps: [{id: a, type: noop}]\n"), ("elsewhere", ELSEWHERE), ("wrong", WRONG)):
        (folder / f"{name}.yaml").write_text(text)


def test_it_speaks_as_the_page_does(call: Call) -> None:
    done = call("validate", "good.yaml")
    assert (done.stdout, done.stderr, done.exit_code) == ("✓ DSL is valid\n", "", 0)
    done = call("validate", "wrong.yaml")
    assert (done.stderr, done.exit_code) == ("", 1)
    assert [line for line in done.stdout.splitlines() if not line.startswith("      ")] == [
        "✗ DSL validation failed",
        "  • Missing required field: steps[0].type",
        "  • Invalid reference: $.input.unknownField",
        "  • Unknown component '/builtin/ecko'",
    ]
    assert "      wrong.yaml:5:" in done.stdout


def test_warnings_go_beside_and_are_errors_when_strict(call: Call) -> None:
    warning = (
        "  ⚠ elsewhere.yaml:2:24: Component '/warehouse/reserve' is not one of StepFlow's\n"
        "      a worker must offer it: put it into the workspace's components/ folder\n"
    )
    done = call("validate", "elsewhere.yaml")
    assert (done.stdout, done.stderr, done.exit_code) == ("✓ DSL is valid\n", warning, 0)
    done = call("validate", "elsewhere.yaml", "--strict")
    assert (done.stdout, done.stderr, done.exit_code) == ("✗ DSL has warnings\n", warning, 1)


def test_json_is_one_object(call: Call) -> None:
    said = json.loads(call("validate", "elsewhere.yaml", "--json").stdout)
    assert said == {
        "valid": True,
        "diagnostics": [
            {
                "code": "W151",
                "level": "warning",
                "message": "Component '/warehouse/reserve' is not one of StepFlow's",
                "path": "steps[0].component",
                "file": "elsewhere.yaml",
                "line": 2,
                "column": 24,
                "hint": "a worker must offer it: put it into the workspace's components/ folder",
            }
        ],
    }
    assert json.loads(call("validate", "elsewhere.yaml", "--json", "--strict").stdout)["valid"] is False


def test_components_of_the_workspace_are_known_also_beside_mistakes(call: Call, folder: Path) -> None:
    (folder / "stepflow.toml").write_text("")
    (folder / "components").mkdir()
    (folder / "components/shop.py").write_text(
        "from stepflow import component\n\n\n@component('/warehouse/reserve')\ndef pay(input):\n    return input\n"
    )
    done = call("validate", "elsewhere.yaml", "--strict")
    assert (done.stdout, done.stderr, done.exit_code) == ("✓ DSL is valid\n", "", 0)
    (folder / "both.yaml").write_text(f"{ELSEWHERE}  - id: b\n")
    for verb in ("validate", "lint"):
        done = call(verb, "both.yaml")
        assert "Missing required field: steps[1].type" in done.stdout
        assert "/warehouse/reserve" not in done.output


@pytest.mark.parametrize("verb", ["validate", "lint", "simulate", "test"])
@pytest.mark.parametrize(
    "text",
    [
        b"steps: [\n a: b: c",
        b"\xff\xfe",
        b"",
        b"a: &a [*a]\n",
        b"- 1\n",
        b"{",
        b"steps: 5\n",
        b"steps: [{id: a, type: noop, simulate: {duration: never}}]\ntests: [{mocks: 3, expect: {steps: [1]}}]\n",
        b'name: "\\e[31m"\nsteps: [{id: "\\e[2J", type: "\\e]0;x\\a"}]\n',
        b"[" * 5000,
        b"steps: [{id: a, type: echo, input: " + b"9" * 5000 + b"}]\n",
    ],
)
def test_no_file_ever_shows_a_traceback(call: Call, folder: Path, verb: str, text: bytes) -> None:
    (folder / "it.yaml").write_bytes(text)
    done = call(verb, "it.yaml")
    assert done.exit_code == 1
    assert "\x1b" not in done.output
    assert "Traceback" not in done.output
