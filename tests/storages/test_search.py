"""Looking for words in the log, and reading certain runs: nothing that has the words is left out."""

from __future__ import annotations

import json
from collections.abc import Sequence

from stepflow.client import Client
from stepflow.contracts.storage import AppendLogs, LogLine
from stepflow.model.flow import Step
from stepflow.model.ids import new_run_id
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage
from tests.support.engine import finish, start, stored
from tests.support.flows import chain, echo, flow

WORDS = ["HTTP 503 upstream", 'a "quoted" \\ word', "Grüße an ÉMILE", "tab\tand\nline", "plain"]


def say(storage: SQLiteStorage, run_id: str, messages: Sequence[str]) -> None:
    number = stored(storage, run_id).number
    payloads = [json.dumps({"message": message}, ensure_ascii=False) for message in messages]
    storage.perform(AppendLogs(tuple(LogLine(number, 0, 1, now_ms(), "log", "info", one) for one in payloads)))


def found(storage: SQLiteStorage, *needles: str, look_at: int = 10_000) -> list[str]:
    """What lines say and steps are called, the newest first, from all pieces of the log."""
    said = []
    before = storage.last_seq() + 1
    while before > 0:
        events, before = storage.search_log(needles, before, look_at)
        assert [event.seq for event in events] == sorted((event.seq for event in events), reverse=True)
        said += [str(event.payload.get("message", event.step_key)) for event in events]
    return said


def test_every_line_with_the_words_is_found_whatever_the_case(storage: SQLiteStorage) -> None:
    run_id = start(storage, chain(1))
    say(storage, run_id, WORDS)
    for words in WORDS:
        for needle in (words, words.lower(), words.upper()[2:], words[3:6]):
            assert words in found(storage, needle)
    assert found(storage, "503", "upstream") == ["HTTP 503 upstream"]
    assert found(storage, "nowhere") == []
    assert found(storage) == WORDS[::-1]


async def test_steps_are_found_by_key_and_by_error_in_pieces_of_any_size(storage: SQLiteStorage) -> None:
    failing = flow(
        echo("fetch"), Step(key="load", component="/builtin/fail", input={"message": "HTTP 503"}, depends_on=("fetch",))
    )
    await finish(storage, failing)
    await finish(storage, chain(2))
    for look_at in (1, 3, 1000):
        assert found(storage, "FETCH", look_at=look_at) == ["fetch"]
        assert found(storage, "http", look_at=look_at) == ["load"]
        assert found(storage, look_at=look_at) == ["s1", "s0", "load", "fetch"]
    (failed,) = storage.search_log(["503"], storage.last_seq() + 1, 1000)[0]
    assert failed.payload["error"]["message"] == "HTTP 503"
    (completed,) = storage.search_log(["fetch"], storage.last_seq() + 1, 1000)[0]
    assert completed.payload["result"] is None


async def test_certain_runs_are_read_at_once_without_bodies(storage: SQLiteStorage) -> None:
    ids = [start(storage, chain(1), {"n": n}) for n in range(3)]
    async with Client(storage.url, durability="normal") as client:
        runs = await client.get_runs([ids[2], ids[0], new_run_id()])
        assert {run.id for run in runs} == {ids[0], ids[2]}
        assert all(run.input is None for run in runs)
        assert await client.get_runs([]) == []
        page = await client.search_log()
        assert (page.events, page.before_seq) == ([], 0)
