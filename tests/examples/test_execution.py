"""The patterns of execution, by a real worker on a real file: what ran together, was skipped, was recovered.

The templates are the snippets of the page on execution, line by line; that page is not in this repository, so nothing
here compares them. They must not be made prettier: only the steps below "Written last" are ours.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stepflow.client import Client
from stepflow.components import _imports
from stepflow.components.registry import Registry
from stepflow.contracts.component import Component, ComponentContext
from stepflow.dsl.validate import read_flow
from stepflow.errors import ComponentError
from stepflow.model import jsontext
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.storages.sqlite import SQLiteStorage
from tests.components.server import Asked, Write
from tests.examples.loopback import make_certificate, proxying
from tests.support.engine import steps_of, types_of, working

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "execution"
TEMPLATES = sorted(path.name for path in EXAMPLE.glob("*.yaml"))
API_HOSTS = [f"api{number}.example.com" for number in (1, 2, 3)]
FETCHES = [f"fetch_data_source_{number}" for number in (1, 2, 3)]
SUMS = {"A": 200, "B": 120, "C": 9}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "execution", ignore=shutil.ignore_patterns(".stepflow")))


@pytest.fixture(autouse=True)
def _nothing_stays_imported() -> Iterator[None]:
    path, modules = sys.path[:], set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.split(".")[0] == "components":
            del sys.modules[name]
    _imports._modules.clear()
    _imports._known_folders.clear()


@dataclass
class Seen:
    """What is left of a run: its record, its steps, and its events as `type step`."""

    run: RunRecord
    steps: dict[str, StepRecord]
    events: list[str]

    def statuses(self) -> dict[str, StepStatus]:
        return {key: step.status for key, step in self.steps.items()}

    def check_started_together(self, *keys: str) -> None:
        """All of them started before the first of them ended."""
        started = [self.events.index(f"step.started {key}") for key in keys]
        ended = [self.events.index(f"step.{self.steps[key].status.value} {key}") for key in keys]
        assert max(started) < min(ended), self.events

    def check_started_after(self, key: str, *others: str) -> None:
        ended = [self.events.index(f"step.completed {other}") for other in others]
        assert self.events.index(f"step.started {key}") > max(ended), self.events

    def error_of(self, key: str) -> tuple[str, str]:
        error = self.steps[key].error
        assert error is not None
        return error["code"], error["message"]


def registry_of(workspace: Path) -> Registry:
    warnings: list[str] = []
    registry = Registry.for_workspace(workspace, warn=warnings.append)
    assert warnings == []
    return registry


async def perform(
    storage: SQLiteStorage, workspace: Path, name: str, value: Any = None, registry: Registry | None = None
) -> Seen:
    async with Client(storage.url, workspace, durability="normal") as client:
        file = workspace / f"{name}.yaml"
        await client.save_template(None, file.read_text(encoding="utf-8"), file=str(file))
        if registry is None:
            registry = await asyncio.to_thread(registry_of, workspace)
        async with working(storage, registry, workspace=workspace):
            run = await client.wait_for_run(await client.start_run(name, value or {}), timedelta(seconds=30))
    return Seen(run, steps_of(storage, run.id), types_of(storage, run.id))


# The workspace


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_is_valid_and_its_components_are_there(template: str) -> None:
    registry = registry_of(EXAMPLE)
    read = read_flow((EXAMPLE / template).read_text(encoding="utf-8"), components=registry.paths)
    assert read.flow is not None, read.diagnostics
    assert [found for found in read.diagnostics if found.level != "info"] == []
    assert [step.key for step in read.flow.steps if step.component not in registry] == []


def test_the_page_of_the_example_names_every_template() -> None:
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(.+?\.yaml)`", page, re.MULTILINE)) == TEMPLATES
    assert sorted(re.findall(r"^stepflow \w+ \./(\S+)", page, re.MULTILINE)) == TEMPLATES


# Dependencies


async def test_files_are_read_at_once_and_the_check_waits_for_both(storage: SQLiteStorage, workspace: Path) -> None:
    seen = await perform(storage, workspace, "dependencies")
    assert seen.run.status is RunStatus.COMPLETED
    assert seen.run.output == {"process_data": {"records": {"validated_data": 6}, "totals": SUMS}}
    seen.check_started_together("load_config", "load_data")
    seen.check_started_after("validate_data", "load_config", "load_data")
    seen.check_started_after("process_data", "validate_data")


async def test_the_schema_is_found_in_the_data_of_the_file(storage: SQLiteStorage, workspace: Path) -> None:
    seen = await perform(storage, workspace, "dependencies")
    config = json.loads((workspace / "config.json").read_text(encoding="utf-8"))
    assert seen.steps["load_config"].output["data"] == config
    assert seen.steps["validate_data"].input["schema"] == config["validation_schema"]


async def test_without_its_config_the_check_never_starts(storage: SQLiteStorage, workspace: Path) -> None:
    (workspace / "config.json").unlink()
    seen = await perform(storage, workspace, "dependencies")
    assert seen.run.status is RunStatus.FAILED
    missing = f"There is no file 'config.json'; looked for {(workspace / 'config.json').resolve()}"
    assert seen.error_of("load_config") == ("FILE_NOT_FOUND", missing)
    assert seen.error_of("validate_data") == ("UPSTREAM_FAILED", "Step 'load_config' failed")
    assert seen.error_of("process_data")[0] == "UPSTREAM_FAILED"
    assert seen.steps["load_data"].status is StepStatus.COMPLETED
    assert not {"step.started validate_data", "step.started process_data"} & set(seen.events)
    assert seen.run.error is not None
    assert (seen.run.error["code"], seen.run.error["message"]) == ("FILE_NOT_FOUND", missing)
    assert (seen.run.error["details"]["step_key"], seen.run.error["details"]["failed"]) == ("load_config", 3)


async def test_a_config_without_a_schema_is_said_with_its_path(storage: SQLiteStorage, workspace: Path) -> None:
    (workspace / "config.json").write_text("{}", encoding="utf-8")
    seen = await perform(storage, workspace, "dependencies")
    message = "Path $.validation_schema not found in the output of step 'load_config'"
    assert seen.error_of("validate_data") == ("EXPRESSION_FAILED", message)
    assert seen.run.status is RunStatus.FAILED


async def test_a_broken_config_is_said_with_its_place(storage: SQLiteStorage, workspace: Path) -> None:
    (workspace / "config.json").write_text('{"validation_schema": ', encoding="utf-8")
    seen = await perform(storage, workspace, "dependencies")
    code, message = seen.error_of("load_config")
    assert code == "FILE_INVALID"
    assert re.search(r"config\.json is not JSON: .*line 1", message), message


async def test_data_that_violates_its_schema_is_not_processed(storage: SQLiteStorage, workspace: Path) -> None:
    (workspace / "data.json").write_text('[{"category": "Z", "amount": 1}]', encoding="utf-8")
    seen = await perform(storage, workspace, "dependencies")
    assert seen.steps["validate_data"].output["valid"] is False
    code, message = seen.error_of("process_data")
    assert code == "INVALID_DATA"
    assert message.startswith("validated_data: data[0].category: ")


# Parallel


async def test_three_steps_start_together_behind_one(storage: SQLiteStorage, workspace: Path) -> None:
    seen = await perform(storage, workspace, "parallel", {"user_id": "ada"})
    assert seen.run.output == {
        "analyze_behavior": {"visits": 4, "favourite": "/orders"},
        "check_permissions": {"permissions": ["read", "write"]},
        "load_preferences": {"language": "en", "theme": "dark"},
    }
    together = ["analyze_behavior", "check_permissions", "load_preferences"]
    seen.check_started_together(*together)
    for key in together:
        seen.check_started_after(key, "load_user_data")


async def test_a_user_nobody_knows_fails_what_is_behind(storage: SQLiteStorage, workspace: Path) -> None:
    seen = await perform(storage, workspace, "parallel", {"user_id": "eve"})
    assert seen.run.status is RunStatus.FAILED
    assert seen.error_of("load_user_data") == ("NO_SUCH_USER", "There is no user 'eve' in users.json")
    assert set(seen.statuses().values()) == {StepStatus.FAILED}
    assert [event for event in seen.events if event.startswith("step.started")] == ["step.started load_user_data"]


async def test_an_input_that_is_missing_is_said_with_its_path(storage: SQLiteStorage, workspace: Path) -> None:
    seen = await perform(storage, workspace, "parallel")
    assert seen.error_of("load_user_data") == ("EXPRESSION_FAILED", "Path $.user_id not found in the run's input")


# Concurrency


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl on this machine")
async def test_three_requests_are_under_way_at_once(
    storage: SQLiteStorage, workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The real `/http/get` and the URLs as they stand, through a proxy on loopback: no answer before all have asked."""
    all_asked = asyncio.Barrier(3)

    async def answer(asked: Asked, write: Write) -> None:
        await all_asked.wait()
        body = json.dumps({"hosts": {asked.headers["host"]: "answered"}}).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        await write(f"{head}connection: close\r\n\r\n".encode() + body)

    certificate, key = await asyncio.to_thread(make_certificate, tmp_path, API_HOSTS)
    async with proxying(certificate, key, "/data", answer) as (proxy, server):
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        seen = await perform(storage, workspace, "concurrency")
    assert seen.run.status is RunStatus.COMPLETED, seen.run.error
    assert sorted(asked.headers["host"] for asked in server.asked) == API_HOSTS
    assert seen.run.output["combine_data"]["body"] == {"hosts": dict.fromkeys(API_HOSTS, "answered")}
    seen.check_started_together(*FETCHES)
    seen.check_started_after("combine_data", *FETCHES)


