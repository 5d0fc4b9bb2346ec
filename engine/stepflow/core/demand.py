"""`evaluate: needed`: which steps are needed, found while the run goes on, since a branch is known only when taken.

The output and `must_execute` steps are wanted from the start. Whoever is wanted says which steps it waits for next;
when these have ended, or one that decides of others, it is asked again. Nothing of it is stored: it follows from the
statuses.
"""

from __future__ import annotations

from stepflow.core.parts import Needed

OUTPUT = -1
"""The run's output, among the steps that want others."""


class Demand:
    """As of the run's present state."""

    __slots__ = ("awaited", "counts", "deciding", "judged", "waiters", "wanted")

    def __init__(self) -> None:
        self.wanted: set[int] = set()
        self.judged: set[int] = set()
        """Steps whose condition has been judged."""
        self.awaited: dict[int, set[int]] = {}
        """By who waits: all steps it has waited for."""
        self.deciding: dict[int, set[int]] = {}
        """Of these, those at whose end it is asked again, though others are still open."""
        self.counts: dict[int, int] = {}
        """For how many of them it still waits."""
        self.waiters: dict[int, list[int]] = {}
        """The other way round: by open step, who waits for it."""


class DemandDraft:
    """What a decision adds to it."""

    __slots__ = ("_awaited", "_base", "_counts", "_deciding", "_ended", "_judged", "_waiters", "_wanted")

    def __init__(self, base: Demand) -> None:
        self._base = base
        self._wanted: set[int] = set()
        self._awaited: dict[int, set[int]] = {}
        self._deciding: dict[int, set[int]] = {}
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

    def wait(self, who: int, needed: Needed) -> list[int]:
        """`who` is to be asked again when all these steps have ended, or a deciding one. Answers with those it did not
        wait for so far."""
        awaited = self._awaited.setdefault(who, set())
        new = sorted(needed.steps.difference(awaited, self._base.awaited.get(who, ())))
        for step in new:
            self._waiters.setdefault(step, []).append(who)
        awaited.update(new)
        if needed.deciding:
            self._deciding.setdefault(who, set()).update(needed.deciding)
        self._counts[who] = self._count(who) + len(new)
        return new

    def ended(self, step: int) -> list[int]:
        """Who is to be asked again now."""
        ready = []
        self._ended.add(step)
        for who in [*self._base.waiters.get(step, ()), *self._waiters.get(step, ())]:
            left = self._counts[who] = self._count(who) - 1
            if left == 0 or self._is_deciding(who, step):
                ready.append(who)
        return ready

    def _count(self, who: int) -> int:
        return self._counts.get(who, self._base.counts.get(who, 0))

    def _is_deciding(self, who: int, step: int) -> bool:
        return step in self._deciding.get(who, ()) or step in self._base.deciding.get(who, ())

    def keep(self) -> None:
        """The decision is durable."""
        base = self._base
        base.wanted |= self._wanted
        base.judged |= self._judged
        base.counts.update(self._counts)
        for added, kept in ((self._awaited, base.awaited), (self._deciding, base.deciding)):
            for who, steps in added.items():
                kept.setdefault(who, set()).update(steps)
        for step, more in self._waiters.items():
            base.waiters.setdefault(step, []).extend(more)
        for step in self._ended:
            base.waiters.pop(step, None)
