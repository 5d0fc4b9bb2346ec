"""The lines of an export, read and judged: what is no run, or not the sum of its events, is refused with its line
before anything of it is written."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple, NoReturn

import msgspec
from msgspec import Raw

from stepflow.contracts.component import MAX_DEPTH
from stepflow.contracts.transfer import (
    FORMAT,
    NOTHING,
    AnyLine,
    BlobLine,
    EventLine,
    Head,
    RunLine,
    StepLine,
    Tail,
    TemplateLine,
    WholeRun,
)
from stepflow.core.graph import build_graph
from stepflow.core.transition import PENDING_STEP, Event, RunState, StepState, fold
from stepflow.errors import ImportRefusedError, InvalidTransitionError
from stepflow.model import jsontext
from stepflow.model.event import EVENT_CODES, FINAL_RUN_EVENTS, LEVELS, EventType, check_own_name
from stepflow.model.flow import Flow
from stepflow.model.ids import RUN_PREFIX, is_template_name
from stepflow.model.statuses import RunStatus
from stepflow.model.times import from_datetime

MAX_LINE = 2 * jsontext.MAX_CHARACTERS
"""Bytes."""
TEMPLATES_AT_ONCE = 200
"""Versions that are written together."""

_RUN_ID = re.compile(RUN_PREFIX + r"[0-9a-z]{4,64}")
_INLINE_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,512}")
_LINE = msgspec.json.Decoder(AnyLine)

_ERROR_OF_STEP = (EventType.STEP_FAILED, EventType.STEP_RETRY)
_ERROR_OF_RUN = (EventType.RUN_FAILED, EventType.RUN_TIMEOUT)


class Templates(NamedTuple):
    """Versions of one template, and the line of the first."""

    line: int
    versions: list[TemplateLine]


class Tree(NamedTuple):
    """A root run and all below it, parents first."""

    runs: list[WholeRun]

    @property
    def has_ended(self) -> bool:
        return all(one.run.status.is_final for one in self.runs)

    @property
    def is_withheld(self) -> bool:
        """Something of it stayed where it comes from."""
        return any(one.run.withheld or any(step.withheld for step in one.steps) for one in self.runs)


def read_parts(file: BinaryIO) -> Iterator[Templates | Tree]:
    """Each as soon as it is whole. `ImportRefusedError` says which line is wrong."""
    reading = _Reading()
    number = 0
    for number, text in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), start=1):
        yield from reading.take(number, text)
    if not reading.is_whole:
        what = "the file ends before its last line" if number else "the file is empty"
        reading.refuse(number + 1, f"{what}; export it again")


class _Reading:
    def __init__(self) -> None:
        self.is_whole = False
        self._begun = False
        self._runs: list[WholeRun] = []
        self._count = 0
        self._templates: Templates | None = None

    def refuse(self, number: int, why: str) -> NoReturn:
        raise ImportRefusedError(number, why)

    def take(self, number: int, text: bytes) -> Iterator[Templates | Tree]:
        if len(text) > MAX_LINE:
            self.refuse(number, f"it is longer than {MAX_LINE // 1024 // 1024} MB")
        line = _read_line(number, text)
        if not self._begun and not isinstance(line, Head):
            self.refuse(number, "an export begins with a line of the type 'export'")
        if isinstance(line, TemplateLine):
            yield from self._take_template(number, line)
            return
        yield from self._templates_so_far()
        match line:
            case Head():
                self._begin(number, line)
            case Tail():
                if line.runs != self._count:
                    self.refuse(number, f"{line.runs} executions were exported, and {self._count} are in the file")
                yield from self._tree_so_far()
                self.is_whole, self._begun = True, False
            case RunLine():
                if line.parent_run_id is None:
                    yield from self._tree_so_far()
                elif not self._runs:
                    self.refuse(number, f"{line.id} comes before its parent {line.parent_run_id}")
                self._runs.append(WholeRun(line, number))
                self._count += 1
            case _:
                self._add(number, line)

    def _add(self, number: int, line: StepLine | EventLine | BlobLine) -> None:
        if not self._runs or self._runs[-1].run.id != line.run_id:
            self.refuse(number, f"it is about {line.run_id}, which is not the execution before it")
        whole = self._runs[-1]
        match line:
            case StepLine():
                whole.steps.append(line)
            case EventLine():
                whole.events.append(line)
            case _:
                whole.blobs.append(line)

    def _begin(self, number: int, head: Head) -> None:
        if self._begun:
            self.refuse(number, "the export before it has no end; export it again")
        if head.format != FORMAT:
            self.refuse(
                number, f"StepFlow {head.stepflow} wrote it in format {head.format}, and this release reads {FORMAT}"
            )
        self._begun, self.is_whole, self._count = True, False, 0

    def _take_template(self, number: int, line: TemplateLine) -> Iterator[Templates]:
        before = self._templates
        if before is not None and (before.versions[0].name != line.name or len(before.versions) >= TEMPLATES_AT_ONCE):
            yield from self._templates_so_far()
        if self._templates is None:
            self._templates = Templates(number, [])
        _check_template(number, line)
        self._templates.versions.append(line)

    def _templates_so_far(self) -> Iterator[Templates]:
        if self._templates is not None:
            yield self._templates
            self._templates = None

    def _tree_so_far(self) -> Iterator[Tree]:
        if self._runs:
            yield Tree(self._runs)
            self._runs = []


def _read_line(number: int, text: bytes) -> Any:
    try:
        try:
            return _LINE.decode(text)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            # Half a surrogate pair, as an escape, is JSON too.
            return _without_msgspec(text)
    except RecursionError:
        why = "it is nested too deeply"
    except (msgspec.ValidationError, ValueError) as error:
        why = str(error).partition("\n")[0]
    raise ImportRefusedError(number, f"it is not a line of an export: {why}")


def _without_msgspec(text: bytes) -> Any:
    def body(value: Any) -> Raw:
        return Raw(jsontext.encode(value).encode())

    parts = json.loads(text)
    if isinstance(parts, dict):
        for name in ("input", "output", "error", "variables", "metadata", "payload", "data", "flow"):
            if name in parts:
                parts[name] = body(parts[name])
        for signal in parts.get("signals") or ():
            signal["data"] = body(signal.get("data"))
        for group in parts.get("child_groups") or ():
            group["spec"] = body(group.get("spec"))
            group["inputs"] = {item: body(value) for item, value in (group.get("inputs") or {}).items()}
    line = msgspec.convert(parts, AnyLine)
    msgspec.json.encode(line)  # what is no body is UTF-8
    return line


def _check_template(number: int, line: TemplateLine) -> None:
    is_name = "/" in line.name and _INLINE_NAME.fullmatch(line.name) if line.inline else is_template_name(line.name)
    if not is_name:
        raise ImportRefusedError(number, f"'{line.name}' cannot be the name of a template")
    try:
        _normal(line.flow)
        flow = Flow.from_json(bytes(line.flow).decode())
        build_graph(flow)
        if not flow.steps or len({step.key for step in flow.steps}) != len(flow.steps):
            raise ValueError("its steps are not told apart by their keys")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, msgspec.MsgspecError) as error:
        raise ImportRefusedError(number, f"the flow of template '{line.name}' is none: {error}") from error


def _normal(raw: Raw) -> str:
    """A body as it is stored."""
    text = jsontext.normalise(jsontext.decode(bytes(raw).decode()))[1]
    if len(text) > jsontext.MAX_CHARACTERS:
        raise ValueError(f"it has {jsontext.too_long(len(text))}")
    return text


def check_tree(tree: Tree, flow_of: Callable[[str, int], Flow | None]) -> None:
    """`flow_of`: the flow of a version that the file has told of. `ImportRefusedError` where a run is not the sum of
    its events, or they are no family."""
    depths: dict[str, int] = {}
    for one in tree.runs:
        run = one.run
        if _RUN_ID.fullmatch(run.id) is None:
            raise ImportRefusedError(one.line, f"'{run.id}' cannot be the id of an execution")
        if run.id in depths:
            raise ImportRefusedError(one.line, f"{run.id} is in it twice")
        if run.parent_run_id is not None and run.parent_run_id not in depths:
            raise ImportRefusedError(one.line, f"{run.id} comes before its parent {run.parent_run_id}")
        depths[run.id] = depths[run.parent_run_id] + 1 if run.parent_run_id is not None else 0
        flow = flow_of(run.template, run.version)
        try:
            if depths[run.id] > MAX_DEPTH:
                raise ValueError(f"it is inside of more than {MAX_DEPTH} others")
            if flow is None:
                raise ValueError(f"version {run.version} of its template '{run.template}' is not in the file before it")
            _check_run(one, flow, flow_of)
        except RecursionError:
            raise ImportRefusedError(one.line, f"{run.id}: it is nested too deeply") from None
        except (ValueError, UnicodeError) as error:
            raise ImportRefusedError(one.line, f"{run.id}: {error}") from error


def _check_run(one: WholeRun, flow: Flow, flow_of: Callable[[str, int], Flow | None]) -> None:
    run = one.run
    for name in ("input", "variables", "metadata", "output", "error"):
        _normalise(run, name)
    for step in one.steps:
        for name in ("input", "output", "error"):
            _normalise(step, name)
    for event in one.events:
        _normalise(event, "payload")
    for signal in run.signals:
        _normalise(signal, "data")
    for name in ("variables", "metadata", "error"):
        _object(getattr(run, name), f"its {name}")
    if not bytes(run.input):
        raise ValueError("it has no input")
    if run.step_count != len(flow.steps):
        raise ValueError(f"it has {run.step_count} steps, and its template {len(flow.steps)}")
    if bytes(run.output) and run.status is not RunStatus.COMPLETED:
        raise ValueError(f"it is {run.status.value}, and has an output")
    for blob in one.blobs:
        if hashlib.sha256(bytes(blob.data)).hexdigest() != blob.id:
            raise ValueError(f"the data of blob {blob.id} is not what its id says")
        jsontext.decode(bytes(blob.data).decode())
    index_of = {step.key: index for index, step in enumerate(flow.steps)}
    latest = _check_steps(one, index_of)
    _check_log(one, index_of)
    _check_children(one, index_of, flow_of)
    _check_sum(one, latest, index_of)


def _normalise(line: Any, name: str) -> None:
    raw = getattr(line, name)
    if bytes(raw):
        try:
            setattr(line, name, Raw(_normal(raw).encode()))
        except (TypeError, ValueError) as error:
            raise ValueError(f"its {name}: {error}") from error


def _object(raw: Raw, what: str) -> dict[str, Any]:
    value = jsontext.decode(bytes(raw).decode() or "{}")
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no object")
    return value


def _check_steps(one: WholeRun, index_of: dict[str, int]) -> dict[str, StepLine]:
    latest: dict[str, StepLine] = {}
    for step in one.steps:
        if step.key not in index_of:
            raise ValueError(f"its template has no step '{step.key}'")
        if step.key in latest and latest[step.key].attempt >= step.attempt:
            raise ValueError(f"the attempts of step '{step.key}' are not in their order")
        _object(step.error, f"the error of step '{step.key}'")
        latest[step.key] = step
    return latest


def _check_log(one: WholeRun, index_of: dict[str, int]) -> None:
    if not one.events or one.events[0].event_type != EventType.RUN_CREATED:
        raise ValueError("its log does not begin with its creation")
    for place, event in enumerate(one.events, start=1):
        if event.run_seq != place:
            raise ValueError(f"its log has no event {place}")
        if event.event_type not in EVENT_CODES:
            check_own_name(event.event_type)
        if event.level not in LEVELS:
            raise ValueError(f"'{event.level}' is no level of an event")
        if event.step_key is not None and event.step_key not in index_of:
            raise ValueError(f"event {place} is of a step '{event.step_key}', which its template does not have")
        if event.event_type in FINAL_RUN_EVENTS and place < len(one.events):
            raise ValueError(f"its log goes on after {event.event_type}")


def _check_children(one: WholeRun, index_of: dict[str, int], flow_of: Callable[[str, int], Flow | None]) -> None:
    run = one.run
    if run.parent_run_id is None and (run.child_group is not None or run.child_item is not None):
        raise ValueError("it has a place among children, and no parent")
    if run.status.is_final and run.child_groups:
        raise ValueError("it has ended, and waits for children")
    numbers = [group.number for group in run.child_groups]
    # Each group has left an event at least.
    if len(set(numbers)) < len(numbers) or max(numbers, default=0) > len(one.events):
        raise ValueError("the groups of children it waits for are not told apart by their numbers")
    for group in run.child_groups:
        if group.step_key not in index_of or flow_of(group.template, group.version) is None:
            raise ValueError("it waits for children of a step or a template that it does not have")
        _normalise(group, "spec")
        # What has failed too often starts no other, so that inputs may be left; none may be missing.
        waiting = range(group.started, group.total)
        if len(group.inputs) != len(waiting) or any(str(item) not in group.inputs for item in waiting):
            raise ValueError("inputs of children that it has not started are missing")
        group.inputs = {item: Raw(_normal(raw).encode()) for item, raw in group.inputs.items()}


def _check_sum(one: WholeRun, latest: dict[str, StepLine], index_of: dict[str, int]) -> None:
    """The run and its steps as they are in the file, and as the log says."""
    try:
        created = _object(one.events[0].payload, "a payload")
        run, steps = fold(_events(one, index_of), len(index_of), created.get("reused", ()))
    except (InvalidTransitionError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"its log is none: {error}") from error
    if run != _run_state(one.run):
        raise ValueError("it is not what its log says")
    for key, index in index_of.items():
        if steps[index] != (_step_state(latest[key]) if key in latest else PENDING_STEP):
            raise ValueError(f"step '{key}' is not what its log says")


def _events(one: WholeRun, index_of: dict[str, int]) -> Iterator[Event]:
    errors = {(step.key, step.attempt): step.error for step in one.steps}
    for event in one.events:
        error = NOTHING
        if event.event_type in _ERROR_OF_STEP:
            error = errors.get((event.step_key or "", event.attempt), NOTHING)
        elif event.event_type in _ERROR_OF_RUN:
            error = one.run.error
        yield Event(
            type=event.event_type,
            at=from_datetime(event.timestamp),
            step=None if event.step_key is None else index_of[event.step_key],
            attempt=event.attempt,
            payload=_object(event.payload, f"the payload of event {event.run_seq}"),
            error=jsontext.decode(bytes(error).decode()) if bytes(error) else None,
        )


def _run_state(run: RunLine) -> RunState:
    return RunState(
        status=run.status,
        started_at=None if run.started_at is None else from_datetime(run.started_at),
        finished_at=None if run.finished_at is None else from_datetime(run.finished_at),
        error=_object(run.error, "its error") if bytes(run.error) else None,
        reason=run.reason,
        cancel_requested=run.cancel_requested,
        losses=run.losses,
        output_skipped=run.output_skipped,
    )


def _step_state(step: StepLine) -> StepState:
    return StepState(
        status=step.status,
        attempt=step.attempt,
        started_at=None if step.started_at is None else from_datetime(step.started_at),
        finished_at=None if step.finished_at is None else from_datetime(step.finished_at),
        wake_at=None if step.wake_at is None else from_datetime(step.wake_at),
        reason=step.reason,
        error=_object(step.error, "its error") if bytes(step.error) else None,
        recovered=step.recovered,
        reused=step.reused,
        awaits=step.awaits,
    )
