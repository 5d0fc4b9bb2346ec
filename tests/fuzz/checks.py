"""What holds of any input: nothing raises but what may, nothing leaks or is touched, nothing grows without end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any

import croniter  # type: ignore[import-untyped]  # noqa: F401 - what it starts when it is imported is not ours

from stepflow.components.registry import builtin_registry, check_input
from stepflow.core.graph import build_graph
from stepflow.core.operators import MAX_DIGITS, MAX_TEXT
from stepflow.core.scope import UpstreamFailed, UpstreamSkipped
from stepflow.core.values import compile_condition, compile_value
from stepflow.dsl.diagnostics import Diagnostic, has_errors
from stepflow.dsl.lint.linter import fix_text, lint_flow
from stepflow.dsl.lint.view import ComponentFacts
from stepflow.dsl.load import load
from stepflow.dsl.schema.template import template_schema
from stepflow.dsl.schemas import Validator, compile_schema
from stepflow.dsl.validate import read_flow
from stepflow.errors import ExpressionError, TemplateNotFoundError
from stepflow.model import jsontext
from stepflow.model.expressions import ExpressionSyntaxError, parse_expression
from stepflow.model.flow import Flow, Json
from stepflow.model.paths import Missing, follow, parse_path, write_path
from stepflow.model.times import MAX_DURATION_MS, parse_duration
from stepflow.simulate.cases import cases_of
from stepflow.simulate.example import example_of
from stepflow.simulate.planned import Plan, PlannedOutcomes
from stepflow.simulate.simulator import Attempt, Outcome, simulate
from tests.core.world import OUTPUTS, STEPS, World
from tests.fuzz.inputs import Input

MAX_CPU_SECONDS = 2.0
MOST_ATTEMPTS = 300
"""In one simulation: a template may well ask for a million."""

_WORLD = {
    "x": 1, "text": "\"a\\b,a 'é'" * 100, "list": [3, 1.5, "a", None, [1]] * 10, "big": 10 ** (MAX_DIGITS - 1),
    "none": None,
    "huge": 10**4299, "float": 1e308, "a b": {"c": [True]}, "deep": jsontext.decode("[" * 60 + "]" * 60),
}  # fmt: skip


class Violation(Exception):
    """Something that must hold of any input did not."""


class Hang(BaseException):
    """Not an `Exception`: what turns exceptions into answers must not turn this one."""


class _Enough(BaseException):
    """A simulation has gone on for long enough."""


def check(one: Input) -> None:
    """Raises whatever is wrong with how the engine takes it."""
    with limited(MAX_CPU_SECONDS), watched():
        match one.kind:
            case "template":
                _check_template(one.text)
            case "expression":
                _check_expression(one.text)
            case "path":
                _check_path(one.text)
            case "duration":
                _check_duration(one.text)


def _require(holds: object, what: str) -> None:
    if not holds:
        raise Violation(what)


# Templates


def _check_template(text: str) -> None:
    read = read_flow(text, components=components())
    for diagnostic in read.diagnostics:
        _check_diagnostic(diagnostic, text)
    _require((read.flow is None) == has_errors(read.diagnostics), "there is a flow, or there are errors")
    linted = lint_flow(text, components=components())
    for diagnostic in linted.diagnostics:
        _check_diagnostic(diagnostic, text)
    _require(linted.flow == read.flow, "lint reads the same flow as validate")
    fixed, number = fix_text(text, components=components())
    _require((fixed == text) is (number == 0), "fix changes the text where it says so")
    read_flow(text, file="forced.json")
    document = load(text)
    if isinstance(document.data, dict) and not document.diagnostics:
        of_data, of_text = read_flow(document.data), read_flow(text)
        _require((of_data.flow is None) == (of_text.flow is None), "data is read as text is")
    if read.flow is None:
        _require(fixed == text, "what is no template is not changed")
        return
    _require(read_flow(fixed, components=components()).flow is not None, "what was fixed is still a template")
    _require(_schema().is_valid(document.data), "the JSON Schema takes what validate takes")
    again = Flow.from_json(read.flow.to_json())
    _require(repr(again) == repr(read.flow), "a stored flow is the flow")
    cases_of(again)
    build_graph(again)
    _check_simulation(again)


def _check_diagnostic(one: Diagnostic, text: str) -> None:
    _require(
        one.code and one.message and one.level in ("error", "warning", "info"), "a diagnostic has code and message"
    )
    for said in (one.message, one.hint, one.path):
        _require(said.isprintable(), f"a diagnostic is printable: {one.code}")
    _require(len(one.message) < 2000 and len(one.hint) < 2000, f"a diagnostic is short: {one.code}")
    _require(0 <= one.line <= _line_count(text), f"a diagnostic's line is in the text: {one.code}")
    _require(
        (one.column > 0) == (one.line > 0) and one.column <= len(text) + 1,
        f"a diagnostic's column is in the text: {one.code}",
    )


def _line_count(text: str) -> int:
    """As a YAML reader counts them: more kinds of line break than \\n."""
    return 1 + sum(text.count(sign) for sign in "\n\r\x85\u2028\u2029")


def _check_simulation(flow: Flow) -> None:
    value = example_of(flow.input_schema)
    try:
        simulated = simulate(flow, {} if value is None else value, _outcomes())
    except _Enough:
        return
    _require(simulated.status.is_final, "a simulation comes to an end")
    _check_json(simulated.output)


class _ShortOutcomes(PlannedOutcomes):
    _attempts = 0

    def outcome(self, attempt: Attempt, check: Any) -> Outcome:
        self._attempts += 1
        if self._attempts > MOST_ATTEMPTS:
            raise _Enough
        return super().outcome(attempt, check)


def _outcomes() -> PlannedOutcomes:
    registry = builtin_registry()

    def no_template(name: str) -> Flow:
        raise TemplateNotFoundError(name)

    return _ShortOutcomes(
        Plan(), lambda path: registry.get(path) if path in registry else None, check_input, no_template
    )


@cache
def components() -> Mapping[str, ComponentFacts]:
    return {
        one.path: ComponentFacts(external=one.external, input_schema=one.input_schema, output_schema=one.output_schema)
        for one in builtin_registry()
    }


@cache
def _schema() -> Validator:
    registry = builtin_registry()
    return compile_schema(template_schema(registry))


# Expressions, paths, durations


class _GuardedWorld(World):
    """It answers what `values.Scope` asks, and nothing else of it may be touched."""

    _OPEN = frozenset(
        {"values", "input", "variables", "run", "now", "status_of", "output_of", "error_of", "warn", "warnings"}
    )

    def __getattribute__(self, name: str) -> Any:
        if name not in _GuardedWorld._OPEN:
            raise Violation(f"an expression touched .{name}")
        return super().__getattribute__(name)


def _check_expression(text: str) -> None:
    try:
        parse_expression(text, STEPS)
    except ExpressionSyntaxError as error:
        _require(0 <= error.column <= len(text), "a syntax error has its column")
        for raw in ({"$expr": text}, {"$text": ["a", {"$expr": text}]}):
            _require(not _compiles(raw), "what cannot be read cannot be compiled")
        return
    for at_hand in (True, False):
        _evaluate(text, _GuardedWorld(_WORLD, at_hand=at_hand))


def _compiles(raw: Json) -> bool:
    try:
        compile_value(raw, STEPS)
        compile_condition(raw, STEPS)
    except ExpressionError:
        return False
    return True


def _evaluate(text: str, world: World) -> None:
    if not _compiles({"$expr": text}):
        return  # It reads a step that is not there.
    for raw in ({"$expr": text}, {"$text": ["a", {"$expr": text}]}):
        value = compile_value(raw, STEPS)
        _require(not value.needs(world).steps, "an expression needs nothing of steps that ended")
        try:
            _check_json(value.evaluate(world))
        except (ExpressionError, UpstreamFailed, UpstreamSkipped):
            pass
    condition = compile_condition({"$expr": text}, STEPS)
    try:
        _require(type(condition.evaluate(world)) is bool, "a condition is true or false")
    except (ExpressionError, UpstreamFailed, UpstreamSkipped):
        pass


def _check_json(value: Json) -> None:
    """Plain JSON of a bounded size, and nothing of Python's."""
    stack = [value]
    while stack:
        one = stack.pop()
        kind = type(one)
        if kind is dict:
            _require(all(type(key) is str for key in one), "keys are texts")
            stack.extend(one.values())
        elif kind is list:
            stack.extend(one)
        elif kind is str:
            _require(len(one) <= 2 * MAX_TEXT, "a text is bounded")
        elif kind is float:
            _require(one - one == 0, "a number is finite")
        else:
            _require(one is None or kind is bool or kind is int, f"a value is JSON, not {kind.__name__}")


