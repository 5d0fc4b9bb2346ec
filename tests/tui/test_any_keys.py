"""Any keys, typed at any speed into terminals of any size: nothing crashes, and the way back to the dashboard stays."""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepflow.client import Client
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import clipboard
from stepflow_tui.app import StepFlowApp
from stepflow_tui.config import Config
from stepflow_tui.keymap import KEYS
from stepflow_tui.screens import exporting
from stepflow_tui.screens.dashboard import Dashboard
from tests.tui.demo import make_demo
from tests.tui.test_dashboard import Screen

SIZES = ((80, 24), (120, 40), (200, 60), (40, 10), (20, 5), (1, 1), (2, 60), (200, 1))
SHORT_SECONDS, LONG_SECONDS = 3.0, float(os.environ.get("STEPFLOW_KEYS_SECONDS", "20"))
MOST_ESCAPES = 8
SEED = int(os.environ.get("STEPFLOW_KEYS_SEED", "0"))
"""To see again what a test has found, or to look for more; 0: those of the tests."""
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789{}[]\"':;,.<>/?!@#$%^&*()-=_+~é日 "
OTHERS = (
    "escape", "enter", "enter", "enter", "tab", "shift+tab", "up", "down", "left", "right", "home", "end",
    "pageup", "pagedown", "backspace", "delete", "space", "f1", "f2", "ctrl+e", "ctrl+w", "ctrl+u",
)  # fmt: skip


def keys_of_all() -> list[str]:
    return [key for one in KEYS for key in one.keys.split(",")]


class Typist:
    """Types what `seed` says, and knows what was typed last."""

    def __init__(self, screen: Screen, seed: int, typed: list[str]) -> None:
        self._screen = screen
        self._random = random.Random(seed)
        self._bound = keys_of_all()
        self.typed = typed

    async def type(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._screen.app.return_code is None:
            if self._random.random() < 0.05:
                await self._screen.pilot.resize_terminal(*self._resized())
            self._burst()
            await self._screen.pilot.pause(self._random.choice((0, 0, 0.02, 0.1)))

    def _resized(self) -> tuple[int, int]:
        size = self._random.choice(SIZES)
        self.typed.append(f"{size[0]}x{size[1]}")
        return size

    def _burst(self) -> None:
        """Several at once, as they come down a slow line."""
        for _ in range(self._random.choice((1, 1, 2, 4, 10))):
            among = self._random.choice((self._bound, self._bound, OTHERS, LETTERS))
            key = self._random.choice(among)
            self.typed.append(key)
            self._screen.burst(key)


@pytest.fixture(autouse=True)
def harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed copies, edits and writes nothing outside of the test."""
    write = exporting.write_file

    async def write_here(place: Path, made: AsyncIterator[bytes], *, replaces: bool) -> int:
        return await write(tmp_path / place.name, made, replaces=replaces)

    monkeypatch.setattr(exporting, "write_file", write_here)
    monkeypatch.setattr(clipboard, "copy", lambda app, text, way: "tmux")
    monkeypatch.chdir(tmp_path)
    for name in ("EDITOR", "VISUAL"):
        monkeypatch.setenv(name, "true")


async def type_for(folder: Path, seed: int, seconds: float, *, read_only: bool) -> int:
    """Opens the screen again each time that it was left; how many keys were typed."""
    file = folder / "demo.db"
    storage = SQLiteStorage(file, durability="normal")
    make_demo(storage)
    storage.close()
    end, round_, count = time.monotonic() + seconds, 0, 0
    while (left := end - time.monotonic()) > 0:
        round_ += 1
        typed: list[str] = []
        try:
            async with Client(str(file), durability="normal", read_only=read_only) as client:
                config = Config(folder / "ui.toml")
                app = StepFlowApp(client, start_worker=False, read_only=read_only, config=config)
                async with app.run_test(size=SIZES[0]) as pilot:
                    screen = Screen(app, pilot)
                    await screen.until(lambda app=app: isinstance(app.screen, Dashboard))  # type: ignore[misc]  # a lambda
                    await Typist(screen, seed * 1000 + round_, typed).type(left)
                    await find_back(screen)
        except BaseException:
            print(f"seed {seed}, round {round_}, typed last: {' '.join(typed[-60:])}")
            raise
        count += len(typed)
    return count


async def find_back(screen: Screen) -> None:
    """Escape as often as there can be something to leave, then 1."""
    app = screen.app
    if app.return_code is not None:
        return  # it was left
    await screen.pilot.resize_terminal(*SIZES[0])
    for _ in range(MOST_ESCAPES):
        await screen.press("escape")
        await screen.pilot.pause(0.05)
        if app.return_code is not None or app._exit:
            return
    await screen.press("1")
    await screen.until(lambda: isinstance(app.screen, Dashboard), "the dashboard is there")


async def test_any_keys_do_no_harm(tmp_path: Path) -> None:
    assert await type_for(tmp_path, SEED or 1, SHORT_SECONDS, read_only=False) > 0


@pytest.mark.full
@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("seed", range(2))
async def test_any_keys_do_no_harm_for_long(tmp_path: Path, seed: int, read_only: bool) -> None:
    assert await type_for(tmp_path, SEED or seed, LONG_SECONDS, read_only=read_only) > 0
