"""Completion at TAB: in the shells themselves where they are installed, and by the words they ask with."""

from __future__ import annotations

import itertools
import json
import os
import pty
import select
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from stepflow.cli.main import VERBS, group
from stepflow.model.statuses import RunStatus
from tests.cli.conftest import Run

BIN = Path(sys.executable).parent
FIRST = "steps:\n  - {id: charge, type: echo, input: 1}\n  - {id: pack, type: noop, depends_on: [charge]}\n"
SECOND = FIRST.replace("input: 1", "input: 2")
WAITS = "steps:\n  - {id: ask, type: wait_event, input: {name: 'manager; $(reboot) ok'}}\n"

FREE = {
    "--concurrency", "--cursor", "--data", "--delay", "--description", "--from", "--grace", "--idempotency-key",
    "--host", "--input", "--keep", "--lease", "--limit", "--mock", "--offset", "--older-than", "--port", "--priority",
    "--reason", "--since", "--var",
}  # fmt: skip
"""Texts, numbers and times: there is nothing to choose from."""


@pytest.fixture
def orders(run: Run, tmp_path: Path) -> Path:
    """Two versions of a template; its newest run stays queued."""
    for verb, text in (("create", FIRST), ("update", SECOND)):
        (tmp_path / "order.yaml").write_text(text)
        assert run(verb, "order-flow", "--dsl", "order.yaml", "-d", "Order\tprocessing").returncode == 0
    return tmp_path


def started(run: Run, template: str, *options: str) -> str:
    return str(json.loads(run("run", template, "--async", "--json", *options).stdout)["id"])


