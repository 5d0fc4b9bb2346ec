"""Ending the process groups of a dead worker: all of ours, and nothing of anybody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stepflow import process_groups
from stepflow.contracts.component import PROCESS_GROUP_VARIABLE
from stepflow.runtime.processes import boot_id, group_is_alive, host_id, kill_group, process_start_time

MARK = f'{PROCESS_GROUP_VARIABLE}=$$; export {PROCESS_GROUP_VARIABLE}; exec "$@"'
"""What the gate of `/shell/run` does to become the command."""
NEVER = 1
"""The start time of no process of this test."""


class Family:
    """A group whose leader is a shell, with the folder that its scripts write pids into."""

    def __init__(self, folder: Path, script: str, marked: bool) -> None:
        self.folder = folder
        command = ["sh", "-c", script]
        if marked:
            command = ["sh", "-c", MARK, "sh", *command]
        self.process = subprocess.Popen(command, cwd=folder, start_new_session=True)
        self.group = self.process.pid
        start_time = process_start_time(self.group)
        assert start_time is not None
        self.start_time = start_time

    def pid(self, name: str) -> int:
        file = self.folder / name
        wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
        return int(file.read_text())

    def leader_dies(self) -> None:
        """And is reaped, as by init."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        process_groups.send_signal(self.group, signal.SIGKILL)
        if self.process.poll() is None:
            self.process.wait()


Begin = Callable[..., Family]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    families: list[Family] = []

    def begin_one(script: str, *, marked: bool = True) -> Family:
        families.append(Family(tmp_path, script, marked))
        return families[-1]

    yield begin_one
    for family in families:
        family.end()


def wait_until(state: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not state():
        assert time.monotonic() < deadline, "never so"
        time.sleep(0.005)


# Whose group it is


def test_a_group_is_alive_as_long_as_its_leader(begin: Begin) -> None:
    family = begin("sleep 60; :")
    assert group_is_alive(family.group, family.start_time)
    family.end()
    wait_until(lambda: not group_is_alive(family.group, family.start_time))


def test_a_process_with_another_start_time_is_somebody_else(begin: Begin) -> None:
    family = begin("echo $$ > leader; sleep 60; :")
    family.pid("leader")
    assert not group_is_alive(family.group, family.start_time + 1)
    assert kill_group(family.group, family.start_time + 1, grace_seconds=0.1)
    assert family.process.poll() is None


def test_members_keep_a_group_alive_when_the_leader_is_gone(begin: Begin) -> None:
    family = begin("sleep 60 & echo $! > child; wait")
    child = family.pid("child")
    family.leader_dies()
    assert process_start_time(family.group) is None
    assert group_is_alive(family.group, family.start_time)
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not group_is_alive(family.group, family.start_time))


def test_strangers_in_a_group_of_the_same_number_are_left_alone(begin: Begin) -> None:
    """The number was used again by a process that died too and left children of its own."""
    family = begin("sleep 60 & echo $! > child; wait", marked=False)
    child = family.pid("child")
    family.leader_dies()
    assert process_groups.members(family.group) == [child]
    assert not group_is_alive(family.group, family.start_time)
    assert kill_group(family.group, family.start_time, grace_seconds=0.1)
    assert process_groups.is_alive(child)


def test_children_of_a_leader_that_nobody_reaped_are_still_its_own(begin: Begin) -> None:
    family = begin("sleep 60 & echo $! > child; wait", marked=False)
    family.pid("child")
    family.process.kill()
    wait_until(lambda: not process_groups.is_alive(family.group))
    assert process_start_time(family.group) == family.start_time  # a zombie has it still
    assert group_is_alive(family.group, family.start_time)
    assert kill_group(family.group, family.start_time)
    assert not group_is_alive(family.group, family.start_time)


def test_a_zombie_is_not_alive(begin: Begin) -> None:
    family = begin("exit 0")
    wait_until(lambda: not process_groups.is_alive(family.group))
    assert process_groups.members(family.group) == []
    assert not group_is_alive(family.group, family.start_time)
    started = time.monotonic()
    assert kill_group(family.group, family.start_time)
    assert time.monotonic() - started < 1


