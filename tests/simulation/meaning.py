"""What values and conditions mean, slowly and by itself: written from the language's reference, on the canonical forms.

Every part of a value is looked at, also when another has failed: that is what `evaluate: needed` waits for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from stepflow.model import expressions as nodes
from stepflow.model.expressions import Node, parse_expression, references_in
from stepflow.model.paths import parse_path
from stepflow.model.statuses import StepStatus

Json = Any


class NoValue(Exception):
    """Why a value cannot be had."""


class Failed(NoValue):
    """It needs a step that failed."""


class Wrong(NoValue):
    """It means nothing: EXPRESSION_FAILED."""


class NotThere(Wrong):
    """Nothing is at a path."""


class Skipped(NoValue):
    """It needs a step that was skipped; `by` is the one that began it."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by


class StepEnd(Protocol):
    """What others may know of a step."""

    status: StepStatus
    output: Json
    code: str | None
    root: str
    """Of a skipped step: the one that began it."""


class World(Protocol):
    input: Json
    variables: Mapping[str, Json]
    keys: Sequence[str]

    def end_of(self, key: str) -> StepEnd: ...


def steps_in(raw: Json, keys: Sequence[str]) -> Iterator[str]:
    """Every step that a value or condition refers to."""
    if isinstance(raw, list):
        for item in raw:
            yield from steps_in(item, keys)
    elif isinstance(raw, dict) and "$literal" not in raw:
        source = raw.get("$from")
        if isinstance(source, dict) and "step" in source:
            yield source["step"]
        if "$expr" in raw:
            found = references_in(parse_expression(raw["$expr"], keys))
            yield from (one.name for one, _ in found if one.kind == "step")
        else:
            for key, item in raw.items():
                if key != "$from":
                    yield from steps_in(item, keys)


def is_true(value: Json) -> bool:
    """False, null, 0 and "" are false."""
    return not (value is None or value is False or value == "" or (is_number(value) and value == 0))


def is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def meaning(raw: Json, world: World, *, judging: bool = False) -> Json:
    """The value of a template. `judging`: in `skip_if` and `when`, where what is missing counts as null."""
    return _Meaning(world, judging).of(raw)


