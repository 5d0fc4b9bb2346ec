"""Pieces of a template, compiled: how each is evaluated, and which steps it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from stepflow.core.scope import Closure, Scope, UpstreamSkipped
from stepflow.model.flow import Json

NOTHING: frozenset[int] = frozenset()


class Needed(NamedTuple):
    """The steps that have to end before more can be said of a value."""

    steps: frozenset[int]
    deciding: frozenset[int] = NOTHING
    """Those of them whose end may tell of others: which branch is taken, which default."""


Needs = Callable[[Scope], Needed]

NOTHING_NEEDED = Needed(NOTHING)


class Part:
    """A piece of a template, compiled."""

    __slots__ = ("constant", "evaluate", "needs")

    def __init__(self, evaluate: Closure, needs: Needs, constant: bool = False) -> None:
        self.evaluate = evaluate
        self.needs = needs
        self.constant = constant


def needs_nothing(scope: Scope) -> Needed:
    return NOTHING_NEEDED


def needs_all(parts: list[Part]) -> Needs:
    asking = [part.needs for part in parts if part.needs is not needs_nothing]
    if not asking:
        return needs_nothing
    if len(asking) == 1:
        return asking[0]
    return lambda scope: all_needed([needs(scope) for needs in asking])


def all_needed(parts: Sequence[Needed]) -> Needed:
    return Needed(NOTHING.union(*(part.steps for part in parts)), NOTHING.union(*(part.deciding for part in parts)))


def constant(value: Json) -> Part:
    return Part(lambda scope: value, needs_nothing, constant=True)


def collect(closures: list[Closure], scope: Scope) -> list[Json]:
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


class _NoScope:
    """Constants ask for nothing."""


NO_SCOPE: Any = _NoScope()
