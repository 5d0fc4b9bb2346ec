"""`evaluate: needed`: which steps are needed, found while the run goes on, since a branch is known only when taken.

The output and `must_execute` steps are wanted from the start. Whoever is wanted says which steps it waits for next;
when these have ended it is asked again. Nothing of it is stored: it follows from the statuses.
"""

from __future__ import annotations

from collections.abc import Iterable

OUTPUT = -1
"""The run's output, among the steps that want others."""


class Demand:
    """As of the run's present state."""

    __slots__ = ("counts", "judged", "waiters", "wanted")

    def __init__(self) -> None:
        self.wanted: set[int] = set()
        self.judged: set[int] = set()
        """Steps whose condition has been judged."""
        self.counts: dict[int, int] = {}
        """For how many steps each still waits; absent: it has not been asked, or waits for nothing."""
        self.waiters: dict[int, list[int]] = {}


class DemandDraft:
    """What a decision adds to it."""

    __slots__ = ("_base", "_counts", "_ended", "_judged", "_waiters", "_wanted")

    def __init__(self, base: Demand) -> None:
        self._base = base
        self._wanted: set[int] = set()
        self._counts: dict[int, int] = {}
        self._waiters: dict[int, list[int]] = {}
        self._ended: set[int] = set()
        self._judged: set[int] = set()

    def want(self, step: int) -> bool:
        """False: it is wanted already."""
        if step in self._wanted or step in self._base.wanted:
            return False
        self._wanted.add(step)
        return True

    def judge(self, step: int) -> bool:
        """False: its condition has been judged already."""
        if step in self._judged or step in self._base.judged:
            return False
        self._judged.add(step)
        return True

    def wait(self, who: int, steps: Iterable[int]) -> None:
        """`who` is to be asked again when all of `steps` have ended."""
        count = 0
        for step in steps:
            self._waiters.setdefault(step, []).append(who)
            count += 1
        self._counts[who] = count

    def ended(self, step: int) -> list[int]:
        """Who is to be asked again now."""
        ready = []
        self._ended.add(step)
        for who in [*self._base.waiters.get(step, ()), *self._waiters.get(step, ())]:
            left = self._counts[who] = self._counts.get(who, self._base.counts.get(who, 0)) - 1
            if left == 0:
                ready.append(who)
        return ready

    def keep(self) -> None:
        """The decision is durable."""
        base = self._base
        base.wanted |= self._wanted
        base.judged |= self._judged
        base.counts.update(self._counts)
        for step, more in self._waiters.items():
            base.waiters.setdefault(step, []).extend(more)
        for step in self._ended:
            base.waiters.pop(step, None)
