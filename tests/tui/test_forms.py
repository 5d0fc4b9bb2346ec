"""Asking for inputs: by forms, as JSON, at once with other keys; on a real engine and a real SQLite file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual import events
from textual.widgets import Input, Static

from stepflow.client import Client
from stepflow.model.flow import Flow
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.presentation.form import Answer, fields_of, parts_of, problem_with, value_of
from stepflow_tui.screens.form import FieldLine, Form
from stepflow_tui.screens.templates import TemplatesView
from tests.runtime.test_children import flow_of
from tests.support.engine import save, start, stored, until, working
from tests.support.flows import echo, flow
from tests.tui.test_dashboard import Screen, failing, screen_on
from tests.tui.test_terminal import Terminal, stepflow
from tests.tui.test_terminal import terminal as terminal  # the fixture

SCHEMA: Any = {
    "type": "object",
    "required": ["n"],
    "properties": {
        "n": {"type": "integer", "minimum": 1, "maximum": 9},
        "name": {"type": "string", "description": "who it is for"},
    },
}
SECRETIVE = {
    "name": "secretive",
    "variables": {
        "type": "object",
        "required": ["region", "token"],
        "properties": {
            "region": {"type": "string"},
            "token": {"type": "string", "secret": True},
            "tries": {"type": "integer", "default": 3},
        },
    },
    "steps": [{"id": "a", "type": "echo", "input": {"token": "$.variables.token"}}],
    "output": ["$.variables.region", "$.variables.tries"],
}


def asking() -> Flow:
    return flow(echo("a", {"$from": {"workflow": "input"}}), name="ask", input_schema=SCHEMA)


async def formed(screen: Screen) -> Form:
    await screen.until(lambda: bool(screen.app.screen.query("#form FieldLine .said")))
    await screen.until(lambda: not screen.app.screen.query("#coming"))
    return screen.app.screen.query_one(Form)


def nothing_asked(screen: Screen) -> bool:
    return not screen.app.screen.query("#question, #coming, #ask, #form, #approval")


def text_of(screen: Screen, what: str) -> str:
    return str(screen.app.screen.query_one(what, Static).render())


# Keys that come at once


@pytest.mark.parametrize(
    "keys",
    [
        "rr",
        "rs",
        "TTTT",
        "AA",
        "XX",
        ("r", "escape", "r", "escape"),
        ("s", "escape", "r", "escape", "T", "escape", "A", "escape", "X", "escape", "r"),
    ],
)
async def test_keys_that_ask_may_come_at_once(storage: SQLiteStorage, keys: tuple[str, ...]) -> None:
    run_id = start(storage, failing())
    save(storage, asking())
    async with working(storage):
        await until(storage, run_id)
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.step_at_hand == "bad")
        screen.burst(*keys)
        await screen.pilot.pause(0.1)
        await screen.press("escape")
        await screen.until(lambda: nothing_asked(screen))
        assert screen.app.screen is screen.dashboard
        await screen.until(lambda: screen.app.focused is screen.dashboard.executions)
        assert storage.count_runs(None, None) == 1


async def test_a_digit_behind_a_key_that_asks_is_for_what_it_asks(storage: SQLiteStorage) -> None:
    save(storage, asking())
    async with screen_on(storage) as screen, working(storage):
        await screen.expect("ask")
        screen.burst("r", "1", "tab", *"ptc", "enter")
        await screen.until(lambda: storage.count_runs([RunStatus.COMPLETED], None) == 1)
        assert storage.get_run(storage.list_runs(1, None, None, None, False)[0][0].id).input == {"n": 1, "name": "ptc"}
        assert screen.app.screen is screen.dashboard
        await screen.until(lambda: nothing_asked(screen))


async def test_letters_behind_capital_x_are_typed_into_its_field(storage: SQLiteStorage) -> None:
    start(storage, asking(), {"n": 1})
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.executions.selected is not None)
        screen.burst(*"Xpcq")
        await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
        await screen.until(lambda: screen.app.screen.query_one("#ask Input", Input).value == "pcq")
        assert not screen.app.screen.query("#question")
        await screen.press("enter")
        await screen.expect("That is not")


async def test_what_is_asked_keeps_the_keys_after_another_question(storage: SQLiteStorage) -> None:
    save(storage, asking())
    async with screen_on(storage) as screen:
        await screen.expect("ask")
        await screen.press("r")
        form = await formed(screen)
        await screen.press("ctrl+c", "n")
        await screen.until(lambda: not screen.app.screen.query("#question"))
        await screen.until(lambda: screen.app.focused is form.editor)
        screen.dashboard.executions.focus()
        await screen.press("r")  # it is asked already
        await screen.until(lambda: screen.app.focused is form.editor)


async def test_enter_twice_starts_one(storage: SQLiteStorage) -> None:
    save(storage, asking())
    async with screen_on(storage) as screen:
        await screen.expect("ask")
        await screen.press("r")
        form = await formed(screen)
        await screen.press("5")
        form.action_give()
        form.action_give()
        await screen.expect("Started")
        assert storage.count_runs(None, None) == 1


async def test_who_leaves_while_it_is_read_is_asked_nothing(storage: SQLiteStorage) -> None:
    save(storage, asking())
    async with screen_on(storage) as screen:
        await screen.press("3")
        await screen.until(lambda: isinstance(screen.app.screen, TemplatesView) and "ask" in screen.text)
        left = screen.app.screen
        screen.app.screen.run_worker(screen.app.screen.run_action("run"))
        await screen.app.screen.action_view("dashboard")
        await screen.until(lambda: not left.is_running)
        assert screen.app.screen is screen.dashboard
        assert nothing_asked(screen)


# Variables


async def test_a_template_with_variables_is_run_simulated_and_run_again_with_them(storage: SQLiteStorage) -> None:
    save(storage, flow_of(SECRETIVE))
    async with screen_on(storage) as screen:
        await screen.expect("secretive")
        await screen.press("r")
        form = await formed(screen)
        assert [line.field.name for line in form.query(FieldLine)] == ["input", "region", "token", "tries"]
        assert "Variables" in text_of(screen, "#form .part")
        await screen.press(*"eu", "down", *"s3cret", "enter")
        assert "not a secret itself: give env:NAME or file:PATH" in text_of(screen, "#form .keys")
        await screen.press("home", *"env:", "enter")
        await screen.until(lambda: storage.count_runs(None, None) == 1)
        await screen.until(lambda: nothing_asked(screen))
        given = {"region": "eu", "token": "env:s3cret", "tries": 3}
        run_id = storage.list_runs(1, None, None, None, False)[0][0].id
        assert msgspec.json.decode(stored(storage, run_id).variables or "") == given
        await screen.app.screen.run_action("run")
        assert [line.text for line in (await formed(screen)).query(FieldLine)] == ["{}", "eu", "env:s3cret", "3"]
        # As JSON they stand beside the input.
        await screen.press("ctrl+e")
        await screen.until(lambda: bool(screen.app.screen.query("#ask #input")))
        assert msgspec.json.decode(screen.app.screen.query_one("#ask #input", Input).value) == {
            "input": {},
            "variables": given,
        }
        await screen.press("escape")
        await screen.until(lambda: nothing_asked(screen))
        again = next(one for one in screen.dashboard.more_commands() if "with its last input" in one.text)
        assert again.do is not None
        await again.do()
        await screen.until(lambda: storage.count_runs(None, None) == 2)
        newest = storage.list_runs(1, None, None, None, False)[0][0].id
        assert msgspec.json.decode(stored(storage, newest).variables or "") == given


async def test_without_what_nobody_gave_yet_it_is_asked_for(storage: SQLiteStorage) -> None:
    save(storage, flow_of(SECRETIVE))
    async with Client(storage.url) as client:
        await client.start_run("secretive", variables={"region": "eu", "token": "env:T"})
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.executions.selected is not None)
        again = next(one for one in screen.dashboard.more_commands() if "with its last input" in one.text)
        assert again.do is not None
        await again.do()
        await formed(screen)
        assert storage.count_runs(None, None) == 1
        await screen.press("escape")
        await screen.until(lambda: nothing_asked(screen))
        # Secrets need not be given where nothing is done.
        screen.burst("s", *"eu", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, TemplatesView))
        await screen.expect("would be completed", '"eu"')


# JSON and back


async def test_what_is_wrong_in_a_form_is_not_thrown_away_by_json(storage: SQLiteStorage) -> None:
    save(storage, asking())
    async with screen_on(storage) as screen:
        await screen.expect("ask")
        await screen.press("r")
        form = await formed(screen)
        await screen.press("x", "tab", *"ada", "ctrl+e")
        await screen.until(lambda: "! put n right first: not a whole number" in text_of(screen, "#form .keys"))
        assert [line.text for line in form.query(FieldLine)] == ["x", "ada"]
        await screen.press("backspace", "ctrl+e")  # what is missing may be written there
        await screen.until(lambda: bool(screen.app.screen.query("#ask #input")))
        field = screen.app.screen.query_one("#ask #input", Input)
        assert field.value == '{"name": "ada"}'
        field.value = '{"name": "ada", "n": NaN}'
        await screen.press("ctrl+e")
        assert "JSON has no NaN" in text_of(screen, "#ask Static")
        field.value = '{"name": "ada", "n": 7}'
        await screen.press("ctrl+e")
        assert [line.text for line in (await formed(screen)).query(FieldLine)] == ["7", "ada"]
        await screen.press("enter")
        await screen.until(lambda: storage.count_runs(None, None) == 1)


async def test_capital_t_has_the_form_of_the_input(storage: SQLiteStorage) -> None:
    bad = msgspec.structs.replace(failing().steps[0], depends_on=("a",))
    run_id = start(storage, flow(echo("a", 1), bad, name="ask", input_schema=SCHEMA), {"n": 2, "name": "ada"})
    async with working(storage):
        await until(storage, run_id)
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.step_at_hand == "bad")
        await screen.press("T")
        await formed(screen)
        assert "From bad: keeps a · runs bad; with" in text_of(screen, "#form .title")
        await screen.press("backspace", "4", "enter")
        await screen.expect("Retried as", "from bad")
        new = storage.list_runs(1, None, None, None, False)[0][0].id
        assert storage.get_run(new).input == {"n": 4, "name": "ada"}


async def test_of_pasted_lines_the_first_is_taken_and_that_is_said(storage: SQLiteStorage) -> None:
    save(storage, asking())
    async with screen_on(storage) as screen:
        await screen.expect("ask")
        await screen.press("r")
        form = await formed(screen)
        await screen.press("tab")
        screen.app.post_message(events.Paste("ada\nlovelace\n"))
        await screen.until(lambda: "Of 2 lines the first was taken" in text_of(screen, "#form .keys"))
        assert [line.text for line in form.query(FieldLine)] == ["", "ada"]
        await screen.press("escape", "X")


@pytest.mark.parametrize("size", [(40, 10), (80, 24), pytest.param((20, 5), marks=pytest.mark.full)])
async def test_what_is_wrong_is_read_to_its_end_at_every_size(storage: SQLiteStorage, size: tuple[int, int]) -> None:
    save(storage, asking())
    async with screen_on(storage, size) as screen:
        await screen.until(lambda: screen.dashboard.template_at_hand is not None)
        await screen.press("r")
        form = await formed(screen)
        await screen.press("0")
        keys, line = screen.app.screen.query_one("#form .keys"), form.query_one(FieldLine)
        await screen.until(lambda: "less than the minimum of 1" in text_of(screen, "#form .keys"))
        assert keys.region.bottom == size[1]
        assert line.editor.region.width > 0
        if size[0] >= 40:
            assert len(text_of(screen, "#form .keys").strip()) <= size[0]


# What may stand in a field


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 9, "default": 3}, "integer 1–9, default 3"),
        ({"type": "number", "minimum": 0.5}, "number from 0.5"),
        ({"type": "integer", "maximum": 9, "description": "how many"}, "integer up to 9 · how many"),
        ({"type": "string", "minLength": 2, "maxLength": 5}, "text 2–5 letters"),
        ({"type": "string", "default": "x" * 60}, f"text, default {'x' * 23}…"),
        ({"type": "string", "description": "who it is for"}, "who it is for"),
        ({"enum": ["slow", "fast"], "default": "fast"}, "slow fast, default fast"),
        ({"type": "array"}, "array as JSON"),
    ],
)
def test_a_field_says_its_kind_its_bounds_and_its_default(schema: Any, words: str) -> None:
    (field,) = fields_of({"properties": {"n": schema}}) or ()
    assert field.words == words


@pytest.mark.parametrize("kind", ["number", "array"])
@pytest.mark.parametrize("typed", ["NaN", "Infinity", "-Infinity"])
def test_what_json_has_no_word_for_is_called_so(kind: str, typed: str) -> None:
    (field,) = fields_of({"properties": {"n": {"type": kind}}}) or ()
    assert problem_with(field, typed) == f"not a value: JSON has no {typed}"
    with pytest.raises(ValueError, match="not a value"):
        value_of(field, typed)


def test_the_parts_of_a_form_are_the_input_and_the_variables() -> None:
    read = flow_of(SECRETIVE)
    given = {"region": "eu"}
    parts = parts_of(read, [1], given)
    assert parts is not None
    (whole,), (region, token, tries) = parts[0].fields, parts[1].fields
    assert parts[0].value([whole], ["[1]"]) == [1]
    assert parts[0].value([whole], [""]) == {}
    assert parts[1].value([region, token, tries], ["eu", "env:T", ""]) == {"region": "eu", "token": "env:T"}
    assert token.is_secret
    assert token.is_required
    assert token.words == "env:NAME or file:PATH"
    assert problem_with(token, "env:")
    assert not problem_with(token, "file:/run/token")
    lenient = parts_of(read, [1], given, needs_secrets=False)
    assert lenient is not None
    assert not lenient[1].fields[1].is_required
    assert Answer({"n": "ä"}).text == '{"n": "ä"}'


# In a real terminal


@pytest.mark.tmux
@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_an_input_may_be_typed_before_it_is_asked_for(terminal: Terminal, tmp_path: Path) -> None:
    template = {
        "name": "ask",
        "input_schema": SCHEMA,
        "steps": [{"id": "nap", "type": "wait", "input": {"seconds": 600}}],
    }
    (tmp_path / "ask.json").write_text(json.dumps(template))
    environment = {**os.environ, "STEPFLOW_DB": str(tmp_path / "x.db")}
    begin = [*stepflow("run", "ask.json", "--async", "--input").split(), '{"n": 1}']
    subprocess.run(begin, cwd=tmp_path, env=environment, check=True)
    terminal.type(stepflow(), "Enter")
    terminal.expect("ask", "sleeping", "q Quit")
    terminal.type("r", "BSpace", "7", "Tab", "ptc", "Enter")
    terminal.expect("Started")
    storage = SQLiteStorage(str(tmp_path / "x.db"))
    newest = storage.list_runs(1, None, None, None, False)[0][0].id
    assert storage.get_run(newest).input == {"n": 7, "name": "ptc"}
    asks = {"rr": "Run ask with", "rs": "Run ask with", "TTTT": "From nap", "Xp": "Type ", "AA": "name a signal"}
    for keys, asked in asks.items():
        terminal.type(keys)
        terminal.expect(asked)
        terminal.type("Escape")
        terminal.expect_gone(asked)
    terminal.type("cy")
    terminal.expect("⊘", "cancelled  ")
    terminal.type("ty")
    terminal.expect("Retried as")
    terminal.type("q")
    terminal.expect("stepflow.cli.main")
    assert "defect" not in terminal.text
    for run in storage.list_runs(9, None, None, None, False)[0]:
        storage.request_cancel(run.id, None, 0)  # its worker has nothing more to do
    storage.close()
