"""`--help`: what it shows is right, fits, and comes at once; and what is said of a wrong command line."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from inspect import cleandoc
from itertools import groupby
from pathlib import Path

import click
import pytest

from stepflow.cli.main import EXIT_CODES, SECTIONS, VERBS, group
from stepflow.cli.text import width_of
from tests.cli.conftest import Run

HEAVY = ("croniter", "httpx", "jsonschema_rs", "psycopg", "rich", "sqlite_utils", "textual", "watchfiles")


def command_of(verb: str) -> tuple[click.Command, click.Context]:
    root = click.Context(group, info_name="stepflow")
    command = group.get_command(root, verb)
    assert command is not None
    return command, click.Context(command, root, verb, max_content_width=80, terminal_width=80)


def examples_of(command: click.Command) -> list[list[str]]:
    """The words of each `stepflow …`, without what it is piped into or written to."""
    block = cleandoc(command.help or "").partition("\b\nExample")[2]
    lines = [shlex.split(line) for line in block.splitlines() if line.startswith("  stepflow")]
    piped = [list(words) for line in lines for _, words in groupby(line, lambda word: word in ("|", ">", ">>"))]
    return [words[1:] for words in piped if words[0] == "stepflow"]


@pytest.mark.parametrize("verb", VERBS)
def test_the_examples_of_a_command_are_command_lines_that_it_takes(verb: str) -> None:
    called = set()
    for words in examples_of(command_of(verb)[0]):
        while words[0] in ("--db", "--workspace"):
            del words[:2]
        name, *rest = words
        command, context = command_of(name)
        # Parsed with what checks it: wrong options, values and numbers of arguments are errors here.
        called.add(command.make_context(name, rest, parent=context.parent).info_name)
    assert verb in called


def test_the_first_examples_are_of_commands_that_there_are() -> None:
    assert [words[0] in VERBS for words in examples_of(group)] == [True] * 3


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_eighty_columns_and_says_in_the_list_what_it_says_itself(verb: str) -> None:
    command, context = command_of(verb)
    wide = [line for line in command.get_help(context).splitlines() if width_of(line) > 80]
    assert not wide
    assert len(VERBS[verb]) <= 60
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option)), (
        f"{verb} has an option without a word on it"
    )


def test_the_help_has_every_section_and_the_exit_codes(run: Run) -> None:
    shown = run("--help").stdout
    assert all(f"\n{section}:\n" in shown for section in SECTIONS)
    assert all(re.search(rf"^  {verb} ", shown, re.MULTILINE) for verb in VERBS)
    words = " ".join(shown.split())
    assert all(f"{code} {what}" in words for code, what in EXIT_CODES.items())
    assert max(map(width_of, shown.splitlines())) <= 80


def test_every_command_has_a_file_and_every_file_a_place_in_the_help() -> None:
    folder = Path(sys.modules["stepflow.cli.main"].__file__ or "").parent / "verbs"
    files = {file.stem.removesuffix("_") for file in folder.glob("*.py")} - {"__init__"}
    assert {name for name in files if not name.startswith("_")} == set(VERBS)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["executions"], ["steps", "exec_"], ["execution", "exec_"], ["run", "--help"]]
)
def test_what_is_asked_most_loads_nothing_heavy(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "order.yaml").write_text("steps: [{id: a, type: noop}]\n")
    run_id = re.findall(r"exec_\w+", run("run", "order.yaml").stdout)[0]
    words = [run_id if word == "exec_" else word for word in arguments]
    program = (
        "import atexit, os, sys\n"
        f"atexit.register(lambda: print(*sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr))\n"
        "from stepflow.cli.main import stepflow\n"
        "stepflow()\n"
    )
    environment = {"STEPFLOW_DB": str(tmp_path / "x.db"), "PATH": "", "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-c", program, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, ""), done


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lst"], "Unknown command 'lst'; did you mean 'list'?"),
        (["nonsense"], "Unknown command 'nonsense'"),
        (["schedules"], "Unknown command 'schedules'; this release has no schedules: let cron call `stepflow run"),
        (["ui", "--wbe"], "Unknown option '--wbe'; did you mean '--web'?"),
        (["--profile", "x", "list"], "--profile is for the terminal UI, which opens without a command, by `ui`, or"),
        (["executions", "--status", "runing"], "There is no status 'runing'; did you mean 'running'?"),
        (["workers", "stpo"], "Unknown command 'stpo'; did you mean 'stop'?"),
        (["list", "--limt", "3"], "Unknown option '--limt'; did you mean '--limit'?"),
        (["list", "--xyz"], "Unknown option '--xyz'"),
        (["list", "-x"], "Unknown option '-x'"),
        (["--vresion"], "Unknown option '--vresion'; did you mean '--version'?"),
        (["--json", "list"], "Unknown option '--json'; options of a command stand after it"),
        (["list", "--db", "x"], "Option '--db' stands before the command: stepflow --db … list"),
        (["list", "--limit", "x"], "--limit takes a whole number from 1 to 10000, not 'x'"),
        (["list", "--limit", "0"], "--limit takes a whole number from 1 to 10000, not '0'"),
        (["list", "--offset", "-1"], "--offset takes a whole number from 0, not '-1'"),
        (["run", "x", "--priority", "high"], "--priority takes a whole number, not 'high'"),
        (["completion", "zhs"], "SHELL takes bash, zsh or fish, not 'zhs'; did you mean 'zsh'?"),
        (["list", "--limit"], "Option '--limit' needs a value"),
        (["list", "a", "b"], "It takes no further argument: a b"),
        (["list", "--json=yes"], "Option '--json' does not take a value"),
        (["get"], "Missing argument 'NAME'"),
        (["create", "x"], "Missing option '--dsl'"),
        (["worker", "--grace", "5"], "--grace: a duration needs a unit"),
        (["lst\x1b[2J"], "Unknown command 'lst\\x1b[2J'"),
    ],
)
def test_a_wrong_command_line_is_said_in_our_words_with_the_usage(run: Run, arguments: list[str], says: str) -> None:
    done = run(*arguments)
    message, usage, help_ = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert message.startswith(f"✗ {says}")
    verb = arguments[0] if arguments[0] in VERBS else None
    assert usage.startswith(f"Usage: stepflow {verb} " if verb else "Usage: stepflow [OPTIONS]")
    assert help_ == f"Try 'stepflow {verb} --help'" if verb else "Try 'stepflow --help'"


def test_aio_says_how_it_was_called(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from stepflow.cli.main import aio; aio()", "wf", "get"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == ["Usage: aio wf get [OPTIONS] NAME", "Try 'aio wf get --help'"]
