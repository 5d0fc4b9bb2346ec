"""References, compiled: to outputs, statuses and errors of steps, to the run's input and to variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from stepflow.core.parts import NOTHING, NOTHING_NEEDED, Needed, Part, needs_nothing
from stepflow.core.scope import Closure, PathNotFound, Place, Scope, UpstreamFailed, UpstreamSkipped
from stepflow.errors import ExpressionError
from stepflow.model.flow import Json
from stepflow.model.paths import Missing, Path, follow, not_found
from stepflow.model.statuses import StepStatus

GivenReference = tuple[Path, str | None] | str
"""A path into the run's input; and as written, where it may name a key. Or the name of a variable."""


class References:
    """Those of one value. A `place` is None inside an expression, which has one."""

    def __init__(self, steps: Mapping[str, int], fallback_data: frozenset[int], *, tolerant: bool) -> None:
        self.step_keys = steps
        self._fallback_data = fallback_data
        self.is_tolerant = tolerant
        """What is not there counts as null."""
        self.used: set[int] = set()
        """The steps that were referred to so far."""
        self.given: list[GivenReference] = []
        """What the run was given, as far as it was referred to so far."""

    def strict(self) -> References:
        """For what looks by itself whether something is there."""
        strict = References(self.step_keys, self._fallback_data, tolerant=False)
        strict.used, strict.given = self.used, self.given
        return strict

    def step(
        self, key: str, part: str, path: Path, literal: str | None, default: Part | None, place: Place | None
    ) -> Part:
        step = self._index(key)
        if part == "output":
            in_data = step in self._fallback_data
            evaluate = _step_output(_Reading(step, key, path, literal, default, in_data, self.is_tolerant, place))
        elif part == "status":
            evaluate = lambda scope: scope.status_of(step).value  # noqa: E731 - one of three, beside its siblings
        else:
            evaluate = _step_error(step, path)
        only = frozenset((step,))
        itself = Needed(only, NOTHING if default is None else only)

        def needs(scope: Scope) -> Needed:
            status = scope.status_of(step)
            if not status.is_final:
                return itself
            if default is not None and status is StepStatus.SKIPPED:
                return default.needs(scope)
            return NOTHING_NEEDED

        return Part(evaluate, needs)

    def input(self, path: Path, literal: str | None, place: Place | None) -> Part:
        self.given.append((path, literal))
        return Part(_input_reference(path, literal, self.is_tolerant, place), needs_nothing)

    def variable(self, name: str, path: Path, source: Mapping[str, Json], place: Place | None) -> Part:
        """`source` may have a `default`."""
        self.given.append(name)
        return Part(_variable(name, path, self.is_tolerant, source, place), needs_nothing)

    def run_id(self) -> Part:
        return Part(lambda scope: scope.run["id"], needs_nothing)

    def _index(self, key: str) -> int:
        try:
            index = self.step_keys[key]
        except KeyError:
            raise ExpressionError(f"Unknown step '{key}'") from None
        self.used.add(index)
        return index


class _Reading(NamedTuple):
    """A reference to an output."""

    step: int
    key: str
    path: Path
    literal: str | None
    """The path as written, where it may name a key."""
    default: Part | None
    falls_back_to_data: bool
    is_tolerant: bool
    place: Place | None


def _step_output(reading: _Reading) -> Closure:
    """The quick way is tried first: an output at hand, and plain keys into it."""
    slow = _slow_output(reading)
    step, path, literal = reading.step, reading.path, reading.literal
    if not path:

        def whole(scope: Scope) -> Json:
            try:
                return scope.values[step]
            except KeyError:
                return slow(scope)

        return whole
    if len(path) == 1 and type(path[0]) is str and literal in (None, path[0]):
        name = path[0]

        def field(scope: Scope) -> Json:
            try:
                return scope.values[step][name]
            except (KeyError, TypeError):
                return slow(scope)

        return field
    if len(path) == 2 and literal is None and type(path[0]) is type(path[1]) is str:
        first, second = path

        def inner_field(scope: Scope) -> Json:
            try:
                return scope.values[step][first][second]
            except (KeyError, TypeError):
                return slow(scope)

        return inner_field
    return slow


def _slow_output(reading: _Reading) -> Closure:
    step, key, path, literal, default, falls_back_to_data, tolerant, place = reading

    def evaluate(scope: Scope) -> Json:
        status = scope.status_of(step)
        if status is StepStatus.COMPLETED:
            output = scope.output_of(step)
            if not path or output is None:
                return output
            try:
                return follow_named(output, path, literal)
            except Missing:
                if falls_back_to_data and type(output) is dict and "data" in output:
                    try:
                        return follow_named(output["data"], path, literal)
                    except Missing:
                        pass
                message = not_found(path, output, f"the output of step '{key}'")
                return _absent(scope, PathNotFound(message, {"step": key}, place), message, tolerant)
        if status is StepStatus.SKIPPED:
            if default is not None:
                return default.evaluate(scope)
            return _absent(scope, UpstreamSkipped(step), f"Step '{key}' was skipped", tolerant)
        return _absent(scope, UpstreamFailed(step), f"Step '{key}' failed", tolerant)

    return evaluate


def _absent(scope: Scope, error: Exception, message: str, tolerant: bool) -> Json:
    if not tolerant:
        raise error
    scope.warn(f"{message}; counted as null")
    return None


def _step_error(step: int, path: Path) -> Closure:
    """Null where it did not fail."""

    def evaluate(scope: Scope) -> Json:
        error = scope.error_of(step)
        try:
            return None if error is None else follow(error, path)
        except Missing:
            return None

    return evaluate


def follow_named(value: Json, path: Path, literal: str | None) -> Json:
    """A path without `$` that names an existing key literally means that key."""
    if literal is not None and type(value) is dict and literal in value:
        return value[literal]
    return follow(value, path)


def _input_reference(path: Path, literal: str | None, tolerant: bool, place: Place | None) -> Closure:
    if not path:
        return lambda scope: scope.input

    def evaluate(scope: Scope) -> Json:
        try:
            return follow_named(scope.input, path, literal)
        except Missing:
            message = not_found(path, scope.input, "the run's input")
            return _absent(scope, PathNotFound(message, place=place), message, tolerant)

    if len(path) > 1 or type(path[0]) is not str or literal not in (None, path[0]):
        return evaluate
    (name,) = path

    def field(scope: Scope) -> Json:
        try:
            return scope.input[name]
        except (KeyError, TypeError):
            return evaluate(scope)

    return field


def _variable(name: str, path: Path, tolerant: bool, source: Mapping[str, Json], place: Place | None) -> Closure:
    has_default = "default" in source
    default = source.get("default")

    def evaluate(scope: Scope) -> Json:
        if name in scope.variables:
            value = scope.variables[name]
        elif has_default:
            value = default
        else:
            message = f"Variable '{name}' was not given and has no default"
            return _absent(scope, PathNotFound(message, place=place), message, tolerant)
        try:
            return follow(value, path)
        except Missing:
            message = not_found(path, value, f"variable '{name}'")
            return _absent(scope, PathNotFound(message, place=place), message, tolerant)

    return evaluate
