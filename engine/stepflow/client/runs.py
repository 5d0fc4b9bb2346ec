"""Executions: starting, reading, and what may be asked of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from stepflow.client.connection import as_json
from stepflow.client.log import Log
from stepflow.client.templates import Templates
from stepflow.contracts.storage import CreateRun, RunSort
from stepflow.dsl.diagnostics import did_you_mean
from stepflow.errors import InvalidInputError, NotFoundError, RunNotFoundError, WorkflowEngineError
from stepflow.model import jsontext
from stepflow.model.differences import RunDifference, compare_runs
from stepflow.model.event import FINAL_RUN_EVENTS
from stepflow.model.ids import new_run_id
from stepflow.model.run import BodyPart, RunRecord, StepRecord
from stepflow.model.statuses import RUN_ALIASES, RunStatus
from stepflow.model.times import from_datetime

ALL = 1 << 62
"""Events of one execution."""
MOST_PRIORITY = 1_000_000_000
Statuses = RunStatus | str | Collection[RunStatus | str] | None


class Page(msgspec.Struct, frozen=True):
    """A page of executions."""

    items: list[RunRecord]
    next_cursor: str | None
    """For the next page; None: this was the last."""
    total: int | None = None


class Runs(Templates, Log):
    async def start_run(
        self,
        template: str,
        input: Any = None,  # noqa: A002 - the word of the language
        *,
        version: int | None = None,
        variables: Mapping[str, Any] | None = None,
        priority: int = 0,
        delay: timedelta | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """The id of a new run, durable when this returns. `TemplateNotFoundError`; `InvalidInputError` where the input
        or the variables violate the template's schema; the same `idempotency_key` gives the run it gave before."""
        from stepflow.dsl.starting import check_start  # only those who start something wait for the schemas

        found = await self.get_template(template, version)
        if abs(priority) > MOST_PRIORITY:
            raise InvalidInputError(f"The priority {priority} is out of range; it goes up to {MOST_PRIORITY:,}")
        value = {} if input is None else input
        check_start(found.flow, value, variables)
        now = self._clock.now()
        create = CreateRun(
            id=new_run_id(),
            template_version=found.id,
            input=as_json(value, "input"),
            created_at=now,
            step_count=len(found.flow.steps),
            priority=priority,
            start_at=None if not delay else now + round(delay.total_seconds() * 1000),
            variables=None if not variables else as_json(dict(variables), "variables"),
            metadata=None if not metadata else as_json(dict(metadata), "metadata"),
            idempotency_key=idempotency_key,
        )
        run_id: str = await self._open_bridge.perform(create)
        return run_id

    async def get_run(
        self, run: str, at_seq: int | None = None, *, bodies: bool = True, largest: int | None = None
    ) -> RunRecord:
        """`last_seq` is where to follow from. `at_seq`: as it was after that event of the log; `RunNotFoundError` where
        it was not made yet. Without `bodies` its input, output and metadata are left out, which is quick where they are
        large; `largest` as `get_steps` has it, for the input too."""
        storage = self._open_storage
        if at_seq is None:
            return await self._open_bridge.call(
                lambda: storage.get_run(storage.find_run(run), bodies=bodies, largest=largest)
            )
        return (await self._open_bridge.call(self._past, run, at_seq, of_run=bodies, largest=largest))[0]

    async def look_back(self, run: str, at_seq: int) -> tuple[RunRecord, list[StepRecord]]:
        """Both as they were after that event, without bodies: the run, and its steps, one record per attempt."""
        return await self._open_bridge.call(self._past, run, at_seq)

    def _past(
        self, ref: str, at_seq: int, *, of_run: bool = False, of_steps: bool = False, largest: int | None = None
    ) -> tuple[RunRecord, list[StepRecord]]:
        """The run and its steps, one record per attempt, with the bodies that are asked for."""
        from stepflow.core.past import fold_log, run_then, steps_then

        storage = self._open_storage
        run_id = storage.find_run(ref)
        # Before the bodies: what an event refers to is there when it is.
        events = storage.get_events(run_id, after_seq=0, before_seq=at_seq + 1, limit=ALL, newest=False, bodies=False)
        if not events:
            raise RunNotFoundError(run_id, f"; it was made after event {at_seq}")
        run = storage.get_run(run_id, bodies=of_run, largest=largest)
        attempts = storage.get_steps(run_id, bodies=of_steps, attempts=True, largest=largest)
        state, steps = fold_log(events, list(dict.fromkeys(step.key for step in attempts)))
        return run_then(run, state, steps, events), steps_then(attempts, steps)

    async def list_runs(
        self,
        limit: int = 50,
        cursor: str | None = None,
        *,
        status: Statuses = None,
        template: str | None = None,
        children: bool = False,
        parent_run_id: str | None = None,
        since: datetime | None = None,
        sort: RunSort = "created",
        reverse: bool = False,
        with_total: bool = False,
    ) -> Page:
        """Without bodies, the newest first; by `sort` those that started or finished last or took longest, and those of
        which that is not known at the end. `reverse`: the other way round. Root runs unless `children`, or those that
        `parent_run_id` started; `since`: created then or later."""
        statuses = statuses_of(status)
        storage, bridge = self._open_storage, self._open_bridge
        chosen: dict[str, Any] = {"since": None if since is None else from_datetime(since)}
        if parent_run_id is not None:
            chosen["parent"] = await bridge.call(storage.find_run, parent_run_id)
        items, next_cursor = await bridge.call(
            storage.list_runs, limit, cursor, statuses, template, children, sort=sort, reverse=reverse, **chosen
        )
        total = None
        if with_total:
            total = await bridge.call(storage.count_runs, statuses, template, children=children, **chosen)
        return Page(items, next_cursor, total)

    async def count_runs(self, *, status: Statuses = None, template: str | None = None, children: bool = False) -> int:
        return await self._open_bridge.call(
            self._open_storage.count_runs, statuses_of(status), template, children=children
        )

    async def status_counts(self, *, children: bool = False) -> dict[RunStatus, int]:
        return await self._open_bridge.call(self._open_storage.status_counts, children=children)

    async def get_steps(
        self,
        run: str,
        *,
        bodies: bool = True,
        attempts: bool = False,
        at_seq: int | None = None,
        step: str | None = None,
        largest: int | None = None,
    ) -> list[StepRecord]:
        """In the flow's order, pending ones too: one per step with its latest attempt, or one per attempt. Without
        `bodies` their inputs and outputs stay None, which is quick for ten thousand steps. `at_seq` as `get_run`;
        `step`: of this one alone. `largest`: of an output with more characters only its size is told, as
        `{"$omitted": {"size": 10485760}}`."""
        storage = self._open_storage
        if at_seq is not None:
            found = (await self._open_bridge.call(self._past, run, at_seq, of_steps=bodies, largest=largest))[1]
            found = [one for one in found if step in (None, one.key)]
            return found if attempts else list({step.key: step for step in found}.values())
        return await self._open_bridge.call(
            lambda: storage.get_steps(
                storage.find_run(run), bodies=bodies, attempts=attempts, step=step, largest=largest
            )
        )

    async def get_body(self, run: str, part: BodyPart, *, step: str | None = None, attempt: int = 1) -> bytes | None:
        """The JSON of one value, `"input"` or `"output"`, of the run or of an attempt of `step`: for who would not
        have ten megabytes as objects. None: there is none."""
        storage = self._open_storage
        return await self._open_bridge.call(
            lambda: storage.get_body(storage.find_run(run), part, step=step, attempt=attempt)
        )

    async def get_blob(self, blob_id: str) -> Any:
        """What `/builtin/put_blob` kept under that id. `NotFoundError`."""
        text = await self._open_bridge.call(self._open_storage.get_blob, blob_id)
        if text is None:
            raise NotFoundError("BLOB_NOT_FOUND", f"There is no blob {blob_id}")
        return jsontext.decode(text)

    async def diff(self, before: str, after: str) -> RunDifference:
        """What differs between two executions, their steps aligned by key."""
        first, second = await self.get_run(before), await self.get_run(after)
        return compare_runs(first, await self.get_steps(first.id), second, await self.get_steps(second.id))

    async def wait_for_run(self, run: str, timeout: timedelta | None = None) -> RunRecord:
        """The run when it has ended. `TimeoutError` after `timeout`."""
        import asyncio

        async with asyncio.timeout(None if timeout is None else timeout.total_seconds()):
            record = await self.get_run(run)
            if record.status.is_final:
                return record
            async for events in self.follow_batches(record.last_seq, record.id):
                if any(event.event_type in FINAL_RUN_EVENTS for event in events):
                    return await self.get_run(record.id)
        raise AssertionError("following the log never ends")


def statuses_of(status: Statuses) -> tuple[RunStatus, ...] | None:
    if status is None:
        return None
    given = [status] if isinstance(status, str) else list(status)
    return tuple(_status(one) for one in given)


def _status(named: RunStatus | str) -> RunStatus:
    try:
        return RunStatus(named)
    except ValueError:
        known = [one.value for one in RunStatus]
        hint = did_you_mean(str(named).lower(), [*known, *RUN_ALIASES]) or f"; use one of {', '.join(known)}"
        raise WorkflowEngineError("INVALID_STATUS", f"There is no status '{named}'{hint}") from None
