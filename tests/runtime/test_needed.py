"""`evaluate: needed` with a worker and a file: what nobody needs is never performed."""

from __future__ import annotations

from typing import Any

from stepflow.client import Client
from stepflow.components.registry import Registry, builtin_registry
from stepflow.contracts.component import Component
from stepflow.dsl.validate import read_flow
from stepflow.errors import ComponentError
from stepflow.model.flow import Flow
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from tests.conftest import OpenStorage
from tests.support.engine import finish, start, steps_of, until, working


class Performed:
    """A component that notes who was performed, and fails for those in `fails`."""

    def __init__(self, *fails: str) -> None:
        self.keys: list[str] = []
        self.fails = set(fails)
        self.registry: Registry = builtin_registry()
        self.registry.register(Component("/test/note", self.note, "inline", "Notes its step"))

    def note(self, value: Any, context: Any) -> Any:
        self.keys.append(context.step_id)
        if context.step_id in self.fails:
            raise ComponentError("BROKEN", f"{context.step_id} is broken")
        return value


def note(key: str, value: Any = None, **options: Any) -> dict[str, Any]:
    return {"id": key, "component": "/test/note", "input": value, **options}


def needed(*steps: dict[str, Any], output: Any, **options: Any) -> Flow:
    read = read_flow({"name": "lazy", "evaluate": "needed", "steps": list(steps), "output": output, **options})
    assert read.flow is not None, read.diagnostics
    return read.flow


CHOICE = {"$if": "$.steps.flag.output", "then": "$.steps.yes.output", "else": "$.steps.no.output"}


async def test_only_what_the_output_needs_is_performed(storage: SQLiteStorage) -> None:
    performed = Performed()
    steps = [note("flag", True), note("yes", "$.steps.deep.output"), note("deep", 5), note("no"), note("unused")]
    run = await finish(storage, needed(*steps, output=CHOICE), registry=performed.registry)
    assert run.output == 5
    assert performed.keys == ["flag", "deep", "yes"]
    reasons = {key: step.reason for key, step in steps_of(storage, run.id).items() if step.status == "skipped"}
    assert reasons == {"no": "not needed", "unused": "not needed"}
    assert run.steps_done == run.steps_total == 5


async def test_a_run_waits_and_goes_on_with_another_worker(open_storage: OpenStorage) -> None:
    """Which branch was taken is found again from the outputs that are stored."""
    storage, performed = open_storage(), Performed()
    ask = {"id": "ask", "type": "wait_event", "input": {"name": "go"}, "depends_on": ["flag"]}
    steps = [note("flag", True), ask, note("yes", "$.steps.ask.output.data"), note("no")]
    run_id = start(storage, needed(*steps, output=CHOICE))
    async with working(storage, performed.registry):
        await until(storage, run_id, RunStatus.WAITING)
    storage.signal(run_id, "go", "7", 5)
    async with working(open_storage(), performed.registry):
        run: RunRecord = await until(storage, run_id)
    assert run.output == 7
    assert performed.keys == ["flag", "yes"]


async def test_a_map_that_nobody_needs_starts_no_children(storage: SQLiteStorage) -> None:
    each = {"id": "no", "type": "map", "input": {"workflow": {"steps": [note("x")]}, "items": [1, 2, 3]}}
    performed = Performed()
    steps = [note("flag", True), note("yes", 1), each]
    run = await finish(storage, needed(*steps, output=CHOICE), registry=performed.registry)
    assert run.output == 1
    assert storage.statistics()["runs"] == 1


async def test_a_retry_takes_over_a_step_whose_untaken_branch_never_ran(storage: SQLiteStorage) -> None:
    performed = Performed("last")
    last = note("last", "$.steps.chosen.output")
    steps = [note("flag", True), note("yes", 1), note("no"), note("chosen", CHOICE), last]
    run = await finish(storage, needed(*steps, output="$.steps.last.output"), registry=performed.registry)
    assert run.status is RunStatus.FAILED
    performed.keys.clear()
    performed.fails.clear()
    async with Client(storage.url) as client:
        again = await client.retry(run.id)
    async with working(storage, performed.registry):
        assert (await until(storage, again)).output == 1
    assert performed.keys == ["last"]
