"""Pictures of the screens, on executions that are always the same (`demo`), at a time that stands still.

`pytest -m "full or not full" --snapshot-update -n 0 tests/tui/test_snapshots.py` takes them anew; look at them before
they are kept.
"""

from __future__ import annotations

import pkgutil
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, tzinfo
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest
from pytest_textual_snapshot import SVGImageExtension
from syrupy.assertion import SnapshotAssertion

import stepflow_tui
from stepflow.client import Client
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import searching
from stepflow_tui.app import StepFlowApp
from stepflow_tui.config import Config
from stepflow_tui.screens import counting
from stepflow_tui.screens.frame import Frame
from stepflow_tui.session import Session
from tests.tui.demo import NOW, make_demo
from tests.tui.test_dashboard import Screen

SIZES = [(80, 24), (120, 40), (200, 60)]
SHORT = {("dashboard", (80, 24)), ("dashboard", (200, 60)), ("run", (120, 40))}
"""Those that the short suite looks at."""


ENDLESS = ("follow", "files")
"""Workers that end with the screen."""


class Still(datetime):
    """The time stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(NOW.timestamp(), tz or UTC)


async def dashboard(screen: Screen) -> None:
    await screen.expect("etl-", "2 workers")
    await screen.until(lambda: bool(screen.app.session.standing.counts))


async def problem(screen: Screen) -> None:
    """The dashboard on an execution that failed."""
    await screen.press("J", "J")
    await screen.until(lambda: "load: " in str(screen.dashboard.timeline.border_subtitle))


def view(key: str, *words: str) -> Callable[[Screen], Awaitable[None]]:
    async def show(screen: Screen) -> None:
        await screen.press(key)
        await screen.expect(*words)

    return show


async def filtered(screen: Screen) -> None:
    await screen.press("2", "slash", *"status:failed", "enter")
    await screen.expect("HTTP 503 upstream")
    await screen.until(lambda: screen.app.screen.executions.listing.filter.text == "status:failed")  # type: ignore[attr-defined]


async def template(screen: Screen) -> None:
    """One with something to mend."""
    await screen.press("3", "j", "j")
    await screen.expect("etl-daily")


async def simulation(screen: Screen) -> None:
    await screen.press("3", "j", "j", "s", "enter")
    await screen.expect("notify")


async def search(screen: Screen) -> None:
    await screen.press("6", *"http 503", "enter")
    await screen.expect("503")


async def unfolded(screen: Screen) -> None:
    await screen.press("7")
    await screen.expect("HTTP 503")
    await screen.press("enter")


async def run(screen: Screen) -> None:
    """The one that fans out."""
    await open_run(screen, "train-model")


async def open_run(screen: Screen, name: str) -> None:
    runs = screen.dashboard.executions
    runs.select(next(run.id for run in runs.runs if run.template == name))
    await screen.press("enter")
    await screen.press("enter")
    await screen.until(lambda: isinstance(screen.app.screen, Frame) and screen.app.screen.view == "run")
    await screen.expect("%" if name == "train-model" else name)


def tab(number: int, name: str) -> Callable[[Screen], Awaitable[None]]:
    async def show(screen: Screen) -> None:
        await open_run(screen, name)
        await screen.press(*["right_square_bracket"] * number)

    return show


async def past(screen: Screen) -> None:
    await open_run(screen, "etl-daily")
    await screen.press("H", "b", "b", "b")
    await screen.expect("of 31")


async def diff(screen: Screen) -> None:
    await screen.press("J", "J", "D")
    await screen.until(lambda: isinstance(screen.app.screen, Frame) and screen.app.screen.view == "diff")


async def form(screen: Screen) -> None:
    await screen.press("3", *"jjjjj", "r")
    await screen.until(lambda: bool(screen.app.screen.query("#form")))


async def question(screen: Screen) -> None:
    await screen.press("c")
    await screen.until(lambda: bool(screen.app.screen.query("#question")))


async def palette(screen: Screen) -> None:
    await screen.press("colon", *"retry")


SCENES: dict[str, Callable[[Screen], Awaitable[None]]] = {
    "dashboard": dashboard,
    "dashboard_failed": problem,
    "executions": view("2", "trend", "order-flow"),
    "executions_filtered": filtered,
    "templates": template,
    "templates_simulated": simulation,
    "workers": view("5", "worker_node-a"),
    "search": search,
    "failures": unfolded,
    "settings": view("8", "Theme"),
    "run": run,
    "run_graph": tab(1, "train-model"),
    "run_log": tab(2, "train-model"),
    "run_events": tab(3, "train-model"),
    "run_values": tab(4, "train-model"),
    "run_attempts": tab(5, "train-model"),
    "run_failed": tab(0, "etl-daily"),
    "run_past": past,
    "diff": diff,
    "form": form,
    "help": view("question_mark", "Run the selected"),
    "palette": palette,
    "question": question,
}


def unseen(app: StepFlowApp) -> list[str]:
    """Words in the colour of what they stand on."""
    return [
        text
        for strip in app.screen._compositor.render_strips()
        for text, style, _ in strip
        if style is not None and style.color == style.bgcolor and any(letter.isalnum() for letter in text)
    ]


@asynccontextmanager
async def shown(
    folder: Path, made: Path, scene: str, size: tuple[int, int], config: Config | None = None
) -> AsyncIterator[StepFlowApp]:
    """`made`: the database of `demo`, which stays as it is."""
    file = folder / "demo.db"
    shutil.copy(made, file)
    async with Client(str(file), durability="normal") as client:
        app = StepFlowApp(client, start_worker=False, config=config)
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await dashboard(screen)
            await SCENES[scene](screen)
            for _ in range(3):
                await screen.until(lambda: all(one.is_finished or one.group in ENDLESS for one in app.workers))
                await pilot.pause()
            assert unseen(app) == []
            yield app


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("demo") / "demo.db"
    storage = SQLiteStorage(str(file))
    make_demo(storage)
    storage.close()
    return file


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("NO_COLOR", "COLORTERM", "STEPFLOW_THEME", "STEPFLOW_ASCII", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    hold_still(monkeypatch.setattr)
    yield
    monkeypatch.undo()
    time.tzset()


def hold_still(set_attribute: Callable[[object, str, object], None]) -> None:
    for module in pkgutil.walk_packages(stepflow_tui.__path__, "stepflow_tui."):
        import_module(module.name)
    for name, loaded in list(sys.modules.items()):
        if name.startswith("stepflow_tui.") and getattr(loaded, "datetime", None) is datetime:
            set_attribute(loaded, "datetime", Still)
    set_attribute(counting, "_size", lambda file: 291_000)  # it is another one with another SQLite
    set_attribute(Session, "place", property(lambda session: (("--db", "demo.db"),)))
    set_attribute(searching, "time", SimpleNamespace(monotonic=lambda: 0.0))  # it says how long it took


EVERY = pytest.mark.parametrize(
    ("scene", "size"),
    [
        pytest.param(
            scene,
            size,
            id=f"{scene}-{size[0]}x{size[1]}",
            marks=() if (scene, size) in SHORT else pytest.mark.full,
        )
        for scene in SCENES
        for size in SIZES
    ],
)


@EVERY
async def test_a_screen_looks_as_it_did(
    tmp_path: Path, made: Path, snapshot: SnapshotAssertion, scene: str, size: tuple[int, int]
) -> None:
    async with shown(tmp_path, made, scene, size) as app:
        picture = app.export_screenshot(title=f"{scene} {size[0]}x{size[1]}", simplify=True)
    assert picture == snapshot(extension_class=SVGImageExtension)


@EVERY
async def test_where_only_ascii_can_be_shown_nothing_else_is(
    tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch, scene: str, size: tuple[int, int]
) -> None:
    monkeypatch.setenv("STEPFLOW_ASCII", "1")
    async with shown(tmp_path, made, scene, size) as app:
        lines = [strip.text for strip in app.screen._compositor.render_strips()]
    assert [line for line in lines if not line.isascii()] == []
