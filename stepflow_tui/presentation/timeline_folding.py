"""Which rows of a timeline are shown: of many steps those that matter and a row for the rest, what another step kept
from running under it, the items of a step below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from stepflow.model.run import StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.executions import is_upstream
from stepflow_tui.presentation.timeline_grid import grid_rows
from stepflow_tui.presentation.timeline_items import FAILED, Group, Item, Items

MANY = 40
"""Steps up to which all are shown."""
SLOWEST = 5
"""Steps that are shown for having taken long."""
ALWAYS = (StepStatus.FAILED, StepStatus.RUNNING, StepStatus.SLEEPING, StepStatus.WAITING, StepStatus.AWAITING_RETRY)

Form = Literal["list", "grid"]
NEXT_FORM: dict[Form | None, Form | None] = {None: "list", "list": "grid", "grid": None}
Id = tuple[str, ...]


class Row(msgspec.Struct, frozen=True):
    """A step with its attempts, oldest first."""

    step: StepRecord
    attempts: tuple[StepRecord, ...]

    @property
    def id(self) -> Id:
        return ("step", self.step.key)


class Rest(msgspec.Struct, frozen=True):
    """Steps that are folded away, or were."""

    counts: Mapping[StepStatus, int]
    is_open: bool

    @property
    def id(self) -> Id:
        return ("rest",)


class NotRun(msgspec.Struct, frozen=True):
    """Steps that another one kept from running, by failing."""

    cause: str
    keys: tuple[str, ...]
    is_open: bool

    @property
    def id(self) -> Id:
        return ("not run", self.cause)


class ItemRow(msgspec.Struct, frozen=True):
    key: str
    """Of its step."""
    item: Item

    @property
    def id(self) -> Id:
        return ("item", self.item.run_id)


class GroupRow(msgspec.Struct, frozen=True):
    """Items that failed in the same way."""

    key: str
    group: Group
    is_open: bool

    @property
    def id(self) -> Id:
        return ("group", self.key, self.group.fingerprint)


class ItemRest(msgspec.Struct, frozen=True):
    """Items that are folded away, or were."""

    key: str
    counts: Mapping[RunStatus, int]
    not_begun: int
    is_open: bool

    @property
    def id(self) -> Id:
        return ("items", self.key)


class GridRow(msgspec.Struct, frozen=True):
    key: str
    items: range

    @property
    def id(self) -> Id:
        return ("grid", self.key, str(self.items.start))


class LegendRow(msgspec.Struct, frozen=True):
    key: str

    @property
    def id(self) -> Id:
        return ("legend", self.key)


Shown = Row | Rest | NotRun | ItemRow | GroupRow | ItemRest | GridRow | LegendRow


class Choices(msgspec.Struct, frozen=True):
    """What somebody folded and unfolded."""

    opened: frozenset[Id] = frozenset()
    forms: Mapping[str, Form] = {}
    """Of the items of a step, by its key; others are folded."""
    only_critical: bool = False
    kept: str | None = None
    """The key of a step that is shown whatever it is: somebody went to it."""

    def toggled(self, row: Shown, items: Mapping[str, Items]) -> Choices:
        """`x` on a row."""
        if isinstance(row, Rest | NotRun | GroupRow | ItemRest):
            return msgspec.structs.replace(self, opened=self.opened ^ {row.id})
        key = row.step.key if isinstance(row, Row) else row.key
        if key in items:
            form = NEXT_FORM[self.forms.get(key)]
            if form == "grid" and items[key].total < 2:
                form = None
            rest = {one: own for one, own in self.forms.items() if one != key}
            return msgspec.structs.replace(self, forms=rest if form is None else {**rest, key: form})
        cause = _cause(row.step) if isinstance(row, Row) else None
        if cause is not None:
            return msgspec.structs.replace(self, opened=self.opened - {("not run", cause)})
        return msgspec.structs.replace(self, opened=self.opened ^ {("rest",)})


def rows_of(records: Sequence[StepRecord]) -> list[Row]:
    """From one record per attempt, in the flow's order."""
    rows: list[Row] = []
    attempts: list[StepRecord] = []
    for index, record in enumerate(records):
        attempts.append(record)
        if index + 1 == len(records) or records[index + 1].index != record.index:
            rows.append(Row(record, tuple(attempts)))
            attempts = []
    return rows


