"""Value templates, compiled once to closures: objects and lists are expanded, references and choices replaced.

Only the canonical spellings arrive here (`dsl.spellings` folds the others):

    {"$from": {"step": s}, "path": p}            also "$default": d, "$on_skip": "use_default" | "skip_step"
    {"$from": {"workflow": "input"}, "path": p}
    {"$from": {"variable": v, "default": d}, "path": p}
    {"$from": {"run": "id"}}
    {"$if": c, "then": a, "else": b}, {"$coalesce": [a, b]}, {"$literal": x}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from stepflow.errors import ExpressionError
from stepflow.model.flow import Json
from stepflow.model.paths import Missing, Path, follow, parse_path, write_path
from stepflow.model.statuses import StepStatus


class Scope(Protocol):
    """What evaluation may ask. Steps are indexes into the flow."""

    @property
    def input(self) -> Json: ...

    @property
    def variables(self) -> Mapping[str, Json]: ...

    @property
    def run(self) -> Mapping[str, Json]: ...

    def status_of(self, step: int) -> StepStatus: ...

    def output_of(self, step: int) -> Json:
        """Of a completed step."""

    def error_of(self, step: int) -> dict[str, Any] | None: ...

    def warn(self, message: str) -> None:
        """A tolerant reading counted something as null."""


class UpstreamFailed(Exception):
    """The value needs a step that failed."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


class UpstreamSkipped(Exception):
    """The value needs a step that was skipped, and has no default."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


Closure = Callable[[Scope], Json]


class Value:
    """A compiled template."""

    __slots__ = ("_evaluate", "constant", "steps")

    def __init__(self, evaluate: Closure, steps: frozenset[int], constant: bool) -> None:
        self._evaluate = evaluate
        self.steps = steps
        """Every step it refers to, defaults included."""
        self.constant = constant

    def evaluate(self, scope: Scope) -> Json:
        """Its value. `UpstreamFailed`, `UpstreamSkipped`, `ExpressionError` where it has none."""
        return self._evaluate(scope)


def compile_value(raw: Json, steps: Mapping[str, int], *, fallback_data: frozenset[int] = frozenset()) -> Value:
    """`steps` gives the index of each step key; paths that are not found in the output of a step in `fallback_data`
    are looked up in the output's `data`. `ExpressionError` for a template that `dsl.validate` would have refused."""
    compiler = Compiler(steps, fallback_data)
    closure, constant = compiler.compile(raw)
    return Value(closure, frozenset(compiler.used), constant)


