"""Pictures of the screens, small and large, on executions that are always the same, at a time that stands still.

`pytest --snapshot-update -n 0 tests/tui/test_snapshots.py` takes them anew; look at them before they are kept.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Self

import pytest
from pytest_textual_snapshot import SVGImageExtension
from syrupy.assertion import SnapshotAssertion

from stepflow.client import Client
from stepflow_tui.app import StepFlowApp
from stepflow_tui.keymap import VIEWS
from stepflow_tui.screens.frame import Frame
from tests.tui.test_dashboard import Screen

EXECUTIONS = Path(__file__).with_name("executions.jsonl")
KEYS = {view: key for key, (view, _, _) in VIEWS.items()}


class Standing(datetime):
    """The time stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2026, 1, 2, 12, tzinfo=tz or UTC)


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("NO_COLOR", "COLORTERM", "STEPFLOW_THEME", "STEPFLOW_ASCII", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for name, module in list(sys.modules.items()):
        if name.startswith("stepflow_tui.") and getattr(module, "datetime", None) is datetime:
            monkeypatch.setattr(module, "datetime", Standing)
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("view", ["dashboard", "workers", "settings"])
async def test_a_screen_looks_as_it_did(
    tmp_path: Path, snapshot: SnapshotAssertion, size: tuple[int, int], view: str
) -> None:
    async with Client(str(tmp_path / "demo.db"), durability="normal") as client:
        with EXECUTIONS.open("rb") as file:
            assert len([one async for one in client.import_from(file)]) == 4
        app = StepFlowApp(client, start_worker=False)
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await screen.expect("etl-daily", "HTTP 503 upstream", "run.failed", "no worker")
            await screen.press(KEYS[view])  # type: ignore[index]  # its keys are views
            await screen.until(lambda: isinstance(app.screen, Frame) and app.screen.view == view)
            await pilot.pause()
            picture = app.export_screenshot(title=f"{view} {size[0]}x{size[1]}")
    assert picture == snapshot(extension_class=SVGImageExtension)
