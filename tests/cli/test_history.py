"""`stepflow history`: the versions of a template."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.cli.conftest import Call

FIRST = "steps:\n  - {id: charge, type: echo, input: {a: 1}}\n  - {id: pack, type: noop}\n"
CHARGE = "  - {id: charge, type: echo, input: {a: 2}, retry: {max_retries: 2}}\n"
SHIP = "  - {id: ship, type: noop}\n"
SECOND = f"timeout: 5s\nsteps:\n{CHARGE}{SHIP}"
THIRD = f"timeout: 5s\nsteps:\n{SHIP}{CHARGE}"


def save(call: Call, folder: Path, *texts: str) -> None:
    for text in texts:
        (folder / "order.yaml").write_text(text)
        verb = "create" if text is texts[0] else "update"
        assert call(verb, "order-flow", "--dsl", "order.yaml").exit_code == 0


def test_each_version_says_in_words_what_it_changed_and_how_many_executions_it_has(call: Call, folder: Path) -> None:
    save(call, folder, FIRST)
    call("run", "order-flow", "--async", "--no-worker")
    (folder / "order.yaml").write_text(SECOND)
    call("update", "order-flow", "--dsl", "order.yaml")
    for _ in range(2):
        call("run", "order-flow", "--async", "--no-worker")
    (folder / "order.yaml").write_text(THIRD)
    call("update", "order-flow", "--dsl", "order.yaml")
    done = call("history", "order-flow")
    header, rule, *rows = done.stdout.splitlines()
    assert header == "VERSION  SAVED                EXECUTIONS  FILE"
    assert rule == "─" * 65
    assert [row.split() for row in rows[::2]] == [
        [version, *_saved(row), executions, "order.yaml"]
        for version, executions, row in zip("321", ("0", "2", "1"), rows[::2], strict=True)
    ]
    assert rows[1::2] == [
        "  steps in another order",
        "  added ship; removed pack; changed charge (input, retry); timeout",
        "  the first version",
    ]


def _saved(row: str) -> list[str]:
    return row.split()[1:3]


def test_json_is_one_object_a_version_and_the_first_has_no_changes(call: Call, folder: Path) -> None:
    save(call, folder, FIRST, SECOND)
    newest, first = map(json.loads, call("history", "order-flow", "--json").stdout.splitlines())
    assert (newest["version"], newest["file"], newest["executions"]) == (2, "order.yaml", 0)
    assert newest["changes"] == {
        "added": ["ship"],
        "removed": ["pack"],
        "changed": {"charge": ["input", "retry"]},
        "reordered": False,
        "settings": ["timeout"],
    }
    assert first["changes"] is None


def test_what_the_limit_leaves_out_is_had_with_the_command_that_is_said(call: Call, folder: Path) -> None:
    save(call, folder, FIRST, SECOND, THIRD)
    done = call("history", "order-flow", "--limit", "2")
    assert "the first version" not in done.stdout
    more = done.stderr.strip().removeprefix("More: stepflow ")
    assert "the first version" in call(*shlex.split(more)).stdout


def test_a_change_of_many_steps_stays_a_line(call: Call, folder: Path) -> None:
    many = FIRST + "".join(f"  - {{id: s{number}, type: noop}}\n" for number in range(200))
    save(call, folder, FIRST, many)
    assert "  added s0, s1, s2 and 197 more" in call("history", "order-flow").stdout.splitlines()


def test_another_folder_is_a_version_that_says_so(call: Call, folder: Path) -> None:
    save(call, folder, FIRST)
    (folder / "sub").mkdir()
    (folder / "sub" / "order.yaml").write_text(FIRST)
    call("update", "order-flow", "--dsl", "sub/order.yaml")
    assert "  folder" in call("history", "order-flow").stdout.splitlines()


def test_the_history_of_a_deleted_template_stays(call: Call, folder: Path) -> None:
    save(call, folder, FIRST, SECOND)
    call("delete", "order-flow")
    assert "the first version" in call("history", "order-flow").stdout


def test_an_unknown_template_is_an_error_with_what_was_meant(call: Call, folder: Path) -> None:
    save(call, folder, FIRST)
    done = call("history", "order-flo")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "✗ Template 'order-flo' not found; did you mean 'order-flow'?\n"


def test_without_a_database_none_is_made(call: Call, folder: Path) -> None:
    done = call("history", "order-flow")
    assert done.exit_code == 1
    assert "Template 'order-flow' not found" in done.stderr
    assert not list(folder.iterdir())