def is_upstream_failure(step: StepRecord) -> bool:
    return is_upstream(step.error)


def _cause(step: StepRecord) -> str | None:
    """The key of the step that kept it from running."""
    if not is_upstream_failure(step):
        return None
    details = (step.error or {}).get("details")
    by = details.get("by") if isinstance(details, dict) else None
    return by if isinstance(by, str) else None


def shown_rows(
    rows: Sequence[Row],
    critical: Collection[str],
    choices: Choices,
    items: Mapping[str, Items],
    grid_cells: int,
    now: datetime,
) -> list[Shown]:
    """`grid_cells`: in a row of a grid."""
    keys = {row.step.key for row in rows}
    caused: dict[str, list[Row]] = {}
    for row in rows:
        cause = _cause(row.step)
        if cause in keys and cause != row.step.key:
            caused.setdefault(cause, []).append(row)
    below = {row.step.key for some in caused.values() for row in some}
    plain = [row for row in rows if row.step.key not in below]
    rest: list[Row] = []
    if choices.only_critical:
        plain = [row for row in plain if row.step.key in critical]
        caused = {}
    elif len(rows) > MANY:
        wanted = _that_matter(plain, critical, {*caused, choices.kept}, now)
        rest = [row for row in plain if row.step.key not in wanted]
        if len(rest) < 2:
            rest = []
        elif ("rest",) not in choices.opened:
            plain = [row for row in plain if row.step.key in wanted]
    shown: list[Shown] = []
    for row in plain:
        shown.append(row)
        key = row.step.key
        if key in items and key in choices.forms:
            shown += _of_items(key, items[key], choices, grid_cells, now)
        if key in caused:
            shown += _not_run(key, caused[key], choices)
    if rest:
        shown.append(Rest(Counter(row.step.status for row in rest), ("rest",) in choices.opened))
    return shown


def _that_matter(
    rows: Iterable[Row], critical: Collection[str], kept: Collection[str | None], now: datetime
) -> set[str]:
    wanted: set[str] = set()
    others: list[tuple[float, str]] = []
    for row in rows:
        step = row.step
        if step.key in critical or step.key in kept or step.status in ALWAYS:
            wanted.add(step.key)
        elif step.started_at is not None:
            others.append((-((step.finished_at or now) - step.started_at).total_seconds(), step.key))
    return wanted | {key for _, key in sorted(others)[:SLOWEST]}


def _not_run(cause: str, some: Sequence[Row], choices: Choices) -> list[Shown]:
    row_id = ("not run", cause)
    is_open = row_id in choices.opened or any(row.step.key == choices.kept for row in some)
    folded = NotRun(cause, tuple(row.step.key for row in some), is_open)
    return [folded, *some] if is_open else [folded]


def _of_items(key: str, items: Items, choices: Choices, grid_cells: int, now: datetime) -> list[Shown]:
    if choices.forms[key] == "grid":
        grid = [GridRow(key, some) for some in grid_rows(len(items.items), grid_cells)]
        return [LegendRow(key), *grid]  # first: it is seen, however many rows there are
    shown: list[Shown] = []
    failed = 0
    for group in items.failures():
        failed += len(group.items)
        if len(group.items) == 1:
            shown.append(ItemRow(key, group.items[0]))
            continue
        row = GroupRow(key, group, ("group", key, group.fingerprint) in choices.opened)
        shown.append(row)
        if row.is_open:
            shown += [ItemRow(key, item) for item in group.items]
    slowest = items.slowest(now)
    shown += [ItemRow(key, item) for item in slowest]
    named = {item.run_id for item in slowest}
    others = [item for item in items.items if item.run_id not in named and item.status not in FAILED]
    not_begun = items.total - len(items.items)
    if others or not_begun:
        rest = ItemRest(key, Counter(item.status for item in others), not_begun, ("items", key) in choices.opened)
        shown.append(rest)
        if rest.is_open:
            shown += [ItemRow(key, item) for item in others]
    return shown
