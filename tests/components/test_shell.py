"""`/shell/run`, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from stepflow import process_groups
from stepflow.components import _command
from stepflow.errors import ComponentError, StorageError
from tests.components.performing import perform
from tests.components.recorder import Recorder, wait_until

IGNORES_TERM = "trap '' TERM; "


def pid_in(file: Path) -> int:
    return int(file.read_text())


def is_written(*files: Path) -> bool:
    return all(file.exists() and file.read_text().endswith("\n") for file in files)


def is_gone(pid: int) -> bool:
    return not process_groups.is_alive(pid)


async def run(value: dict[str, Any], context: Recorder) -> dict[str, Any]:
    output: dict[str, Any] = await perform("/shell/run", value, context)
    return output


async def run_script(script: str, context: Recorder, **more: Any) -> dict[str, Any]:
    return await run({"command": script, "shell": True, **more}, context)


async def failure_of(value: dict[str, Any], context: Recorder) -> ComponentError:
    with pytest.raises(ComponentError) as caught:
        await run(value, context)
    return caught.value


# What it gives


async def test_a_command_gives_its_code_and_both_outputs(context: Recorder) -> None:
    output = await run_script("echo out; echo err >&2", context)
    assert output == {"exit_code": 0, "stdout": "out\n", "stderr": "err\n"}
    assert context.logs == [("out", "info", {"stream": "stdout"}), ("err", "warn", {"stream": "stderr"})]


async def test_a_list_is_not_touched_by_any_shell(context: Recorder) -> None:
    output = await run({"command": ["printf", "%s|", "$HOME", "a b", ";", 7, 2.5, True]}, context)
    assert output["stdout"] == "$HOME|a b|;|7|2.5|true|"


async def test_lines_are_logged_while_the_command_runs(context: Recorder, tmp_path: Path) -> None:
    task = asyncio.create_task(run_script("echo ready; until [ -e go ]; do sleep 0.01; done; printf last", context))
    await wait_until(lambda: context.lines("stdout") == ["ready"])
    assert not task.done()
    (tmp_path / "go").touch()
    assert (await task)["stdout"] == "ready\nlast"
    assert context.lines("stdout") == ["ready", "last"]


async def test_stdin_reaches_the_command_as_it_is(context: Recorder) -> None:
    text = "first\n\tsecond ü\n" * 20_000
    output = await run({"command": ["cat"], "stdin": text}, context)
    assert output["stdout"] == text


async def test_without_stdin_the_command_reads_an_end(context: Recorder) -> None:
    assert (await run_script("cat; echo done", context))["stdout"] == "done\n"


async def test_without_stdin_there_is_no_pipe_that_a_program_would_read(context: Recorder) -> None:
    # Some programs read what is piped to them instead of the files of their folder.
    script = "if [ -p /dev/stdin ]; then echo pipe; else echo none; fi"
    assert (await run_script(script, context))["stdout"] == "none\n"
    assert (await run_script(script, context, stdin=""))["stdout"] == "pipe\n"


async def test_stdin_that_nobody_reads_is_no_error(context: Recorder) -> None:
    output = await run({"command": ["true"], "stdin": "x" * 5_000_000}, context)
    assert output["exit_code"] == 0


async def test_the_environment_is_the_workers_with_more(context: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_WORKER", "w")
    script = 'echo "$FROM_WORKER $NUMBER ${ABSENT-unset} $STEPFLOW_IDEMPOTENCY_KEY $STEPFLOW_ATTEMPT"'
    output = await run_script(script, context, env={"NUMBER": 3, "ABSENT": None})
    assert output["stdout"] == "w 3 unset exec_1/build 1\n"


async def test_the_folder_is_the_templates_and_cwd_is_relative_to_it(context: Recorder, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert (await run({"command": ["pwd"]}, context))["stdout"] == f"{tmp_path}\n"
    assert (await run({"command": ["pwd"], "cwd": "sub"}, context))["stdout"] == f"{tmp_path}/sub\n"
    alone = Recorder(workspace=tmp_path / "sub")
    assert (await run({"command": ["pwd"]}, alone))["stdout"] == f"{tmp_path}/sub\n"


async def test_bytes_that_are_no_text_do_not_fail_the_step(context: Recorder) -> None:
    output = await run_script(r"printf 'a\377b\n'", context)
    assert output["stdout"] == "a\ufffdb\n"
    assert context.lines("stdout") == ["a\ufffdb"]


async def test_a_progress_bar_is_logged_as_it_would_look(context: Recorder) -> None:
    await run_script(r"printf '10%%\r50%%\r100%%\r\nend\r\n'", context)
    assert context.lines("stdout") == ["100%", "end"]


async def test_a_very_long_line_is_logged_in_pieces(context: Recorder) -> None:
    size = 3 * _command.LINE_BYTES + 5
    await run_script(f"head -c {size} /dev/zero | tr '\\0' x; echo", context)
    assert context.lines("stdout") == ["x" * _command.LINE_BYTES] * 3 + ["x" * 5]


async def test_of_a_long_output_the_end_is_kept_and_said_so(context: Recorder) -> None:
    output = await run_script("head -c 3000000 /dev/zero | tr '\\0' x; echo end", context)
    assert len(output["stdout"]) == _command.KEPT_BYTES
    assert output["stdout"].endswith("xend\n")
    dropped = 3_000_004 - _command.KEPT_BYTES
    message = f"stdout is long: its first {dropped} bytes are not in the output"
    assert context.logs[-1] == (message, "warn", {"stream": "stdout"})


async def test_forty_commands_run_side_by_side(tmp_path: Path) -> None:
    contexts = [Recorder(base_dir=tmp_path) for _ in range(40)]
    outputs = await asyncio.gather(*(run_script(f"echo {n}; cat", c, stdin="x") for n, c in enumerate(contexts)))
    assert [output["stdout"] for output in outputs] == [f"{n}\nx" for n in range(40)]


# How it fails


async def test_an_exit_code_fails_the_step_with_the_end_of_stderr(context: Recorder) -> None:
    error = await failure_of({"command": "echo reason >&2; exit 3", "shell": True}, context)
    assert (error.code, error.details) == ("SHELL_EXIT", {"exit_code": 3})
    assert error.message == "The command exited with 3: reason"


async def test_of_a_long_stderr_the_message_holds_the_end(context: Recorder) -> None:
    error = await failure_of({"command": "yes no | head -1000 >&2; echo why >&2; exit 1", "shell": True}, context)
    assert error.message.endswith("no\nwhy")
    assert len(error.message) < 600


async def test_a_signal_that_killed_the_command_is_named(context: Recorder) -> None:
    error = await failure_of({"command": "kill -9 $$", "shell": True}, context)
    assert error.message == "The command was killed by SIGKILL"
    assert error.details == {"exit_code": 137}


@pytest.mark.parametrize("allowed", [{"check": False}, {"expect": 3}, {"expect": [3, 4]}])
async def test_an_expected_exit_code_is_no_failure(context: Recorder, allowed: dict[str, Any]) -> None:
    assert (await run_script("exit 3", context, **allowed))["exit_code"] == 3
    assert (await run_script("exit 0", context, **allowed))["exit_code"] == 0


async def test_a_code_that_is_not_expected_fails_all_the_same(context: Recorder) -> None:
    error = await failure_of({"command": "exit 5", "shell": True, "expect": [3, 4]}, context)
    assert error.code == "SHELL_EXIT"


async def test_a_missing_program_is_said_before_anything_starts(context: Recorder) -> None:
    error = await failure_of({"command": ["no-such-program-here"]}, context)
    assert (error.code, error.message) == (
        "COMMAND_NOT_FOUND",
        "There is no program 'no-such-program-here' in the PATH",
    )
    assert context.groups == []


async def test_the_program_is_looked_for_in_the_steps_own_path(context: Recorder, tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "our-tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    path = f"{tool.parent}:{os.environ['PATH']}"
    assert (await run({"command": ["our-tool"], "env": {"PATH": path}}, context))["stdout"] == "found\n"
    assert (await run({"command": ["bin/our-tool"]}, context))["stdout"] == "found\n"


async def test_a_file_that_is_not_executable_is_said_to_be_so(context: Recorder, tmp_path: Path) -> None:
    (tmp_path / "script.sh").write_text("echo x\n")
    error = await failure_of({"command": ["./script.sh"]}, context)
    assert (error.code, error.message) == ("COMMAND_NOT_FOUND", f"{tmp_path}/script.sh is not executable")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"command": "echo x"}, "command: write a list"),
        ({"command": ["echo"], "shell": True}, "with shell: true it is one string"),
        ({"command": " ", "shell": True}, "command: it is empty"),
        ({"command": ["true"], "cwd": "nowhere"}, "cwd: there is no folder"),
        ({"command": ["true"], "env": {"A=B": "x"}}, "env: 'A=B' cannot be the name"),
        ({"command": ["echo", "a\0b"]}, "The command cannot be started"),
        ({"command": ["echo", "x" * 3_000_000]}, "The command cannot be started"),
    ],
)
async def test_a_wrong_input_says_what_is_wrong(context: Recorder, value: dict[str, Any], message: str) -> None:
    error = await failure_of(value, context)
    assert error.code == "INVALID_INPUT"
    assert message in error.message
    assert context.groups == []


# The gate


async def test_the_command_does_nothing_before_its_group_is_written_down(context: Recorder, tmp_path: Path) -> None:
    written = asyncio.Event()
    groups: list[int] = []

    async def write_down(group: int) -> None:
        groups.append(group)
        await written.wait()

    context.on_group = write_down
    task = asyncio.create_task(run_script("touch begun; cat", context, stdin="text"))
    await wait_until(lambda: groups and _state(groups[0]) == "S", "it waits at the gate")
    assert not (tmp_path / "begun").exists()
    written.set()
    assert (await task)["stdout"] == "text"
    assert (tmp_path / "begun").exists()
    assert context.groups == [("started", groups[0]), ("ended", groups[0])]


async def test_a_group_that_cannot_be_written_down_never_begins(context: Recorder, tmp_path: Path) -> None:
    groups = []

    async def refuse(group: int) -> None:
        groups.append(group)
        raise StorageError("disk full")

    context.on_group = refuse
    with pytest.raises(StorageError, match="disk full"):
        await run_script("touch begun", context)
    assert not (tmp_path / "begun").exists()
    assert is_gone(groups[0])


def test_a_worker_that_dies_at_the_gate_leaves_nothing_behind(tmp_path: Path) -> None:
    worker = textwrap.dedent("""
        import asyncio, os, signal
        from pathlib import Path
        from stepflow.components import shell
        from tests.components.recorder import Recorder

        async def die(group):
            Path("group").write_text(f"{group}\\n")
            os.kill(os.getpid(), signal.SIGKILL)

        context = Recorder(base_dir=Path("."))
        context.on_group = die
        asyncio.run(shell.run({"command": "touch begun; sleep 60", "shell": True}, context))
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", worker], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    group = pid_in(tmp_path / "group")
    asyncio.run(wait_until(lambda: process_groups.members(group) == []))
    assert not (tmp_path / "begun").exists()


