"""Taking the execution at hand away in a file: as a picture, a page, JSON lines, a trace."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.spans import safe
from stepflow_tui.screens.finding import Finding
from stepflow_tui.widgets.bar import Question

Form = Literal["svg", "html", "jsonl", "trace.json"]
FORMS: dict[Form, tuple[str, str]] = {
    "svg": ("s", "SVG of the screen"),
    "html": ("h", "HTML"),
    "jsonl": ("j", "JSON lines"),
    "trace.json": ("t", "trace"),
}
"""By the ending of a file: the key, and how it reads."""
LARGEST = 64 * 1024
"""Bytes of a value in a page."""
PAGE = 5000
MOST_EVENTS = 200_000
"""In a trace, which other programs have to open."""
_NO_NAME = re.compile(r"[^\w.-]+")
_FONTS = re.compile(r"@font-face\s*\{[^}]*\}\s*")


class Exporting(Finding):
    @property
    def the_run(self) -> RunRecord:
        raise NotImplementedError

    def action_export(self) -> None:
        run = self.the_run
        answers = {key: (form, reads) for form, (key, reads) in FORMS.items()}

        async def chosen(answer: str) -> None:
            form = next(form for form in get_args(Form) if form == answer)
            self.ask_where(f"{run.template}-{short_id(run.id)}.{form}", lambda: self._file_content(run, form))

        self.ask(Question(f"Export {short_id(run.id)} as", answers), chosen)

    def ask_where(self, name: str, make: Callable[[], AsyncIterator[bytes]]) -> None:
        """And write there what `make` makes."""
        proposed = f"./{_NO_NAME.sub('-', name)}"
        self.ask_text("Write to:", lambda path: self._to_file(path, proposed, make), proposed)

    def _to_file(self, path: str, proposed: str, make: Callable[[], AsyncIterator[bytes]]) -> None:
        if not path:
            self.note("Nothing was written")
            return
        try:
            target, is_there = _target_of(path, proposed)
        except OSError as error:
            self.note(f"Nothing was written: {error.strerror}: {path}", "bad")
            return
        if not is_there:
            # When the question is gone, which is no part of a picture.
            self.call_after_refresh(self.act, self._write(target, make, replaces=False))
            return

        async def replace(_: str) -> None:
            self.call_after_refresh(self.act, self._write(target, make, replaces=True))

        self.ask(Question(f"{safe(target.name)} exists.", {"y": ("yes", "write over it")}), replace)

    async def _write(self, target: Path, make: Callable[[], AsyncIterator[bytes]], *, replaces: bool) -> None:
        self.note(f"Writing {target} …")
        try:
            place = await asyncio.to_thread(target.resolve)
            count = await write_file(place, make(), replaces=replaces)
        except FileExistsError:
            self.note(f"Nothing was written: meanwhile there is {target}", "bad")
        except OSError as error:
            self.note(f"Nothing was written: {error.strerror or error}: {target}", "bad")
        else:
            self.note(f"Wrote {place}, {count:,} bytes")

    async def _file_content(self, run: RunRecord, form: Form) -> AsyncIterator[bytes]:
        if form == "svg":
            yield _FONTS.sub("", self.app.export_screenshot(title=f"stepflow {run.id}")).encode()
        elif form == "jsonl":
            async for chunk in self.client.export([run.id]):
                yield chunk
        else:
            make = self._page if form == "html" else self._trace
            yield (await make(run.id)).encode("utf-8", "replace")

    async def _page(self, run_id: str) -> str:
        from stepflow_tui.presentation.export_html import MOST_LINES, run_page

        run = await self.client.get_run(run_id)
        attempts = await self.client.get_steps(run_id, attempts=True, largest=LARGEST)
        events = await self._events(run_id, MOST_LINES)
        left_out = events[0].run_seq - 1 if events else 0
        return await asyncio.to_thread(run_page, run, attempts, events, self.now(), left_out=left_out)

    async def _trace(self, run_id: str) -> str:
        from stepflow_tui.presentation.export_trace import trace_text

        run = await self.client.get_run(run_id)
        attempts = await self.client.get_steps(run_id, bodies=False, attempts=True)
        events = await self._events(run_id, MOST_EVENTS)
        return await asyncio.to_thread(trace_text, run, attempts, events, self.now())

    async def _events(self, run_id: str, most: int) -> list[WorkflowEvent]:
        """The last ones."""
        events: list[WorkflowEvent] = []
        before: int | None = None
        while len(events) < most:
            page = await self.client.get_events(run_id, before_seq=before, limit=PAGE, newest=True, bodies=False)
            events = [*page, *events]
            if len(page) < PAGE:
                break
            before = page[0].seq
        return events[-most:]


def _target_of(path: str, name: str) -> tuple[Path, bool]:
    """The file that a person means, in a folder the one that was proposed; and whether it is there. `OSError`."""
    if "\0" in path:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    try:
        target = Path(path).expanduser()
    except RuntimeError as error:  # of a user that nobody knows
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT)) from error
    if target.is_dir():
        target /= name
    return target, target.exists()


async def write_file(place: Path, made: AsyncIterator[bytes], *, replaces: bool) -> int:
    """Whole, or not at all; how many bytes. `FileExistsError` unless it replaces what is there; `OSError`."""
    if replaces and not await asyncio.to_thread(place.is_file):
        raise OSError(errno.EINVAL, "it is no file")
    beside = place.with_name(f".{place.name}.{os.getpid()}") if replaces else place
    file = await asyncio.to_thread(beside.open, "xb")
    count = 0
    try:
        with file:
            async for chunk in made:
                count += await asyncio.to_thread(file.write, chunk)
        if replaces:
            beside.replace(place)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    return count
