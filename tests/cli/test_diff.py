"""`stepflow diff` of templates: versions, and a version with a file."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from stepflow.dsl.validate import read_flow
from stepflow.model.changes import FlowChanges, compare_flows
from stepflow.model.flow import Flow
from tests.cli.conftest import Call

FIRST = "name: order-flow\nsteps:\n  - {id: charge, type: echo, input: 1}\n  - {id: pack, type: noop}\n"
SECOND = FIRST.replace("input: 1", "input: 2")
THIRD = SECOND.replace("- {id: pack, type: noop}", "- {id: ship, type: noop}")


@pytest.fixture
def order(call: Call, folder: Path) -> Path:
    """The file of a template with three versions, as the last one has it."""
    file = folder / "order.yaml"
    for text in (FIRST, SECOND, THIRD):
        file.write_text(text)
        call("create" if text is FIRST else "update", "order-flow", "--dsl", "order.yaml")
    return file


def test_the_newest_is_compared_with_the_one_before(call: Call, order: Path) -> None:
    done = call("diff", "order-flow")
    assert done.exit_code == 0
    assert done.stdout == (
        "order-flow version 2 → order-flow version 3\n"
        "  - pack (/builtin/noop)\n"
        "  + ship (/builtin/noop)\n"
        "\n"
        "--- order-flow version 2\n"
        "+++ order-flow version 3\n"
        "@@ -1,4 +1,4 @@\n"
        " name: order-flow\n"
        " steps:\n"
        "   - {id: charge, type: echo, input: 2}\n"
        "-  - {id: pack, type: noop}\n"
        "+  - {id: ship, type: noop}\n"
    )


@pytest.mark.parametrize(
    ("words", "title"),
    [
        (("1",), "order-flow version 1 → order-flow version 3"),
        (("1", "2"), "order-flow version 1 → order-flow version 2"),
        (("3", "1"), "order-flow version 3 → order-flow version 1"),
        (("other.yaml",), "order-flow version 3 → other.yaml"),
        (("1", "other.yaml"), "order-flow version 1 → other.yaml"),
    ],
)
def test_what_is_compared_with_what(call: Call, order: Path, words: tuple[str, ...], title: str) -> None:
    order.with_name("other.yaml").write_text(THIRD.replace("ship", "send"))
    assert call("diff", "order-flow", *words).stdout.splitlines()[0] == title


def test_where_only_the_text_differs_it_is_said(call: Call, order: Path) -> None:
    order.write_text(THIRD + "# no more\n")
    done = call("diff", "order-flow", "order.yaml")
    assert done.stdout.splitlines()[1] == "  The flow is the same; only its text differs"
    assert done.stdout.endswith("+# no more\n")


def test_where_nothing_differs_nothing_is_printed(call: Call, order: Path) -> None:
    done = call("diff", "order-flow", "order.yaml")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "ℹ Nothing differs between order-flow version 3 and order.yaml\n"


def test_json_has_the_changes_and_the_difference_of_the_text(call: Call, order: Path) -> None:
    shown = json.loads(call("diff", "order-flow", "1", "2", "--json").stdout)
    assert (shown["template"], shown["before"]) == ("order-flow", {"version": 1, "file": "order.yaml"})
    assert shown["after"] == {"version": 2, "file": "order.yaml"}
    assert shown["changes"]["changed"] == {"charge": ["input"]}
    assert "+  - {id: charge, type: echo, input: 2}" in shown["diff"].splitlines()
    same = json.loads(call("diff", "order-flow", "2", "2", "--json").stdout)
    assert (same["changes"]["changed"], same["diff"]) == ({}, "")


def test_a_text_whose_last_line_does_not_end_says_so_as_diff_does(call: Call, order: Path) -> None:
    order.write_text(THIRD.rstrip("\n"))
    assert call("diff", "order-flow", "order.yaml").stdout.splitlines()[-3:] == [
        "-  - {id: ship, type: noop}",
        "+  - {id: ship, type: noop}",
        "\\ No newline at end of file",
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing"], "✗ 'nothing' is neither a template nor an execution"),
        (["order-flo"], "✗ 'order-flo' is neither a template nor an execution; did you mean 'order-flow'?"),
        (["nothing", "order-flow"], "✗ 'nothing' is neither a template nor an execution"),
        (
            ["order-flow", "x"],
            "✗ 'x' is no version of 'order-flow' and no file; see `stepflow history order-flow`",
        ),
        (["order-flow", "1", "x"], "✗ 'x' is no version of 'order-flow' and no file"),
        (["order-flow", "9"], "version 9; its newest is 3"),
        (["order-flow", "ordr.yaml"], "✗ DSL file 'ordr.yaml' not found; did you mean 'order.yaml'?"),
        (["order-flow", "bad.yaml"], "✗ DSL validation failed"),
    ],
)
def test_what_cannot_be_compared_is_said_with_exit_1(call: Call, order: Path, words: list[str], says: str) -> None:
    order.with_name("bad.yaml").write_text("steps: []\n")
    done = call("diff", *words)
    assert (done.exit_code, done.stdout) == (1, "")
    assert says in done.stderr


def test_a_template_with_one_version_has_nothing_before_it(call: Call, folder: Path) -> None:
    (folder / "order.yaml").write_text(FIRST)
    call("create", "order-flow", "--dsl", "order.yaml")
    done = call("diff", "order-flow")
    assert done.exit_code == 1
    assert "has one version; compare it with a file: stepflow diff order-flow FILE" in done.stderr


def test_one_execution_alone_is_a_wrong_command_line(call: Call, order: Path) -> None:
    run_id = json.loads(call("run", "order-flow", "--async", "--no-worker", "--json").stdout)["id"]
    done = call("diff", run_id)
    assert done.exit_code == 2
    assert "Two executions are compared" in done.stderr


def _on_a_terminal(folder: Path, *arguments: str, **more: str) -> str:
    master, slave = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "stepflow.cli.main", *arguments],
        cwd=folder, env={**os.environ, "TERM": "xterm", **more}, stdout=slave, stderr=slave, stdin=slave, check=True,
    )  # fmt: skip
    os.close(slave)
    text = b""
    while True:
        try:
            text += os.read(master, 10_000)
        except OSError:
            break
        if not text:
            break
    os.close(master)
    return text.decode().replace("\r\n", "\n")


def test_a_terminal_gets_colours_and_nothing_that_it_would_obey(call: Call, order: Path) -> None:
    order.write_text(THIRD.replace("ship", "send") + "# \u202e2J\n")
    shown = _on_a_terminal(order.parent, "diff", "order-flow", "order.yaml")
    assert "\x1b[32m+  - {id: send, type: noop}\x1b[0m" in shown
    assert "\\u202e2J" in shown
    assert "\u202e" not in shown
    plain = _on_a_terminal(order.parent, "diff", "order-flow", "order.yaml", NO_COLOR="1")
    assert "\x1b" not in plain


def test_get_colours_the_source_on_a_terminal_and_leaves_it_alone_in_a_pipe(call: Call, order: Path) -> None:
    long = THIRD + "# " + "x" * 300 + "\t\u202e[bold]y[/]\n"
    order.write_text(long)
    call("update", "order-flow", "--dsl", "order.yaml")
    shown = _on_a_terminal(order.parent, "get", "order-flow")
    assert "\x1b[34msteps\x1b[0m" in shown
    assert "x" * 300 + " " in shown
    assert "\u202e" not in shown
    assert "\\u202e[bold]y[/]" in shown
    for quiet in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in _on_a_terminal(order.parent, "get", "order-flow", **quiet)
    assert call("get", "order-flow").stdout.endswith(f"DSL:\n{long}")


def flow_of(text: str) -> Flow:
    flow = read_flow(text).flow
    assert flow is not None
    return flow


def test_other_words_for_the_same_flow_change_nothing() -> None:
    same = "steps:\n  charge: {component: /builtin/echo, parameters: 1}\n  pack: {type: noop}\nname: order-flow\n"
    assert compare_flows(flow_of(FIRST), flow_of(same)) == FlowChanges()
    assert not compare_flows(flow_of(FIRST), flow_of(same))


def test_a_change_is_named_as_the_language_names_it() -> None:
    after = FIRST.replace("type: noop", "type: noop, timeout: 3s, on_error: skip") + "output: {x: 1}\ntimeout: 1m\n"
    changes = compare_flows(flow_of(FIRST), flow_of(after))
    assert changes.changed == {"pack": ("on_error", "timeout")}
    assert changes.settings == ("output", "timeout")
    assert changes
