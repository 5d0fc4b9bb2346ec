"""What a component may know and do while it performs: `contracts.component.ComponentContext`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from stepflow.contracts.clock import Clock
from stepflow.contracts.component import AwaitChildren, FlowVersion, StepLogger
from stepflow.contracts.outcomes import Ended
from stepflow.contracts.storage import CreateRun, LogLine, ProcessGroup
from stepflow.core.facts import Awaiting, Failed, StepSkipped, Succeeded
from stepflow.core.secrets import MASK
from stepflow.errors import ComponentError
from stepflow.model import jsontext
from stepflow.model.event import EventType, check_level, check_own_name
from stepflow.model.flow import Json
from stepflow.model.ids import new_run_id
from stepflow.runtime.bridge import Bridge
from stepflow.runtime.flows import InlineFlows
from stepflow.runtime.logs import LogBuffer
from stepflow.runtime.processes import boot_id, host_id, process_start_time
from stepflow.runtime.secrets import Secrets

T = TypeVar("T")

STREAMS = ("stdout", "stderr")
"""What stays of a hidden line's fields."""

NOT_IN_FLOWS = "A secret cannot be part of a flow: it is stored; use it in the input of a step of this one"
NOT_FOR_CHILDREN = "A secret cannot be handed to a child run: its input is stored; use it in a step of this flow"


class Surroundings:
    """What all attempts of a worker share."""

    def __init__(
        self,
        bridge: Bridge,
        logs: LogBuffer,
        clock: Clock,
        worker: int,
        workspace: str | None,
        offers: Callable[[str], bool],
    ) -> None:
        self.flows = InlineFlows(bridge, offers)
        self.bridge = bridge
        self.logs = logs
        self.clock = clock
        self.worker = worker
        self.workspace = workspace
        self.no_secrets = Secrets({})
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()