class _Meaning:
    def __init__(self, world: World, judging: bool) -> None:
        self._world = world
        self._judging = judging

    def of(self, raw: Json) -> Json:
        if isinstance(raw, list):
            return together([lambda item=item: self.of(item) for item in raw])
        if not isinstance(raw, dict):
            return raw
        if "$literal" in raw:
            return raw["$literal"]
        if "$from" in raw:
            return self._reference(raw)
        if "$expr" in raw:
            return self._node(parse_expression(raw["$expr"], self._world.keys))
        if "$text" in raw:
            parts = together([lambda item=item: self.of(item) for item in raw["$text"]])
            return "".join(as_text(part) for part in parts)
        if "$if" in raw:
            chosen = self.of(raw["$if"])
            return self.of(raw.get("else") if chosen is None or chosen is False else raw.get("then"))
        if "$coalesce" in raw:
            return self._coalesce(raw["$coalesce"])
        values = together([lambda item=item: self.of(item) for item in raw.values()])
        return dict(zip(raw, values, strict=True))

    def _coalesce(self, items: list[Json]) -> Json:
        for item in items:
            try:
                value = self.of(item)
            except Skipped:
                continue
            if value is not None:
                return value
        return None

    # References

    def _reference(self, raw: dict[str, Json]) -> Json:
        source, path = raw["$from"], raw.get("path")
        if "step" in source:
            defaults = "$default" in raw or "$on_skip" in raw
            if raw.get("$on_skip") == "skip_step":
                defaults = False
            default = (lambda: self.of(raw.get("$default"))) if defaults else None
            return self._step(source["step"], source.get("part", "output"), path, default)
        if "variable" in source:
            return self._variable(source["variable"], path, source)
        return self._inside(self._world.input, path)

    def _variable(self, name: str, path: Json, source: Mapping[str, Json]) -> Json:
        if name in self._world.variables:
            return self._inside(self._world.variables[name], path)
        return self._inside(source["default"], path) if "default" in source else self._missing(NotThere(name))

    def _step(self, key: str, part: str, path: Json, default: Callable[[], Json] | None) -> Json:
        end = self._world.end_of(key)
        if part == "status":
            return end.status.value
        if part == "error":
            assert _keys(path) == ("code",), path
            return end.code
        match end.status:
            case StepStatus.COMPLETED:
                return None if end.output is None else self._inside(end.output, path)
            case StepStatus.SKIPPED:
                return self._missing(Skipped(end.root)) if default is None else default()
            case _:
                return self._missing(Failed(key))

    def _inside(self, value: Json, path: Json) -> Json:
        if isinstance(path, str) and not path.startswith("$") and isinstance(value, dict) and path in value:
            return value[path]
        for key in _keys(path):
            try:
                value = value[key] if isinstance(value, dict if isinstance(key, str) else list) else _NOTHING[key]
            except (KeyError, IndexError):
                return self._missing(NotThere(path))
        return value

    def _missing(self, why: NoValue) -> Json:
        if self._judging:
            return None
        raise why

    # Expressions

    def _node(self, node: Node) -> Json:  # noqa: C901 - one case a node
        match node:
            case nodes.Literally(value):
                return value
            case nodes.Reference(kind="step"):
                return self._step(node.name, node.part, node.path, None)
            case nodes.Reference(kind="input"):
                return self._inside(self._world.input, node.path)
            case nodes.Reference(kind="variable"):
                return self._variable(node.name, node.path, {})
            case nodes.Operation(operators=("and" | "or" as word, *_)):
                return self._in_turn(word, node.operands)
            case nodes.Operation():
                values = together([lambda one=one: self._node(one) for one in node.operands])
                total = values[0]
                for sign, value in zip(node.operators, values[1:], strict=True):
                    total = arithmetic(sign, total, value)
                return total
            case nodes.Comparison():
                left, right = together([lambda: self._node(node.left), lambda: self._node(node.right)])
                return compare(node.operator, left, right)
            case nodes.Not():
                return not is_true(self._node(node.operand))
            case nodes.Negative():
                return arithmetic("-", 0, self._node(node.operand))
            case nodes.Choice():
                return self._node(node.then if is_true(self._node(node.condition)) else node.otherwise)
            case nodes.Items():
                return together([lambda one=one: self._node(one) for one in node.items])
            case nodes.Call(function="exists" | "default"):
                return self._tolerant(node)
            case nodes.Call():
                values = together([lambda one=one: self._node(one) for one in node.arguments])
                return call(node.function, values)
            case _:
                raise NotImplementedError(node)

    def _in_turn(self, word: str, operands: Sequence[Node]) -> bool:
        """All are waited for, then looked at until one decides."""
        looks = [attempt(lambda one=one: self._node(one)) for one in operands]
        for value, problem in looks:
            if problem is not None:
                raise problem
            if is_true(value) is (word == "or"):
                return word == "or"
        return word == "and"

    def _tolerant(self, node: nodes.Call) -> Json:
        """`exists` and `default`: what is not there, or was skipped, is no mistake; in a judgement nor is a failure."""
        strict = _Meaning(self._world, judging=False)
        looks = [attempt(lambda: strict._node(node.arguments[0]))]
        looks += [attempt(lambda one=one: self._node(one)) for one in node.arguments[1:]]
        value, problem = looks[0]
        tolerated = (NotThere, Skipped, Failed) if self._judging else (NotThere, Skipped)
        if problem is not None and not isinstance(problem, tolerated):
            raise problem
        if node.function == "exists":
            return problem is None
        other, other_problem = looks[1]
        if value is not None:
            return value
        if other_problem is not None:
            raise other_problem
        return other


_NOTHING: dict[str | int, Json] = {}


def _keys(path: Json) -> tuple[str | int, ...]:
    return () if path is None else path if isinstance(path, tuple) else parse_path(path)


def attempt(make: Callable[[], Json]) -> tuple[Json, NoValue | None]:
    try:
        return make(), None
    except NoValue as problem:
        return None, problem


def together(makes: list[Callable[[], Json]]) -> list[Json]:
    """All of them; else the first failure, else the first skip: failed wins."""
    looks = [attempt(make) for make in makes]
    problems = [problem for _, problem in looks if problem is not None]
    for problem in problems:
        if not isinstance(problem, Skipped):
            raise problem
    if problems:
        raise problems[0]
    return [value for value, _ in looks]


def as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def same(left: Json, right: Json) -> bool:
    """As JSON: true is not 1."""
    return as_text([left]) == as_text([right])


def arithmetic(sign: str, left: Json, right: Json) -> Json:
    if not is_number(left) or not is_number(right):
        raise Wrong(f"{left!r} {sign} {right!r}")
    return {"+": left + right, "-": left - right, "*": left * right}[sign]


def compare(operator: str, left: Json, right: Json) -> bool:
    if operator in ("==", "!="):
        return same(left, right) is (operator == "==")
    if operator == "in":
        if isinstance(right, list):
            return any(same(left, one) for one in right)
        raise Wrong(f"{left!r} in {right!r}")
    if not (is_number(left) and is_number(right)) and not (isinstance(left, str) and isinstance(right, str)):
        raise Wrong(f"{left!r} {operator} {right!r}")
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]


def call(function: str, values: list[Json]) -> Json:
    match function, values:
        case "len", [list() | str() | dict() as items]:
            return len(items)
        case "sum", [list() as items]:
            total: Json = 0
            for item in items:
                total = arithmetic("+", total, item)
            return total
        case "min" | "max", [left, right]:
            return right if compare("<" if function == "min" else ">", right, left) else left
        case _:
            raise Wrong(f"{function}({values})")
