"""`stepflow simulate`: its words as the `aio wf` page shows them, what it is told, what it refuses, what it leaves."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepflow.client import Client
from stepflow.dsl.validate import read_flow
from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call
from tests.support.engine import finish

ORDER = """\
name: order-flow
input_schema: {type: object, required: [orderId], properties: {orderId: {type: string}}}
steps:
  - {id: validate-order, type: echo, input: {id: $.input.orderId}, simulate: {duration: 25ms}}
  - {id: check-inventory, type: http.get, input: {url: "http://a.example/"}, depends_on: [validate-order],
     simulate: {duration: 100ms, output: {status: 200, body: {stock: 3}}}}
  - {id: process-payment, component: /shop/pay, input: {$step: check-inventory, path: body.stock}}
  - {id: send-confirmation, type: noop, depends_on: [process-payment]}
output: {status: completed, orderId: $.steps.validate-order.output.id}
"""
FETCH = """\
name: fetch
variables: {region: {type: string}, limit: {type: integer, default: 10}, token: {type: string, secret: true}}
steps:
  - {id: get, type: http.get, retry: false, sensitive: false,
     input: {url: "http://a.example/", headers: {token: $.variables.token}}}
  - {id: show, type: echo, input: {region: {$variable: region, default: none}, limit: $.variables.limit}}
  - {id: late, type: noop, when: "$.steps.get.output.body.id == 8", depends_on: [show]}
