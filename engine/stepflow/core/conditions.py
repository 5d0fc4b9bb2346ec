"""Conditions (`skip_if`, `when`): references and literals, judged tolerantly."""

from __future__ import annotations

from collections.abc import Mapping

from stepflow.core.values import Closure, Compiler, Scope, UpstreamFailed, UpstreamSkipped
from stepflow.errors import ExpressionError
from stepflow.model.flow import Json


def is_true(value: Json) -> bool:
    """False are false, null, 0 and "": and only those."""
    return not (value is None or value is False or value == "" or (type(value) in (int, float) and value == 0))


class Condition:
    __slots__ = ("_evaluate", "steps")

    def __init__(self, evaluate: Closure, steps: frozenset[int]) -> None:
        self._evaluate = evaluate
        self.steps = steps

    def evaluate(self, scope: Scope) -> bool:
        """A reference to a skipped or failed step, and a missing path, count as null, with a warning."""
        try:
            return is_true(self._evaluate(scope))
        except (UpstreamFailed, UpstreamSkipped):
            return False
        except ExpressionError as error:
            scope.warn(f"{error.message}; counted as null")
            return False


def compile_condition(raw: Json, steps: Mapping[str, int]) -> Condition:
    compiler = Compiler(steps)
    closure, _ = compiler.compile(raw)
    return Condition(closure, frozenset(compiler.used))