def with_get(registry: Registry, get: Callable[[Any, ComponentContext], Any]) -> Registry:
    """In place of the real `/http/get`, as a worker may be told."""
    double = Component(path="/http/get", function=get, mode="async", description="Answers without a network")
    registry.register(double, override=True)
    return registry


async def test_later_sources_win_when_they_are_combined(storage: SQLiteStorage, workspace: Path) -> None:
    async def get(value: Any, context: ComponentContext) -> Any:
        return {"status": 200, "body": {"last": value["url"], context.step_id: True}}

    registry = with_get(await asyncio.to_thread(registry_of, workspace), get)
    seen = await perform(storage, workspace, "concurrency", registry=registry)
    body = {"last": "https://api3.example.com/data", **dict.fromkeys(FETCHES, True)}
    assert seen.run.output == {"combine_data": {"status": 200, "body": body}}


async def test_one_source_that_fails_does_not_stop_the_others(storage: SQLiteStorage, workspace: Path) -> None:
    async def get(value: Any, context: ComponentContext) -> Any:
        if "api2" in value["url"]:
            raise ComponentError("HTTP_STATUS", f"GET {value['url']} answered 503")
        return {"status": 200}

    registry = with_get(await asyncio.to_thread(registry_of, workspace), get)
    seen = await perform(storage, workspace, "concurrency", registry=registry)
    assert seen.run.status is RunStatus.FAILED
    assert seen.statuses() == {
        "fetch_data_source_1": StepStatus.COMPLETED,
        "fetch_data_source_2": StepStatus.FAILED,
        "fetch_data_source_3": StepStatus.COMPLETED,
        "combine_data": StepStatus.FAILED,
    }
    assert seen.error_of("combine_data") == ("UPSTREAM_FAILED", "Step 'fetch_data_source_2' failed")


