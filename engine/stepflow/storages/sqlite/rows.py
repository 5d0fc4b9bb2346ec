"""Rows to records and back: the one place that knows how the SQLite tables spell things."""

from __future__ import annotations

import os
from typing import Any, Literal

import msgspec

from stepflow.contracts.component import EndedChild
from stepflow.contracts.storage import StoredRun, WatchedTemplate
from stepflow.core.effects import Perform
from stepflow.core.facts import Signalled
from stepflow.core.secrets import mask
from stepflow.core.sensitive import NOTHING_HIDDEN, HiddenOutput
from stepflow.core.transition import RunState, StepState
from stepflow.model import jsontext
from stepflow.model.event import EVENT_TYPES, LEVELS, EventType, WorkflowEvent
from stepflow.model.flow import Flow, Step
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RUN_STATUSES, STEP_STATUS_CODES, STEP_STATUSES, StepStatus
from stepflow.model.template import SavedVersion, Template, TemplateVersion
from stepflow.model.times import to_datetime

Row = tuple[Any, ...]

RECOVERED, REUSED, WITHHELD = 1, 2, 4

MAX_STORED_INPUT = 65_536
"""Characters of a step's input that are stored for the screens; it is evaluated again when needed, never read."""


def decode(text: str | None) -> Any:
    return None if text is None else jsontext.decode(text)


def _time(instant: int | None) -> Any:
    return None if instant is None else to_datetime(instant)


def step_row(run: int, step: int, state: StepState, input_text: str | None, output: str | None) -> Row:
    flags = (RECOVERED if state.recovered else 0) | (REUSED if state.reused else 0)
    return (
        run,
        step,
        state.attempt,
        STEP_STATUS_CODES[state.status],
        state.started_at,
        state.finished_at,
        state.wake_at,
        state.reason,
        None if state.error is None else jsontext.encode(state.error),
        flags,
        input_text,
        output,
        state.awaits,
    )


HIDDEN = "[sensitive]"
"""What is shown instead of what a sensitive step gave."""
HIDDEN_BODY = jsontext.encode(HIDDEN).encode()


def stored_input(perform: Perform) -> str | None:
    """The input of an attempt, for the screens."""
    if perform.input is None:
        return None
    if perform.sensitive:
        return jsontext.encode(HIDDEN)
    text = jsontext.encode(mask(perform.input))
    return text if len(text) <= MAX_STORED_INPUT else jsontext.encode({"$omitted": {"size": len(text)}})


def step_state(row: Row) -> StepState:
    """From `(step, attempt, status, started_at, finished_at, wake_at, reason, error, flags, awaits, …)`."""
    _, attempt, status, started_at, finished_at, wake_at, reason, error, flags, awaits = row[:10]
    return StepState(
        status=STEP_STATUSES[status],
        attempt=attempt,
        started_at=started_at,
        finished_at=finished_at,
        wake_at=wake_at,
        reason=reason,
        error=decode(error),
        recovered=bool(flags & RECOVERED),
        reused=bool(flags & REUSED),
        awaits=awaits,
    )


def stored_run(row: Row, steps: list[Row], signals: list[Row]) -> StoredRun:
    (number, run_id, template_version, status, started_at, finished_at, error, reason, cancel_requested) = row[:9]
    (losses, output_skipped, input_text, variables, metadata, owner, fence, version, retry_of) = row[9:18]
    _, parent, depth = row[18:]
    return StoredRun(
        number=number,
        id=run_id,
        template_version=template_version,
        state=RunState(
            status=RUN_STATUSES[status],
            started_at=started_at,
            finished_at=finished_at,
            error=decode(error),
            reason=reason,
            cancel_requested=bool(cancel_requested),
            losses=losses,
            output_skipped=bool(output_skipped),
        ),
        steps={step[0]: step_state(step) for step in steps},
        input=input_text,
        variables=variables,
        metadata=metadata,
        worker=owner,
        fence=fence,
        version=version,
        retry_of=retry_of,
        is_child=parent is not None,
        depth=depth,
        signals=[Signalled(number, name, jsontext.decode(data)) for number, name, data in signals],
    )


def ended_child(row: Row) -> EndedChild:
    run_id, status, error, reason, output_skipped, output = row
    return EndedChild(run_id, RUN_STATUSES[status], decode(output), bool(output_skipped), decode(error), reason)


def run_record(row: Row, *, last_seq: int = 0, hidden: HiddenOutput = NOTHING_HIDDEN) -> RunRecord:
    """From the run columns of `queries`, and `input, output, metadata` where they follow."""
    (_, run_id, template, version, status, created_at, started_at, finished_at, wake_at, error, reason) = row[:11]
    (cancel_requested, output_skipped, priority, retry_of, step_count, open_steps, worker, parent) = row[11:19]
    bodies = row[19:] or (None, None, None)
    run_status = RUN_STATUSES[status]
    return RunRecord(
        id=run_id,
        template=template,
        version=version,
        status=run_status,
        created_at=to_datetime(created_at),
        input=decode(bodies[0]),
        output=shown_output(decode(bodies[1]), hidden),
        output_skipped=bool(output_skipped),
        error=decode(error),
        started_at=_time(started_at),
        finished_at=_time(finished_at),
        wake_at=_time(wake_at),
        cancel_requested=bool(cancel_requested) and not run_status.is_final,
        reason=reason,
        priority=priority,
        metadata=decode(bodies[2]) or {},
        parent_run_id=parent,
        retry_of=retry_of,
        worker=worker,
        steps_total=step_count,
        steps_done=step_count - open_steps,
        last_seq=last_seq,
    )


