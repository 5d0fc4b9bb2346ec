"""Listing executions: which, in what order, page by page."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result

from stepflow.client import Client
from stepflow.contracts.storage import CreateRun
from stepflow.model.flow import Step
from stepflow.model.ids import first_run_id
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call
from tests.support.engine import save, start, until, working
from tests.support.flows import chain, flow

HOUR_MS = 3_600_000


def started_ago(storage: SQLiteStorage, hours: int) -> str:
    """The id of a run that was created so long ago."""
    at = now_ms() - hours * HOUR_MS
    create = CreateRun(f"{first_run_id(at)}{hours:08d}", save(storage, chain(1)), "{}", at, 1)
    return str(storage.perform(create))


def listed(done: Result) -> list[str]:
    assert done.exit_code == 0, done.stderr
    return [json.loads(line)["id"] for line in done.stdout.splitlines()]


@pytest.fixture
async def ended(storage: SQLiteStorage) -> dict[str, str]:
    """One of each: completed, failed, cancelled, queued."""
    fails = flow(Step(key="x", component="/builtin/fail", input={"message": "no"}), name="fails")
    runs = {}
    async with working(storage):
        for status, one in (("completed", chain(1)), ("failed", fails)):
            runs[status] = start(storage, one)
            await until(storage, runs[status])
    async with Client(storage.url, durability="normal") as client:
        runs["cancelled"] = await client.start_run("flow")
        await client.cancel(runs["cancelled"])
        runs["queued"] = await client.start_run("flow")
    return runs


def test_since_takes_how_long_ago_and_times_with_and_without_a_zone(storage: SQLiteStorage, call: Call) -> None:
    old, middle, new = (started_ago(storage, hours) for hours in (72, 30, 1))
    now = datetime.now(UTC)
    between = now - timedelta(hours=40)
    local = between.astimezone()
    for since, expected in (
        ("2h", [new]),
        ("1d12h", [new, middle]),
        ("100d", [new, middle, old]),
        (between.isoformat(), [new, middle]),
        (f"{between:%Y-%m-%dT%H:%M:%S}Z", [new, middle]),
        (f"{local:%Y-%m-%d %H:%M}", [new, middle]),
        (f"{now.astimezone() + timedelta(days=1):%Y-%m-%d}", []),
    ):
        assert listed(call("executions", "--json", "--since", since)) == expected, since


@pytest.mark.parametrize("since", ["yesterday", "", "5", "2025-13-01", "2025-01-20 25:00", "-3h", "9" * 30 + "d"])
def test_what_is_no_time_is_refused_with_the_way_out(call: Call, since: str) -> None:
    done = call("executions", "--since", since)
    assert done.exit_code == 2
    assert "is no time; write how long ago, as 2h or 7d, or a time" in " ".join(done.stderr.split())


def test_statuses_are_given_one_by_one_or_with_commas_and_by_other_words(ended: dict[str, str], call: Call) -> None:
    for arguments, expected in (
        (["--status", "failed"], ["failed"]),
        (["--status", "failed,succeeded"], ["failed", "completed"]),
        (["--status", "canceled", "--status", "failed"], ["cancelled", "failed"]),
        (["--status", "cancelled , failed", "--status", "failed"], ["cancelled", "failed"]),
        (["--status", "stalled"], []),
    ):
        assert listed(call("executions", "--json", *arguments)) == [ended[one] for one in expected], arguments


def test_an_unknown_status_says_what_was_meant(call: Call) -> None:
    done = call("executions", "--status", "failed,complted")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "There is no status 'complted'; did you mean 'completed'?\n" in done.stderr
    assert "There is no status ''; use one of scheduled, " in call("executions", "--status", "failed,").stderr


async def test_a_template_that_nothing_knows_is_a_mistake_and_a_deleted_one_with_executions_is_not(
    client: Client, call: Call
) -> None:
    await client.create_template("order-flow", {"steps": [{"id": "a", "type": "noop"}]})
    assert listed(await asyncio.to_thread(call, "executions", "--json", "--template", "order-flow")) == []
    done = await asyncio.to_thread(call, "executions", "--template", "order-flw")
    assert (done.exit_code, done.stderr) == (1, "✗ Template 'order-flw' not found; did you mean 'order-flow'?\n")
    run_id = await client.start_run("order-flow")
    await client.delete_template("order-flow")
    assert listed(await asyncio.to_thread(call, "executions", "--json", "--template", "order-flow")) == [run_id]
    assert (
        listed(await asyncio.to_thread(call, "executions", "--json", "--template", "order-flow", "--status", "failed"))
        == []
    )


def test_sorted_by_how_long_they_took_the_others_come_last(ended: dict[str, str], call: Call) -> None:
    done = call("executions", "--sort", "duration")
    header, _, *rows = done.stdout.splitlines()
    assert header.split() == ["TRN", "WORKFLOW", "STATUS", "STARTED", "DURATION"]
    lasted = [row.split() for row in rows if row.startswith("trn:")]
    assert {row[2] for row in lasted[:2]} == {"completed", "failed"}
    assert all(re.fullmatch(r"[\d.]+m?s", row[-1]) for row in lasted[:2])
    assert [(row[2], row[-1]) for row in lasted[2:]] == [("queued", "-"), ("cancelled", "-")]
    finished = listed(call("executions", "--json", "--sort", "finished"))
    assert finished == [ended[one] for one in ("cancelled", "failed", "completed", "queued")]
    assert listed(call("executions", "--json", "--sort", "finished", "--reverse"))[-1] == ended["queued"]
    assert listed(call("executions", "--json", "--reverse")) == sorted(ended.values())


@pytest.mark.parametrize("more", [[], ["--sort", "duration"], ["--sort", "finished", "--reverse"], ["--since", "7d"]])
async def test_the_command_for_the_next_page_can_be_pasted_until_all_were_shown(
    storage: SQLiteStorage, folder: Path, call: Call, more: list[str]
) -> None:
    (folder / "another place").mkdir()
    with_space = str(folder / "another place" / "it's.db")
    other = SQLiteStorage(with_space, durability="normal")
    ids = [started_ago(other, hours) for hours in (5, 4, 3, 2, 1)]
    other.close()
    command = ["--db", with_space, "executions", "--status", "queued,failed", *more, "--limit", "2", "--json"]
    seen: list[str] = []
    while command:
        done = await asyncio.to_thread(call, *command)
        page = listed(done)
        seen += page
        assert len(page) <= 2
        command = []
        if done.stderr:
            assert done.stderr.startswith("More: ")
            command = shlex.split(done.stderr.removeprefix("More: "))[1:]
    assert seen == sorted(ids, reverse="--reverse" not in more)


def test_a_cursor_of_another_list_says_so(storage: SQLiteStorage, call: Call) -> None:
    started_ago(storage, 1)
    for cursor in ("12", "x", "finished:1:2"):
        done = call("executions", "--sort", "duration", "--cursor", cursor)
        assert done.exit_code == 1
        assert done.stderr == f"✗ '{cursor}' is not a cursor of this list; use the one that the page before gave\n"


@pytest.mark.parametrize(
    "arguments", [["--cursor", "9" * 20], ["--sort", "duration", "--cursor", f"duration:1:{'9' * 20}"]]
)
def test_a_cursor_beyond_all_numbers_is_refused(storage: SQLiteStorage, call: Call, arguments: list[str]) -> None:
    done = call("executions", *arguments)
    assert done.exit_code == 1
    assert "larger than any that is stored" in done.stderr


async def test_objects_have_the_input_and_the_output(client: Client, storage: SQLiteStorage, call: Call) -> None:
    await client.create_template("x", {"steps": [{"id": "a", "type": "echo", "input": "$.input.n"}]})
    run_id = await client.start_run("x", {"n": 5})
    async with working(storage):
        await until(storage, run_id)
    one = (await asyncio.to_thread(call, "executions", "--json")).stdout
    assert json.loads(one)["input"] == {"n": 5}
    assert json.loads(one)["output"] == {"a": 5}
    assert one == (await asyncio.to_thread(call, "execution", run_id, "--json")).stdout


async def test_children_are_listed_when_they_are_asked_for(client: Client, storage: SQLiteStorage, call: Call) -> None:
    inner = {"steps": [{"id": "say", "type": "noop"}]}
    step = {"id": "each", "type": "map", "input": {"items": [1, 2, 3], "workflow": inner}}
    await client.create_template("parent", {"steps": [step]})
    parent = await client.start_run("parent")
    async with working(storage):
        await until(storage, parent)
    assert listed(await asyncio.to_thread(call, "executions", "--json")) == [parent]
    everything = await asyncio.to_thread(call, "executions", "--json", "--children")
    assert len(listed(everything)) == 4
    assert [json.loads(line)["parent_run_id"] for line in everything.stdout.splitlines()] == [parent] * 3 + [None]
    page = await client.list_runs(2, parent_run_id=parent[5:], children=True, with_total=True)
    assert (len(page.items), page.total) == (2, 3)
    assert {run.parent_run_id for run in page.items} == {parent}


async def test_a_list_of_the_client_begins_at_a_moment(client: Client, storage: SQLiteStorage) -> None:
    started_ago(storage, 3)
    new = started_ago(storage, 1)
    page = await client.list_runs(since=datetime.now(UTC) - timedelta(hours=2), with_total=True)
    assert ([run.id for run in page.items], page.total) == ([new], 1)
    with pytest.raises(ValueError, match="needs a time zone"):
        await client.list_runs(since=datetime.now())
