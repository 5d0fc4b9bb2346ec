"""A workspace that is watched: real files, the real watcher, a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from stepflow.client import Client
from stepflow.client.workspace import Outcome, Round

T = TypeVar("T")

PATIENCE_SECONDS = 30.0


def flow_text(step: str = "a", name: str = "") -> str:
    head = f"name: {name}\n" if name else ""
    return f"{head}steps:\n  - {{id: {step}, type: noop}}\n"


class Watched:
    """A workspace in `folder`; what came of its rounds gathers in `seen`."""

    def __init__(self, folder: Path, client: Client, rounds: AsyncIterator[Round]) -> None:
        self.folder = folder
        self.client = client
        self._rounds = rounds
        self.seen: list[Outcome] = []
        self.rounds: list[Round] = []

    def write(self, file: str, text: str) -> None:
        """In place, as some editors do."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def save(self, file: str, text: str) -> None:
        """As other editors do: a new file takes the place of the old one."""
        self.write(f"{file}.tmp~", text)
        (self.folder / f"{file}.tmp~").replace(self.folder / file)

    async def round(self) -> Round:
        async with asyncio.timeout(PATIENCE_SECONDS):
            found = await anext(self._rounds)
        self.rounds.append(found)
        self.seen += found.outcomes
        return found

    async def until(self, holds: Callable[[Outcome], bool]) -> Outcome:
        """The first outcome from now on of which it holds."""
        while True:
            for outcome in (await self.round()).outcomes:
                if holds(outcome):
                    return outcome

    async def comes(self, kind: type[T], file: str | None = None) -> T:
        """The next outcome of this kind, about `file` if that is given."""
        found = await self.until(lambda one: isinstance(one, kind) and file in (None, getattr(one, "file", None)))
        assert isinstance(found, kind)
        return found

    async def versions(self, name: str) -> list[int]:
        return [version.version for version in await self.client.template_versions(name)]


@asynccontextmanager
async def watching(folder: Path) -> AsyncIterator[Watched]:
    """`stepflow dev` without its worker and without its words; not begun."""
    async with (
        Client(str(folder / ".stepflow.db"), folder, durability="normal") as client,
        aclosing(client.watch_workspace()) as rounds,
    ):
        yield Watched(folder, client, rounds)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path
