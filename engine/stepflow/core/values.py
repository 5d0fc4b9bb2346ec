"""Value templates and expressions, compiled once to closures: objects and lists are expanded, references, choices and
expressions replaced.

Only the canonical spellings arrive here (`dsl.spellings` and `dsl.references` fold the others):

    {"$from": {"step": s}, "path": p}            also "$default": d, "$on_skip": "use_default" | "skip_step"
    {"$from": {"step": s, "part": "status" | "error"}, "path": p}
    {"$from": {"workflow": "input"}, "path": p}
    {"$from": {"variable": v, "default": d}, "path": p}
    {"$from": {"run": "id"}}
    {"$if": c, "then": a, "else": b}, {"$coalesce": [a, b]}, {"$literal": x}
    {"$expr": text}, {"$text": [part, …]}        an expression; text with expressions in it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, assert_never

from stepflow.core.operators import COMPARISONS, FUNCTIONS, arithmetic, as_text, is_true, negative
from stepflow.errors import ExpressionError
from stepflow.model import expressions as nodes
from stepflow.model.expressions import Node, parse_expression
from stepflow.model.flow import Json
from stepflow.model.paths import Missing, Path, follow, parse_path, write_path
from stepflow.model.statuses import StepStatus
from stepflow.model.times import iso


class Scope(Protocol):
    """What evaluation may ask. Steps are indexes into the flow."""

    @property
    def values(self) -> Mapping[int, Json]:
        """Outputs of completed steps, those that are at hand."""

    @property
    def input(self) -> Json: ...

    @property
    def variables(self) -> Mapping[str, Json]: ...

    @property
    def run(self) -> Mapping[str, Json]: ...

    @property
    def now(self) -> int:
        """Ms since 1970."""

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


class PathNotFound(ExpressionError):
    """Nothing is at a path."""


Closure = Callable[[Scope], Json]
Place = tuple[str | int, ...]
"""Where a value stands in its flow."""
_NOTHING: frozenset[int] = frozenset()


class Needed(NamedTuple):
    """The steps that have to end before more can be said of a value."""

    steps: frozenset[int]
    deciding: frozenset[int] = _NOTHING
    """Those of them whose end may tell of others: which branch is taken, which default."""


Needs = Callable[[Scope], Needed]

_NOTHING_NEEDED = Needed(_NOTHING)


class Value:
    """A compiled template."""

    __slots__ = ("constant", "evaluate", "needs", "steps")

    def __init__(self, evaluate: Closure, needs: Needs, steps: frozenset[int], constant: bool) -> None:
        self.evaluate = evaluate
        """Its value in a scope. `UpstreamFailed`, `UpstreamSkipped`, `ExpressionError` where it has none."""
        self.needs = needs
        """Of branches and defaults, only those that are taken."""
        self.steps = steps
        """Every step it refers to, defaults included."""
        self.constant = constant


class Condition:
    """A compiled `skip_if` or `when`."""

    __slots__ = ("evaluate", "steps")

    def __init__(self, evaluate: Callable[[Scope], bool], steps: frozenset[int]) -> None:
        self.evaluate = evaluate
        """A reference to a skipped or failed step, and a missing path, count as null, with a warning."""
        self.steps = steps


def compile_value(
    raw: Json,
    steps: Mapping[str, int],
    *,
    fallback_data: frozenset[int] = _NOTHING,
    place: Place = (),
) -> Value:
    """`steps` gives the index of each step key; paths that are not found in the output of a step in `fallback_data`
    are looked up in the output's `data`. `place` is where the value stands in the flow: its errors have theirs.
    `ExpressionError` for a template that `dsl.validate` would have refused."""
    compiler = _Compiler(steps, fallback_data, tolerant=False)
    part = compiler.compile(raw, place)
    return Value(part.evaluate, part.needs, frozenset(compiler.used), part.constant)


def compile_condition(
    raw: Json,
    steps: Mapping[str, int],
    *,
    fallback_data: frozenset[int] = _NOTHING,
    place: Place = (),
) -> Condition:
    compiler = _Compiler(steps, fallback_data, tolerant=True)
    evaluate = compiler.compile(raw, place).evaluate
    if isinstance(raw, dict) and "$expr" in raw:
        return Condition(_truth(parse_expression(raw["$expr"], steps), evaluate), frozenset(compiler.used))
    return Condition(lambda scope: is_true(evaluate(scope)), frozenset(compiler.used))


def _is_boolean(node: Node) -> bool:
    """Whether its value is a boolean whatever happens."""
    if isinstance(node, nodes.Operation):
        return node.operators[0] in ("and", "or")
    return isinstance(node, nodes.Comparison | nodes.Not)


class _Part:
    """A piece of a template, compiled."""

    __slots__ = ("constant", "evaluate", "needs")

    def __init__(self, evaluate: Closure, needs: Needs, constant: bool = False) -> None:
        self.evaluate = evaluate
        self.needs = needs
        self.constant = constant


def _needs_nothing(scope: Scope) -> Needed:
    return _NOTHING_NEEDED


def _needs_all(parts: list[_Part]) -> Needs:
    asking = [part.needs for part in parts if part.needs is not _needs_nothing]
    if not asking:
        return _needs_nothing
    if len(asking) == 1:
        return asking[0]
    return lambda scope: all_needed([needs(scope) for needs in asking])


def all_needed(parts: Sequence[Needed]) -> Needed:
    return Needed(_NOTHING.union(*(part.steps for part in parts)), _NOTHING.union(*(part.deciding for part in parts)))


class _Compiler:
    def __init__(
        self,
        steps: Mapping[str, int],
        fallback_data: frozenset[int],
        *,
        tolerant: bool,
    ) -> None:
        self.steps = steps
        self.fallback_data = fallback_data
        self.tolerant = tolerant
        self.used: set[int] = set()

    # Templates

    def compile(self, raw: Json, place: Place) -> _Part:
        if type(raw) is list:
            return self._list(raw, place)
        if type(raw) is dict:
            if "$from" in raw:
                return self._from(raw, place)
            if "$expr" in raw:
                return self._expression(raw["$expr"], place)
            if "$text" in raw:
                return self._text(raw["$text"], place)
            if "$if" in raw:
                return self._if(raw, place)
            if "$coalesce" in raw:
                return self._coalesce(raw["$coalesce"], (*place, "$coalesce"))
            if "$literal" in raw:
                return _constant(raw["$literal"])
            return self._object(raw, place)
        return _constant(raw)

    def _list(self, raw: list[Json], place: Place) -> _Part:
        parts = [self.compile(item, (*place, index)) for index, item in enumerate(raw)]
        if all(part.constant for part in parts):
            return _constant([part.evaluate(_NO_SCOPE) for part in parts])
        closures = [part.evaluate for part in parts]
        return _Part(lambda scope: _collect(closures, scope), _needs_all(parts))

    def _object(self, raw: dict[str, Json], place: Place) -> _Part:
        parts = [self.compile(value, (*place, key)) for key, value in raw.items()]
        keys = list(raw)
        if all(part.constant for part in parts):
            return _constant({key: part.evaluate(_NO_SCOPE) for key, part in zip(keys, parts, strict=True)})
        closures = [part.evaluate for part in parts]
        return _Part(lambda scope: dict(zip(keys, _collect(closures, scope), strict=True)), _needs_all(parts))

    def _text(self, raw: list[Json], place: Place) -> _Part:
        parts = [self.compile(item, place) for item in raw]
        closures = [part.evaluate for part in parts]
        return _Part(lambda scope: "".join(map(as_text, _collect(closures, scope))), _needs_all(parts))

    def _from(self, raw: dict[str, Json], place: Place) -> _Part:
        source = raw["$from"]
        path = _parsed(raw.get("path"))
        literal = raw.get("path")
        if not isinstance(literal, str) or literal.startswith("$"):
            literal = None
        if "step" in source:
            part = source.get("part", "output")
            default = None
            if raw.get("$on_skip", "use_default") == "use_default" and ("$default" in raw or "$on_skip" in raw):
                default = self.compile(raw.get("$default"), (*place, "$default"))
            return self._step(source["step"], part, path, literal, default, place)
        if "workflow" in source:
            return _Part(_input_reference(path, literal, self.tolerant, place), _needs_nothing)
        if "run" in source:
            return _Part(lambda scope: scope.run["id"], _needs_nothing)
        return _Part(_variable(source["variable"], path, self.tolerant, source, place), _needs_nothing)

    def _index(self, key: str) -> int:
        try:
            index = self.steps[key]
        except KeyError:
            raise ExpressionError(f"Unknown step '{key}'") from None
        self.used.add(index)
        return index

    def _step(
        self, key: str, part: str, path: Path, literal: str | None, default: _Part | None, place: Place | None
    ) -> _Part:
        step = self._index(key)
        if part == "output":
            in_data = step in self.fallback_data
            evaluate = _step_output(step, key, path, literal, default, in_data, self.tolerant, place)
        elif part == "status":
            evaluate = lambda scope: scope.status_of(step).value  # noqa: E731 - one of three, beside its siblings
        else:
            evaluate = _step_error(step, path)
        only = frozenset((step,))
        itself = Needed(only, _NOTHING if default is None else only)

        def needs(scope: Scope) -> Needed:
            status = scope.status_of(step)
            if not status.is_final:
                return itself
            if default is not None and status is StepStatus.SKIPPED:
                return default.needs(scope)
            return _NOTHING_NEEDED

        return _Part(evaluate, needs)

    def _if(self, raw: dict[str, Json], place: Place) -> _Part:
        condition = self.compile(raw["$if"], (*place, "$if"))
        then = self.compile(raw.get("then"), (*place, "then"))
        otherwise = self.compile(raw.get("else"), (*place, "else"))
        condition_evaluate, then_evaluate, else_evaluate = condition.evaluate, then.evaluate, otherwise.evaluate

        def evaluate(scope: Scope) -> Json:
            # Here only false and null are false.
            chosen = condition_evaluate(scope)
            return else_evaluate(scope) if chosen is None or chosen is False else then_evaluate(scope)

        def needs(scope: Scope) -> Needed:
            first = condition.needs(scope).steps
            if first:
                return Needed(first, first)
            try:
                chosen = condition_evaluate(scope)
            except (UpstreamFailed, UpstreamSkipped, ExpressionError):
                return _NOTHING_NEEDED
            return (otherwise if chosen is None or chosen is False else then).needs(scope)

        return _Part(evaluate, needs)

    def _coalesce(self, items: list[Json], place: Place) -> _Part:
        parts = [self.compile(item, (*place, index)) for index, item in enumerate(items)]
        closures = [part.evaluate for part in parts]

        def evaluate(scope: Scope) -> Json:
            for closure in closures:
                try:
                    value = closure(scope)
                except UpstreamSkipped:
                    continue
                if value is not None:
                    return value
            return None

        def needs(scope: Scope) -> Needed:
            for part in parts:
                first = part.needs(scope).steps
                if first:
                    return Needed(first, first)
                try:
                    if part.evaluate(scope) is not None:
                        return _NOTHING_NEEDED
                except UpstreamSkipped:
                    continue
                except (UpstreamFailed, ExpressionError):
                    return _NOTHING_NEEDED
            return _NOTHING_NEEDED

        return _Part(evaluate, needs)

    # Expressions

    def _expression(self, text: str, place: Place) -> _Part:
        part = self._node(parse_expression(text, self.steps))
        inner = part.evaluate

        def evaluate(scope: Scope) -> Json:
            try:
                return inner(scope)
            except ExpressionError as error:
                if error.place is None:
                    error.place = place
                    error.details["expression"] = text
                raise

        return _Part(evaluate, part.needs, part.constant)

    def _node(self, node: Node) -> _Part:
        match node:
            case nodes.Literally(value):
                return _constant(value)
            case nodes.Reference():
                return self._reference(node)
            case nodes.Operation():
                return self._operation(node)
            case nodes.Comparison():
                return self._comparison(node)
            case nodes.Not(operand):
                inner = self._node(operand)
                inner_evaluate = inner.evaluate
                return _Part(lambda scope: not is_true(inner_evaluate(scope)), inner.needs)
            case nodes.Negative(operand):
                inner = self._node(operand)
                inner_evaluate = inner.evaluate
                return _Part(lambda scope: negative(inner_evaluate(scope)), inner.needs)
            case nodes.Choice():
                return self._choice(node)
            case nodes.Items(items):
                parts = [self._node(item) for item in items]
                closures = [part.evaluate for part in parts]
                return _Part(lambda scope: _collect(closures, scope), _needs_all(parts))
            case nodes.Call():
                return self._call(node)
            case _:
                assert_never(node)

    def _reference(self, node: nodes.Reference) -> _Part:
        match node.kind:
            case "step":
                return self._step(node.name, node.part, node.path, None, None, None)
            case "input":
                return _Part(_input_reference(node.path, None, self.tolerant, None), _needs_nothing)
            case "variable":
                return _Part(_variable(node.name, node.path, self.tolerant, {}, None), _needs_nothing)
            case "run":
                return _Part(lambda scope: scope.run["id"], _needs_nothing)

    def _operation(self, node: nodes.Operation) -> _Part:
        parts = [self._node(operand) for operand in node.operands]
        closures = [part.evaluate for part in parts]
        if node.operators[0] in ("and", "or"):
            judges = [_truth(operand, part.evaluate) for operand, part in zip(node.operands, parts, strict=True)]
            return _Part(_all_of(judges) if node.operators[0] == "and" else _any_of(judges), _needs_all(parts))
        operators = node.operators

        def evaluate(scope: Scope) -> Json:
            total, *rest = _collect(closures, scope)
            for operator, value in zip(operators, rest, strict=True):
                total = arithmetic(operator, total, value)
            return total

        return _Part(evaluate, _needs_all(parts))

    def _comparison(self, node: nodes.Comparison) -> _Part:
        left, right = self._node(node.left), self._node(node.right)
        compare = COMPARISONS[node.operator]
        left_evaluate, right_evaluate = left.evaluate, right.evaluate
        if right.constant:
            constant = right_evaluate(_NO_SCOPE)
            return _Part(lambda scope: compare(left_evaluate(scope), constant), left.needs)

        both = [left_evaluate, right_evaluate]

        def evaluate(scope: Scope) -> Json:
            try:
                return compare(left_evaluate(scope), right_evaluate(scope))
            except UpstreamSkipped:
                return compare(*_collect(both, scope))  # a failed step beats a skipped one

        return _Part(evaluate, _needs_all([left, right]))

    def _choice(self, node: nodes.Choice) -> _Part:
        condition, then, otherwise = map(self._node, (node.condition, node.then, node.otherwise))
        condition_evaluate, then_evaluate, else_evaluate = condition.evaluate, then.evaluate, otherwise.evaluate

        def evaluate(scope: Scope) -> Json:
            return then_evaluate(scope) if is_true(condition_evaluate(scope)) else else_evaluate(scope)

        def needs(scope: Scope) -> Needed:
            first = condition.needs(scope).steps
            if first:
                return Needed(first, first)
            try:
                return (then if is_true(condition_evaluate(scope)) else otherwise).needs(scope)
            except (UpstreamFailed, UpstreamSkipped, ExpressionError):
                return _NOTHING_NEEDED

        return _Part(evaluate, needs)

    def _call(self, node: nodes.Call) -> _Part:
        if node.function == "now":
            return _Part(lambda scope: iso(scope.now), _needs_nothing)
        if node.function in ("exists", "default"):
            return self._tolerant_call(node)
        parts = [self._node(argument) for argument in node.arguments]
        function = FUNCTIONS[node.function]
        closures = [part.evaluate for part in parts]
        if len(closures) == 1:
            (only,) = closures
            return _Part(lambda scope: function(only(scope)), parts[0].needs)
        return _Part(lambda scope: function(*_collect(closures, scope)), _needs_all(parts))

    def _tolerant_call(self, node: nodes.Call) -> _Part:
        """`exists` and `default` see what is not there; the rest of a condition only sees null."""
        strict = _Compiler(self.steps, self.fallback_data, tolerant=False)
        tried = strict._node(node.arguments[0])
        self.used |= strict.used
        tried_evaluate = tried.evaluate
        absent = (PathNotFound, UpstreamSkipped, *((UpstreamFailed,) if self.tolerant else ()))
        if node.function == "exists":

            def exists(scope: Scope) -> bool:
                try:
                    tried_evaluate(scope)
                except absent:
                    return False
                return True

            return _Part(exists, tried.needs)
        other = self._node(node.arguments[1])
        other_evaluate = other.evaluate

        def default(scope: Scope) -> Json:
            try:
                value = tried_evaluate(scope)
            except absent:
                return other_evaluate(scope)
            return other_evaluate(scope) if value is None else value

        return _Part(default, _needs_all([tried, other]))


def _truth(node: Node, evaluate: Closure) -> Closure:
    return evaluate if _is_boolean(node) else lambda scope: is_true(evaluate(scope))


def _all_of(judges: list[Closure]) -> Closure:
    def evaluate(scope: Scope) -> bool:
        for judge in judges:  # noqa: SIM110 - all() over a generator takes twice as long
            if not judge(scope):
                return False
        return True

    return evaluate


def _any_of(judges: list[Closure]) -> Closure:
    def evaluate(scope: Scope) -> bool:
        for judge in judges:  # noqa: SIM110 - as above
            if judge(scope):
                return True
        return False

    return evaluate


def _constant(value: Json) -> _Part:
    return _Part(lambda scope: value, _needs_nothing, constant=True)


def _parsed(text: Json) -> Path:
    if text is None:
        return ()
    try:
        return parse_path(text)
    except ValueError as error:
        raise ExpressionError(str(error)) from None


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


# References. The quick way is tried first: an output at hand, and plain keys into it.


def _step_output(
    step: int,
    key: str,
    path: Path,
    literal: str | None,
    default: _Part | None,
    in_data: bool,
    tolerant: bool,
    place: Place | None,
) -> Closure:
    """`place` is None inside an expression, which has one."""
    slow = _slow_output(step, key, path, literal, default, in_data, tolerant, place)
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


def _slow_output(
    step: int,
    key: str,
    path: Path,
    literal: str | None,
    default: _Part | None,
    in_data: bool,
    tolerant: bool,
    place: Place | None,
) -> Closure:
    def evaluate(scope: Scope) -> Json:
        status = scope.status_of(step)
        if status is StepStatus.COMPLETED:
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
                message = f"Path {write_path(path)} not found in the output of step '{key}'"
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
            message = f"Path {write_path(path)} not found in the run's input"
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
            message = f"Path {write_path(path)} not found in variable '{name}'"
            return _absent(scope, PathNotFound(message, place=place), message, tolerant)

    return evaluate


class _NoScope:
    """Constants ask for nothing."""


_NO_SCOPE: Any = _NoScope()
