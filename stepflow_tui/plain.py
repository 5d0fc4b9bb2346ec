"""Lines instead of a screen: for those who have the terminal read out, and for terminals that can do no more.

A word asks, plain lines answer: no colour, nothing moves, nothing is drawn over.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec

from stepflow.client import Client
from stepflow.dsl.diagnostics import did_you_mean
from stepflow.errors import DSLValidationError, WorkflowEngineError
from stepflow.model.event import FINAL_RUN_EVENTS
from stepflow.model.run import RunRecord
from stepflow_tui.presentation.plain import event_sentence, run_sentence, step_sentence
from stepflow_tui.presentation.spans import safe

PAGE = 10
CHUNK = 65536


class Word(msgspec.Struct, frozen=True):
    """Something that can be asked."""

    use: str
    help: str
    do: Callable[[str], Awaitable[None]]
    changes: bool = False


class Plain:
    def __init__(self, client: Client, *, read_only: bool = False, file: int = 0) -> None:
        self._client = client
        self._read_only = read_only
        self._lines = _Lines(file)
        self._listed: list[RunRecord] = []
        self._next_cursor: str | None = None
        self._open: RunRecord | None = None
        self._said_seq = 0
        """The log up to here is known to who reads: of the open execution, `follow` says what came after."""
        self._is_left = False
        self._words = {
            "list": Word("list", "the newest executions, with numbers", self._list),
            "more": Word("more", "older ones", self._more),
            "open": Word("a number, or open ID", "an execution and its steps", self._open_run),
            "steps": Word("steps", "the steps of the open execution again", self._steps),
            "follow": Word("follow", "what happens in the open execution, or in all; enter ends it", self._follow),
            "close": Word("close", "no execution is open any more", self._close),
            "templates": Word("templates", "what can be run", self._templates),
            "run": Word("run NAME JSON", "start an execution; the JSON is its input", self._run, True),
            "cancel": Word("cancel", "cancel the open execution", self._cancel, True),
            "pause": Word("pause", "pause the open execution", self._pause, True),
            "resume": Word("resume", "let it go on", self._resume, True),
            "retry": Word("retry", "retry the open execution from what did not complete", self._retry, True),
            "help": Word("help", "these words", self._help),
            "quit": Word("quit", "leave; executions go on", self._quit),
        }

    async def run(self, begin: str | None = None) -> int:
        """Until `quit`, or the end of the input; `begin`: an execution to open. `RunNotFoundError`."""
        async with self._client:
            self._open = None if begin is None else await self._client.get_run(begin)
            self._lines.begin(asyncio.get_running_loop())
            say(f"StepFlow, {self._client.url}{', read only' if self._read_only else ''}. help lists the words.")
            await self._guarded((self._list if begin is None else self._steps)(""))
            while not self._is_left:
                line = await self._lines.next("> ")
                if line is None:
                    break
                await self._answer(line)
        return 0

    async def _answer(self, line: str) -> None:
        name, _, rest = line.strip().partition(" ")
        if not name:
            return
        if name.isdecimal():
            name, rest = "open", name
        word = self._words.get(name.lower())
        if word is None:
            say(f"There is no word '{safe(name)}'{did_you_mean(name.lower(), self._words) or '; help lists them'}")
        elif word.changes and self._read_only:
            say(f"{name} is off: this only reads (--read-only)")
        else:
            await self._guarded(word.do(rest.strip()))

    async def _guarded(self, doing: Awaitable[None]) -> None:
        try:
            await doing
        except DSLValidationError as error:
            say(f"Error: {safe(error.message)}")
            for diagnostic in error.diagnostics:
                say(f"  {safe(diagnostic.message)}")
        except (WorkflowEngineError, OSError) as error:
            say(f"Error: {safe(error)}")

    # Looking

    async def _list(self, _: str) -> None:
        page = await self._client.list_runs(PAGE, with_total=True)
        self._listed, self._next_cursor = list(page.items), page.next_cursor
        if not page.items:
            say("Nothing has run yet. templates lists what can be run.")
            return
        say(f"{page.total} execution{'' if page.total == 1 else 's'}, newest first.")
        self._say_runs(0)

    async def _more(self, _: str) -> None:
        if self._next_cursor is None:
            say("There are no older ones.")
            return
        page = await self._client.list_runs(PAGE, self._next_cursor)
        first = len(self._listed)
        self._listed += page.items
        self._next_cursor = page.next_cursor
        self._say_runs(first)

    def _say_runs(self, first: int) -> None:
        now = datetime.now(UTC)
        for number, run in enumerate(self._listed[first:], start=first + 1):
            say(f"{number}. {run_sentence(run, now)}")
        if self._next_cursor is not None:
            say("more lists older ones.")

    async def _open_run(self, wanted: str) -> None:
        if wanted.isdecimal() and len(wanted) < 4:
            if not 1 <= int(wanted) <= len(self._listed):
                say(f"There is no number {wanted} in the list; list reads it again.")
                return
            wanted = self._listed[int(wanted) - 1].id
        if not wanted:
            say("Which one? Give its number in the list, or its id.")
            return
        self._open = await self._client.get_run(wanted)
        await self._steps("")

    async def _steps(self, _: str) -> None:
        run = self._opened()
        if run is None:
            return
        self._open = run = await self._client.get_run(run.id)
        self._said_seq = run.last_seq
        steps = await self._client.get_steps(run.id, bodies=False)
        now = datetime.now(UTC)
        say(f"{run_sentence(run, now)}. {len(steps)} steps.")
        for step in steps:
            say(f"  {step_sentence(step, now)}")

    async def _follow(self, _: str) -> None:
        run = self._open
        if run is not None and run.status.is_final and run.last_seq <= self._said_seq:
            say(f"{run_sentence(run, datetime.now(UTC))}. It has ended.")
            return
        seq = await self._client.last_seq() if run is None else self._said_seq
        say(f"Following {safe(run.template) if run is not None else 'all executions'}. Enter ends it.")
        following = asyncio.create_task(self._say_events(seq, run))
        asking = asyncio.create_task(self._lines.next(""))
        await asyncio.wait([following, asking], return_when=asyncio.FIRST_COMPLETED)
        if asking.done() and asking.result() is None and run is not None:
            await following  # nobody is there to end it: it ends with the execution
        for task in (following, asking):
            task.cancel()
        await asyncio.gather(following, asking, return_exceptions=True)
        if following.done() and not following.cancelled() and following.exception() is not None:
            raise following.exception() or AssertionError
        if run is not None:
            self._open = await self._client.get_run(run.id)
            self._said_seq = self._open.last_seq
        say("Not following any more.")
        if asking.done() and not asking.cancelled() and asking.result():
            await self._answer(asking.result() or "")

    async def _say_events(self, seq: int, run: RunRecord | None) -> None:
        async for events in self._client.follow_batches(seq, None if run is None else run.id):
            for event in events:
                say(event_sentence(event, with_run=run is None))
            if run is not None and any(event.event_type in FINAL_RUN_EVENTS for event in events):
                return

    async def _close(self, _: str) -> None:
        self._open = None
        say("No execution is open.")

    async def _templates(self, _: str) -> None:
        templates = sorted(await self._client.list_templates(1000), key=lambda template: template.name)
        if not templates:
            say("There are no templates yet: stepflow create NAME --dsl FILE")
        for template in templates:
            said = f", {safe(template.description)}" if template.description else ""
            say(f"{safe(template.name)}, version {template.version}{said}")

    async def _help(self, _: str) -> None:
        for word in self._words.values():
            if not (word.changes and self._read_only):
                say(f"{word.use}: {word.help}")

    async def _quit(self, _: str) -> None:
        self._is_left = True

    # Acting

    async def _run(self, rest: str) -> None:
        name, _, text = rest.partition(" ")
        if not name:
            say("Which template? templates lists them; then: run NAME JSON")
            return
        try:
            value = json.loads(text) if text.strip() else {}
        except json.JSONDecodeError as error:
            wrong = f"The input is not JSON: {error.msg}, column {error.colno}."
            say(f'{wrong} Write it like run {safe(name)} {{"n": 1}}')
            return
        await self._begun(await self._client.start_run(name, value), "Started")

    async def _retry(self, _: str) -> None:
        run = self._opened()
        if run is not None:
            await self._begun(await self._client.retry(run.id), "Retried")

    async def _begun(self, run_id: str, what: str) -> None:
        self._open = await self._client.get_run(run_id)
        self._said_seq = 0
        await self._client.ensure_worker()
        say(f"{what} as {run_id}. It is open; follow says what happens.")

    async def _cancel(self, _: str) -> None:
        run = self._opened()
        if run is None:
            return
        say(f"Cancel {safe(run.template)}, {run.id}? Type yes.")
        if await self._lines.next("") != "yes":
            say("Not cancelled.")
        elif await self._client.cancel(run.id, "cancelled in the terminal UI"):
            say("Cancelling.")
        else:
            say("It had ended already.")

    async def _pause(self, _: str) -> None:
        run = self._opened()
        if run is not None:
            await self._client.pause(run.id)
            say("Paused. resume lets it go on.")

    async def _resume(self, _: str) -> None:
        run = self._opened()
        if run is not None:
            await self._client.resume(run.id)
            await self._client.ensure_worker()
            say("It goes on.")

    def _opened(self) -> RunRecord | None:
        if self._open is None:
            say("No execution is open. Give its number in the list.")
        return self._open


class _Lines:
    """What is typed, a line at a time. Read in a thread that ends with the process: a read cannot be called off."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._asks = os.isatty(file)
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._ended = False

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        def read() -> None:
            rest = b""
            while chunk := os.read(self._file, CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    give(line.decode("utf-8", "replace").rstrip("\r"))
            if rest:
                give(rest.decode("utf-8", "replace"))
            give(None)

        def give(line: str | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._queue.put_nowait, line)

        threading.Thread(target=read, name="stepflow-lines", daemon=True).start()

    async def next(self, prompt: str) -> str | None:
        """None: there will be no more."""
        if self._ended:
            return None
        if prompt and self._asks:
            sys.stdout.write(prompt)
            sys.stdout.flush()
        line = await self._queue.get()
        self._ended = line is None
        return line


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
