"""The executions that steps started, as their items: which belong to which step, how they stand, what they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.stats import percentile
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.fingerprints import message_of, without_particulars
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.timeline_activity import Activity

FLOWS = ("/builtin/map", "/builtin/eval", "/builtin/iterate")
"""Components that start executions."""
WITHOUT_CHILDREN = ("/builtin/", "/data/", "/http/", "/shell/")
"""Begins of components that start none while they run."""
AWAITS_CHILDREN = "children"
GOING = (RunStatus.RUNNING, RunStatus.SLEEPING, RunStatus.WAITING, RunStatus.AWAITING_RETRY)
MOVING = (RunStatus.RUNNING, RunStatus.SLEEPING, RunStatus.AWAITING_RETRY)
FAILED = (RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.STALLED)
SLOWEST = 5


class Item(msgspec.Struct, frozen=True):
    run_id: str
    number: int
    """From 0, in the order in which they were started."""
    status: RunStatus
    started_at: datetime | None
    finished_at: datetime | None
    message: str = ""
    """Why it failed."""

    def seconds(self, now: datetime) -> float:
        if self.started_at is None:
            return 0.0
        return ((self.finished_at or now) - self.started_at).total_seconds()


class Group(msgspec.Struct, frozen=True):
    """Items that failed in the same way."""

    fingerprint: str
    items: tuple[Item, ...]


class Items:
    """Of one step. `total`: how many there are to be; None: as many as there are. `is_cut`: not all were read."""

    def __init__(self, items: Sequence[Item], total: int | None = None, *, is_cut: bool = False) -> None:
        self.items = tuple(items)
        self.is_cut = is_cut
        self.total = max(total or 0, len(self.items))
        self.counts = Counter(item.status for item in items)
        spans = [
            (item.started_at.timestamp(), None if item.finished_at is None else item.finished_at.timestamp())
            for item in items
            if item.started_at is not None
        ]
        self.activity = Activity(spans)
        took = [end - begin for begin, end in spans if end is not None]
        self.median, self.slow = percentile(took, 0.5), percentile(took, 0.95)

    @property
    def ended(self) -> int:
        return sum(count for status, count in self.counts.items() if status.is_final)

    @property
    def moves(self) -> bool:
        """What is drawn of them changes with time alone."""
        return any(self.counts[status] for status in MOVING)

    def failures(self) -> list[Group]:
        """The most frequent first."""
        by_print: dict[str, list[Item]] = {}
        for item in self.items:
            if item.status in FAILED:
                by_print.setdefault(without_particulars(item.message), []).append(item)
        groups = [Group(one, tuple(own)) for one, own in by_print.items()]
        return sorted(groups, key=lambda group: -len(group.items))

    def slowest(self, now: datetime) -> list[Item]:
        """Of those that did not fail; some alone where there are many."""
        rest = [item for item in self.items if item.status not in FAILED and item.started_at is not None]
        return sorted(rest, key=lambda item: -item.seconds(now))[:SLOWEST]


def is_fan_out(step: StepRecord) -> bool:
    return step.component in FLOWS or step.awaits == AWAITS_CHILDREN


def may_have_items(step: StepRecord) -> bool:
    """Also those that a component starts while it runs, without awaiting them."""
    return is_fan_out(step) or not step.component.startswith(WITHOUT_CHILDREN)


class Begun(msgspec.Struct, frozen=True):
    """When a step began to wait for what it had started, and for how many."""

    at: datetime
    total: int


def items_of(
    run: RunRecord,
    attempts: Mapping[str, Sequence[StepRecord]],
    children: Iterable[RunRecord],
    begun: Mapping[str, Sequence[Begun]],
    moment: datetime | None = None,
    *,
    is_cut: bool = False,
) -> dict[str, Items]:
    """By the key of their step, those of its last attempt. `children`: oldest first, `is_cut`: not all; `moment`: as
    they were then."""
    by_template: dict[str, list[RunRecord]] = {}
    for child in children:
        if moment is None or child.created_at <= moment:
            by_template.setdefault(child.template, []).append(child)
    own: dict[str, list[RunRecord]] = {}
    totals = {key: begins[-1].total for key, begins in begun.items() if begins}
    for template, some in by_template.items():
        step = template.removeprefix(f"{run.template}/")
        if step != template and step in attempts:
            own.setdefault(step, []).extend(some)  # of a flow that is written out in the step
        else:
            _share(some, attempts, begun, totals, own)
    made = {}
    for key, some in own.items():
        last = attempts[key][-1]
        since = last.started_at or run.created_at
        is_repeated = last.component == FLOWS[2]
        items = [_item(child, number, moment) for number, child in enumerate(c for c in some if c.created_at >= since)]
        made[key] = Items(items, None if is_repeated else totals.get(key), is_cut=is_cut)
    return made


def _share(
    children: Sequence[RunRecord],
    attempts: Mapping[str, Sequence[StepRecord]],
    begun: Mapping[str, Sequence[Begun]],
    totals: Mapping[str, int],
    own: dict[str, list[RunRecord]],
) -> None:
    """Of one template, to the steps that began to wait when the first of them were made, as many as each has; else to
    the only one that ran then and may have started them."""
    made_at = {child.created_at for child in children}
    steps = [key for key, begins in begun.items() if any(one.at in made_at for one in begins)]
    for child in children:
        fitting = [key for key in steps if _covers(attempts[key], child.created_at)]
        wanting = [key for key in fitting if len(own.get(key, ())) < totals.get(key, 0)]
        if fitting:
            own.setdefault((wanting or fitting)[0], []).append(child)
            continue
        # The log does not say which step started one that nobody awaits: where two may have, it is nobody's.
        running = [key for key, tries in attempts.items() if may_have_items(tries[-1])]
        running = [key for key in running if _covers(attempts[key], child.created_at)]
        if len(running) == 1:
            own.setdefault(running[0], []).append(child)


def _covers(attempts: Sequence[StepRecord], moment: datetime) -> bool:
    first, last = attempts[0], attempts[-1]
    if first.started_at is None or moment < first.started_at:
        return False
    return last.finished_at is None or moment <= last.finished_at


def _item(child: RunRecord, number: int, moment: datetime | None) -> Item:
    status, started, finished = child.status, child.started_at, child.finished_at
    if moment is not None and finished is not None and finished > moment:
        status, finished = RunStatus.RUNNING, None
    if moment is not None and started is not None and started > moment:
        status, started = RunStatus.QUEUED, None
    message = message_of(child) if status in FAILED else ""
    return Item(child.id, number, status, started, finished, message)


def count_spans(counts: Mapping[RunStatus, int], others: int, glyphs: Glyphs, *, is_cut: bool) -> Line:
    """`188✓ 9▶ 3✗ 12·`; the last are those that have not begun, or (`is_cut`) were not read."""
    line: Line = []
    for status in (RunStatus.COMPLETED, *GOING, *FAILED, RunStatus.CANCELLED, RunStatus.PAUSED, RunStatus.QUEUED):
        if counts.get(status):
            glyph, style = glyphs.run(status)
            line.append((f"{counts[status]:,}{glyph} ", style))
    if others:
        sign = " not read " if is_cut else ". " if glyphs.ascii_only else "· "
        line.append((f"{others:,}{sign}", "quiet"))
    return line


def items_note(items: Items, glyphs: Glyphs) -> list[Line]:
    """What is said beside the profile, the longest way first."""
    counts = count_spans(items.counts, items.total - len(items.items), glyphs, is_cut=items.is_cut)
    if items.median is None or items.slow is None or len(items.items) < 2:
        return [counts]
    spread = f" p50 {short(items.median)} p95 {short(items.slow)}"
    return [[*counts, (spread, "dim")], counts]