# Blobs


async def test_a_dataset_is_stored_once_and_read_twice(storage: SQLiteStorage, workspace: Path) -> None:
    seen = await perform(storage, workspace, "blobs")
    assert seen.run.output == {
        "analyze_subset_1": {"filter": "category=A", "records": 3, "total": 200},
        "analyze_subset_2": {"filter": "category=B", "records": 2, "total": 120},
    }
    seen.check_started_together("analyze_subset_1", "analyze_subset_2")
    seen.check_started_after("store_large_dataset", "load_massive_dataset")
    text = jsontext.encode(seen.steps["load_massive_dataset"].output)
    blob_id = hashlib.sha256(text.encode()).hexdigest()
    assert seen.steps["store_large_dataset"].output == {"blob_id": blob_id}
    assert {seen.steps[f"analyze_subset_{number}"].input["data_blob"] for number in (1, 2)} == {blob_id}
    assert storage.get_blob(blob_id) == text


# Conditions


@pytest.mark.parametrize(
    ("user", "taken", "skipped", "output"),
    [
        (
            "ada",
            "premium_analysis",
            "basic_analysis",
            {"analysis": "premium", "favourite": "/orders", "pages": {"/orders": 3, "/reports": 1}},
        ),
        ("bob", "basic_analysis", "premium_analysis", {"analysis": "basic", "visits": 2}),
    ],
)
async def test_one_branch_runs_and_the_other_says_why_not(
    storage: SQLiteStorage, workspace: Path, user: str, taken: str, skipped: str, output: Any
) -> None:
    seen = await perform(storage, workspace, "conditional", {"user_id": user})
    assert seen.run.status is RunStatus.COMPLETED
    assert seen.run.output == {taken: output}
    assert seen.steps[taken].status is StepStatus.COMPLETED
    assert (seen.steps[skipped].status, seen.steps[skipped].reason) == (StepStatus.SKIPPED, "skip_if is true")
    assert f"step.started {skipped}" not in seen.events