async def test_a_group_that_cannot_be_forgotten_does_not_fail_the_step(context: Recorder) -> None:
    async def refuse(group: int) -> None:
        raise StorageError("disk full")

    context.process_group_ended = refuse  # type: ignore[method-assign] # the storage fails just then
    assert (await run_script("echo x", context))["stdout"] == "x\n"


# Cancelling


async def cancelled(task: asyncio.Task[Any]) -> float:
    """Cancel it; how long it took to end."""
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - started


async def test_cancel_ends_a_command_and_its_children_at_once(context: Recorder, tmp_path: Path) -> None:
    script = "sh -c 'sleep 60 & echo $! > grandchild; wait' & echo $! > child; wait"
    task = asyncio.create_task(run_script(script, context))
    files = tmp_path / "child", tmp_path / "grandchild"
    await wait_until(lambda: is_written(*files))
    assert await cancelled(task) < _command.TERM_SECONDS
    assert all(is_gone(pid_in(file)) for file in files)
    assert context.groups == [("started", context.group), ("ended", context.group)]


async def test_cancel_kills_what_ignores_term(context: Recorder, tmp_path: Path) -> None:
    script = IGNORES_TERM + "sh -c 'sleep 60 & echo $! > grandchild; wait' & echo $! > child; sleep 60"
    task = asyncio.create_task(run_script(script, context))
    files = tmp_path / "child", tmp_path / "grandchild"
    await wait_until(lambda: is_written(*files))
    took = await cancelled(task)
    assert _command.TERM_SECONDS <= took < _command.TERM_SECONDS + 0.8
    assert all(is_gone(pid_in(file)) for file in files)


