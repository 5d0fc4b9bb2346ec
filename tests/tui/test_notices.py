"""What is heard of watched executions: a line, the bell, and what the terminal shows, with nothing of theirs in it."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.config import Config
from stepflow_tui.notices import notice_of, tmux_passes, written
from stepflow_tui.presentation.executions import short_id
from tests.runtime.test_children import one_step
from tests.support.engine import start, until, working
from tests.support.flows import chain
from tests.tui.records import run
from tests.tui.test_dashboard import Screen, failing, screen_on, sleeping


def event(event_type: str, **payload: Any) -> WorkflowEvent:
    return WorkflowEvent(1, "exec_a", 1, "flow", event_type, None, 1, "info", datetime.now(UTC), payload)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (event(EventType.RUN_COMPLETED), "order-flow 1234 completed"),
        (event(EventType.RUN_FAILED, error={"message": "a\nb"}), "order-flow 1234 failed: a⏎b"),
        (event(EventType.RUN_CANCELLED, reason="enough"), "order-flow 1234 was cancelled: enough"),
        (event(EventType.RUN_TIMEOUT), "order-flow 1234 took too long"),
        (event(EventType.RUN_STALLED, reason="no code"), "order-flow 1234 stands still: no code"),
        (
            event(EventType.STEP_WAITING, awaits="event ship", message="Ship it?"),
            "order-flow 1234 waits for an answer: Ship it?",
        ),
        (event(EventType.STEP_WAITING, awaits="event ship"), "order-flow 1234 waits for an answer: ship"),
        (event(EventType.STEP_WAITING, awaits="children"), None),
        (event(EventType.STEP_FAILED, error={"message": "no"}), None),
        (event("own.event"), None),
    ],
)
def test_an_end_and_a_question_are_said(told: WorkflowEvent, said: str | None) -> None:
    assert notice_of(told, run(RunStatus.RUNNING)) == said


@given(st.text(), st.sampled_from(["xterm-256color", "rxvt-unicode", "foot"]), st.booleans())
def test_nothing_of_a_text_leaves_the_notice(text: str, term: str, in_tmux: bool) -> None:
    told = written(text, term=term, in_tmux=in_tmux)
    if in_tmux:
        assert told.startswith("\x1bPtmux;\x1b\x1b]")
        assert told.endswith("\x07\x1b\\")
        told = told.removeprefix("\x1bPtmux;").removesuffix("\x1b\\").replace("\x1b\x1b", "\x1b")
    begin = "\x1b]9;" if term.startswith("xterm") else "\x1b]777;notify;stepflow;"
    words = told.removeprefix(begin).removesuffix("\x07")
    assert told == f"{begin}{words}\x07"
    assert words.isprintable() or not any(ord(one) < 32 or 127 <= ord(one) < 160 for one in words)
    assert ";" not in words


def heard(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written beside what is drawn."""
    wrote: list[str] = []
    driver = screen.app._driver
    assert driver is not None
    monkeypatch.setattr(driver, "write", wrote.append)
    monkeypatch.setattr(screen.app, "bell", lambda: wrote.append("\x07"))  # without a terminal it writes nothing
    return wrote


@pytest.mark.parametrize(("how", "bell", "osc"), [("auto", True, True), ("bell", True, False), ("off", False, False)])
async def test_the_end_of_a_watched_one_is_heard_on_whichever_screen(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str, bell: bool, osc: bool
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    file = tmp_path / "ui.toml"
    file.write_text(f'notify = "{how}"\n')
    run_id = start(storage, failing())
    async with screen_on(storage, config=Config(file)) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await screen.press("W")
        await screen.expect("is watched", f"◆{short_id(run_id)}")
        await screen.press("5")
        wrote = heard(screen, monkeypatch)
        async with working(storage):
            await screen.expect(f"failing {short_id(run_id)} failed: no such column")
        assert not screen.app.session.watched
        notice = f"\x1b]9;failing {short_id(run_id)} failed: no such column\x07"
        if osc:
            await screen.until(lambda: notice in wrote)
        assert ("\x07" in wrote) == bell
        assert (notice in wrote) == osc


async def test_a_question_of_a_watched_one_is_heard_and_it_stays_watched(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start(storage, one_step("approval", {"name": "ship", "message": "Ship it?"}))
    other = start(storage, sleeping())
    async with screen_on(storage, begin_on=run_id) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await screen.press("W")
        heard(screen, monkeypatch)
        async with working(storage):
            await until(storage, other, RunStatus.SLEEPING)
            await screen.expect("waits for an answer: Ship it?")
        assert list(screen.app.session.watched) == [run_id]
        await screen.press("W")
        await screen.expect("is not watched any more")
        assert not screen.app.session.watched


async def test_nothing_more_is_heard_of_one_that_has_ended(storage: SQLiteStorage) -> None:
    run_id = start(storage, chain(1))
    async with working(storage):
        await until(storage, run_id)
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await screen.press("W")
        await screen.expect("nothing more will be heard of it")


@pytest.mark.parametrize(("says", "passes"), [("on", True), ("all", True), ("off", False), ("", True)])
def test_tmux_is_asked_whether_it_passes_things_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, passes: bool
) -> None:
    program = tmp_path / "tmux"
    program.write_text(f"#!/bin/sh\necho {says}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert tmux_passes() == passes