# Ending it


def test_a_group_that_honours_term_ends_at_once(begin: Begin) -> None:
    family = begin("sh -c 'sleep 60 & echo $! > grandchild; wait' & echo $! > child; wait")
    pids = family.pid("child"), family.pid("grandchild")
    started = time.monotonic()
    assert kill_group(family.group, family.start_time)
    assert time.monotonic() - started < 1.5
    assert not any(map(process_groups.is_alive, (family.group, *pids)))


def test_a_grandchild_that_ignores_term_is_killed_after_the_grace(begin: Begin) -> None:
    family = begin('sh -c \'trap "" TERM; sh -c "echo \\$\\$ > grandchild; while :; do sleep 60; done"\' & wait')
    grandchild = family.pid("grandchild")
    started = time.monotonic()
    assert kill_group(family.group, family.start_time, grace_seconds=0.3)
    assert 0.3 <= time.monotonic() - started < 2
    assert not process_groups.is_alive(grandchild)


def test_what_is_left_of_a_dead_leaders_group_is_killed(begin: Begin) -> None:
    family = begin("trap '' TERM; sh -c 'sleep 60 & echo $! > grandchild; wait' & echo $! > child; wait")
    pids = family.pid("child"), family.pid("grandchild")
    family.leader_dies()
    assert kill_group(family.group, family.start_time, grace_seconds=0.2)
    assert not any(map(process_groups.is_alive, pids))


def test_who_moved_to_another_group_of_the_session_is_killed_too(begin: Begin) -> None:
    family = begin("timeout 60 sh -c 'echo $$ > moved; sleep 60; :' & wait")
    moved = family.pid("moved")
    assert os.getpgid(moved) != family.group
    family.leader_dies()
    assert group_is_alive(family.group, family.start_time)
    assert kill_group(family.group, family.start_time)
    assert not process_groups.is_alive(moved)


def test_a_thread_may_end_a_group(begin: Begin) -> None:
    family = begin("sleep 60; :")
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(kill_group(family.group, family.start_time)))
    thread.start()
    thread.join()
    assert answers == [True]
    assert not group_is_alive(family.group, family.start_time)


@pytest.mark.parametrize("group", [0, 1, -1])
def test_special_numbers_are_never_signalled(group: int) -> None:
    assert kill_group(group, NEVER)


def test_our_own_group_is_never_signalled() -> None:
    own = os.getpgrp()
    start_time = process_start_time(own)
    assert kill_group(own, start_time or NEVER)
    assert group_is_alive(own, start_time or NEVER) == (start_time is not None)


def test_a_group_that_never_was_is_gone(begin: Begin) -> None:
    family = begin("exit 0")
    family.process.wait()
    assert not group_is_alive(family.group, family.start_time)
    assert kill_group(family.group, family.start_time)


# Identity


def test_a_start_time_is_the_same_for_all_of_a_process_life(begin: Begin) -> None:
    family = begin("sleep 60; :")
    assert process_start_time(family.group) == family.start_time
    program = f"from stepflow.runtime.processes import process_start_time as p; print(p({family.group}))"
    assert int(subprocess.check_output([sys.executable, "-c", program])) == family.start_time


def test_a_name_with_brackets_and_blanks_does_not_confuse(tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 (b"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "60"], start_new_session=True)
    try:
        plain = subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)
        try:
            ours, other = process_start_time(process.pid), process_start_time(plain.pid)
            assert ours is not None
            assert other is not None
            assert 0 <= other - ours < 1000
            assert process_groups.members(process.pid) == [process.pid]
        finally:
            plain.kill()
            plain.wait()
    finally:
        process.kill()
        process.wait()


def test_host_and_boot_are_the_same_in_every_process() -> None:
    program = "from stepflow.runtime.processes import boot_id, host_id; print(boot_id(), host_id())"
    told = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert told == f"{boot_id()} {host_id()}\n"
    assert boot_id()


def test_a_worker_process_ends_past_a_thread_that_does_not() -> None:
    program = (
        "import threading, time\n"
        "from stepflow.worker import end_process\n"
        "threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "print('said')\n"
        "end_process(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (3, "said\n")
