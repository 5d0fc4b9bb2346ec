"""The client: all that the command line, the screens and programs may do with a storage.

It reads, writes templates and requests, and never performs a step; workers do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from stepflow.contracts.clock import SystemClock
from stepflow.contracts.storage import Commit, CreateRun, Storage, TemplateText
from stepflow.core.decide import Missing, decide
from stepflow.core.facts import CancelRequested, Claimed, Fact
from stepflow.core.graph import build_graph
from stepflow.core.run import Run
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.dsl.starting import check_start
from stepflow.errors import (
    DSLValidationError,
    InvalidInputError,
    LeaseLostError,
    StaleRunError,
    WorkflowEngineError,
)
from stepflow.location import find_database, find_workspace, open_storage
from stepflow.model import jsontext
from stepflow.model.event import WorkflowEvent
from stepflow.model.flow import Flow
from stepflow.model.ids import is_template_name, new_run_id, template_name_of
from stepflow.model.run import RunRecord, StepRecord, WorkerRecord, awaited_signal
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.model.template import SavedVersion, Template, TemplateVersion
from stepflow.runtime.bridge import Bridge
from stepflow.runtime.followers import follow
from stepflow.runtime.processes import boot_id, host_id, kill_group

if TYPE_CHECKING:
    from stepflow.dsl.lint.linter import LintResult
    from stepflow.dsl.validate import ReadFlow
    from stepflow.simulate.planned import History
    from stepflow.simulate.report import Simulation
    from stepflow.workbench import Workbench

FOLLOW_LIMIT = 1000
CANCEL_TRIES = 5

Statuses = RunStatus | str | Collection[RunStatus | str] | None


class Page(msgspec.Struct, frozen=True):
    """A page of executions, newest first."""

    items: list[RunRecord]
    next_cursor: str | None
    """For the next page; None: this was the last."""
    total: int | None = None


class SavedTemplate(SavedVersion, frozen=True):
    """The newest version as saving leaves it, and what there is to say of it."""

    diagnostics: tuple[Diagnostic, ...] = ()
    """Warnings and notes; errors refuse it."""


class WorkerProcess:
    """The background worker, started by this process. Left alone it goes on, and ends when nothing is left to do."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Let it give its executions back and end."""
        if self.is_alive():
            self._process.terminate()


