"""An execution in a file: what is written can be read by what it is for, and nothing is written over unasked."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Input

from stepflow.model.event import WorkflowEvent
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.export_html import run_page
from stepflow_tui.presentation.export_trace import trace_text
from tests.support.engine import start
from tests.tui.records import NOW, ago, run, step
from tests.tui.test_dashboard import Screen, screen_on, sleeping
from tests.tui.test_run import ended, work

EVIL = '</pre><script>alert(1)</script>"\x1b]0;x\x07\n<img src="http://example.org/x">'
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Its tags, each closed, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def event(number: int, event_type: str, step_key: str | None = None, **payload: Any) -> WorkflowEvent:
    return WorkflowEvent(number, "exec_a", number, "flow", event_type, step_key, 1, "info", ago(60 - number), payload)


FAILED = run(
    RunStatus.FAILED,
    error={"code": "HTTP", "message": EVIL, "details": {"step_key": "b", "traceback": f"one\n{EVIL}"}},
    input={"text": EVIL},
    metadata={EVIL: EVIL},
)
ATTEMPTS = [
    step("a", StepStatus.COMPLETED, output={"x": EVIL}),
    step("b", StepStatus.FAILED, 1, error={"code": "HTTP", "message": EVIL, "details": {"traceback": f"x\n{EVIL}"}}),
    step("b", StepStatus.RUNNING, 1, attempt=2),
    step(EVIL, StepStatus.PENDING, 2),
]
EVENTS = [event(1, "run.started"), event(2, "log", "a", message=EVIL), event(3, EVIL, "b")]


def test_a_page_is_whole_and_nothing_of_an_execution_becomes_markup() -> None:
    text = run_page(FAILED, ATTEMPTS, EVENTS, NOW, left_out=7)
    page = Page(text)
    assert not page.tags & {"script", "img", "link", "iframe", "object"}
    assert not {name for name, _ in page.attributes} & {"src", "href", "onload", "onerror"}
    assert "url(" not in text
    assert "\x1b" not in text
    assert "\x07" not in text
    for words in ("Timeline", "7 older events", "<script>alert(1)</script>", "run.started"):
        assert words in page.words
    bars = [value for name, value in page.attributes if name == "title" and value and "attempt" in value]
    assert len(bars) == 3


@pytest.mark.parametrize("status", list(RunStatus))
def test_a_page_can_be_made_of_every_execution(status: RunStatus) -> None:
    one = run(status, started_at=None if status is RunStatus.SCHEDULED else ago(60), output=[1] * 50_000)
    page = Page(run_page(one, [step(value, value) for value in StepStatus], [], NOW))
    assert status.value in page.words
    assert "more characters" in page.words


def slices(trace: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in trace["traceEvents"] if one["ph"] == "X"]


def test_a_trace_has_a_track_a_step_a_slice_an_attempt_and_an_instant_an_event() -> None:
    trace = json.loads(trace_text(FAILED, ATTEMPTS, EVENTS, NOW))
    names = {one["tid"]: one["args"]["name"] for one in trace["traceEvents"] if one["name"] == "thread_name"}
    assert names == {0: "execution", 1: "a", 2: "b", 3: EVIL}
    told = [(one["name"], names[one["tid"]], one["dur"]) for one in slices(trace)]
    assert told == [
        ("waits for a worker", "execution", 1_000_000),
        ("order-flow", "execution", 50_000_000),
        ("a", "a", 30_000_000),
        ("b", "b", 30_000_000),
        ("b #2", "b", 50_000_000),
    ]
    instants = [(one["name"], names[one["tid"]]) for one in trace["traceEvents"] if one["ph"] == "i"]
    assert instants == [("run.started", "execution"), ("log", "a"), (EVIL, "b")]


def assert_is_of_the_format(trace: dict[str, Any]) -> None:
    """What the Trace Event Format asks of what is written here; slices of a track lie in one another or apart."""
    ends: dict[int, list[int]] = {}
    for one in trace["traceEvents"]:
        assert (type(one["name"]), type(one["pid"]), type(one["tid"])) == (str, int, int)
        match one["ph"]:
            case "M":
                assert one["name"] in ("process_name", "thread_name", "thread_sort_index")
                assert len(one["args"]) == 1
            case "i":
                assert (one["s"], type(one["ts"])) == ("t", int)
            case _:
                assert (one["ph"], type(one["ts"]), type(one["dur"])) == ("X", int, int)
    for one in sorted(slices(trace), key=lambda one: (one["ts"], -one["dur"])):
        around = ends.setdefault(one["tid"], [])
        while around and around[-1] <= one["ts"]:
            around.pop()
        assert not around or one["ts"] + one["dur"] <= around[-1]
        around.append(one["ts"] + one["dur"])


@given(st.text(), st.sampled_from(StepStatus), st.floats(-10, 1e6))
def test_a_trace_is_json_with_times_that_go_on(name: str, status: StepStatus, seconds: float) -> None:
    attempts = [step(name, status, started_at=ago(seconds), finished_at=ago(seconds - 1))]
    trace = json.loads(trace_text(run(RunStatus.RUNNING), attempts, [event(1, name)], NOW))
    assert all(one["dur"] >= 0 for one in slices(trace))


def test_an_attempt_that_was_lost_lasts_until_the_next_begins() -> None:
    tried = [
        step("a", StepStatus.RUNNING, started_at=ago(60), finished_at=None),
        step("a", StepStatus.COMPLETED, attempt=2, started_at=ago(20), finished_at=ago(10)),
    ]
    one = run(RunStatus.COMPLETED, started_at=ago(60), finished_at=ago(10))
    lasts = [round(one["dur"] / 1e6) for one in slices(json.loads(trace_text(one, tried, [], NOW)))[-2:]]
    assert lasts == [40, 10]
    assert "left:0.000%;width:80.000%" in run_page(one, tried, [], NOW)


async def export(screen: Screen, key: str, path: str | None = None) -> None:
    await screen.press("E")
    await screen.expect("Export")
    await screen.press(key)
    await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
    if path is not None:
        screen.app.screen.query_one("#ask Input", Input).value = path
    await screen.press("enter")
    await screen.until(lambda: not screen.app.screen.query("#ask"))


async def test_capital_e_writes_each_kind_beside_where_it_was_started(
    storage: SQLiteStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_id = await ended(storage, work(), {"n": 1})
    name = f"work-{short_id(run_id)}"
    async with screen_on(storage, read_only=True) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        for key, ending in (("s", "svg"), ("h", "html"), ("j", "jsonl"), ("t", "trace.json")):
            await export(screen, key)
            await screen.expect(f"{name}.{ending}, ")
    assert ET.fromstring((tmp_path / f"{name}.svg").read_text()).tag.endswith("svg")
    assert "@font-face" not in (tmp_path / f"{name}.svg").read_text()
    page = Page((tmp_path / f"{name}.html").read_text())
    assert "no such column" in page.words
    lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
    assert {"template", "run", "step", "event"} <= {line["type"] for line in lines}
    trace = json.loads((tmp_path / f"{name}.trace.json").read_text())
    assert [one["name"] for one in slices(trace) if one["name"].startswith("b")] == ["b", "b #2", "bad"]
    assert_is_of_the_format(trace)


@pytest.mark.full
async def test_what_is_there_is_written_over_only_after_a_second_key(storage: SQLiteStorage, tmp_path: Path) -> None:
    start(storage, sleeping())
    there = tmp_path / "there.html"
    there.write_text("mine")
    link = tmp_path / "link.html"
    link.symlink_to(there)
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await export(screen, "h", str(there))
        await screen.expect("exists", "write over it")
        await screen.press("n")
        assert there.read_text() == "mine"
        await export(screen, "h", str(link))
        await screen.expect("exists")
        await screen.press("y")
        await screen.expect("Wrote ")
        assert there.read_text().startswith("<!doctype html>")
        assert link.is_symlink()
        await export(screen, "h", str(tmp_path / "nowhere" / "x.html"))
        await screen.expect("Nothing was written: No such file or directory")
        await export(screen, "h", str(tmp_path))
        await screen.expect("Wrote ")
        for nowhere in ("~nobody-of-that-name/x.html", "n" * 300, "a\0b"):
            await export(screen, "h", nowhere)
            await screen.expect("Nothing was written: ")
            screen.dashboard.note("")
        await export(screen, "h", "")
        await screen.expect("Nothing was written")
    assert len([name for name in os.listdir(tmp_path) if name.endswith(".html")]) == 3