async def test_cancel_ends_what_moved_to_another_group_of_the_session(context: Recorder, tmp_path: Path) -> None:
    # `timeout` makes a group of its own.
    task = asyncio.create_task(run_script("timeout 60 sh -c 'echo $$ > moved; sleep 60' & wait", context))
    await wait_until(lambda: is_written(tmp_path / "moved"))
    moved = pid_in(tmp_path / "moved")
    assert os.getpgid(moved) != context.group
    await cancelled(task)
    assert is_gone(moved)


async def test_cancel_ends_a_stopped_process_with_term(context: Recorder, tmp_path: Path) -> None:
    task = asyncio.create_task(run_script("trap 'echo t > heard; exit' TERM; echo ready; kill -STOP $$", context))
    await wait_until(lambda: context.lines("stdout") == ["ready"] and _state(context.group) == "T")
    assert await cancelled(task) < _command.TERM_SECONDS
    assert (tmp_path / "heard").exists()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_a_second_cancel_does_not_cut_the_end_short(context: Recorder, tmp_path: Path) -> None:
    task = asyncio.create_task(run_script(IGNORES_TERM + "echo $$ > leader; sleep 60", context))
    await wait_until(lambda: is_written(tmp_path / "leader"))
    task.cancel()
    await asyncio.sleep(0)
    await cancelled(task)
    assert is_gone(pid_in(tmp_path / "leader"))
    assert context.groups[-1] == ("ended", context.group)