class Context:
    def __init__(
        self,
        surroundings: Surroundings,
        run: int,
        run_id: str,
        step: int,
        step_id: str,
        attempt: int,
        metadata: dict[str, Any],
        base_dir: str | None,
        kind: str,
        depth: int,
        secrets: Mapping[str, Json],
        sensitive: bool,
    ) -> None:
        self._surroundings = surroundings
        self._run = run
        self._step = step
        self.run_id = run_id
        self.step_id = step_id
        self.attempt = attempt
        self.metadata = metadata
        self.base_dir = base_dir
        self.workspace = surroundings.workspace
        self.cancelled = threading.Event()
        self.sensitive = sensitive
        self._kind = kind
        self._depth = depth
        self._secrets = Secrets(secrets, surroundings.workspace) if secrets else surroundings.no_secrets
        self._children = 0
        self._groups: dict[int, ProcessGroup] = {}

    @property
    def logger(self) -> StepLogger:
        # Not kept: a context in a circle with its logger would wait for the collector, a thousand times a second.
        return StepLogger(self._write)

    @property
    def idempotency_key(self) -> str:
        return f"{self.run_id}/{self.step_id}"

    def now(self) -> int:
        return self._surroundings.clock.now()

    def heartbeat(self) -> Any:
        if threading.get_ident() == self._surroundings.thread:
            return asyncio.sleep(0)
        if self.cancelled.is_set():
            raise asyncio.CancelledError(f"step '{self.step_id}' must stop")
        return None

    # What it says

    def log(self, message: str, level: str = "info", **fields: Any) -> None:
        check_level(level)
        self._write(level, message, fields)

    def _write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        message = str(message)
        if self.sensitive:
            stream = {"stream": fields["stream"]} if fields.get("stream") in STREAMS else {}
            message, fields = MASK, {**stream, "characters": len(message)}
        payload: dict[str, Any] = {"level": level, "message": message}
        if fields:
            payload["fields"] = fields
        self._add(EventType.LOG, level, self._secrets.hide(payload))

    def emit(self, event_type: str, payload: dict[str, Any] | None = None) -> None:
        check_own_name(event_type)
        said = payload or {}
        if self.sensitive:
            said = {"hidden": MASK, "characters": len(jsontext.encode(said))}
        self._add(self._secrets.hide(event_type), "info", self._secrets.hide(said))

    # Secrets

    def revealed(self, value: Json) -> Json:
        """The input of the attempt, its secrets read now. `ComponentError` SECRET_NOT_FOUND."""
        return self._secrets.reveal(value)

    def masked(self, fact: Ended) -> Ended:
        """`fact` as it may be stored and shown."""
        hide = self._secrets.hide
        match fact:
            case Succeeded(step, attempt, output):
                kept = self._without_secrets(output, "output")
                return fact if kept is output else Succeeded(step, attempt, *jsontext.normalise(kept))
            case Failed(step, attempt, error):
                return Failed(step, attempt, hide(error))
            case StepSkipped(step, attempt, reason):
                return StepSkipped(step, attempt, hide(reason))
            case Awaiting(step, attempt, name, until, message):
                return Awaiting(step, attempt, hide(name), until, hide(message))
            case _:
                return fact

    def _without_secrets(self, value: Json, what: str) -> Json:
        """`value` itself if it holds none."""
        kept, names = self._secrets.taken_out(value)
        if not names:
            return value
        named = " and ".join(f"'{name}'" for name in names)
        message = f"the {what} held the secret {named}; it is kept as {MASK}; refer to the variable where it is needed"
        self._add(EventType.LOG, "warn", {"level": "warn", "message": message})
        return kept

    def check(self, result: Any) -> None:
        """A child's input is stored, so no secret may be in it."""
        if isinstance(result, AwaitChildren) and self._secrets.are_read:
            raise ComponentError("INVALID_INPUT", NOT_FOR_CHILDREN)

    # Blobs and children

    def put_blob(self, data: Json, blob_type: str = "data") -> Any:
        return self._waiting(self._put_blob(data, blob_type))

    async def _put_blob(self, data: Json, blob_type: str) -> str:
        bridge = self._surroundings.bridge
        text = jsontext.encode(self._without_secrets(data, "blob"))
        return await bridge.call(bridge.storage.put_blob, self._run, text, self._secrets.hide(blob_type), self.now())

    def get_blob(self, blob_id: str) -> Any:
        return self._waiting(self._get_blob(blob_id))

    async def _get_blob(self, blob_id: str) -> Json:
        bridge = self._surroundings.bridge
        text = await bridge.call(bridge.storage.get_blob, blob_id)
        if text is None:
            raise ComponentError("BLOB_NOT_FOUND", f"There is no blob {blob_id}")
        return jsontext.decode(text)

    def start_child(self, template: str, input: Json = None) -> Any:  # noqa: A002 - the word of the language
        self._children += 1
        return self._waiting(self._start_child(template, input, f"{self.idempotency_key}/{self._children}"))

    async def _start_child(self, template: str, value: Json, key: str) -> str:
        if self._secrets.taken_out(value)[1]:
            raise ComponentError("INVALID_INPUT", NOT_FOR_CHILDREN)
        flow = await self.resolve_flow(None, template)
        create = CreateRun(
            id=new_run_id(),
            template_version=flow.id,
            input=jsontext.encode({} if value is None else value),
            created_at=self.now(),
            step_count=flow.step_count,
            parent_run_id=self.run_id,
            idempotency_key=key,
        )
        return str(await self._surroundings.bridge.perform(create))

    async def resolve_flow(self, workflow: Json, template: str | None) -> FlowVersion:
        if self._secrets.taken_out(workflow)[1]:
            raise ComponentError("INVALID_INPUT", NOT_IN_FLOWS)
        name = f"{self._kind}/{self.step_id}"
        flows = self._surroundings.flows
        return await flows.resolve(workflow, template, name=name, base_dir=self.base_dir, depth=self._depth)

    def _waiting(self, doing: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T] | T:
        """To be awaited in the loop; done when this returns in a thread."""
        surroundings = self._surroundings
        if threading.get_ident() == surroundings.thread:
            return doing
        return asyncio.run_coroutine_threadsafe(doing, surroundings.loop).result()

    def _add(self, event_type: str, level: str, payload: dict[str, Any]) -> None:
        text = jsontext.encode(payload)  # what is not JSON is the component's mistake, here and now
        line = LogLine(self._run, self._step, self.attempt, self.now(), event_type, level, text)
        surroundings = self._surroundings
        if threading.get_ident() == surroundings.thread:
            surroundings.logs.add(line)
        else:
            surroundings.loop.call_soon_threadsafe(surroundings.logs.add, line)

    async def process_group_started(self, group: int) -> None:
        start_time = process_start_time(group) or 0
        record = ProcessGroup(self._run, self._step, self.attempt, host_id(), boot_id(), group, start_time)
        self._groups[group] = record
        surroundings = self._surroundings
        await surroundings.bridge.call(surroundings.bridge.storage.record_process_group, surroundings.worker, record)

    async def process_group_ended(self, group: int) -> None:
        record = self._groups.pop(group, None)
        if record is not None:
            bridge = self._surroundings.bridge
            await bridge.call(bridge.storage.forget_process_group, record)