async def test_both_branches_fail_with_the_step_that_decides(storage: SQLiteStorage, workspace: Path) -> None:
    """A failed step counts as null in `skip_if`, so neither is skipped; their input then needs it."""
    seen = await perform(storage, workspace, "conditional", {"user_id": "eve"})
    assert seen.run.status is RunStatus.FAILED
    for key in ("premium_analysis", "basic_analysis"):
        assert seen.error_of(key) == ("UPSTREAM_FAILED", "Step 'check_user_level' failed")


# Dynamic workflows


@pytest.mark.parametrize(
    ("request_", "result"),
    [({"numbers": [1, 2, 3]}, {"total": 6}), ({"text": "quiet"}, {"said": "QUIET"})],
)
async def test_the_workflow_that_a_step_wrote_runs_as_a_child(
    storage: SQLiteStorage, workspace: Path, request_: Any, result: Any
) -> None:
    seen = await perform(storage, workspace, "dynamic", request_)
    assert seen.run.status is RunStatus.COMPLETED, seen.run.error
    output = seen.run.output["execute_dynamic_workflow"]
    assert output["result"] == {"outcome": "success", "result": result}
    child = storage.get_run(output["run_id"])
    assert (child.status, child.parent_run_id) == (RunStatus.COMPLETED, seen.run.id)
    assert (child.input, child.output) == (request_, result)


async def test_a_child_that_fails_is_an_outcome_and_no_failure(storage: SQLiteStorage, workspace: Path) -> None:
    seen = await perform(storage, workspace, "dynamic", {"numbers": ["many"]})
    assert seen.run.status is RunStatus.COMPLETED
    output = seen.run.output["execute_dynamic_workflow"]
    assert (output["result"]["outcome"], output["result"]["error"]["code"]) == ("failed", "EXPRESSION_FAILED")
    assert storage.get_run(output["run_id"]).status is RunStatus.FAILED


async def test_a_request_that_no_workflow_is_for_starts_no_child(storage: SQLiteStorage, workspace: Path) -> None:
    seen = await perform(storage, workspace, "dynamic", {"wish": "world peace"})
    assert seen.error_of("determine_workflow_type") == ("UNKNOWN_REQUEST", "A request has numbers or a text")
    assert seen.error_of("execute_dynamic_workflow")[0] == "UPSTREAM_FAILED"
    assert [run.id for run in storage.list_runs(10, None, None, None, True)[0]] == [seen.run.id]


# Errors


async def test_a_profile_enriches_the_response(storage: SQLiteStorage, workspace: Path) -> None:
    seen = await perform(storage, workspace, "degradation", {"auth_token": "ada-opens"})
    assert seen.run.output == {"generate_response": {"greeting": "Hello, Ada of London", "enriched": True}}
    assert [key for key, step in seen.steps.items() if step.recovered] == []


async def test_without_a_profile_the_response_goes_on_with_the_default(storage: SQLiteStorage, workspace: Path) -> None:
    seen = await perform(storage, workspace, "degradation", {"auth_token": "bob-opens"})
    assert seen.run.status is RunStatus.COMPLETED
    assert seen.run.output == {"generate_response": {"greeting": "Hello, Bob", "enriched": False}}
    enriched = seen.steps["enrich_profile"]
    assert (enriched.status, enriched.recovered) == (StepStatus.COMPLETED, True)
    assert enriched.output == {"enriched": False, "additional_data": {}}
    assert seen.error_of("enrich_profile") == ("NO_PROFILE", "User 'bob' has no profile")
    assert seen.steps["generate_response"].input["enriched_data"] == enriched.output