async def test_a_cancel_at_the_gate_leaves_nothing(context: Recorder, tmp_path: Path) -> None:
    groups: list[int] = []

    async def wait_for_ever(group: int) -> None:
        groups.append(group)
        await asyncio.Event().wait()

    context.on_group = wait_for_ever
    task = asyncio.create_task(run_script("touch begun", context))
    await wait_until(lambda: groups)
    await cancelled(task)
    assert process_groups.members(groups[0]) == []
    assert not (tmp_path / "begun").exists()


async def test_an_output_without_end_does_not_stop_the_loop(context: Recorder) -> None:
    lines_per_turn = [0]

    def count(message: str, level: str = "info", **fields: Any) -> None:
        lines_per_turn[-1] += 1

    context.log = count  # type: ignore[method-assign] # a million lines
    task = asyncio.create_task(run({"command": ["yes"]}, context))
    while sum(lines_per_turn) < 100_000:
        await asyncio.sleep(0)
        lines_per_turn.append(0)
    assert max(lines_per_turn) <= _command.READ_BYTES
    await cancelled(task)
    assert process_groups.members(context.group) == []


async def test_what_a_cancelled_command_says_last_is_logged(context: Recorder) -> None:
    task = asyncio.create_task(
        run_script("trap 'echo bye; exit' TERM; echo ready; while :; do sleep 0.01; done", context)
    )
    await wait_until(lambda: context.lines("stdout") == ["ready"])
    await cancelled(task)
    assert context.lines("stdout") == ["ready", "bye"]


# What the command leaves behind


async def test_children_left_behind_end_with_the_command(context: Recorder, tmp_path: Path) -> None:
    output = await run_script("sleep 60 & echo $! > left; echo done", context)
    assert output["stdout"] == "done\n"
    assert is_gone(pid_in(tmp_path / "left"))
    assert ("a process that the command left behind ended with it", "warn", {}) in context.logs


async def test_children_left_behind_may_still_finish_their_line(context: Recorder) -> None:
    output = await run_script("(sleep 0.1; echo late) & echo early", context)
    assert output["stdout"] == "early\nlate\n"


async def test_somebody_who_left_the_session_and_holds_the_pipes_does_not_hang_the_step(
    context: Recorder, tmp_path: Path
) -> None:
    started = time.monotonic()
    output = await run_script("setsid sh -c 'echo $$ > escaped; exec sleep 60' & echo out", context)
    assert output["stdout"] == "out\n"
    assert time.monotonic() - started < 10
    await wait_until(lambda: is_written(tmp_path / "escaped"))
    os.kill(pid_in(tmp_path / "escaped"), signal.SIGKILL)


async def test_no_descriptor_stays_open(context: Recorder, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    # Who escaped holds the stdin, of which it never reads the rest.
    script = (
        "exec 3<&0; setsid sh -c 'echo $$ > escaped; exec sleep 60' >/dev/null 2>&1 & until [ -s escaped ]; do :; done"
    )
    await run_script(script, context, stdin="x" * 5_000_000)
    await failure_of({"command": "exit 1", "shell": True}, context)
    await wait_until(lambda: len(os.listdir("/proc/self/fd")) == before)
    os.kill(pid_in(tmp_path / "escaped"), signal.SIGKILL)


# Where there is no pidfd


async def test_without_pidfd_a_thread_waits(context: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(pid: int) -> int:
        raise OSError("not here")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    assert (await run_script("echo x", context))["stdout"] == "x\n"
    task = asyncio.create_task(run_script("echo $$ > leader; sleep 60", context))
    await wait_until(lambda: is_written(tmp_path / "leader"))
    await cancelled(task)
    assert is_gone(pid_in(tmp_path / "leader"))
