"""The conversation of lines: what is typed and said, and the execution that it is about."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading

from stepflow.client import Client
from stepflow.model.run import RunRecord
from stepflow_tui.presentation.spans import safe

CHUNK = 65536
MOST_NUMBER = 4
"""Digits of a number in the list; what is longer is the id of an execution."""


class Talking:
    """A subclass says what can be asked."""

    def __init__(self, client: Client, lines: Lines) -> None:
        self._client = client
        self._lines = lines
        self._listed: list[RunRecord] = []
        self._open: RunRecord | None = None
        self._said_seq = 0
        """The log up to here is known to who reads: of the open execution, `follow` says what came after."""

    async def _chosen(self, wanted: str) -> RunRecord | None:
        """As it is now, the one with that number or id, else the open one; None: there is none, which was said.
        `RunNotFoundError`."""
        if wanted.isdecimal() and len(wanted) <= MOST_NUMBER:
            if not 1 <= int(wanted) <= len(self._listed):
                say(f"There is no number {wanted} in the list; list reads it again.")
                return None
            wanted = self._listed[int(wanted) - 1].id
        if not wanted:
            if self._open is None:
                say("No execution is open. Give its number in the list.")
                return None
            wanted = self._open.id
        return await self._client.get_run(wanted, bodies=False)

    async def _opened(self) -> RunRecord | None:
        return await self._chosen("")

    async def _agreed(self, question: str, otherwise: str) -> bool:
        """`otherwise` is said where they do not."""
        say(f"{question} Type y.")
        if ((await self._lines.next("")) or "").strip().lower() in ("y", "yes"):
            return True
        say(otherwise)
        return False


class Lines:
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


def named(run: RunRecord) -> str:
    """As questions call it."""
    return f"{safe(run.template)}, {run.id}"
