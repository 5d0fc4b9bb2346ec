"""What was retried says so wherever it is shown, and is not retried once more with others."""

from __future__ import annotations

from pathlib import Path

from stepflow.client import Client
from stepflow.model.run import Retried
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.presentation.affected import AFFECTED
from stepflow_tui.presentation.description import describe, summarise
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.glyphs import Glyphs
from tests.support.engine import until, working
from tests.tui.records import NOW, run, step
from tests.tui.test_dashboard import screen_on
from tests.tui.test_failures import shown

NEEDS_FLAG = """
name: nightly
steps:
  - {id: load, type: shell.run, input: {command: [sh, -c, "test -e $FLAG"], env: {FLAG: $.input.flag}}}
"""


def test_it_is_told_with_the_way_it_went_and_not_offered_again() -> None:
    failed = run(RunStatus.FAILED, error={"message": "no"}, retried_as=Retried("exec_abc", RunStatus.COMPLETED))
    for make in (
        lambda one: describe(one, [step("load", StepStatus.FAILED)], NOW, 80, Glyphs()),
        lambda one: summarise(one, [step("load", StepStatus.FAILED)], NOW, 80, Glyphs()),
    ):
        text = "\n".join("".join(words for words, _ in line) for line in make(failed))
        assert "retried    as exec_abc: completed" in text
        assert "t y" not in text
        assert "from a step" in text
        before = "\n".join("".join(words for words, _ in line) for line in make(run(RunStatus.FAILED)))
        assert "t y" in before
        assert "retried" not in before


def test_with_others_only_the_last_of_its_retries_is_retried() -> None:
    first = run(RunStatus.FAILED, id="exec_1", retried_as=Retried("exec_2", RunStatus.FAILED))
    second = run(RunStatus.FAILED, id="exec_2")
    assert AFFECTED["retry"]([first, second, run(RunStatus.COMPLETED)]) == [second]


async def test_failures_that_were_retried_elsewhere_say_so_and_are_left_alone(
    storage: SQLiteStorage, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    async with Client(storage.url, durability="normal") as client, working(storage):
        await client.create_template(None, NEEDS_FLAG)
        failed = await client.start_run("nightly", {"flag": str(flag)})
        await until(storage, failed)
        async with screen_on(storage) as screen:
            await shown(screen)
            await screen.expect("1×", "nightly")
            flag.touch()
            retried = await client.retry(failed)
            await screen.expect("↻1")
            await until(storage, retried)
            await screen.press("ctrl+r", "enter")
            await screen.expect(f"retried ✓{short_id(retried)}")
            await screen.press("t")
            await screen.expect("It was retried already")
            await screen.press("j", "d")
            await screen.expect(f"as {retried}: completed")
            await screen.press("escape", "t")
            await screen.expect(f"Retry {short_id(failed)} nightly once more ({short_id(retried)} completed)")