class Compiler:
    def __init__(self, steps: Mapping[str, int], fallback_data: frozenset[int] = frozenset()) -> None:
        self.steps = steps
        self.fallback_data = fallback_data
        self.used: set[int] = set()

    def compile(self, raw: Json) -> tuple[Closure, bool]:
        """The closure, and whether it is constant."""
        if type(raw) is list:
            return self._list(raw)
        if type(raw) is dict:
            if "$from" in raw:
                return self._reference(raw), False
            if "$if" in raw:
                return self._choice(raw), False
            if "$coalesce" in raw:
                return self._coalesce(raw["$coalesce"]), False
            if "$literal" in raw:
                return _constant(raw["$literal"]), True
            return self._object(raw)
        return _constant(raw), True

    def _list(self, raw: list[Json]) -> tuple[Closure, bool]:
        items = [self.compile(item) for item in raw]
        if all(constant for _, constant in items):
            value = [evaluate(_NO_SCOPE) for evaluate, _ in items]
            return _constant(value), True
        closures = [evaluate for evaluate, _ in items]
        return lambda scope: _collect(closures, scope), False

    def _object(self, raw: dict[str, Json]) -> tuple[Closure, bool]:
        items = {key: self.compile(value) for key, value in raw.items()}
        if all(constant for _, constant in items.values()):
            value = {key: evaluate(_NO_SCOPE) for key, (evaluate, _) in items.items()}
            return _constant(value), True
        keys = list(items)
        closures = [evaluate for evaluate, _ in items.values()]
        return lambda scope: dict(zip(keys, _collect(closures, scope), strict=True)), False

    def _reference(self, raw: dict[str, Json]) -> Closure:
        source = raw["$from"]
        path = self._path(raw.get("path"))
        literal = raw.get("path") if isinstance(raw.get("path"), str) else None
        if "step" in source:
            return self._step_reference(self.step(source["step"]), source["step"], path, literal, raw)
        if "workflow" in source:
            return _input_reference(path, literal)
        if "run" in source:
            return lambda scope: scope.run.get("id")
        return self._variable(source, path)

    def step(self, key: str) -> int:
        try:
            index = self.steps[key]
        except KeyError:
            raise ExpressionError(f"Unknown step '{key}'") from None
        self.used.add(index)
        return index

    def _path(self, text: Json) -> Path:
        if text is None:
            return ()
        try:
            return parse_path(text)
        except ValueError as error:
            raise ExpressionError(str(error)) from None

    def _step_reference(self, step: int, key: str, path: Path, literal: str | None, raw: dict[str, Json]) -> Closure:
        uses_default = "$default" in raw or raw.get("$on_skip") == "use_default"
        if raw.get("$on_skip") == "skip_step":
            uses_default = False
        default = self.compile(raw.get("$default"))[0] if uses_default else None
        in_data = step in self.fallback_data
        completed = StepStatus.COMPLETED

        def evaluate(scope: Scope) -> Json:
            status = scope.status_of(step)
            if status is completed:
                output = scope.output_of(step)
                if not path or output is None:
                    return output
                try:
                    return follow_named(output, path, literal)
                except Missing:
                    if in_data and type(output) is dict and "data" in output:
                        try:
                            return follow_named(output["data"], path, literal)
                        except Missing:
                            pass
                    raise ExpressionError(
                        f"Path {write_path(path)} not found in the output of step '{key}'", {"step": key}
                    ) from None
            if status is StepStatus.SKIPPED:
                if default is not None:
                    return default(scope)
                raise UpstreamSkipped(step)
            raise UpstreamFailed(step)

        return evaluate

    def _variable(self, source: dict[str, Json], path: Path) -> Closure:
        name = source["variable"]
        has_default = "default" in source
        default = source.get("default")

        def evaluate(scope: Scope) -> Json:
            if name in scope.variables:
                value = scope.variables[name]
            elif has_default:
                value = default
            else:
                raise ExpressionError(f"Variable '{name}' was not given and has no default")
            try:
                return follow(value, path)
            except Missing:
                raise ExpressionError(f"Path {write_path(path)} not found in variable '{name}'") from None

        return evaluate

    def _choice(self, raw: dict[str, Json]) -> Closure:
        condition = self.compile(raw["$if"])[0]
        then = self.compile(raw.get("then"))[0]
        otherwise = self.compile(raw.get("else"))[0]

        def evaluate(scope: Scope) -> Json:
            # Here only false and null are false.
            chosen = condition(scope)
            return (otherwise if chosen is None or chosen is False else then)(scope)

        return evaluate

    def _coalesce(self, items: list[Json]) -> Closure:
        closures = [self.compile(item)[0] for item in items]

        def evaluate(scope: Scope) -> Json:
            skipped: UpstreamSkipped | None = None
            for closure in closures:
                try:
                    value = closure(scope)
                except UpstreamSkipped as skip:
                    skipped = skip
                    continue
                if value is not None:
                    return value
            if skipped is not None and len(closures) == 1:
                raise skipped
            return None

        return evaluate


def _constant(value: Json) -> Closure:
    return lambda scope: value


def _collect(closures: list[Closure], scope: Scope) -> list[Json]:
    """All values. A failed step beats a skipped one, so after a skip the others are still looked at."""
    values = []
    skipped: UpstreamSkipped | None = None
    for closure in closures:
        try:
            values.append(closure(scope))
        except UpstreamSkipped as skip:
            skipped = skipped or skip
    if skipped is not None:
        raise skipped
    return values


def follow_named(value: Json, path: Path, literal: str | None) -> Json:
    """A path without `$` that names an existing key literally means that key."""
    if literal is not None and type(value) is dict and literal in value:
        return value[literal]
    return follow(value, path)


def _input_reference(path: Path, literal: str | None) -> Closure:
    def evaluate(scope: Scope) -> Json:
        try:
            return follow_named(scope.input, path, literal) if path else scope.input
        except Missing:
            raise ExpressionError(f"Path {write_path(path)} not found in the run's input") from None

    return evaluate


class _NoScope:
    """Constants ask for nothing."""


_NO_SCOPE: Any = _NoScope()
