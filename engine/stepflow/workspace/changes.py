"""Hearing that files changed: from the system, and by looking at all of them, now and then or where the system cannot
tell."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from contextlib import aclosing

from watchfiles import Change, awatch
from watchfiles.main import FileChange

from stepflow.workspace.finding import TEMPLATE_ENDINGS, files_in, is_left_out

STEP_MS = 20
"""Without a change for so long, those that came are told of."""
MOST_MS = 60
"""After this they are told of though others go on coming."""
LOOK_SECONDS = 30.0
"""How often all files are looked at: some changes are never told of, as when too many come at once."""
POLL_SECONDS = 0.5
"""How often where the system tells of nothing."""
NEW_FOLDER_SECONDS = 0.3
"""A new folder is looked into again after this: what is put into it at once is not told of."""

PYTHON_ENDING = ".py"
WATCHED_ENDINGS = (*TEMPLATE_ENDINGS, PYTHON_ENDING)

Stamp = tuple[int, int, int]


class Changes:
    """What may have changed below `root` gathers until it is taken. `config`: a file that says what the workspace
    offers, as its Python does; `without`: folders that are left out."""

    def __init__(self, root: str, config: str, without: Collection[str]) -> None:
        self._root = root
        self._config = config
        self._without = without
        self._stamps: dict[str, Stamp] = {}
        """Of all files, as they were when they were looked at last."""
        self.some = asyncio.Event()
        """There is something to take."""
        self.since = 0.0
        """When the first of it was heard of, in the loop's time."""
        self._paths: set[str] = set()
        self._whole: set[str] = set()
        self._gone: set[str] = set()
        """Of these paths, those where another file took the place of the one that was there, and those that went away,
        if only for a moment."""
        self._python = False

    def take(self) -> tuple[set[str], set[str]]:
        """Templates that may have changed, and paths of anything that is no more; and of these, where there was a file
        before, those that another one has taken the place of: it is not being written any more."""
        self.some.clear()
        taken, whole = self._paths, self._whole
        self._paths, self._whole, self._gone = set(), set(), set()
        return taken, whole

    def take_python(self) -> bool:
        """Whether what the workspace offers may be another."""
        taken, self._python = self._python, False
        return taken

    async def hear(self, started: Callable[[str | None], None]) -> None:
        """Gather for ever. `started` is called once: from now on nothing is missed; with a reason where the system does
        not tell of changes, which are then found by looking."""
        try:
            told = awatch(
                self._root,
                watch_filter=None,
                debounce=MOST_MS,
                step=STEP_MS,
                recursive=True,
                ignore_permission_denied=True,
            )
            async with aclosing(told) as batches:
                await self._hear(batches, started)
        except (OSError, RuntimeError) as error:  # RuntimeError: what watchfiles makes of the system's limits
            started(str(error))
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self._look()

    async def _hear(
        self, batches: AsyncGenerator[set[FileChange], None], started: Callable[[str | None], None]
    ) -> None:
        coming = asyncio.ensure_future(anext(batches))
        try:
            await asyncio.sleep(0)  # it begins: each folder is watched, or it is known that they cannot be
            if coming.done():
                coming.result()
            started(None)
            while True:
                await asyncio.wait([coming], timeout=LOOK_SECONDS)
                if coming.done():
                    self._tell_whole(coming.result())
                    self._gather(path for _, path in coming.result())
                    coming = asyncio.ensure_future(anext(batches))
                else:
                    await self._look()
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    def _tell_whole(self, told: Collection[FileChange]) -> None:
        """A file that appears where one was that did not go away was put there whole."""
        self._gone |= {path for change, path in told if change is Change.deleted}
        appeared = {path for change, path in told if change is Change.added} - self._gone
        self._whole = (self._whole - {path for change, path in told if change is not Change.added}) | appeared

    async def _look(self) -> None:
        found = await asyncio.to_thread(self.scan)
        self._python = self._python or any(self._is_offering(path) for path in found)
        self._gather(path for path in found if not self._is_offering(path))

    def _is_offering(self, path: str) -> bool:
        return path == self._config or path.endswith(PYTHON_ENDING)

    def scan(self) -> set[str]:
        """Every file that is another than when it was looked at last, or is no more."""
        stamps = {}
        for entry in files_in(self._root, WATCHED_ENDINGS, self._without):
            stamp = _stamp(entry.path)
            if stamp is not None:
                stamps[entry.path] = stamp
        config = _stamp(self._config)
        if config is not None:
            stamps[self._config] = config
        before, self._stamps = self._stamps, stamps
        return {path for path in before.keys() | stamps.keys() if before.get(path) != stamps.get(path)}

    def _gather(self, paths: Iterable[str]) -> None:
        for path in paths:
            if self._is_offering(path):
                self._gather_python(path)
            elif not is_left_out(path, self._root, self._without):
                self._gather_path(path)
        if self._paths or self._python:
            if not self.some.is_set():
                self.since = asyncio.get_running_loop().time()
            self.some.set()

    def _gather_python(self, path: str) -> None:
        if is_left_out(path, self._root, self._without):
            return
        stamp = _stamp(path)
        if stamp == self._stamps.get(path):
            return  # only its rights, or its times
        self._python = True
        if stamp is None:
            del self._stamps[path]
        else:
            self._stamps[path] = stamp

    def _gather_path(self, path: str) -> None:
        if os.path.basename(path).startswith("."):  # noqa: PTH119 - reads no disk
            return
        if path.endswith(TEMPLATE_ENDINGS) or not os.path.lexists(path):
            self._paths.add(path)
        elif os.path.isdir(path):  # noqa: PTH112 - asked for each change
            self._gather_folder(path)
            asyncio.get_running_loop().call_later(NEW_FOLDER_SECONDS, self._gather_late, path)

    def _gather_folder(self, folder: str) -> None:
        for entry in files_in(folder, WATCHED_ENDINGS, self._without):
            if entry.name.endswith(PYTHON_ENDING):
                self._python = True
            else:
                self._paths.add(entry.path)

    def _gather_late(self, folder: str) -> None:
        self._gather(entry.path for entry in files_in(folder, TEMPLATE_ENDINGS, self._without))


def _stamp(path: str) -> Stamp | None:
    """None: there is no such file."""
    try:
        found = os.stat(path)  # noqa: PTH116 - asked for each file, again and again
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if stat.S_ISREG(found.st_mode) else None