def shown_output(output: Any, hidden: HiddenOutput) -> Any:
    """A run's output without what sensitive steps gave."""
    if hidden.whole and output is not None:
        return HIDDEN
    if not hidden.keys or not isinstance(output, dict):
        return output
    return {key: HIDDEN if key in hidden.keys else value for key, value in output.items()}


def shown_body(output: bytes | None, hidden: HiddenOutput) -> bytes | None:
    """The same of its JSON. What is not hidden of a large one is not decoded for that."""
    if output is None or hidden == NOTHING_HIDDEN:
        return output
    if hidden.whole:
        return output if output == b"null" else HIDDEN_BODY
    try:
        parts = msgspec.json.decode(output, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return jsontext.encode(shown_output(jsontext.decode(output), hidden)).encode()
    covered = msgspec.Raw(HIDDEN_BODY)
    return msgspec.json.encode({key: covered if key in hidden.keys else part for key, part in parts.items()})


def step_record(
    flow: Flow, index: int, row: Row | None, dependencies: tuple[str, ...], *, is_latest: bool
) -> StepRecord:
    """A step of the flow with one of its attempts; without a row it never moved."""
    step = flow.steps[index]
    if row is None:
        return StepRecord(
            key=step.key,
            status=StepStatus.PENDING,
            attempt=0,
            component=step.component,
            index=index,
            depends_on=dependencies,
        )
    state = step_state(row)
    input_text, output = row[10:12] if len(row) > 10 else (None, None)
    status = state.status
    if not is_latest and not status.is_final:
        status = StepStatus.FAILED  # it was tried again, so this attempt has failed
    return StepRecord(
        key=step.key,
        status=status,
        attempt=state.attempt,
        component=step.component,
        reason=state.reason,
        recovered=state.recovered,
        reused=state.reused,
        withheld=bool(row[8] & WITHHELD),
        awaits=state.awaits,
        error=state.error,
        input=decode(input_text),
        output=HIDDEN if step.sensitive and output is not None else decode(output),
        started_at=_time(state.started_at),
        finished_at=_time(state.finished_at),
        wake_at=_time(state.wake_at) if is_latest else None,
        index=index,
        depends_on=dependencies,
    )


def template(row: Row) -> Template:
    _, name, description, newest, created_at, updated_at, file, file_gone = row
    return Template(
        name=name,
        description=description,
        version=newest,
        created_at=to_datetime(created_at),
        updated_at=to_datetime(updated_at),
        file=file,
        file_gone=bool(file_gone),
    )


def watched_template(row: Row) -> WatchedTemplate:
    """One that was not watched has the file that its newest version was read from."""
    name, version, watched_file, watched_hash, file_gone, deleted, base_dir, file = row
    path = watched_file or os.path.join(base_dir, os.path.basename(file))  # noqa: PTH118, PTH119 - reads no disk
    return WatchedTemplate(name, version, path, watched_hash, bool(file_gone), bool(deleted))


def template_version(row: Row) -> TemplateVersion:
    number, name, version, source, source_format, flow, base_dir, created_at, file = row
    return TemplateVersion(
        id=number,
        name=name,
        version=version,
        source=source,
        source_format=source_format,
        flow=Flow.from_json(flow),
        base_dir=base_dir,
        created_at=to_datetime(created_at),
        file=file,
    )


def saved_version(row: Row, change: Literal["version", "text", "nothing"]) -> SavedVersion:
    """From a row of the newest version."""
    return SavedVersion(**msgspec.structs.asdict(template_version(row)), change=change)


def event(
    row: Row, run_id: str, kind: str, step: Step | None, duration_ms: int | None, hidden: HiddenOutput = NOTHING_HIDDEN
) -> WorkflowEvent:
    """An event with its bodies: what stands on the step or the run is put back into the payload."""
    seq, _, run_seq, code, _, attempt, level, at, payload_text, output, error = row
    event_type = EVENT_TYPES[code] if isinstance(code, int) else code
    payload: dict[str, Any] = decode(payload_text) or {}
    if event_type == EventType.STEP_COMPLETED:
        payload["result"] = HIDDEN if step is not None and step.sensitive else decode(output)
    elif event_type == EventType.RUN_COMPLETED:
        payload["results"] = shown_output(decode(output), hidden)
        payload["duration_ms"] = duration_ms
    if error is not None:
        payload["error"] = decode(error)
    if event_type == EventType.STEP_FAILED:
        payload["attempt"] = attempt
    return WorkflowEvent(
        seq=seq,
        run_id=run_id,
        run_seq=run_seq or 0,
        kind=kind,
        event_type=event_type,
        step_key=None if step is None else step.key,
        attempt=attempt or 0,
        level=LEVELS[level],
        timestamp=to_datetime(at),
        payload=payload,
    )