class Client:
    """`async with Client() as client:`. `url` None: STEPFLOW_DB, else the nearest workspace's database, else the
    user's own. `run` is anything a person may type for an execution; `RunNotFoundError` where it names none."""

    def __init__(
        self,
        url: str | None = None,
        workspace: str | os.PathLike[str] | None = None,
        *,
        durability: str | None = None,
        read_only: bool = False,
    ) -> None:
        self.workspace: Path | None = find_workspace(workspace)
        self.url = find_database(url, self.workspace)
        self._durability = durability
        self._read_only = read_only
        self._clock = SystemClock()
        self._storage: Storage | None = None
        self._bridge: Bridge | None = None

    async def __aenter__(self) -> Client:
        self._storage = open_storage(self.url, durability=self._durability, read_only=self._read_only)
        self.url = self._storage.url
        self._bridge = Bridge(self._storage)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open_bridge.close()
        self._open_storage.close()
        self._storage = self._bridge = None

    @property
    def _open_storage(self) -> Storage:
        if self._storage is None:
            raise WorkflowEngineError("CLIENT_CLOSED", "The client is not open; use `async with Client() as client:`")
        return self._storage

    @property
    def _open_bridge(self) -> Bridge:
        self._open_storage  # noqa: B018 - says so when the client is not open
        assert self._bridge is not None
        return self._bridge

    # Templates

    async def create_template(
        self,
        name: str | None,
        dsl: str | Mapping[str, Any],
        description: str | None = None,
        base_dir: str | None = None,
        file: str | None = None,
    ) -> SavedTemplate:
        """Version 1 of a new template; `name` None: the name it gives itself. `DSLValidationError`,
        `TemplateExistsError`."""
        return await self._save(name, dsl, description, base_dir, file, create=True, update=False)

    async def update_template(
        self,
        name: str,
        dsl: str | Mapping[str, Any],
        description: str | None = None,
        base_dir: str | None = None,
        file: str | None = None,
    ) -> SavedTemplate:
        """The next version; the present one where the flow is the same."""
        return await self._save(name, dsl, description, base_dir, file, create=False, update=True)

    async def save_template(
        self,
        name: str | None,
        dsl: str | Mapping[str, Any],
        description: str | None = None,
        base_dir: str | None = None,
        file: str | None = None,
    ) -> SavedTemplate:
        """Create or update."""
        return await self._save(name, dsl, description, base_dir, file, create=True, update=True)

    async def _save(
        self,
        name: str | None,
        dsl: str | Mapping[str, Any],
        description: str | None,
        base_dir: str | None,
        file: str | None,
        *,
        create: bool,
        update: bool,
    ) -> SavedTemplate:
        if base_dir is None and file is not None:
            base_dir = os.path.dirname(os.path.abspath(file))  # noqa: ASYNC240, PTH100, PTH120 - reads no disk
        if name is not None:
            _check_name(name)
        troubles: list[str] = []
        workbench = await self.workbench(troubles.append)
        read = await self._open_bridge.call(workbench.validate, dsl, file)
        if read.flow is None:
            raise DSLValidationError(read.diagnostics)
        text = TemplateText(
            name=name or read.flow.name or _name_of_file(file),
            source=dsl if isinstance(dsl, str) else jsontext.encode(dsl),
            source_format=read.source_format,
            flow=read.flow,
            description=description or read.flow.description or None,
            base_dir=base_dir,
            now=self._clock.now(),
            file=file,
        )
        saved = await self._open_bridge.call(self._open_storage.save_template, text, create=create, update=update)
        said = (*_other_name(saved, dsl), *read.diagnostics, *(Diagnostic("W152", "warning", one) for one in troubles))
        return SavedTemplate(**msgspec.structs.asdict(saved), diagnostics=said)

    async def delete_template(self, name: str) -> None:
        """Hide it; its executions and versions stay."""
        await self._open_bridge.call(self._open_storage.delete_template, name, self._clock.now())

    async def get_template(self, name: str, version: int | None = None) -> TemplateVersion:
        """A version with its source and flow; the newest by default."""
        return await self._open_bridge.call(self._open_storage.get_template_version, name, version)

    async def describe_template(self, name: str) -> Template:
        return await self._open_bridge.call(self._open_storage.get_template, name)

    async def list_templates(self, limit: int = 50, offset: int = 0) -> list[Template]:
        """Newest change first."""
        return await self._open_bridge.call(self._open_storage.list_templates, limit, offset)

    async def count_templates(self) -> int:
        return await self._open_bridge.call(self._open_storage.count_templates)

    async def template_versions(self, name: str) -> list[TemplateVersion]:
        """Newest first."""
        return await self._open_bridge.call(self._open_storage.template_versions, name)

    # Runs

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
        found = await self.get_template(template, version)
        value = {} if input is None else input
        check_start(found.flow, value, variables)
        now = self._clock.now()
        create = CreateRun(
            id=new_run_id(),
            template_version=found.id,
            input=_json(value, "input"),
            created_at=now,
            step_count=len(found.flow.steps),
            priority=priority,
            start_at=None if not delay else now + round(delay.total_seconds() * 1000),
            variables=None if not variables else _json(dict(variables), "variables"),
            metadata=None if not metadata else _json(dict(metadata), "metadata"),
            idempotency_key=idempotency_key,
        )
        run_id: str = await self._open_bridge.perform(create)
        return run_id

    async def cancel(self, run: str, reason: str | None = None) -> bool:
        """Ask for its end. Its worker stops what runs; without a living worker it is cancelled here and now.
        False: it had ended already."""
        return await self._open_bridge.call(self._cancel, run, reason)

    def _cancel(self, ref: str, reason: str | None) -> bool:
        storage = self._open_storage
        run_id = storage.find_run(ref)
        if not storage.request_cancel(run_id, reason, self._clock.now()):
            return False
        for _ in range(CANCEL_TRIES):
            stored = storage.load_run(run_id)
            if stored.worker is not None:
                storage.free_dead_workers(self._clock.monotonic(), boot_id())
                stored = storage.load_run(run_id)
            if stored.worker is not None or stored.state.status.is_final:
                return True  # a living worker has it and sees the request
            for group in storage.process_groups([stored.number]):
                if (group.host, group.boot_id) == (host_id(), boot_id()):
                    kill_group(group.group, group.start_time)
                storage.forget_process_group(group)
            flow = storage.template_version_by_id(stored.template_version).flow
            run = Run(build_graph(flow), stored.id, stored.state, stored.steps)
            facts: list[Fact] = [CancelRequested(stored.state.reason)]
            if stored.state.status is RunStatus.RUNNING:
                facts = [Claimed()]  # of a dead worker: its steps are released first
            decision = decide(run, facts, self._clock.now())
            assert not isinstance(decision, Missing), "ending a run reads no outputs"
            commit = Commit(stored.number, run_id, None, stored.fence, stored.version, decision, decision.open_steps)
            try:
                storage.perform(commit)
            except (LeaseLostError, StaleRunError):
                continue  # a worker took it in this moment; look again
            for child in storage.open_children(run_id):
                self._cancel(child, "its parent was cancelled")
            return True
        return True

    async def signal(self, run: str, name: str, data: Any = None) -> bool:
        """Give a signal to an execution: the steps that wait for it go on. False: none does now, and it is kept for
        the first that will. `WorkflowEngineError` INVALID_STATE: it has ended."""
        storage = self._open_storage
        text = _json(data, "data")

        def give() -> bool:
            run_id = storage.find_run(run)
            steps = storage.get_steps(run_id, bodies=False, attempts=False)
            storage.signal(run_id, name, text, self._clock.now())
            return any(step.status is StepStatus.WAITING and awaited_signal(step.awaits) == name for step in steps)

        return await self._open_bridge.call(give)

    async def retry(
        self,
        run: str,
        from_step: str | None = None,
        input: Any = None,  # noqa: A002 - the word of the language
        version: int | None = None,
    ) -> str:
        """A new run of a failed, cancelled or timed-out one; it takes over the steps that completed, unless they or
        what they depend on changed, follow `from_step`, or the input is another. Its id."""
        return await self._open_bridge.call(self._retry, run, from_step, input, version)

    def _retry(self, ref: str, from_step: str | None, new_input: Any, version: int | None) -> str:
        storage = self._open_storage
        run_id = storage.find_run(ref)
        record = storage.get_run(run_id)
        if record.status not in (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TIMED_OUT):
            way_out = "wait for its end or cancel it first" if not record.status.is_final else "run it anew instead"
            raise WorkflowEngineError("INVALID_STATE", f"Execution {run_id} is {record.status.value}; {way_out}")
        stored = storage.load_run(run_id)
        old = storage.template_version_by_id(stored.template_version)
        new = old if version is None else storage.get_template_version(old.name, version)
        value = record.input if new_input is None else new_input
        variables = None if stored.variables is None else jsontext.decode(stored.variables)
        check_start(new.flow, value, variables)
        reused: tuple[int, ...] = ()
        if new_input is None or value == record.input:
            reused = _reusable(old.flow, new.flow, storage.get_steps(run_id, bodies=False, attempts=False), from_step)
        create = CreateRun(
            id=new_run_id(),
            template_version=new.id,
            input=_json(value, "input"),
            created_at=self._clock.now(),
            step_count=len(new.flow.steps),
            priority=record.priority,
            variables=stored.variables,
            metadata=stored.metadata,
            retry_of=run_id,
            reused=reused,
        )
        return str(storage.perform(create))

    async def get_run(self, run: str) -> RunRecord:
        """With its input and output; `last_seq` is where to follow from."""
        return await self._open_bridge.call(lambda: self._open_storage.get_run(self._open_storage.find_run(run)))

    async def list_runs(
        self,
        limit: int = 50,
        cursor: str | None = None,
        *,
        status: Statuses = None,
        template: str | None = None,
        children: bool = False,
        with_total: bool = False,
    ) -> Page:
        """Newest first, without bodies. Root runs unless `children`."""
        statuses = _statuses(status)
        storage, bridge = self._open_storage, self._open_bridge
        items, next_cursor = await bridge.call(storage.list_runs, limit, cursor, statuses, template, children)
        total = await bridge.call(storage.count_runs, statuses, template) if with_total else None
        return Page(items, next_cursor, total)

    async def count_runs(self, *, status: Statuses = None, template: str | None = None) -> int:
        return await self._open_bridge.call(self._open_storage.count_runs, _statuses(status), template)

    async def status_counts(self) -> dict[RunStatus, int]:
        return await self._open_bridge.call(self._open_storage.status_counts)

    async def get_steps(self, run: str, *, bodies: bool = True, attempts: bool = False) -> list[StepRecord]:
        """In the flow's order, pending ones too: one per step with its latest attempt, or one per attempt. Without
        `bodies` their inputs and outputs stay None, which is quick for ten thousand steps."""
        storage = self._open_storage
        return await self._open_bridge.call(
            lambda: storage.get_steps(storage.find_run(run), bodies=bodies, attempts=attempts)
        )

    async def wait_for_run(self, run: str, timeout: timedelta | None = None) -> RunRecord:
        """The run when it has ended. `TimeoutError` after `timeout`."""
        import asyncio

        async with asyncio.timeout(None if timeout is None else timeout.total_seconds()):
            record = await self.get_run(run)
            if record.status.is_final:
                return record
            async for events in self.follow_batches(record.last_seq, record.id):
                if any(event.event_type in _FINAL_EVENTS for event in events):
                    return await self.get_run(record.id)
        raise AssertionError("following the log never ends")

    # The log

    async def get_events(
        self,
        run: str | None = None,
        *,
        after_seq: int = 0,
        before_seq: int | None = None,
        limit: int = 1000,
        newest: bool = False,
    ) -> list[WorkflowEvent]:
        """A page of the log in its order, of one run or of all; `newest`: the last ones before `before_seq`."""
        storage = self._open_storage

        def read() -> list[WorkflowEvent]:
            run_id = None if run is None else storage.find_run(run)
            return storage.get_events(run_id, after_seq=after_seq, before_seq=before_seq, limit=limit, newest=newest)

        return await self._open_bridge.call(read)

    async def last_seq(self) -> int:
        """Where the log ends; 0: it is empty."""
        return await self._open_bridge.call(self._open_storage.last_seq)

    async def follow(self, after_seq: int | None = None, run: str | None = None) -> AsyncIterator[WorkflowEvent]:
        """Each event after `after_seq` (None: from now on), of whichever process, soon after its commit. Never ends
        by itself."""
        async for events in self.follow_batches(after_seq, run):
            for event in events:
                yield event

    async def follow_batches(
        self, after_seq: int | None = None, run: str | None = None, limit: int = FOLLOW_LIMIT
    ) -> AsyncIterator[list[WorkflowEvent]]:
        """The same in batches of at most `limit`, for those who draw."""
        run_id = None if run is None else await self._open_bridge.call(self._open_storage.find_run, run)
        async for events in follow(self._open_bridge, self._open_storage, after_seq, run_id, limit):
            yield events

    # Templates that are not performed

    async def validate(self, dsl: str | Mapping[str, Any], file: str | None = None) -> ReadFlow:
        """The flow that a text says, or None; and everything that is wrong with it, each with its place in `file`."""
        workbench = await self.workbench()
        return await self._open_bridge.call(workbench.validate, dsl, file)

    async def lint(self, text: str, file: str | None = None) -> LintResult:
        """What is risky in a template, and how to do better."""
        workbench = await self.workbench()
        return await self._open_bridge.call(workbench.lint, text, file)

    async def simulate(
        self,
        template: str | Mapping[str, Any],
        input: Any = None,  # noqa: A002 - the word of the language
        *,
        version: int | None = None,
        variables: Mapping[str, Any] | None = None,
        mocks: Mapping[str, Any] | None = None,
        fail: Mapping[str, str] | None = None,
        from_history: bool = False,
    ) -> Simulation:
        """What an execution would do, without doing it: the same decisions on a virtual clock. `template`: a template's
        name, or a template itself, as a mapping or a text. `mocks`: outputs by step or component; `fail`: error codes
        by step; `from_history`: take the outputs of the last completed execution. Secrets need not be given.
        `TemplateNotFoundError`, `DSLValidationError`; `InvalidInputError` as `start_run`."""
        from stepflow.dsl.cases import Mock
        from stepflow.simulate.planned import Plan

        value = jsontext.decode(_json({} if input is None else input, "input"))
        flow = await self._flow_of(template, version)
        history = await self.history(template if isinstance(template, str) and _is_name(template) else flow.name)
        plan = Plan(
            fail=fail or {},
            mocks={name: (Mock(output=output),) for name, output in (mocks or {}).items()},
            history=history,
            use_outputs=from_history,
        )
        workbench = await self.workbench()
        return await self._open_bridge.call(workbench.simulate, flow, value, plan, variables=variables)

    async def _flow_of(self, template: str | Mapping[str, Any], version: int | None) -> Flow:
        if isinstance(template, str) and _is_name(template):
            return (await self.get_template(template, version)).flow
        read = await self.validate(template)
        if read.flow is None:
            raise DSLValidationError(read.diagnostics)
        return read.flow

    async def workbench(self, warn: Callable[[str], None] = lambda trouble: None) -> Workbench:
        """Validates, lints, simulates and tests, knowing the templates of this storage and the workspace's
        components; `warn` is told of those that cannot be had."""
        from stepflow.workbench import Workbench

        storage = self._open_storage

        def find_template(name: str) -> Flow:
            return storage.get_template_version(name).flow

        return await self._open_bridge.call(Workbench, self.workspace, warn, find_template)

    async def history(self, template: str, executions: int = 20) -> History:
        """What the last completed executions of a template tell of its steps."""
        return await self._open_bridge.call(self._history, template, executions)

    def _history(self, template: str, executions: int) -> History:
        from stepflow.simulate.planned import History

        storage = self._open_storage
        runs, _ = storage.list_runs(executions, None, (RunStatus.COMPLETED,), template, False)
        durations: dict[str, list[int]] = {}
        outputs: dict[str, Any] = {}
        for run in runs:
            newest = run is runs[0]
            for step in storage.get_steps(run.id, bodies=newest, attempts=False):
                if step.status is StepStatus.COMPLETED and not step.reused and step.duration_ms is not None:
                    durations.setdefault(step.key, []).append(step.duration_ms)
                    if newest:
                        outputs[step.key] = step.output
        return History(durations, outputs, len(runs))

    # Workers

    async def workers(self) -> list[WorkerRecord]:
        """Living ones first."""
        return await self._open_bridge.call(self._open_storage.workers)

    async def any_worker_alive(self) -> bool:
        return await self._open_bridge.call(self._open_storage.any_worker_alive)

    async def ensure_worker(self) -> WorkerProcess | None:
        """Start the database's background worker where no worker is alive; None: one is."""
        if await self.any_worker_alive():
            return None
        return await self._open_bridge.call(self._start_worker)

    def _start_worker(self) -> WorkerProcess:
        arguments = [self.url, *([str(self.workspace)] if self.workspace is not None else [])]
        log = os.open(f"{self.url}.worker.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        environment = dict(os.environ)
        if self._durability is not None:
            environment["STEPFLOW_DURABILITY"] = self._durability
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                # -P: a folder named like ours, where the user stands, must not be imported.
                [sys.executable, "-P", "-m", "stepflow.worker", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment,
            )
        finally:
            os.close(log)
        return WorkerProcess(process)


_FINAL_EVENTS = frozenset({"run.completed", "run.failed", "run.cancelled", "run.timeout"})


def _check_name(name: str) -> None:
    if not is_template_name(name):
        like = template_name_of(name)
        hint = f"; use '{like}'" if like else ""
        message = f"'{name}' cannot be a template's name: lowercase letters, digits, . _ and - can{hint}"
        raise WorkflowEngineError("INVALID_NAME", message)


def _name_of_file(file: str | None) -> str:
    name = template_name_of(Path(file).stem) if file else ""
    if not name:
        raise WorkflowEngineError("INVALID_NAME", "The template has no name; give it one, or write `name:` in it")
    return name


def _other_name(saved: TemplateVersion, dsl: str | Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    """That the name it is saved under is not the one it gives itself."""
    own = saved.flow.name
    if own in ("", saved.name):
        return ()
    from stepflow.dsl.locate import Locator

    where = Locator(dsl if isinstance(dsl, str) else "", saved.source_format, saved.file, ())(("name",), None)
    message = f"It is saved as '{saved.name}', and calls itself '{own}'"
    return (Diagnostic("W106", "warning", message, **where, hint="give both the same name, or leave `name:` out"),)


def _is_name(template: str) -> bool:
    """A template's name, not its text."""
    return not any(mark in template for mark in ("\n", "{", ": "))


def _statuses(status: Statuses) -> tuple[RunStatus, ...] | None:
    if status is None:
        return None
    given = [status] if isinstance(status, str) else list(status)
    return tuple(_status(one) for one in given)


def _status(named: RunStatus | str) -> RunStatus:
    try:
        return RunStatus(named)
    except ValueError:
        known = ", ".join(one.value for one in RunStatus)
        raise WorkflowEngineError("INVALID_STATUS", f"There is no status '{named}'; use one of {known}") from None


def _json(value: Any, what: str) -> str:
    try:
        return jsontext.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"The {what} is not JSON: {error}") from error


def _reusable(old: Flow, new: Flow, steps: list[StepRecord], from_step: str | None) -> tuple[int, ...]:
    """Steps of `new` that may be taken over: completed, unchanged, and so is all they depend on; not `from_step` nor
    what follows from it."""
    graph = build_graph(new)
    if from_step is not None and all(step.key != from_step for step in new.steps):
        raise WorkflowEngineError("STEP_NOT_FOUND", f"'{from_step}' is not a step of the template")
    before = {step.key: step for step in steps}
    old_steps = {step.key: step for step in old.steps}
    stable: dict[int, bool] = {}
    """Whether a step and all it depends on are unchanged and would end as they did."""
    for start in range(len(graph.nodes)):
        # Depth first without recursion: a chain of ten thousand steps is a template too.
        stack = [start]
        while stack:
            index = stack[-1]
            node = graph.nodes[index]
            waiting = [one for one in node.dependencies if one not in stable] if index not in stable else []
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            record = before.get(node.key)
            stable[index] = (
                record is not None
                and _ended_well(record)
                and node.key != from_step
                and old_steps.get(node.key) == node.step
                and all(stable[one] for one in node.dependencies)
            )
    return tuple(
        node.index for node in graph.nodes if stable[node.index] and before[node.key].status is StepStatus.COMPLETED
    )


def _ended_well(step: StepRecord) -> bool:
    """Not by an error handler: what failed is tried again. What never started has given nothing to what completed."""
    if step.status is StepStatus.SKIPPED:
        return step.error is None
    if step.status is StepStatus.CANCELLED:
        return step.started_at is None
    return step.status is StepStatus.COMPLETED and not step.recovered
