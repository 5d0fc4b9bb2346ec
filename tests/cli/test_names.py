"""A template is named by its TRN as by its name, wherever one is named; and an execution by whatever is known of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call

TRN = "trn:stepflow:default:template/order-flow"


@pytest.fixture
def order(folder: Path, call: Call) -> Path:
    file = folder / "order.yaml"
    file.write_text("description: Orders\nsteps:\n  - {id: charge, type: echo, input: 1}\n")
    assert call("create", "order-flow", "--dsl", str(file)).exit_code == 0
    assert call("run", "order-flow", "--async", "--no-worker").exit_code == 0
    return file


@pytest.mark.parametrize(
    "words",
    [
        "get NAME --json",
        "history NAME --json",
        "diff NAME FILE --json",
        "update NAME --dsl FILE",
        "simulate NAME --json",
        "executions --template NAME --json",
        "stats --template NAME --json",
        "export --template NAME",
        "prune --older-than 30d --template NAME --dry-run",
        "delete NAME --force",
    ],
)
def test_what_is_said_of_a_trn_is_what_is_said_of_the_name(call: Call, order: Path, words: str) -> None:
    verb, *arguments = words.split()

    def of(name: str) -> tuple[int, str]:
        done = call(verb, *({"NAME": name, "FILE": str(order)}.get(word, word) for word in arguments))
        return done.exit_code, done.stdout

    if verb == "delete":
        assert of(TRN) == (0, "✓ Template 'order-flow' deleted\n")
        return
    by_trn, by_name = of(TRN), of("order-flow")
    assert by_trn[0] == 0
    if verb in ("stats", "export"):  # they say when
        assert by_trn[1].count("order-flow") == by_name[1].count("order-flow") > 0
    else:
        assert by_trn == by_name


def test_a_template_is_started_by_its_trn(call: Call, order: Path) -> None:
    done = call("run", TRN, "--async", "--no-worker")
    assert "  TRN: trn:stepflow:default:execution/order-flow/" in done.stdout


def test_the_trn_of_another_tenant_names_nothing_here(call: Call, order: Path) -> None:
    other = TRN.replace("default", "other")
    done = call("get", other)
    assert (done.exit_code, done.stderr) == (1, f"✗ Template '{other}' not found\n")


@pytest.mark.parametrize(
    "ref",
    [
        "exec_ID",
        "ID",
        "trn:stepflow:default:execution/order-flow/ID",
        "trn:stepflow:...:exec/ID",
        "trn:stepflow:...:exec/PREFIX",
        "exec_PREFIX",
        "PREFIX",
    ],
)
@pytest.mark.parametrize("verb", ["execution", "steps", "stream", "export", "fork"])
def test_an_execution_is_named_by_its_id_its_trn_and_their_beginning(
    call: Call, order: Path, storage: SQLiteStorage, verb: str, ref: str
) -> None:
    ((run,), _) = storage.list_runs(1, None, None, None, False)
    assert call("cancel", run.id).exit_code == 0  # so that nothing of it is still to come
    bare = run.id.removeprefix("exec_")
    done = call(verb, ref.replace("ID", bare).replace("PREFIX", bare[:9]), *(["--no-worker"] if verb == "fork" else []))
    assert (done.exit_code, done.stdout != "") == (0, True), done.stderr


def test_the_trn_of_another_tenants_execution_names_nothing_here(
    call: Call, order: Path, storage: SQLiteStorage
) -> None:
    ((run,), _) = storage.list_runs(1, None, None, None, False)
    done = call("cancel", run.trn.replace(":default:", ":other:"))
    assert (done.exit_code, "not found" in done.stderr) == (1, True)
