"""The worker's loop: claim, decide, commit, perform, repeat. One page.

A run is held from its claim until it ends, waits, or is given back. Facts about it gather while a decision is being
committed and are decided together when it is durable; steps are performed only after the commit that starts them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from stepflow.contracts.clock import Clock
from stepflow.contracts.component import Component
from stepflow.contracts.outcomes import children_fact, whole_check
from stepflow.contracts.storage import Claim, ClaimedRuns, Commit, Listener, Request, Storage, StoredRun
from stepflow.core.decide import Decision, Missing, advance, decide
from stepflow.core.effects import Perform
from stepflow.core.facts import (
    CancelRequested,
    Claimed,
    Collected,
    DeadlineReached,
    Fact,
    Failed,
    ReleaseRequested,
    Restated,
    Woken,
)
from stepflow.errors import DatabaseGoneError, LeaseLostError, StaleRunError, StorageError, WorkflowEngineError
from stepflow.model import jsontext
from stepflow.runtime.bridge import Bridge
from stepflow.runtime.context import Context, Surroundings
from stepflow.runtime.held import Held
from stepflow.runtime.leases import Leases
from stepflow.runtime.logs import LogBuffer
from stepflow.runtime.perform import ABANDON_SECONDS, CheckInput, Performer
from stepflow.runtime.processes import boot_id, host_id, kill_group
from stepflow.runtime.stalls import Stalls
from stepflow.runtime.templates import LoadedTemplates
from stepflow.runtime.timers import DEADLINE, Timers
from stepflow.runtime.trouble import Trouble

TROUBLE_RETRY_SECONDS = 1.0
LAST_COMMITS_SECONDS = 5.0


class WorkerLoop:
    """Performs the runs of `storage` with `find_component` until `stop`. `offers`: the paths of its components."""

    def __init__(
        self,
        storage: Storage,
        find_component: Callable[[str], Component],
        offers: tuple[str, ...],
        check_input: CheckInput,
        *,
        clock: Clock,
        slots: int,
        lease_seconds: float,
        workspace: str | None,
        background: bool,
        say: Callable[[str], None],
    ) -> None:
        self._storage = storage
        self._find_component = find_component
        self._clock = clock
        self._slots = slots
        self._workspace = workspace
        self._say = say
        self._performer = Performer(check_input, threads=32)
        self._held: dict[int, Held] = {}
        self._coming = 0
        """Runs that are claimed and being taken over: they have their slots already."""
        self._trouble = Trouble(clock, say)
        self._stopping = False
        self._claim_is_due = asyncio.Event()
        self._more_may_wait = False
        """The last claim took all there was room for; whatever comes later wakes us itself."""
        self._holds_nothing = asyncio.Event()
        self._holds_nothing.set()
        self._given_back = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._bridge = Bridge(storage)
        self._logs = LogBuffer(self._bridge)
        self._templates = LoadedTemplates(self._bridge, frozenset(offers).__contains__, say)
        self._timers = Timers(clock, self._on_timer)
        self._leases = Leases(
            self._bridge, clock, lease_seconds=lease_seconds, slots=slots, background=background, offers=offers
        )
        self._stalls = Stalls(self._bridge, clock)
        self._surroundings: Surroundings | None = None

    @property
    def number(self) -> int:
        return self._leases.worker

    @property
    def worker_id(self) -> str:
        return self._leases.identity.id

    @property
    def held_count(self) -> int:
        return len(self._held)

    def has_work(self) -> bool:
        """Whether there is a run that has not ended and that it could perform. From any thread."""
        return bool(self._held) or self._storage.unfinished_runs(self._templates.not_offered)

    async def run(self, started: Callable[[], None] | None = None) -> None:
        """Until `stop`: then every run has been given back."""
        loop = asyncio.get_running_loop()
        await self._leases.begin()
        self._surroundings = Surroundings(
            self._bridge, self._logs, self._clock, self.number, self._workspace, self._templates.offers
        )
        listener = self._storage.listen(for_workers=True)
        file = listener.fileno()
        if file is not None:
            loop.add_reader(file, self._on_wake, listener)
        duties = [
            asyncio.create_task(self._poll(listener.changed, listener.poll_seconds)),
            asyncio.create_task(self._keep_alive()),
        ]
        if started is not None:
            started()
        self._claim_is_due.set()
        try:
            while not self._stopping:
                await self._claim_is_due.wait()
                self._claim_is_due.clear()
                await self._claim()
            await self._given_back.wait()
        finally:
            ending = [*duties, *self._tasks]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            if file is not None:
                loop.remove_reader(file)
            listener.close()
            self._timers.close()
            self._logs.flush()
            self._performer.close()
            await self._leases.end()
            self._bridge.close()

    # Claim

    async def _claim(self) -> None:
        room = self._slots - len(self._held) - self._coming
        if room <= 0 or self._trouble.present is not None or self._stopping:
            self._more_may_wait = True
            return
        try:
            begun: dict[int, tuple[Held, Decision]] = {}
            now = self._clock.now()

            def begin(stored: StoredRun) -> Commit | None:
                first = self._begin(stored, now)
                if first is None:
                    return None
                begun[stored.number] = first
                return self._commit_of(*first)

            claim = Claim(self.number, room, now, self._templates.not_offered, begin)
            claimed: ClaimedRuns = await self._bridge.perform(claim)
            self._more_may_wait = len(claimed.runs) == room
            self._timers.set_wake(claimed.next_wake)
            for held, decision in begun.values():
                self._hold(held, decision)
            for stored in claimed.runs:
                if stored.number not in begun:
                    self._coming += 1
                    self._spawn(self._take_over(stored))
        except StorageError as error:
            self._trouble.note(error)
        except Exception as error:  # noqa: BLE001 - one run that cannot be claimed must not end its worker
            self._trouble.note(StorageError(f"executions cannot be claimed: {error!r}"))

    def _begin(self, stored: StoredRun, now: int) -> tuple[Held, Decision] | None:
        """A new run of a template that is at hand begins in the very commit that claims it. In the storage's thread:
        it only computes, on what nobody else has yet."""
        template = self._templates.at_hand(stored.template_version)
        if template is None or stored.state.started_at is not None:
            return None
        try:
            held = Held(stored, template, self.number)
            decision = decide(held.run, [Claimed()], now)
        except Exception:  # noqa: BLE001 - the others are claimed all the same; taking it over says what is wrong
            return None
        return None if isinstance(decision, Missing) else (held, decision)

    def _hold(self, held: Held, begun: Decision | None = None) -> None:
        """`begun`: its first decision is durable already."""
        self._held[held.number] = held
        self._holds_nothing.clear()
        for step, at in held.run.waits.items():
            self._timers.set(held.number, step, at)
        last_word = (ReleaseRequested(),) if self._stopping else ()
        if begun is None:
            held.inbox.insert(0, Claimed())
            self._receive(held, *last_word)
        else:
            held.is_busy = True
            held.version += 1
            held.inbox.extend(last_word)
            self._advance(held, begun)

    async def _take_over(self, stored: StoredRun) -> None:
        """Hold a run that had begun before, or whose template has to be read first. It is ours already, so trouble
        with the storage is waited out."""
        try:
            while True:
                if await self._is_taken_over(stored):
                    return
                await asyncio.sleep(TROUBLE_RETRY_SECONDS)
        finally:
            self._coming -= 1

    async def _is_taken_over(self, stored: StoredRun) -> bool:
        try:
            await self._end_process_groups(stored)
            template = await self._templates.load(stored.template_version)
            if template is not None:
                held = Held(stored, template, self.number)
                if held.run.waiting:
                    held.inbox.extend(await self._ended_children(held))
                self._hold(held)
                if held.run.waiting:
                    self._spawn(self._see_requests())  # whose end came while it was not held yet
            else:
                await self._leases.give_back(stored.number)
                self._claim_is_due.set()
        except StorageError as error:
            self._trouble.note(error)
            return False
        except Exception as error:  # noqa: BLE001 - said by `_leave`
            self._leave(stored.id, error)
        return True

    async def _ended_children(self, held: Held) -> list[Fact]:
        """What the steps whose children have all ended make of it."""
        facts: list[Fact] = []
        for ended in await self._bridge.call(self._storage.ended_children, held.number):
            if ended.group not in held.collecting:
                held.collecting.add(ended.group)
                node = held.template.graph.nodes[ended.step]
                try:
                    component = self._find_component(node.step.component)
                except WorkflowEngineError as error:
                    failed = Failed(ended.step, ended.attempt, error.to_record())
                    facts.append(Collected(ended.group, failed))
                    continue
                of_step = held.template.output_checks.get(ended.step)
                check = whole_check(component, of_step, hidden=node.step.sensitive)
                facts.append(children_fact(component, ended, check))
        return facts

    async def _end_process_groups(self, stored: StoredRun) -> None:
        """Kill what earlier holders of the run left running, before its steps run again."""
        if not stored.steps:
            return
        for group in await self._bridge.call(self._storage.process_groups, [stored.number]):
            if (group.host, group.boot_id) == (host_id(), boot_id()):
                await asyncio.to_thread(kill_group, group.group, group.start_time)
            await self._bridge.call(self._storage.forget_process_group, group)

    # Decide and commit

    def _receive(self, held: Held, *facts: Fact) -> None:
        held.inbox.extend(facts)
        if not held.is_busy:
            held.is_busy = True
            asyncio.get_running_loop().call_soon(self._decide, held)

    def _decide(self, held: Held) -> None:
        facts, held.inbox = held.inbox, []
        try:
            result = decide(held.run, facts, self._clock.now())
        except Exception as error:  # noqa: BLE001 - said by `_leave`
            self._leave(held.run.id, error)
            self._forget(held, stop=True)
            return
        if isinstance(result, Missing):
            held.inbox = facts + held.inbox
            task = asyncio.get_running_loop().create_task(self._fetch(held, result))
            held.keep(task)
        elif result.is_durable:
            self._logs.flush()
            self._commit(held, facts, result)
        else:
            # Nothing durable follows; what it has learnt (stopping, counters) counts all the same.
            self._advance(held, result)

    async def _fetch(self, held: Held, missing: Missing) -> None:
        try:
            texts = await self._bridge.call(self._storage.load_outputs, held.number, missing.steps)
        except StorageError as error:
            self._trouble.note(error)
            await asyncio.sleep(TROUBLE_RETRY_SECONDS)
        else:
            held.run.values.update({step: jsontext.decode(text) for step, text in texts.items()})
            if any(len(text) >= jsontext.LARGE for text in texts.values()):
                held.run.holds_large = True
        self._decide(held)

    def _commit(self, held: Held, facts: list[Fact], decision: Decision) -> None:
        self._submit(self._commit_of(held, decision), held, facts)

    def _submit(self, commit: Commit, held: Held, facts: list[Fact]) -> None:
        # No closure that names itself: thousands of circles a second would be left to the collector.
        self._bridge.submit(commit, partial(self._committed, commit, held, facts))

    def _committed(self, commit: Commit, held: Held, facts: list[Fact], _: object, error: BaseException | None) -> None:
        if error is None:
            held.version += 1
            self._trouble.present = None
            self._advance(held, commit.decision)
        elif isinstance(error, StaleRunError):
            held.inbox = facts + held.inbox
            held.keep(asyncio.get_running_loop().create_task(self._catch_up(held)))
        elif isinstance(error, LeaseLostError):
            self._say(f"{held.run.id}: {error}")
            self._forget(held, stop=True)
        elif isinstance(error, WorkflowEngineError):
            self._trouble.note(error)
            asyncio.get_running_loop().call_later(TROUBLE_RETRY_SECONDS, self._submit, commit, held, facts)
        else:
            self._leave(held.run.id, error)
            self._forget(held, stop=True)

    def _leave(self, run_id: str, error: BaseException) -> None:
        """A defect of ours. The run stays with this worker, out of everybody's way, until that ends."""
        self._say(f"{run_id} cannot go on here: {error!r}")

    def _commit_of(self, held: Held, decision: Decision) -> Commit:
        return Commit(held.number, held.run.id, self.number, held.fence, held.version, decision, decision.open_steps)

    async def _catch_up(self, held: Held) -> None:
        """A request came between; learn of it, then decide again."""
        while True:
            try:
                requests = await self._bridge.call(self._storage.requests, self.number)
                break
            except StorageError as error:
                self._trouble.note(error)
                await asyncio.sleep(TROUBLE_RETRY_SECONDS)
        for request in requests:
            if request.run == held.number:
                held.version = request.version
                # Before what it makes stale, and after the claim: what was asked earlier is heard with that.
                first = 1 if held.inbox and isinstance(held.inbox[0], Claimed) else 0
                held.inbox[first:first] = _facts_of(request)
                # What it was told before of its status is past.
                later = [fact for fact in held.inbox if not isinstance(fact, Restated)]
                held.inbox = [*_restated(held, request), *later]
                self._decide(held)
                return
        self._forget(held, stop=True)
        await self._leases.give_back(held.number)

    # Perform

    def _advance(self, held: Held, decision: Decision) -> None:
        """The decision is durable: it becomes the present, and its steps are performed."""
        advance(held.run, decision)
        for step in decision.stop:
            held.stop(step)
        for perform in decision.perform:
            self._perform(held, perform)
        if decision.release:
            self._forget(held)
            return
        self._timers.set(held.number, DEADLINE, held.run.deadline)
        for step in decision.steps:
            self._timers.set(held.number, step, held.run.waits.get(step))
        if held.inbox:
            self._decide(held)
        else:
            held.is_busy = False
            if held.is_asked:
                # Nothing was committed since, so nothing was refused as stale.
                held.is_asked = False
                self._spawn(self._see_requests())

    def _perform(self, held: Held, perform: Perform) -> None:
        assert self._surroundings is not None
        template = held.template
        node = template.graph.nodes[perform.step]
        try:
            component = self._find_component(node.step.component)
        except WorkflowEngineError as error:
            held.inbox.append(Failed(perform.step, perform.attempt, error.to_record()))
            return
        context = Context(
            self._surroundings,
            held.number,
            held.run.id,
            perform.step,
            node.key,
            perform.attempt,
            template.metadata_of(perform.step),
            template.base_dir,
            template.name,
            held.depth,
            held.secrets,
            node.step.sensitive,
        )
        check = whole_check(component, template.output_checks.get(perform.step), hidden=node.step.sensitive)
        if component.mode == "inline":
            held.inbox.append(self._performer.perform_inline(component, context, perform, check))
            return

        def report(fact: Fact) -> None:
            held.attempts.pop(perform.step, None)
            if not held.is_lost:
                self._receive(held, fact)

        held.attempts[perform.step] = self._performer.start(component, context, perform, node.step, check, report)

    def _forget(self, held: Held, *, stop: bool = False) -> None:
        """The run is no longer ours."""
        if stop:
            held.is_lost = True
            for step in list(held.attempts):
                held.stop(step)
        self._held.pop(held.number, None)
        self._timers.forget(held.number)
        self._logs.forget(held.number)
        if not self._held:
            self._holds_nothing.set()
        if self._more_may_wait:
            self._claim_is_due.set()

    # What happens around it

    def _on_wake(self, listener: Listener) -> None:
        listener.drain()
        self._look()

    def _look(self) -> None:
        """Something was committed for workers."""
        self._claim_is_due.set()
        if self._held:
            self._spawn(self._see_requests())

    def _spawn(self, doing: Coroutine[Any, Any, None]) -> None:
        """In a task that is kept: the loop only holds tasks weakly."""
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_requests(self) -> None:
        try:
            requests = await self._bridge.call(self._storage.requests, self.number)
            for request in requests:
                held = self._held.get(request.run)
                if held is None:
                    continue
                # While it is busy the commit, if there is one, will be refused as stale, and catches up by itself.
                if held.is_busy:
                    held.is_asked = True
                elif request.version > held.version:
                    held.version = request.version
                    self._receive(held, *_restated(held, request), *_facts_of(request))
                if request.children_ended:
                    ended = await self._ended_children(held)
                    if ended and self._held.get(request.run) is held:
                        self._receive(held, *ended)
        except StorageError as error:
            self._trouble.note(error)

    def _on_timer(self, number: int | None, steps: list[int]) -> None:
        if number is None:
            self._claim_is_due.set()
            return
        held = self._held.get(number)
        if held is None:
            return
        deadline = held.run.deadline
        if deadline is not None and deadline <= self._clock.now():
            self._receive(held, DeadlineReached())
        if steps:
            self._receive(held, *(Woken(step) for step in steps))

    async def _poll(self, changed: Callable[[], bool], seconds: float) -> None:
        """The safety net beneath the wake-ups."""
        while True:
            await asyncio.sleep(seconds)
            if changed():
                self._look()

    async def _keep_alive(self) -> None:
        while True:
            try:
                if not await self._leases.run_once(self._trouble.present):
                    self._say("declared dead by another worker (it was hung for longer than its lease); starting anew")
                    for held in list(self._held.values()):
                        self._forget(held, stop=True)
                    await self._leases.begin()
                    assert self._surroundings is not None
                    self._surroundings.worker = self.number
                    self._claim_is_due.set()
                elif self._trouble.present is not None:
                    self._trouble.present = None  # a write went through
                    self._claim_is_due.set()
                self._trouble.tell_its_end()
                await self._stalls.run_once()
            except DatabaseGoneError as error:
                self._trouble.note(error)
                self._spawn(self.stop(0))
                return
            except StorageError as error:
                self._trouble.note(error)
            await asyncio.sleep(self._leases.rest_seconds)

    # Stop

    async def stop(self, grace_seconds: float) -> None:
        """Claim nothing more, give running steps `grace_seconds` to end, then stop them and give their runs back."""
        if self._stopping:
            return
        self._stopping = True
        self._claim_is_due.set()
        for held in list(self._held.values()):
            self._receive(held, ReleaseRequested())
        try:
            await asyncio.wait_for(self._empty(), grace_seconds)
        except TimeoutError:
            for held in list(self._held.values()):
                for step in list(held.attempts):
                    held.stop(step)
            try:
                await asyncio.wait_for(self._empty(), ABANDON_SECONDS + LAST_COMMITS_SECONDS)
            except TimeoutError:
                # What cannot be written now (a full disk, most likely) is freed by whoever finds our lock released.
                self._say(f"{len(self._held)} executions could not be given back")
        self._given_back.set()

    async def _empty(self) -> None:
        while self._held:
            await self._holds_nothing.wait()


def _restated(held: Held, request: Request) -> list[Fact]:
    """Whoever pauses a run or lets it go on writes its status; nobody else but its holder does."""
    return [] if request.status is held.run.state.status else [Restated(request.status)]


def _facts_of(request: Request) -> list[Fact]:
    facts: list[Fact] = [CancelRequested(request.reason)] if request.cancel_requested else []
    return [*facts, *request.signals]
