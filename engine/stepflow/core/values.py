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

from collections.abc import Callable, Mapping

from stepflow.core.expressions import ExpressionCompiler, truth_of
from stepflow.core.operators import as_text, is_true
from stepflow.core.parts import NO_SCOPE, NOTHING, NOTHING_NEEDED, Needed, Needs, Part, collect, constant, needs_all
from stepflow.core.references import GivenReference, References
from stepflow.core.scope import Closure, Place, Scope, UpstreamFailed, UpstreamSkipped
from stepflow.errors import ExpressionError
from stepflow.model.expressions import parse_expression
from stepflow.model.flow import Json
from stepflow.model.paths import Path, parse_path


class Value:
    """A compiled template."""

    __slots__ = ("constant", "evaluate", "given", "needs", "steps")

    def __init__(
        self,
        evaluate: Closure,
        needs: Needs,
        steps: frozenset[int],
        constant: bool,
        given: tuple[GivenReference, ...] = (),
    ) -> None:
        self.evaluate = evaluate
        """Its value in a scope. `UpstreamFailed`, `UpstreamSkipped`, `ExpressionError` where it has none."""
        self.needs = needs
        """Of branches and defaults, only those that are taken."""
        self.steps = steps
        """Every step it refers to, defaults included."""
        self.given = given
        """Every part of the run's input, and every variable, that it refers to."""
        self.constant = constant


class Condition:
    """A compiled `skip_if` or `when`."""

    __slots__ = ("evaluate", "given", "steps")

    def __init__(
        self, evaluate: Callable[[Scope], bool], steps: frozenset[int], given: tuple[GivenReference, ...]
    ) -> None:
        self.evaluate = evaluate
        """A reference to a skipped or failed step, and a missing path, count as null, with a warning."""
        self.steps = steps
        self.given = given


def compile_value(
    raw: Json,
    steps: Mapping[str, int],
    *,
    fallback_data: frozenset[int] = NOTHING,
    place: Place = (),
) -> Value:
    """`steps` gives the index of each step key; paths that are not found in the output of a step in `fallback_data`
    are looked up in the output's `data`. `place` is where the value stands in the flow: its errors have theirs.
    `ExpressionError` for a template that `dsl.validate` would have refused."""
    references = References(steps, fallback_data, tolerant=False)
    part = _Compiler(references).compile(raw, place)
    return Value(part.evaluate, part.needs, frozenset(references.used), part.constant, tuple(references.given))


def compile_condition(
    raw: Json,
    steps: Mapping[str, int],
    *,
    fallback_data: frozenset[int] = NOTHING,
    place: Place = (),
) -> Condition:
    references = References(steps, fallback_data, tolerant=True)
    evaluate = _Compiler(references).compile(raw, place).evaluate
    used, given = frozenset(references.used), tuple(references.given)
    if isinstance(raw, dict) and "$expr" in raw:
        return Condition(truth_of(parse_expression(raw["$expr"], steps), evaluate), used, given)
    return Condition(lambda scope: is_true(evaluate(scope)), used, given)


class _Compiler:
    def __init__(self, references: References) -> None:
        self._references = references

    def compile(self, raw: Json, place: Place) -> Part:
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
                return constant(raw["$literal"])
            return self._object(raw, place)
        return constant(raw)

    def _list(self, raw: list[Json], place: Place) -> Part:
        parts = [self.compile(item, (*place, index)) for index, item in enumerate(raw)]
        if all(part.constant for part in parts):
            return constant([part.evaluate(NO_SCOPE) for part in parts])
        closures = [part.evaluate for part in parts]
        return Part(lambda scope: collect(closures, scope), needs_all(parts))

    def _object(self, raw: dict[str, Json], place: Place) -> Part:
        parts = [self.compile(value, (*place, key)) for key, value in raw.items()]
        keys = list(raw)
        if all(part.constant for part in parts):
            return constant({key: part.evaluate(NO_SCOPE) for key, part in zip(keys, parts, strict=True)})
        closures = [part.evaluate for part in parts]
        return Part(lambda scope: dict(zip(keys, collect(closures, scope), strict=True)), needs_all(parts))

    def _text(self, raw: list[Json], place: Place) -> Part:
        parts = [self.compile(item, place) for item in raw]
        closures = [part.evaluate for part in parts]
        return Part(lambda scope: "".join(map(as_text, collect(closures, scope))), needs_all(parts))

    def _from(self, raw: dict[str, Json], place: Place) -> Part:
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
            return self._references.step(source["step"], part, path, literal, default, place)
        if "workflow" in source:
            return self._references.input(path, literal, place)
        if "run" in source:
            return self._references.run_id()
        return self._references.variable(source["variable"], path, source, place)

    def _if(self, raw: dict[str, Json], place: Place) -> Part:
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
                return NOTHING_NEEDED
            return (otherwise if chosen is None or chosen is False else then).needs(scope)

        return Part(evaluate, needs)

    def _coalesce(self, items: list[Json], place: Place) -> Part:
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
                        return NOTHING_NEEDED
                except UpstreamSkipped:
                    continue
                except (UpstreamFailed, ExpressionError):
                    return NOTHING_NEEDED
            return NOTHING_NEEDED

        return Part(evaluate, needs)

    def _expression(self, text: str, place: Place) -> Part:
        part = ExpressionCompiler(self._references).node(parse_expression(text, self._references.step_keys))
        inner = part.evaluate

        def evaluate(scope: Scope) -> Json:
            try:
                return inner(scope)
            except ExpressionError as error:
                if error.place is None:
                    error.place = place
                    error.details["expression"] = text
                raise

        return Part(evaluate, part.needs, part.constant)


def _parsed(text: Json) -> Path:
    if text is None:
        return ()
    try:
        return parse_path(text)
    except ValueError as error:
        raise ExpressionError(str(error)) from None
