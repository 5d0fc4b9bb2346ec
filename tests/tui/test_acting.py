"""What is done with the execution at hand, by keys, on a real engine and a real SQLite file."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from stepflow.model.flow import Step
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import clipboard
from stepflow_tui.presentation.executions import short_id
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
        await screen.until(lambda: bool(screen.app.screen.query("#input")))
        asked = screen.app.screen.query_one("#ask").query("Static").first().render()
        assert "Ship it?: answer 'ship' with" in str(asked)
        field = screen.app.screen.query_one("#input", Input)
        field.value = "not json"
        await screen.press("enter")
        assert not storage.get_run(run_id).status.is_final
        field.value = '{"by": "ada"}'
        await screen.press("enter")
        assert (await until(storage, run_id)).output["data"] == {"by": "ada"}
        await screen.until(lambda: not screen.app.screen.query("#ask"))
        await screen.press("A")
        await screen.expect("waits for no answer")


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
        asked = screen.app.screen.query_one("#ask").query("Static").first().render()
        assert "From bad, keeping 2 of 3 steps, with" in str(asked)
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
    assert copied == [run_id, f"stepflow execution {run_id}", '{"a": 1}', run.trn]
