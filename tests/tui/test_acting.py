"""What is done with the execution at hand, by keys, on a real engine and a real SQLite file."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import Input

from stepflow.model.flow import Step
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import clipboard
from stepflow_tui.keymap import KEYS
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.redrive import kept_and_run
from stepflow_tui.widgets.bar import Question
from tests.runtime.test_children import one_step
from tests.support.engine import start, steps_of, until, working
from tests.support.flows import chain, echo, flow
from tests.tui.test_dashboard import Screen, screen_on, sleeping


async def selected(screen: Screen, run_id: str) -> None:
    def is_shown() -> bool:
        run = screen.dashboard.timeline.run
        return run is not None and run.id == run_id

    await screen.until(lambda: any(run.id == run_id for run in screen.dashboard.executions.runs))
    screen.dashboard.executions.select(run_id)
    await screen.until(is_shown)


async def test_p_then_y_pauses_and_lets_go_on(storage: SQLiteStorage) -> None:
    run_id = start(storage, sleeping())
    async with working(storage), screen_on(storage) as screen:
        await until(storage, run_id, RunStatus.SLEEPING)
        await selected(screen, run_id)
        await screen.press("p", "n")
        assert storage.get_run(run_id).status is RunStatus.SLEEPING
        await screen.press("p", "y")
        await until(storage, run_id, RunStatus.PAUSED)
        await screen.until(
            lambda: screen.dashboard.run_at_hand is not None and screen.dashboard.run_at_hand.status is RunStatus.PAUSED
        )
        await screen.press("p")
        await screen.expect("Let go on")
        await screen.press("y")
        await until(storage, run_id, RunStatus.SLEEPING)
        storage.request_cancel(run_id, None, 0)
        await until(storage, run_id)
        await screen.expect("cancel")
        await screen.until(
            lambda: screen.dashboard.run_at_hand is not None and screen.dashboard.run_at_hand.status.is_final
        )
        await screen.press("p")
        await screen.expect("there is nothing to pause")


@pytest.mark.parametrize("above", [(), ("enter", "enter")])
async def test_what_is_asked_about_an_execution_that_ends_is_asked_no_longer(
    storage: SQLiteStorage, above: tuple[str, ...]
) -> None:
    run_id = start(storage, sleeping())
    async with working(storage), screen_on(storage) as screen:
        await until(storage, run_id, RunStatus.SLEEPING)
        await selected(screen, run_id)
        await screen.press(*above, "c")
        await screen.expect(f"Cancel {short_id(run_id)}")
        other = start(storage, chain(1))
        await until(storage, other)
        assert screen.app.screen.query("#question"), "the end of another one is nothing to it"
        storage.request_cancel(run_id, None, 0)
        await screen.expect("It has ended meanwhile")
        await screen.until(lambda: not screen.app.screen.query("#question"))


async def test_capital_a_answers_what_an_execution_asks(storage: SQLiteStorage) -> None:
    run_id = start(storage, one_step("approval", {"name": "ship", "message": "Ship it?"}))
    async with working(storage), screen_on(storage) as screen:
        await until(storage, run_id, RunStatus.WAITING)
        await selected(screen, run_id)
        await screen.press("A")
        await screen.until(lambda: bool(screen.app.screen.query("#approval .title")))
        assert "s: Ship it?" in str(screen.app.screen.query_one("#approval .title").render())
        await screen.press("x")
        await screen.until(lambda: "One of these first" in str(screen.app.screen.query_one("#approval .keys").render()))
        await screen.press("y", "ctrl+e", "ctrl+e")  # there and back: it is asked again
        await screen.until(
            lambda: bool(screen.app.screen.query("#approval .title")) and not screen.app.screen.query("#ask")
        )
        # Neither enter nor another key than y and n answers it.
        await screen.press("enter", "q", "ctrl+e")
        await screen.until(lambda: bool(screen.app.screen.query("#ask #input")))
        field = screen.app.screen.query_one("#ask #input", Input)
        assert field.value == '{"approved": true}'
        field.value = "not json"
        await screen.press("enter", "ctrl+e")
        assert "Not JSON" in str(screen.app.screen.query_one("#ask Static").render())
        assert not storage.get_run(run_id).status.is_final
        field.value = '{"by": "ada"}'
        await screen.press("enter")
        assert (await until(storage, run_id)).output["data"] == {"by": "ada"}
        await screen.until(lambda: not screen.app.screen.query("#ask"))
        await screen.until(
            lambda: screen.dashboard.run_at_hand is not None and screen.dashboard.run_at_hand.status.is_final
        )
        await screen.press("A")
        await screen.expect("is completed; it takes no answer")


async def test_a_step_that_says_what_it_asks_may_be_sent_data_too(storage: SQLiteStorage) -> None:
    run_id = start(storage, one_step("wait_event", {"message": "Which region?", "who": ["ops", "ada"]}))
    async with working(storage), screen_on(storage) as screen:
        await until(storage, run_id, RunStatus.WAITING)
        await selected(screen, run_id)
        await screen.press("A")
        await screen.until(lambda: bool(screen.app.screen.query("#approval .title")))
        assert "s: Which region? (asks ops, ada)" in str(screen.app.screen.query_one("#approval .title").render())
        await screen.press("d")
        await screen.until(lambda: bool(screen.app.screen.query("#ask #input")))
        field = screen.app.screen.query_one("#ask #input", Input)
        assert field.value == "{}"
        field.value = '{"region": "eu"}'
        await screen.press("enter")
        assert (await until(storage, run_id)).output["data"] == {"region": "eu"}


async def test_who_only_names_whom_it_asks_is_sent_data_as_its_command_line_does(storage: SQLiteStorage) -> None:
    run_id = start(storage, one_step("wait_event", {"who": "ops"}))
    async with working(storage), screen_on(storage) as screen:
        await until(storage, run_id, RunStatus.WAITING)
        await selected(screen, run_id)
        key = next(key for key in KEYS if key.id == "answer")
        await screen.until(lambda: screen.dashboard.command_line(key) is not None)
        assert str(screen.dashboard.command_line(key)).endswith("--data '{}'")
        await screen.press("A")
        await screen.until(lambda: bool(screen.app.screen.query("#ask #input")))
        assert "waits for 's' (asks ops)" in str(screen.app.screen.query_one("#ask .title").render())
        assert screen.app.screen.query_one("#ask #input", Input).value == "{}"


@pytest.mark.parametrize(
    ("keys", "given"),
    [
        (("y", "enter"), {"approved": True}),
        (("n", *"y no", "enter"), {"approved": False, "comment": "y no"}),
    ],
)
async def test_an_approval_is_answered_by_y_or_n_and_a_comment(
    storage: SQLiteStorage, keys: tuple[str, ...], given: dict[str, Any]
) -> None:
    run_id = start(storage, one_step("approval", {"name": "ship", "message": "Ship it? " * 200, "who": "ops"}))
    async with working(storage), screen_on(storage, (40, 10)) as screen:
        await until(storage, run_id, RunStatus.WAITING)
        await screen.until(lambda: screen.dashboard.executions.selected is not None)
        # It may be answered before it is asked.
        screen.burst("A", *keys)
        run = await until(storage, run_id)
        assert run.output["data"] == given
        await screen.until(lambda: not screen.app.screen.query("#approval, #ask"))


async def test_however_long_a_message_is_what_answers_it_is_seen(storage: SQLiteStorage) -> None:
    run_id = start(storage, one_step("approval", {"name": "ship", "message": "Ship it? " * 200}))
    async with working(storage), screen_on(storage, (40, 10)) as screen:
        await until(storage, run_id, RunStatus.WAITING)
        await screen.until(lambda: screen.dashboard.executions.selected is not None)
        await screen.press("A")
        await screen.until(lambda: bool(screen.app.screen.query("#approval .title")))
        for size in ((20, 5), (120, 40), (40, 10)):
            await screen.pilot.resize_terminal(*size)
            asks, keys = (
                screen.app.screen.query_one("#approval .heading"),
                screen.app.screen.query_one("#approval .keys"),
            )
            await screen.until(lambda: 0 < asks.region.height < size[1] - 1)  # noqa: B023 - done in its round
            assert keys.region.bottom == size[1]
        await screen.press("down", "down")
        await screen.until(lambda: asks.scroll_offset.y == 2)
        await screen.press("y")
        field = screen.app.screen.query_one("#approval Input")
        await screen.until(lambda: field.region.bottom == 10)


async def test_a_plain_signal_is_proposed_empty_and_one_is_sent_where_none_is_awaited(storage: SQLiteStorage) -> None:
    run_id = start(storage, one_step("wait_event", {"name": "go"}))
    async with working(storage), screen_on(storage) as screen:
        await until(storage, run_id, RunStatus.WAITING)
        await selected(screen, run_id)
        await screen.press("A")
        await screen.until(lambda: bool(screen.app.screen.query("#ask #input")))
        assert "s waits for 'go': answer with" in str(screen.app.screen.query_one("#ask Static").render())
        await screen.press("enter")
        assert (await until(storage, run_id)).output["data"] == {}
        other = start(storage, sleeping())
        await until(storage, other, RunStatus.SLEEPING)
        await selected(screen, other)
        await screen.press("A")
        await screen.until(lambda: bool(screen.app.screen.query("#ask #input")))
        assert "name a signal to send:" in str(screen.app.screen.query_one("#ask Static").render())
        screen.burst(*"go", "enter", "enter")
        await screen.expect(f"Sent go to {short_id(other)}; it is kept for the first step that waits for it")


async def test_t_tells_what_is_kept_and_what_runs_again_and_waits_for_y(storage: SQLiteStorage) -> None:
    bad = Step(key="bad", component="/builtin/fail", input={"message": "no"}, depends_on=("a",))
    run_id = start(storage, flow(echo("a", 1), bad, echo("c", 1, depends_on=("bad",)), name="etl"))
    async with working(storage):
        await until(storage, run_id)
    async with screen_on(storage) as screen:
        await selected(screen, run_id)
        await screen.press("t")
        await screen.expect(f"Retry {short_id(run_id)} etl: keeps a · runs bad, c?", " y retry it")
        await screen.press("t")
        await screen.until(lambda: not screen.app.screen.query("#question"))
        assert storage.count_runs(None, None) == 1
        screen.burst("t", "y")
        await screen.expect("Retried as")
        assert storage.count_runs(None, None) == 2


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (80, "keeps fetch, clean · runs load, report"),
        (37, "keeps fetch +1 · runs load +1"),
        (28, "keeps 2 steps · runs 2 steps"),
        (5, "2 kept, 2 run"),
    ],
)
def test_names_that_have_no_room_are_counted(width: int, said: str) -> None:
    assert kept_and_run(("fetch", "clean"), ("load", "report"), width) == said


def test_what_answers_a_question_stands_in_it_however_narrow_it_is() -> None:
    question = Question("Cancel 1234 a-template-with-a-long-name?", {"y": ("yes", "cancel it")})
    for width in (120, 60, 40, 30):
        line = "".join(text for text, _ in question.line_at(0, width))
        assert " y cancel it" in line[:width]


async def test_capital_t_retries_from_the_step_with_another_input(storage: SQLiteStorage) -> None:
    shape = flow(
        echo("a", 1),
        echo("b", {"$from": {"workflow": "input"}, "path": "n"}),
        Step(key="bad", component="/builtin/fail", input={"message": "no"}, depends_on=("a", "b")),
    )
    run_id = start(storage, shape, {"n": 1})
    async with working(storage):
        await until(storage, run_id)
    async with working(storage), screen_on(storage) as screen:
        await selected(screen, run_id)
        await screen.until(lambda: screen.dashboard.step_at_hand == "bad")
        await screen.press("T")
        await screen.until(lambda: bool(screen.app.screen.query("#input")))
        asked = screen.app.screen.query_one("#ask").query(".title").first().render()
        assert "From bad: keeps a, b · runs bad; with" in str(asked)
        field = screen.app.screen.query_one("#input", Input)
        assert field.value == '{"n": 1}'
        field.value = '{"n": 2}'
        await screen.press("enter")
        await screen.until(lambda: storage.count_runs(None, None) == 2)
        new = storage.list_runs(1, None, None, None, False)[0][0].id
        await until(storage, new)
        assert [key for key, step in steps_of(storage, new).items() if step.reused] == ["a"]
        assert steps_of(storage, new)["b"].status is StepStatus.COMPLETED
        await screen.until(lambda: screen.dashboard.run_at_hand is not None and screen.dashboard.run_at_hand.id == new)


async def test_y_copies_what_is_asked_for(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr(clipboard, "copy", lambda app, text, way: copied.append(text) or "tmux")
    run_id = start(storage, flow(echo("a", 1)))
    async with working(storage), screen_on(storage) as screen:
        await until(storage, run_id)
        await selected(screen, run_id)
        for key in "icote":
            await screen.press("y")
            await screen.until(lambda: bool(screen.app.screen.query("#question")))
            await screen.press(key)
            await screen.until(lambda: not screen.app.screen.query("#question"))
        await screen.expect(f"{short_id(run_id)} has no error")
    run = storage.get_run(run_id)
    assert copied == [run_id, f"stepflow --db {storage.url} execution {run_id}", '{"a": 1}', run.trn]
