"""What there is to look after on a timeline: what failed, then what waits for an answer, then what is late, then what
runs. Of items that failed in the same way it is the first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Literal

import msgspec

from stepflow.model.run import StepRecord, awaited_signal
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.fingerprints import without_particulars
from stepflow_tui.presentation.timeline_folding import Choices, GroupRow, Id, ItemRow, Row, Shown, is_upstream_failure
from stepflow_tui.presentation.timeline_items import AWAITS_CHILDREN, FAILED, Item, Items


class Kind(IntEnum):
    """The worst first."""

    FAILED = 0
    WAITS = 1
    LATE = 2
    RUNS = 3


SAID = {Kind.WAITS: "waits", Kind.LATE: "is late", Kind.RUNS: "runs"}

Place = tuple[Kind, int]
"""Of what kind, and in which row: they are gone through in this order."""


class Stop(msgspec.Struct, frozen=True):
    """Something to come to."""

    kind: Kind
    row: Row | ItemRow
    is_first: bool
    """The one before it in this direction was of another kind."""

    @property
    def said(self) -> str:
        """What is to be said of it; empty: it is seen to have failed."""
        if self.kind is Kind.FAILED:
            return ""
        return f"{'No step below failed; this one' if self.is_first else 'This one'} {SAID[self.kind]}"


def kind_of(step: StepRecord, late: Collection[str]) -> Kind | None:
    """`late`: keys of steps that take longer than they usually do."""
    match step.status:
        case StepStatus.FAILED:
            return None if is_upstream_failure(step) else Kind.FAILED
        case StepStatus.AWAITING_RETRY:
            return Kind.FAILED
        case StepStatus.WAITING if awaited_signal(step.awaits) is not None:
            return Kind.WAITS
        case StepStatus.RUNNING:
            return Kind.LATE if step.key in late else Kind.RUNS
        case StepStatus.WAITING if step.awaits == AWAITS_CHILDREN:
            return Kind.LATE if step.key in late else Kind.RUNS
        case _:
            return None


def unfolded(choices: Choices, items: Mapping[str, Items]) -> Choices:
    """With all in sight that may be a stop."""
    opened: set[Id] = set()
    forms: dict[str, Literal["list", "grid"]] = {}
    for key, own in items.items():
        groups = own.failures()
        opened |= {("group", key, group.fingerprint) for group in groups}
        if own.counts[RunStatus.WAITING]:
            opened.add(("items", key))
        if groups or own.counts[RunStatus.WAITING]:
            forms[key] = "list"
    return msgspec.structs.replace(
        choices, opened=choices.opened | opened, forms={**choices.forms, **forms}, only_critical=False
    )


def opened_for(choices: Choices, row: Row | ItemRow) -> list[Choices]:
    """That bring `row` in sight, the one that changes least first."""
    if isinstance(row, Row):
        return [choices, msgspec.structs.replace(choices, kept=row.step.key, only_critical=False)]
    item, key = row.item, row.key
    fold = ("group", key, without_particulars(item.message)) if item.status in FAILED else ("items", key)
    listed = msgspec.structs.replace(choices, forms={**choices.forms, key: "list"})
    return [listed, msgspec.structs.replace(listed, opened=choices.opened | {fold}, only_critical=False)]


def stops(rows: Sequence[Shown], late: Collection[str], failing: Collection[str]) -> list[tuple[Place, Row | ItemRow]]:
    """In the order in which they are gone through. `rows`: with all in sight; `failing`: keys of steps that count as
    failed for their items."""
    found: list[tuple[Place, Row | ItemRow]] = []
    told: set[str] = set()
    """Items that failed as another one did."""
    waiting: set[str] = set()
    """Steps of which one item that waits was come by."""
    for place, row in enumerate(rows):
        kind: Kind | None = None
        if isinstance(row, GroupRow):
            told |= {item.run_id for item in row.group.items[1:]}
        elif isinstance(row, Row):
            kind = Kind.FAILED if row.step.key in failing else kind_of(row.step, late)
        elif isinstance(row, ItemRow):
            kind = _kind_of_item(row.item)
            if row.item.run_id in told or (kind is Kind.WAITS and row.key in waiting):
                kind = None
            elif kind is Kind.WAITS:
                waiting.add(row.key)
        if kind is not None and isinstance(row, Row | ItemRow):
            found.append(((kind, place), row))
    return sorted(found, key=lambda one: one[0])


def _kind_of_item(item: Item) -> Kind | None:
    if item.status in FAILED:
        return Kind.FAILED
    return Kind.WAITS if item.status is RunStatus.WAITING else None


def next_place(places: Iterable[Place], at: Place, direction: int) -> Place | None:
    """The next of the same kind in this direction, else the first of the kinds after it; back the same way."""
    others = sorted(place for place in places if place[1] != at[1])
    if direction > 0:
        return next((place for place in others if place > at), None)
    return next((place for place in reversed(others) if place < at), None)


def next_stop(found: Sequence[tuple[Place, Row | ItemRow]], at: Place, direction: int) -> Stop | None:
    """From `at` on, which is no stop itself or the last one that was come to."""
    place = next_place([place for place, _ in found], at, direction)
    if place is None:
        return None
    return Stop(place[0], dict(found)[place], direction > 0 and at[0] is Kind.FAILED)
