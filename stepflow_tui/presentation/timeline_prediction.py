"""When the steps of an execution that goes on are expected to begin and to end, by what earlier ones took."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.stats import percentile
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.durations import passed, short
from stepflow_tui.presentation.glyphs import Glyphs

ENOUGH = 3
"""Earlier executions from which on anything is called late."""
LEAST_LATE_SECONDS = 1.0
GOING_ON = (
    RunStatus.SCHEDULED,
    RunStatus.QUEUED,
    RunStatus.RUNNING,
    RunStatus.SLEEPING,
    RunStatus.WAITING,
    RunStatus.AWAITING_RETRY,
)
"""Of all others nobody knows when they go on."""


class Usual(msgspec.Struct, frozen=True):
    """What earlier ones took, in seconds."""

    median: float
    slow: float
    """The 95th percentile."""
    count: int

    def is_late(self, elapsed: float) -> bool:
        return self.count >= ENOUGH and elapsed > self.slow + LEAST_LATE_SECONDS


class StepHistory(msgspec.Struct, frozen=True):
    """Of a version of a template."""

    steps: Mapping[str, Usual] = {}
    run: Usual | None = None
    slots: int = 0
    """Steps that run at a time; 0: as many as there are."""
    earlier: Mapping[str, Sequence[float]] = {}
    """What each step took in the executions before, in seconds, oldest first."""


class Expected(msgspec.Struct, frozen=True):
    begin: datetime
    end: datetime
    usual: Usual


class Prediction(msgspec.Struct, frozen=True):
    steps: Mapping[str, Expected]
    """Of those that have not ended and of which anything is known."""
    end: datetime
    is_whole: bool
    """False: of some that are left nothing is known."""

    def seconds_left(self, now: datetime) -> float:
        return max(0.0, (self.end - now).total_seconds())


def usual_of(seconds: Sequence[float]) -> Usual | None:
    median, slow = percentile(seconds, 0.5), percentile(seconds, 0.95)
    return None if median is None or slow is None else Usual(median, slow, len(seconds))


def step_history(runs: Sequence[tuple[RunRecord, Sequence[StepRecord]]], slots: int) -> StepHistory:
    """Of completed executions, newest first, each with one record a step."""
    took: dict[str, list[float]] = {}
    for _, steps in runs:
        for step in steps:
            durations = took.setdefault(step.key, [])
            if step.status is StepStatus.COMPLETED and not step.reused and step.duration_ms is not None:
                durations.append(step.duration_ms / 1000)
    # One that was there and never ran takes no time.
    steps_usual = {key: usual_of(seconds or [0.0]) for key, seconds in took.items()}
    whole = usual_of([run.duration_ms / 1000 for run, _ in runs if run.duration_ms is not None])
    earlier = {key: seconds[::-1] for key, seconds in took.items()}
    return StepHistory({key: usual for key, usual in steps_usual.items() if usual is not None}, whole, slots, earlier)


def predict(run: RunRecord, steps: Sequence[StepRecord], history: StepHistory, now: datetime) -> Prediction | None:
    """Each begins when all it waits for has ended and there is room for it. One record a step. None: nothing is known
    of what is left."""
    left = [step for step in steps if not step.status.is_final]
    if run.status not in GOING_ON or run.lacks_worker or not any(step.key in history.steps for step in left):
        return None
    starts = 0.0
    if run.status is RunStatus.SCHEDULED and run.wake_at is not None:
        starts = max(0.0, (run.wake_at - now).total_seconds())
    plan = _Plan(history, left, now)
    plan.follow(starts)
    end = now + timedelta(seconds=max(plan.ends.values(), default=0.0))
    expected = {}
    for step in left:
        usual = history.steps.get(step.key)
        if usual is not None and step.key in plan.ends:
            begin = now + timedelta(seconds=plan.begins[step.key])
            expected[step.key] = Expected(begin, now + timedelta(seconds=plan.ends[step.key]), usual)
    return Prediction(expected, end, all(step.key in history.steps for step in left))


class _Plan:
    """In seconds from now."""

    def __init__(self, history: StepHistory, left: Sequence[StepRecord], now: datetime) -> None:
        self._history = history
        self._now = now
        self._slots = history.slots or len(left)
        self._by_key = {step.key: step for step in left}
        self._waits_for = {step.key: [key for key in set(step.depends_on) if key in self._by_key] for step in left}
        self._followers: dict[str, list[str]] = {}
        for key, others in self._waits_for.items():
            for other in others:
                self._followers.setdefault(other, []).append(key)
        self.begins: dict[str, float] = {}
        self.ends: dict[str, float] = {}

    def follow(self, starts: float) -> None:
        """`starts`: when the first may begin."""
        running: list[tuple[float, str]] = []
        ready: list[tuple[int, str]] = []
        free = self._slots
        for step in self._by_key.values():
            if step.started_at is not None:
                self.begins[step.key], self.ends[step.key] = self._going_on(step)
                holds_slot = step.status is StepStatus.RUNNING
                free -= holds_slot
                heapq.heappush(running, (self.ends[step.key], step.key))
            elif not self._waits_for[step.key]:
                heapq.heappush(ready, (step.index, step.key))
        open_count = {key: len(others) for key, others in self._waits_for.items()}
        at = starts
        while ready or running:
            while ready and free > 0:
                _, key = heapq.heappop(ready)
                self.begins[key], self.ends[key] = at, at + self._usual(key)
                free -= 1
                heapq.heappush(running, (self.ends[key], key))
            if not running:
                break  # those that run hold all the room for ever: it cannot be
            at, key = heapq.heappop(running)
            started = self._by_key[key]
            free += started.started_at is None or started.status is StepStatus.RUNNING
            for follower in self._followers.get(key, ()):
                open_count[follower] -= 1
                if not open_count[follower] and self._by_key[follower].started_at is None:
                    heapq.heappush(ready, (self._by_key[follower].index, follower))

    def _usual(self, key: str) -> float:
        usual = self._history.steps.get(key)
        return 0.0 if usual is None else usual.median

    def _going_on(self, step: StepRecord) -> tuple[float, float]:
        assert step.started_at is not None
        begun = (step.started_at - self._now).total_seconds()
        if step.wake_at is not None and step.status is not StepStatus.WAITING:
            wakes = max(0.0, (step.wake_at - self._now).total_seconds())
            if step.status is StepStatus.SLEEPING:
                return begun, wakes
            return wakes, wakes + self._usual(step.key)
        usual = self._history.steps.get(step.key)
        if usual is None:
            return begun, 0.0
        # Past what is usual, it is expected when the slow ones have ended.
        ends = begun + usual.median
        return begun, ends if ends > 0 else max(0.0, begun + usual.slow)


def running_notes(expected: Expected, started_at: datetime, now: datetime) -> list[tuple[str, str]]:
    """How far a running step is, the longest way to say it first; text and style."""
    elapsed = (now - started_at).total_seconds()
    usual = expected.usual
    if usual.is_late(elapsed):
        late = f"late {short(elapsed - usual.median)}"
        return [(f"{late} (p50 {short(usual.median)})", "late"), (late, "late")]
    share = share_of(expected, started_at, now)
    if share is None:
        return []
    left = (expected.end - now).total_seconds()
    return [(f"{share}%  ETA {short(left)}", "dim"), (f"{share}%", "dim")]


def share_of(expected: Expected, started_at: datetime, now: datetime) -> int | None:
    """Of a hundred, how far a running step is; None: it should have ended."""
    elapsed, left = (now - started_at).total_seconds(), (expected.end - now).total_seconds()
    return None if left <= 0 else passed(elapsed, left)


def subtitle_of(
    run: RunRecord, prediction: Prediction | None, history: StepHistory | None, now: datetime, glyphs: Glyphs
) -> str:
    """How far one is that goes on, and when it will end."""
    sign = glyphs.run(run.status)[0]
    done = f"{sign}{run.steps_done}/{run.steps_total}"
    share = share_done(run, None if prediction is None else prediction.seconds_left(now), now)
    if share is not None:
        done = f"{sign}{share}% {run.steps_done:,}/{run.steps_total:,}"
    if prediction is None or history is None:
        return done
    p50 = "" if history.run is None else f" (p50 {short(history.run.median)})"
    dot = " | " if glyphs.ascii_only else " · "
    when, _ = when_of(run, prediction, history.run, now)
    return f"{done}{dot}{when}{p50}" if when else f"{done}{p50}"


def share_done(run: RunRecord, seconds_left: float | None, now: datetime) -> int | None:
    """Of a hundred, how much of its time is over, where it is known how much is left, else how many of its steps have
    ended; None: of a single step that tells nothing. Every screen says the same number."""
    is_taken = run.status in GOING_ON and run.status not in (RunStatus.SCHEDULED, RunStatus.QUEUED)
    if seconds_left is not None and run.started_at is not None and is_taken:
        return passed((now - run.started_at).total_seconds(), seconds_left)
    return run.steps_done * 100 // run.steps_total if run.steps_total > 1 or run.steps_done else None


def when_of(run: RunRecord, prediction: Prediction, usual: Usual | None, now: datetime) -> tuple[str, str]:
    """When it will have ended, or how late it is; text and style. `usual`: what those before it took in all."""
    elapsed = 0.0 if run.started_at is None else (now - run.started_at).total_seconds()
    if usual is not None and usual.is_late(elapsed):
        return f"late {short(elapsed - usual.median)}", "late"
    left = prediction.seconds_left(now)
    if left <= 0:
        return "", ""
    return f"ETA {'' if prediction.is_whole else '>'}{short(left)}", "dim"
