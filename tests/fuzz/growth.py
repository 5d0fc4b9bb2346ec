"""Texts of one shape in any size: one that is four times as long takes about four times as long, not sixteen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import process_time
from types import FrameType
from typing import Any

from stepflow.core.values import compile_value
from stepflow.dsl.lint.linter import fix_text, lint_flow
from stepflow.dsl.validate import read_flow
from stepflow.errors import ExpressionError
from tests.core.world import STEPS, World
from tests.fuzz.checks import components

TIMES = 4
MOST = 2 * TIMES
"""By how much the larger may cost more than the smaller. What is quadratic costs `TIMES` squared."""

Shape = Callable[[int], str]
Work = Callable[[str], None]
Cost = Callable[[Work, str], float]


def _steps(write: Callable[[int], str]) -> Shape:
    return lambda size: "steps:\n" + "".join(f"  - {{id: s{number}, {write(number)}}}\n" for number in range(size))


def _input(write: Shape) -> Shape:
    return lambda size: f"steps:\n  - {{id: a, type: echo}}\n  - {{id: b, type: echo, input: {write(size)}}}\n"


def _above(write: Shape, steps: Callable[[int], str] = lambda number: "type: echo") -> Shape:
    return lambda size: write(size) + _steps(steps)(size)


def _properties(size: int) -> str:
    return f"{{{', '.join(f'v{number}: {{type: string}}' for number in range(size))}}}"


TEMPLATES: Mapping[str, Shape] = {
    "steps": _steps(lambda n: "type: echo"),
    "a chain": _steps(lambda n: f"type: echo, input: $.steps.s{n - 1}.output.x" if n else "type: echo"),
    "needless order": _steps(lambda n: f"type: echo, depends_on: [s0], input: $.steps.s0.output, when: {n > 0}"),
    "a cycle": _steps(lambda n: f"type: echo, depends_on: [s{max(0, n - 1)}]"),
    "unknown steps": _steps(lambda n: f"type: echo, input: $.steps.z{n}.output.x"),
    "unknown dependencies": _steps(lambda n: f"type: echo, depends_on: [z{n}]"),
    "unknown keys": _steps(lambda n: f"type: echo, tipe{n}: 1"),
    "unknown components": _steps(lambda n: f"type: /http/gat{n}"),
    "an order said twice": lambda size: (
        f"steps:\n  - {{id: a, type: echo}}\n"
        f"  - {{id: b, type: echo, depends_on: [{'a, ' * size}], input: $.steps.a.output}}\n"
    ),
    "bad expressions": _steps(lambda n: "type: echo, when: '1 +'"),
    "older spellings": _steps(lambda n: f"type: echo{'' if n % 4 else ', dependsOn: []'}"),
    "flows within": _steps(lambda n: "type: eval, input: {workflow: {steps: [{id: a, type: ecko}]}}"),
    "one id": lambda size: "steps:\n" + "  - {id: a, type: echo}\n" * size,
    "one key": lambda size: "a: 1\n" * size,
    "unknown variables": _above(
        lambda size: f"variables: {_properties(size)}\n", lambda n: f"type: echo, input: $.variables.w{n}"
    ),
    "unknown inputs": _above(
        lambda size: f"input_schema: {{type: object, properties: {_properties(size)}}}\n",
        lambda n: f"type: echo, input: $.input.w{n}",
    ),
    "tests": _above(lambda size: "tests:\n" + "  - {mocks: {z: {output: 1}}}\n" * size),
    "triggers": _above(lambda size: "triggers:\n" + "  - {cron: '0 7 * * *'}\n" * (size // 10)),
    "comments": lambda size: "# stepflow: ignore[x]\n" * 20 * size + _steps(lambda n: "type: echo")(1),
    "aliases": _above(lambda size: f"x-a: &a [1, 2]\nx-b: [{'*a, ' * size}]\n"),
    "anchors": _above(lambda size: "x-a:\n" + "".join(f"  - &a{number} 1\n" for number in range(size))),
    "a long reference": _input(lambda size: f"'$.steps.{'a.' * 20 * size}'"),
    "a long path": _input(lambda size: f"{{$input: '{'a.' * 20 * size}'}}"),
    "many expressions": _input(lambda size: f"'{'${{ 1 }}' * size}'"),
    "expressions without an end": _input(lambda size: f"'{'${{ ' * 20 * size}'"),
    "a long list": _input(lambda size: f"[{'$.input.a, ' * size}]"),
    "nested brackets": lambda size: "a: " + "[" * 20 * size,
    "nested brackets in JSON": lambda size: "[" * 20 * size,
    "nested brackets below a mistake": lambda size: "a: 1\na: 2\nb: " + "[" * 20 * size,
    "nested lists": lambda size: "- " * 20 * size,
    "JSON that YAML cannot read": lambda size: '{"x-a":"\x7f","steps":[' + '{"id":"a","type":"ecko"},' * size + "{}]}",
}

EXPRESSIONS: Mapping[str, Shape] = {
    "a sum": lambda size: " + ".join(["1"] * size),
    "an or": lambda size: " or ".join(["0"] * size),
    "a list": lambda size: f"[{','.join(['1'] * size)}]",
    "a text": lambda size: f"'{'a' * size}'",
    "an escaped text": lambda size: "'" + "\\\\" * size + "'",
    "a text without an end": lambda size: '"' + "\\" * size,
    "references": lambda size: f"[{','.join(['$.input.x'] * (size // 4))}]",
    "signs": lambda size: " - ".join(["1"] * size),
    "a join": lambda size: f"join([{','.join(['1'] * size)}], 'ab')",
}


def read(text: str) -> None:
    read_flow(text, components=components())


def lint(text: str) -> None:
    lint_flow(text, components=components())
    fix_text(text, components=components())


def evaluate(text: str) -> None:
    with suppress(ExpressionError):
        compile_value({"$expr": text}, STEPS).evaluate(World())


def growth(cost: Cost, work: Work, shape: Shape, size: int) -> float:
    """By how much `TIMES` the size costs more."""
    work(shape(size))  # what is loaded or remembered once
    return cost(work, shape(TIMES * size)) / cost(work, shape(size))


def calls(work: Work, text: str) -> float:
    """The same wherever it runs, and blind to what a single call does."""
    count = 0

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += 1

    sys.setprofile(profile)
    try:
        work(text)
    finally:
        sys.setprofile(None)
    return count


def seconds(work: Work, text: str) -> float:
    """Of the processor, at best; and a moment, below which nothing can be told apart."""
    times = []
    for _ in range(3):
        began = process_time()
        work(text)
        times.append(process_time() - began)
    return min(times) + 0.005
