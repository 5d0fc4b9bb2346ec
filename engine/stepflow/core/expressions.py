"""Expressions, compiled to closures: each node once, and nothing of it is looked at again when it is evaluated."""

from __future__ import annotations

from typing import assert_never

from stepflow.core.operators import COMPARISONS, FUNCTIONS, arithmetic, is_true, negative
from stepflow.core.parts import NO_SCOPE, NOTHING_NEEDED, Needed, Part, collect, constant, needs_all, needs_nothing
from stepflow.core.references import References
from stepflow.core.scope import Closure, PathNotFound, Scope, UpstreamFailed, UpstreamSkipped
from stepflow.errors import ExpressionError
from stepflow.model import expressions as nodes
from stepflow.model.expressions import Node
from stepflow.model.flow import Json
from stepflow.model.times import iso


class ExpressionCompiler:
    def __init__(self, references: References) -> None:
        self._references = references

    def node(self, node: Node) -> Part:
        match node:
            case nodes.Literally(value):
                return constant(value)
            case nodes.Reference():
                return self._reference(node)
            case nodes.Operation():
                return self._operation(node)
            case nodes.Comparison():
                return self._comparison(node)
            case nodes.Not(operand):
                inner = self.node(operand)
                inner_evaluate = inner.evaluate
                return Part(lambda scope: not is_true(inner_evaluate(scope)), inner.needs)
            case nodes.Negative(operand):
                inner = self.node(operand)
                inner_evaluate = inner.evaluate
                return Part(lambda scope: negative(inner_evaluate(scope)), inner.needs)
            case nodes.Choice():
                return self._choice(node)
            case nodes.Items(items):
                parts = [self.node(item) for item in items]
                closures = [part.evaluate for part in parts]
                return Part(lambda scope: collect(closures, scope), needs_all(parts))
            case nodes.Call():
                return self._call(node)
            case _:
                assert_never(node)

    def _reference(self, node: nodes.Reference) -> Part:
        match node.kind:
            case "step":
                return self._references.step(node.name, node.part, node.path, None, None, None)
            case "input":
                return self._references.input(node.path, None, None)
            case "variable":
                return self._references.variable(node.name, node.path, {}, None)
            case "run":
                return self._references.run_id()

    def _operation(self, node: nodes.Operation) -> Part:
        parts = [self.node(operand) for operand in node.operands]
        closures = [part.evaluate for part in parts]
        if node.operators[0] in ("and", "or"):
            judges = [truth_of(operand, part.evaluate) for operand, part in zip(node.operands, parts, strict=True)]
            return Part(_all_of(judges) if node.operators[0] == "and" else _any_of(judges), needs_all(parts))
        operators = node.operators

        def evaluate(scope: Scope) -> Json:
            total, *rest = collect(closures, scope)
            for operator, value in zip(operators, rest, strict=True):
                total = arithmetic(operator, total, value)
            return total

        return Part(evaluate, needs_all(parts))

    def _comparison(self, node: nodes.Comparison) -> Part:
        left, right = self.node(node.left), self.node(node.right)
        compare = COMPARISONS[node.operator]
        left_evaluate, right_evaluate = left.evaluate, right.evaluate
        if right.constant:
            constant = right_evaluate(NO_SCOPE)
            return Part(lambda scope: compare(left_evaluate(scope), constant), left.needs)

        both = [left_evaluate, right_evaluate]

        def evaluate(scope: Scope) -> Json:
            try:
                return compare(left_evaluate(scope), right_evaluate(scope))
            except UpstreamSkipped:
                return compare(*collect(both, scope))  # a failed step beats a skipped one

        return Part(evaluate, needs_all([left, right]))

    def _choice(self, node: nodes.Choice) -> Part:
        condition, then, otherwise = map(self.node, (node.condition, node.then, node.otherwise))
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
                return NOTHING_NEEDED

        return Part(evaluate, needs)

    def _call(self, node: nodes.Call) -> Part:
        if node.function == "now":
            return Part(lambda scope: iso(scope.now), needs_nothing)
        if node.function in ("exists", "default"):
            return self._tolerant_call(node)
        parts = [self.node(argument) for argument in node.arguments]
        function = FUNCTIONS[node.function]
        closures = [part.evaluate for part in parts]
        if len(closures) == 1:
            (only,) = closures
            return Part(lambda scope: function(only(scope)), parts[0].needs)
        return Part(lambda scope: function(*collect(closures, scope)), needs_all(parts))

    def _tolerant_call(self, node: nodes.Call) -> Part:
        """`exists` and `default` see what is not there; the rest of a condition only sees null."""
        strict = self._references.strict()
        tried = ExpressionCompiler(strict).node(node.arguments[0])
        self._references.used |= strict.used
        tried_evaluate = tried.evaluate
        absent = (PathNotFound, UpstreamSkipped, *((UpstreamFailed,) if self._references.is_tolerant else ()))
        if node.function == "exists":

            def exists(scope: Scope) -> bool:
                try:
                    tried_evaluate(scope)
                except absent:
                    return False
                return True

            return Part(exists, tried.needs)
        other = self.node(node.arguments[1])
        other_evaluate = other.evaluate

        def default(scope: Scope) -> Json:
            try:
                value = tried_evaluate(scope)
            except absent:
                return other_evaluate(scope)
            return other_evaluate(scope) if value is None else value

        return Part(default, needs_all([tried, other]))


def _is_boolean(node: Node) -> bool:
    """Whether its value is a boolean whatever happens."""
    if isinstance(node, nodes.Operation):
        return node.operators[0] in ("and", "or")
    return isinstance(node, nodes.Comparison | nodes.Not)


def truth_of(node: Node, evaluate: Closure) -> Closure:
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