output: {id: $.steps.get.output.body.id, show: $.steps.show.output}
"""


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    for name, text in (("order", ORDER), ("fetch", FETCH)):
        (folder / f"{name}.yaml").write_text(text)


INPUT = ("--input", '{"orderId": "12345"}')


def test_it_speaks_as_the_page_does(call: Call) -> None:
    done = call("simulate", "order.yaml", *INPUT)
    assert done.stdout == (
        "ℹ Simulation results\n"
        "  Success: Yes\n"
        "  Steps:   4\n"
        "  Duration: 125ms\n"
        "\n"
        "  Execution path:\n"
        "    → validate-order\n"
        "    → check-inventory\n"
        "    → process-payment\n"
        "    → send-confirmation\n"
        "\n"
        "Final Output:\n"
        '{"status": "completed", "orderId": "12345"}\n'
    )
    assert done.stderr == (
        "\n"
        "  Where outputs come from:\n"
        "    computed                        validate-order, send-confirmation\n"
        "    the step's `simulate:`          check-inventory\n"
        "    nothing is known (null)         process-payment\n"
    )
    assert done.exit_code == 0


def test_what_would_fail_says_where_and_exits_with_1(call: Call) -> None:
    done = call("simulate", "order.yaml", *INPUT, "--fail", "process-payment:CARD_DECLINED")
    assert done.stdout == (
        "ℹ Simulation results\n"
        "  Success: No\n"
        "  Steps:   3\n"
        "  Duration: 125ms\n"
        "  Error: process-payment: told to fail\n"
        "\n"
        "  Execution path:\n"
        "    → validate-order\n"
        "    → check-inventory\n"
        "    → process-payment\n"
    )
    assert done.exit_code == 1


def test_skipped_steps_are_named_apart_and_not_counted(call: Call) -> None:
    done = call("simulate", "fetch.yaml")
    assert "  Steps:   2\n" in done.stdout
    assert "    → get\n    → show\n\n  Skipped:\n    ↷ late (when is false)\n\nFinal Output:\n" in done.stdout


def test_json_has_the_documented_keys_and_says_where_outputs_come_from(call: Call) -> None:
    done = call("simulate", "fetch.yaml", "--json")
    assert json.loads(done.stdout) == {
        "success": True,
        "status": "completed",
        "steps": 2,
        "duration_ms": 0,
        "path": ["get", "show"],
        "skipped": {"late": "when is false"},
        "output": {"id": 7, "show": {"region": "none", "limit": 10}},
        "error": None,
        "predicted": {
            "median_ms": 0,
            "p95_ms": 0,
            "critical_path": ["show"],
            "executions": 0,
            "outputs_from": {"get": "example", "show": "computed"},
        },
    }
    assert done.stderr == ""
    failed = json.loads(call("simulate", "fetch.yaml", "--json", "--fail", "get").stdout)
    assert (failed["success"], failed["status"], failed["error"]["code"]) == (False, "failed", "SIMULATED")


def test_a_mock_beats_what_the_step_says_and_a_failure_beats_the_mock(call: Call) -> None:
    def body_of(*arguments: str) -> Any:
        done = call("simulate", "fetch.yaml", "--json", *arguments)
        return json.loads(done.stdout)["output"]

    assert body_of("--mock", 'get={"body": {"id": 8}}')["id"] == 8
    assert body_of("--mock", '/http/get={"body": {"id": 9}}')["id"] == 9
    assert body_of("--mock", 'get={"body": {"id": 8}}', "--fail", "get") is None


def test_a_mock_may_stand_in_a_file_and_be_given_for_each_attempt(call: Call, folder: Path) -> None:
    (folder / "big.json").write_text(json.dumps({"body": {"id": "x" * 1_000_000}}))
    assert len(call("simulate", "fetch.yaml", "--mock", "get=@big.json").stdout) > 1_000_000
    (folder / "retried.yaml").write_text(
        "steps:\n  - {id: a, type: http.get, input: {url: x}, output_schema: {type: string}, retry: {delay: 1m}}\n"
    )
    done = call("simulate", "retried.yaml", "--mock", "a=1", "--mock", "a=2", "--mock", 'a="three"')
    assert "Duration: 3m00s" in done.stdout
    assert '{"a": "three"}' in done.stdout


def test_a_component_that_no_step_runs_may_be_meant_for_a_flow_that_is_started(call: Call) -> None:
    done = call("simulate", "fetch.yaml", "--mock", "/shop/pay=1")
    assert done.stderr.splitlines()[0] == "⚠ --mock /shop/pay: no step of this template runs it"
    assert done.exit_code == 0


# Variables


def test_variables_are_given_by_option_or_environment_and_secrets_need_not_be(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPFLOW_VAR_LIMIT", "20")
    done = call("simulate", "fetch.yaml", "--var", "region=007")
    assert "ℹ Taken as given: token (secret)" in done.stderr
    assert '"show": {"region": "007", "limit": 20}' in done.stdout
    done = call("simulate", "fetch.yaml", "--var", "limit=30", "--var", "token=env:NOT_THERE")
    assert '"show": {"region": "none", "limit": 30}' in done.stdout
    assert "Taken as given" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--var", "regon=1"], "The template has no variable 'regon'; did you mean 'region'?"),
        (["--var", "region"], "--var takes NAME=VALUE, like --var region=eu"),
        (["--mock", "gt=1"], "There is no step 'gt'; did you mean 'get'?"),
        (["--mock", "get"], "--mock takes STEP=JSON"),
        (["--mock", "get={bad"], "--mock get: not JSON: Expecting property name"),
        (["--mock", "get=NaN"], "--mock get: not JSON: NaN is not a JSON number"),
        (["--mock", "get=1e999"], "--mock get: not JSON: 1e999, which is out of range, is not a JSON number"),
        (["--mock", f"get={'9' * 5000}"], "--mock get: not JSON: Exceeds the limit (4300 digits)"),
        (["--mock", f"get={'[' * 100_000}"], "--mock get: not JSON: it is nested too deeply"),
        (["--fail", "gte"], "There is no step 'gte'; did you mean 'get'?"),
        (["--fail", "\x1b[31m"], "There is no step '\\x1b[31m'"),
        (["--version", "2"], "--version is of a saved template; a file has none"),
        (["--input", "1", "--file", "x"], "--input and --file say the same"),
    ],
)
def test_a_wrong_command_line_exits_with_2(call: Call, arguments: list[str], says: str) -> None:
    done = call("simulate", "fetch.yaml", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["order.yaml"], '✗ Invalid input: "orderId" is a required property\n'),
        (["order.yaml", "--json"], '✗ Invalid input: "orderId" is a required property\n'),
        (["fetch.yaml", "--var", "limit=many"], '✗ Invalid variables: limit: "many" is not of type "integer"\n'),
        (["fetch.yaml", "--input", "{bad"], "✗ The input is not JSON: Expecting property name"),
        (["fetch.yaml", "--input", "[1e999]"], "✗ The input is not JSON: 1e999, which is out of range"),
        (["fetch.yaml", "--input", f"[{'9' * 5000}]"], "✗ The input is not JSON: Exceeds the limit (4300 digits)"),
        (["fetch.yaml", "--input", "@no.json"], "✗ Input file 'no.json' not found"),
        (["fetch.yaml", "--mock", "get=@no.json"], "✗ Mock file 'no.json' not found"),
        (["fetch.yaml", "--from-history"], "✗ There is no completed execution to take outputs from"),
        (["ordr.yaml"], "✗ DSL file 'ordr.yaml' not found; did you mean 'order.yaml'?"),
        (["broken.yaml"], "✗ DSL validation failed\n  • Not valid YAML"),
        (["latin.yaml"], "✗ DSL file 'latin.yaml' is not UTF-8 text"),
        (["order-flow"], "✗ Template 'order-flow' not found: there is no database yet; name a file"),
        (["\x1b[31m"], "✗ Template '\\x1b[31m' not found"),
    ],
)
def test_a_mistake_is_said_with_its_way_out_and_exit_1(
    call: Call, folder: Path, arguments: list[str], says: str
) -> None:
    (folder / "broken.yaml").write_text("steps: [\n a: b: c")
    (folder / "latin.yaml").write_bytes(b"name: caf\xe9")
    done = call("simulate", *arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert says in done.stderr


def test_names_cannot_command_the_terminal(call: Call, folder: Path) -> None:
    evil = {"steps": [{"id": "a", "type": "fail", "input": {"message": "\x1b]0;owned\x07"}, "retry": False}]}
    (folder / "evil.json").write_text(json.dumps(evil))
    done = call("simulate", "evil.json")
    assert "\x1b" not in done.output
    assert "a: \\x1b]0;owned\\x07" in done.stdout


def test_it_leaves_nothing_behind(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPFLOW_DB")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (folder / "components").mkdir()
    (folder / "components/mine.py").write_text(
        "from stepflow import component\n\n\n@component('/user/mine')\ndef mine(input):\n    raise SystemExit\n"
    )
    (folder / "stepflow.toml").write_text("")
    (folder / "act.yaml").write_text(
        "steps:\n  - {id: a, type: shell.run, input: {command: [touch, made]}}\n"
        "  - {id: b, type: put_blob, input: {data: 1}}\n  - {id: c, type: wait, input: {seconds: 2592000}}\n"
        "  - {id: d, component: /user/mine}\n"
    )
    before = sorted(folder.rglob("*"))
    done = call("simulate", "act.yaml")
    assert "Duration: 30d00h" in done.stdout
    assert sorted(folder.rglob("*")) == before


# With a database


@pytest.fixture
def executed(folder: Path) -> Iterator[SQLiteStorage]:
    """A database in which `remembered` was executed twice."""
    storage = SQLiteStorage(folder / "x.db", durability="normal")
    yield storage
    storage.close()


REMEMBERED = {
    "name": "remembered",
    "steps": [
        {"id": "say", "type": "shell.run", "input": {"command": ["echo", "$.input.word"]}},
        {"id": "twice", "type": "echo", "input": "${{ $.steps.say.output.stdout }}"},
    ],
}


async def _execute(storage: SQLiteStorage, *words: str) -> None:
    flow = read_flow(REMEMBERED).flow
    assert flow is not None
    for word in words:
        assert (await finish(storage, flow, {"word": word})).status == "completed"


def _rows(folder: Path) -> tuple[int, int]:
    storage = SQLiteStorage(folder / "x.db", durability="normal")
    try:
        return storage.last_seq(), storage.count_runs((), None)
    finally:
        storage.close()


async def test_history_gives_durations_and_when_asked_outputs(
    folder: Path, executed: SQLiteStorage, call: Call
) -> None:
    await _execute(executed, "first", "last")
    before = _rows(folder)

    def simulated(*arguments: str) -> Any:
        return json.loads(call("simulate", "remembered", "--json", "--input", '{"word": "new"}', *arguments).stdout)

    plain, remembered = await asyncio.to_thread(lambda: (simulated(), simulated("--from-history")))
    assert plain["predicted"]["executions"] == 2
    assert 0 < plain["predicted"]["median_ms"] <= plain["predicted"]["p95_ms"]
    assert plain["predicted"]["critical_path"] == ["say", "twice"]
    assert plain["predicted"]["outputs_from"] == {"say": "example", "twice": "computed"}
    assert remembered["predicted"]["outputs_from"] == {"say": "history", "twice": "computed"}
    assert remembered["output"] == {"twice": "last\n"}
    done = await asyncio.to_thread(call, "simulate", "remembered", "--input", '{"word": "new"}')
    assert "\n  Predicted from 2 executions:\n    median " in done.stdout
    assert "\n    critical path: say → twice\n" in done.stdout
    assert _rows(folder) == before


async def test_a_file_has_the_history_of_the_template_of_its_name(
    folder: Path, executed: SQLiteStorage, call: Call
) -> None:
    await _execute(executed, "kept")
    (folder / "changed.json").write_text(json.dumps(REMEMBERED))
    done = await asyncio.to_thread(call, "simulate", "changed.json", "--from-history", "--input", '{"word": "x"}')
    assert '{"twice": "kept\\n"}' in done.stdout
    assert "Predicted from 1 execution:" in done.stdout
    done = await asyncio.to_thread(call, "simulate", "remembred")
    assert "✗ Template 'remembred' not found; did you mean 'remembered'?" in done.stderr
    assert (await asyncio.to_thread(call, "simulate", "remembered", "--version", "9")).exit_code == 1


async def test_the_client_validates_lints_and_simulates_too(folder: Path, executed: SQLiteStorage) -> None:
    await _execute(executed, "kept")
    async with Client(executed.url, durability="normal") as client:
        assert (await client.validate("steps:\n  - id: a\n", "x.yaml")).diagnostics[0].file == "x.yaml"
        assert "L201" in [found.code for found in (await client.lint(FETCH)).diagnostics]
        made = await client.simulate("remembered", {"word": "x"}, from_history=True)
        assert (made.success, made.output) == (True, {"twice": "kept\n"})
        made = await client.simulate(REMEMBERED, {"word": "x"}, mocks={"say": {"stdout": "y"}})
        assert made.output == {"twice": "y"}
        made = await client.simulate(FETCH, variables={"limit": 1}, fail={"get": "NO"})
        assert made.error is not None
        assert made.error["code"] == "NO"