def asked(environment: dict[str, str], line: str, shell: str = "bash") -> list[str]:
    """What is offered at the end of `line`; nothing may be said beside it."""
    program, *words = line.split(" ")
    question = {f"_{program.upper()}_COMPLETE": f"{shell}_complete"}
    if shell == "bash":
        question |= {"COMP_LINE": line, "COMP_POINT": str(len(line.encode()))}
    elif shell == "zsh":
        question |= {"COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    else:
        question |= {"COMP_WORDS": line, "COMP_CWORD": words[-1]}
    done = subprocess.run(
        [BIN / program], env={**environment, **question}, cwd=Path(environment["STEPFLOW_DB"]).parent,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("begin", ["stepflow", "aio wf", "aio workflow"])
def test_commands_and_options_are_completed(environment: dict[str, str], begin: str) -> None:
    assert asked(environment, f"{begin} ") == [f"plain,{verb}" for verb in VERBS]
    assert asked(environment, f"{begin} hist") == ["plain,history"]
    assert asked(environment, f"{begin} history --li") == ["plain,--limit"]
    assert asked(environment, f"{begin} nonsense ") == []


def test_aio_completes_its_one_word(environment: dict[str, str]) -> None:
    assert asked(environment, "aio w") == ["plain,wf", "plain,workflow"]


def test_what_is_stored_is_completed(run: Run, orders: Path, environment: dict[str, str]) -> None:
    older, newer = (started(run, "order-flow", "--no-worker") for _ in range(2))
    for line, offered in {
        "stepflow get ": ["order-flow"],
        "stepflow get order": ["order-flow"],
        "stepflow get x": [],
        "aio wf delete o": ["order-flow"],
        "stepflow executions --template ": ["order-flow"],
        "stepflow execution ": [newer, older],
        f"stepflow cancel {older[:-1]}": [older],
        "stepflow get order-flow --version ": ["2", "1"],
        "stepflow get order-flow --version=": ["2", "1"],
        "stepflow simulate order-flow --fail ": ["charge", "pack"],
        "stepflow simulate order.yaml --fail c": ["charge"],
        "stepflow diff order": ["order-flow"],
        f"stepflow diff {older} ": [newer, older],
        f"stepflow retry {older} --from p": ["pack"],
        f"stepflow retry {older} --version ": ["2", "1"],
        "stepflow executions --status ru": [RunStatus.RUNNING],
        "stepflow executions --status=ru": [RunStatus.RUNNING],
        "stepflow executions --status failed,ru": [f"{RunStatus.FAILED},{RunStatus.RUNNING}"],
        "stepflow components /http/pu": ["/http/put"],
        "stepflow completion z": ["zsh"],
    }.items():
        assert asked(environment, line) == [f"plain,{word}" for word in offered], line


def test_where_files_may_stand_the_shell_completes_them_too(orders: Path, environment: dict[str, str]) -> None:
    assert asked(environment, "stepflow create x --dsl ") == ["file,"]
    assert asked(environment, "stepflow --workspace ") == ["dir,"]
    assert asked(environment, "stepflow run o") == ["file,o", "plain,order-flow"]
    assert asked(environment, "stepflow diff order-flow ") == ["file,", "plain,2", "plain,1"]


def test_signals_that_are_waited_for_are_completed_and_no_shell_obeys_them(
    run: Run, orders: Path, environment: dict[str, str]
) -> None:
    (orders / "waits.yaml").write_text(WAITS)
    run_id = started(run, "waits.yaml")
    while json.loads(run("execution", run_id, "--json").stdout)["status"] != RunStatus.WAITING:
        pass
    assert asked(environment, f"stepflow signal {run_id} ") == ["plain,manager\\;\\ \\$\\(reboot\\)\\ ok"]
    assert asked(environment, f"stepflow signal {run_id} ", "fish") == ["plain,manager; $(reboot) ok\tstep ask"]


@pytest.mark.full
def test_zsh_and_fish_are_told_what_a_word_is(run: Run, orders: Path, environment: dict[str, str]) -> None:
    run_id = started(run, "order-flow", "--no-worker")
    assert asked(environment, "stepflow get ", "zsh") == ["plain", "order-flow", "Order processing"]
    assert asked(environment, "stepflow get ", "fish") == ["plain,order-flow\tOrder processing"]
    assert asked(environment, "stepflow steps ", "fish") == [f"plain,{run_id}\torder-flow queued"]
    assert asked(environment, "stepflow executions --status=ru", "zsh") == ["plain", "--status=running", "_"]
    assert asked(environment, "stepflow executions --status=ru", "fish") == ["plain,--status=running"]


def test_workers_are_completed_by_their_ids(run: Run, orders: Path, environment: dict[str, str]) -> None:
    started(run, "order-flow")
    while not (listed := run("workers", "--json").stdout):
        pass
    worker = json.loads(listed)["id"]
    assert asked(environment, "stepflow workers ") == ["plain,stop"]
    assert asked(environment, "stepflow workers stop ") == [f"plain,{worker}"]
    assert asked(environment, "stepflow --db other.db workers stop ") == []


def test_the_database_that_the_line_names_is_asked(run: Run, orders: Path, environment: dict[str, str]) -> None:
    run("--db", "other.db", "create", "elsewhere", "--dsl", "order.yaml")
    assert asked(environment, "stepflow --db other.db get ") == ["plain,elsewhere"]
    assert asked(environment, "aio wf --db other.db get ") == ["plain,elsewhere"]


def test_pressing_tab_leaves_no_trace(tmp_path: Path, environment: dict[str, str]) -> None:
    assert asked(environment, "stepflow get ") == []
    assert not list(tmp_path.iterdir())
    old = sqlite3.connect(tmp_path / "x.db")
    old.execute("PRAGMA user_version = 1")
    old.close()
    before = (tmp_path / "x.db").read_bytes()
    assert asked(environment, "stepflow execution ") == []
    assert [file.name for file in tmp_path.iterdir()] == ["x.db"]
    assert (tmp_path / "x.db").read_bytes() == before


@pytest.mark.parametrize("line", ["stepflow get ", "stepflow steps ", "stepflow get x --version ", "stepflow get 'x"])
def test_trouble_is_silent(tmp_path: Path, environment: dict[str, str], line: str) -> None:
    (tmp_path / "x.db").write_text("no database " * 1000)
    assert asked(environment, line) == []


def test_words_that_no_shell_would_ask_with_are_silent_too(environment: dict[str, str]) -> None:
    for more in ({"COMP_LINE": "", "COMP_POINT": "0"}, {"COMP_LINE": "stepflow", "COMP_POINT": "x"}, {}):
        done = subprocess.run(
            [BIN / "stepflow"], env={**environment, "_STEPFLOW_COMPLETE": "bash_complete", **more},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_a_script_goes_to_stdout_alone_and_how_to_install_it_to_stderr(run: Run) -> None:
    for shell in ("bash", "zsh", "fish"):
        done = run("completion", shell)
        assert done.returncode == 0
        assert "_STEPFLOW_COMPLETE" in done.stdout
        assert "_AIO_COMPLETE" in done.stdout
        assert "To install it" not in done.stdout
        assert f"stepflow completion {shell} >" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_also_had_as_of_other_programs(run: Run, environment: dict[str, str], shell: str) -> None:
    asked_for = {**environment, "_STEPFLOW_COMPLETE": f"{shell}_source"}
    done = subprocess.run([BIN / "stepflow"], env=asked_for, capture_output=True, text=True, check=True)
    assert done.stdout.strip() in run("completion", shell).stdout


def test_without_a_shell_the_environment_says_which(run: Run, environment: dict[str, str]) -> None:
    environment["SHELL"] = "/usr/bin/zsh"
    assert run("completion").stdout == run("completion", "zsh").stdout
    environment["SHELL"] = "/bin/tcsh"
    done = run("completion")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Say for which shell" in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_value_is_completed_where_there_is_something_to_choose(verb: str) -> None:
    command = group.get_command(click.Context(group), verb)
    assert command is not None
    below = command.commands.values() if isinstance(command, click.Group) else ()
    for parameter in itertools.chain(command.params, *(one.params for one in below)):
        if isinstance(parameter, click.Option) and (parameter.is_flag or FREE & set(parameter.opts)):
            continue
        if verb == "create" and parameter.name == "name":
            continue  # it must be a new one
        offers = parameter.type.shell_complete(click.Context(command), parameter, "")
        assert offers or parameter._custom_shell_complete is not None, f"{verb}: {parameter.opts}"


TYPED = [
    ("stepflow history ord", "stepflow history order-flow"),
    ("aio wf history ord", "aio wf history order-flow"),
    ("aio workflow hist", "aio workflow history"),
    ("stepflow create x --dsl ord", "stepflow create x --dsl order.yaml"),
    ("stepflow executions --status=runn", "stepflow executions --status=running"),
]


@pytest.mark.parametrize(
    ("typed", "completed"), [TYPED[0], *(pytest.param(*pair, marks=pytest.mark.full) for pair in TYPED[1:])]
)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_what_is_typed(
    run: Run, orders: Path, environment: dict[str, str], shell: str, typed: str, completed: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    home = orders / "home"
    home.mkdir()
    begin = "autoload -Uz compinit; compinit -u\n" if shell == "zsh" else "bind 'set bell-style none'\n"
    (home / f".{shell}rc").write_text(f"{begin}{run('completion', shell).stdout}\nPS1='ready> '\n")
    environment |= {"HOME": str(home), "ZDOTDIR": str(home), "TERM": "dumb", "PATH": f"{BIN}:{environment['PATH']}"}
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        [shell, "-i"], env=environment, cwd=orders, stdin=inside, stdout=inside, stderr=inside, start_new_session=True
    )
    os.close(inside)
    try:
        _read_until(terminal, "ready> ")
        os.write(terminal, f"{typed}\t".encode())
        _read_until(terminal, completed)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def _read_until(terminal: int, text: str) -> None:
    shown, until = "", time.monotonic() + 30
    while text not in shown:
        assert select.select([terminal], [], [], max(0, until - time.monotonic()))[0], shown
        shown += os.read(terminal, 10_000).decode(errors="replace")


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes_what_is_typed(run: Run, orders: Path, environment: dict[str, str]) -> None:
    script = orders / "stepflow.fish"
    script.write_text(run("completion", "fish").stdout)
    environment |= {"HOME": str(orders), "PATH": f"{BIN}:{environment['PATH']}"}

    def completions(line: str) -> list[str]:
        command = f"source {script}; complete -C '{line}'"
        done = subprocess.run(
            ["fish", "--no-config", "-c", command], env=environment, cwd=orders, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        return done.stdout.splitlines()

    for typed, completed in TYPED[:2]:
        assert completions(typed) == [f"{completed.split()[-1]}\tOrder processing"]
    assert "order.yaml" in completions("stepflow create x --dsl ")
    assert completions("stepflow executions --status=runn") == ["--status=running"]
    assert sorted(completions("stepflow completion ")) == ["bash", "fish", "zsh"]


def test_profiles_are_completed(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "config" / "stepflow"
    folder.mkdir(parents=True)
    environment["XDG_CONFIG_HOME"] = str(folder.parent)
    assert asked(environment, "stepflow ui --profile ") == []
    (folder / "ui.toml").write_text('[profiles]\nproduction = {db = "/p.db"}\nproof = {workspace = "/w"}\nwrong = {}\n')
    assert asked(environment, "stepflow ui --profile ") == ["plain,production", "plain,proof"]
    assert asked(environment, "stepflow open --profile proo") == ["plain,proof"]
    (folder / "ui.toml").write_text("[[[")
    assert asked(environment, "stepflow ui --profile ") == []