async def test_a_critical_step_that_fails_is_not_covered_by_a_later_handler(
    storage: SQLiteStorage, workspace: Path
) -> None:
    seen = await perform(storage, workspace, "degradation", {"auth_token": "mine"})
    assert seen.run.status is RunStatus.FAILED
    assert seen.error_of("authenticate_user") == ("INVALID_TOKEN", "The token belongs to nobody")
    assert seen.error_of("enrich_profile") == ("UPSTREAM_FAILED", "Step 'authenticate_user' failed")
    assert not seen.steps["enrich_profile"].recovered


async def test_a_source_that_fails_is_skipped_and_replaced(storage: SQLiteStorage, workspace: Path) -> None:
    seen = await perform(storage, workspace, "propagation")
    assert seen.run.status is RunStatus.COMPLETED
    records = {"required_data": 6, "optional_data": 0}
    assert seen.run.output == {"process_data": {"records": records, "totals": SUMS}}
    optional, file = seen.steps["load_optional_data"], (workspace / "optional_data_source.json").resolve()
    missing = f"There is no source 'optional_data_source'; looked for {file}"
    assert (optional.status, optional.reason) == (StepStatus.SKIPPED, f"failed: {missing}")
    assert seen.error_of("load_optional_data") == ("SOURCE_NOT_FOUND", missing)
    assert seen.steps["process_data"].input["optional_data"] == {}
    seen.check_started_together("load_optional_data", "load_required_data")


async def test_a_source_that_is_there_counts(storage: SQLiteStorage, workspace: Path) -> None:
    (workspace / "optional_data_source.json").write_text('[{"category": "C", "amount": 1}]', encoding="utf-8")
    seen = await perform(storage, workspace, "propagation")
    assert seen.steps["load_optional_data"].status is StepStatus.COMPLETED
    records = {"required_data": 6, "optional_data": 1}
    assert seen.run.output == {"process_data": {"records": records, "totals": {**SUMS, "C": 10}}}


async def test_a_required_source_that_fails_fails_the_run(storage: SQLiteStorage, workspace: Path) -> None:
    (workspace / "data.json").unlink()
    seen = await perform(storage, workspace, "propagation")
    assert seen.run.status is RunStatus.FAILED
    assert seen.steps["load_optional_data"].status is StepStatus.SKIPPED
    assert seen.error_of("process_data") == ("UPSTREAM_FAILED", "Step 'load_required_data' failed")


# As a user types it


@pytest.fixture
def stepflow(workspace: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """`stepflow …` in the workspace; the background worker that it starts is ended after the test."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("STEPFLOW")}

    def do(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "stepflow.cli.main", *arguments],
            cwd=workspace,
            env={**kept, "NO_COLOR": "1", "STEPFLOW_DURABILITY": "normal"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    yield do
    for line in do("workers", "--json").stdout.splitlines():
        try:
            os.kill(json.loads(line)["pid"], signal.SIGTERM)
        except ProcessLookupError:
            pass  # it had nothing left to do


def test_every_command_of_the_page_does_what_it_says(
    stepflow: Callable[..., subprocess.CompletedProcess[str]], workspace: Path
) -> None:
    page = (workspace / "README.md").read_text(encoding="utf-8")
    for line in re.findall(r"^stepflow .*$", page, re.MULTILINE):
        done = stepflow(*shlex.split(line)[1:])
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        assert "Result:" in done.stdout or "Success: Yes" in done.stdout, f"{line}\n{done.stdout}"
    assert (workspace / ".stepflow" / "stepflow.db").is_file()


def test_a_missing_config_is_said_in_the_last_line(
    stepflow: Callable[..., subprocess.CompletedProcess[str]], workspace: Path
) -> None:
    (workspace / "config.json").unlink()
    done = stepflow("run", "./dependencies.yaml")
    assert done.returncode == 1
    missing = f"load_config: There is no file 'config.json'; looked for {(workspace / 'config.json').resolve()}"
    lines = [line.strip() for line in done.stderr.splitlines()]
    assert lines[-1] == f"✗ Execution failed: {missing}"
    assert {f"✗ {missing}", "✓ load_data", "✗ validate_data: Step 'load_config' failed"} <= set(lines)
    assert "Result:" not in done.stdout
