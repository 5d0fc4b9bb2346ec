"""Lines instead of a screen: for those who have the terminal read out, and for terminals that can do no more.

A word asks, plain lines answer: no colour, nothing moves, nothing is drawn over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from stepflow.client import Client
from stepflow.dsl.diagnostics import did_you_mean
from stepflow.errors import DSLValidationError, WorkflowEngineError
from stepflow_tui.plain_acting import Acting
from stepflow_tui.plain_talking import Lines, say
from stepflow_tui.presentation.spans import safe


class Word(msgspec.Struct, frozen=True):
    """Something that can be asked."""

    use: str
    help: str
    do: Callable[[str], Awaitable[None]]
    changes: bool = False


class Plain(Acting):
    def __init__(self, client: Client, *, read_only: bool = False, file: int = 0) -> None:
        super().__init__(client, Lines(file))
        self._read_only = read_only
        self._why_off = client.why_only_read or "this only reads (--read-only, or so its profile says)"
        self._is_left = False
        self._words = {
            "list": Word("list", "the newest executions, with numbers", self._list),
            "filter": Word("filter WORDS", "only those that match, like filter status:failed", self._filter),
            "more": Word("more", "what is older, of executions or of a log", self._more),
            "open": Word("a number, or open ID", "an execution and its steps", self._open_run),
            "steps": Word("steps", "the steps of the open execution again", self._steps),
            "log": Word("log, or log STEP", "what the open execution, or a step of it, said last", self._log),
            "values": Word("values, or values STEP", "input and output", self._values),
            "error": Word("error", "what went wrong, with its cause", self._error),
            "follow": Word("follow", "what happens in the open execution, or in all; enter ends it", self._follow),
            "close": Word("close", "no execution is open any more", self._close),
            "templates": Word("templates", "what can be run", self._templates),
            "simulate": Word("simulate NAME JSON", "what a run with this input would do", self._simulate),
            "run": Word("run NAME JSON", "start an execution; the JSON is its input", self._run, True),
            "answer": Word("answer JSON", "answer what the open execution waits for", self._answer, True),
            "signal": Word("signal NAME JSON", "give the open execution a signal", self._signal, True),
            "cancel": Word("cancel", "cancel the open execution", self._cancel, True),
            "terminate": Word("terminate", "end it, also if its worker is hung", self._terminate, True),
            "pause": Word("pause", "pause the open execution", self._pause, True),
            "resume": Word("resume", "let it go on", self._resume, True),
            "retry": Word("retry", "retry the open execution from what did not complete", self._retry, True),
            "help": Word("help, or ?", "these words", self._help),
            "quit": Word("quit", "leave; executions go on", self._quit),
        }

    async def run(self, begin: str | None = None) -> int:
        """Until `quit`, or the end of the input; `begin`: an execution to open. `RunNotFoundError`."""
        async with self._client:
            self._open = None if begin is None else await self._client.get_run(begin, bodies=False)
            self._lines.begin(asyncio.get_running_loop())
            say(f"StepFlow, {self._client.url}{', read only' if self._read_only else ''}. help lists the words.")
            await self._guarded((self._list if begin is None else self._steps)(""))
            while not self._is_left:
                line = await self._lines.next("> ")
                if line is None:
                    break
                await self._answer_to(line)
        return 0

    async def _answer_to(self, line: str) -> None:
        name, _, rest = line.strip().partition(" ")
        if not name:
            return
        if name.isdecimal():
            name, rest = "open", name
        word = self._words.get({"?": "help"}.get(name, name.lower()))
        if word is None:
            say(f"There is no word '{safe(name)}'{did_you_mean(name.lower(), self._words) or '; help lists them'}")
        elif word.changes and self._read_only:
            say(f"{safe(name)} is off: {safe(self._why_off)}")
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

    async def _help(self, _: str) -> None:
        for word in self._words.values():
            if not (word.changes and self._read_only):
                say(f"{word.use}: {word.help}")
        of_any = "steps and error" if self._read_only else "steps, error, cancel, terminate, pause, resume and retry"
        say(f"{of_any} also take a number of the list, or an id.")

    async def _quit(self, _: str) -> None:
        self._is_left = True