def _check_path(text: str) -> None:
    try:
        path = parse_path(text)
    except ValueError:
        return
    for value in (_WORLD, OUTPUTS[0], [], None, "text", 3):
        try:
            _check_json(follow(value, path))
        except Missing:
            pass
    if not text.startswith("/"):
        write_path(path)


def _check_duration(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    _require(type(duration) is int and 0 <= duration <= MAX_DURATION_MS, "a duration is bounded")


# The watchdog, and the tripwire


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """`Hang` after so much time of the processor: what else the machine does is no fault of an input."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang(f"more than {seconds} s of the processor")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


_FORBIDDEN = (
    "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.remove", "os.rename",
    "os.mkdir",
    "os.rmdir", "os.chmod", "os.kill", "os.putenv", "shutil.", "socket.", "urllib.", "ctypes.", "tempfile.", "sqlite3.",
)  # fmt: skip
_touched: list[str] = []
_is_watching = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _is_watching:
        return
    writes = event == "open" and isinstance(arguments[1], str) and any(sign in arguments[1] for sign in "wax+")
    if writes or event.startswith(_FORBIDDEN):
        _touched.append(event)


@contextmanager
def watched() -> Iterator[None]:
    """Neither files, processes nor sockets: reading and judging a text touches nothing outside."""
    global _is_watching
    _add_hook()
    _touched.clear()
    _is_watching = True
    try:
        yield
    finally:
        _is_watching = False
    _require(not _touched, f"nothing outside is touched: {', '.join(_touched)}")


@cache
def _add_hook() -> None:
    sys.addaudithook(_audit)
