"""Identity and end of process groups that a worker, dead by now, has left behind.

A process id is used again. So a group is ours only if its leader is still the process that was written down (same
start time); or, with the leader gone, if a member carries the group's number in the variable that `/shell/run` gives
to its children (`contracts.component.PROCESS_GROUP_VARIABLE`). What is not known to be ours is not touched.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from functools import cache
from pathlib import Path

from stepflow import process_groups
from stepflow.contracts.component import PROCESS_GROUP_VARIABLE

KILL_SECONDS = 5.0
"""How long a killed process may take to go; one that hangs in the kernel does not."""
POLL_SECONDS = 0.01


def host_id() -> str:
    """The machine (or container) as its processes know it."""
    return socket.gethostname()


@cache
def boot_id() -> str:
    """Another one after each boot; process ids and the monotonic clock mean nothing beyond it."""
    file = Path("/proc/sys/kernel/random/boot_id")
    if file.exists():
        return file.read_text(encoding="ascii").strip()
    command = ["/usr/sbin/sysctl", "-n", "kern.boottime"]  # "{ sec = 1767600000, usec = 0 } Mon Jan …"
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - a fixed command
    return "".join(character if character.isdigit() else " " for character in told).split()[0]


def process_start_time(pid: int) -> int | None:
    """In a unit of the platform's own; None: there is no such process."""
    return process_groups.start_time(pid)


def group_is_alive(group: int, start_time: int) -> bool:
    """Whether a process of the group that `group` (started at `start_time`) led is still running."""
    now = process_groups.start_time(group)
    if now is not None and now != start_time:
        return False  # somebody else has the number; the kernel gives it away only when the group is empty
    living = process_groups.members(group)
    if now is not None:
        return bool(living)
    mark = f"{PROCESS_GROUP_VARIABLE}={group}"
    return any(process_groups.environment_has(pid, mark) for pid in living)


def kill_group(group: int, start_time: int, grace_seconds: float = 2.0) -> bool:
    """TERM, then KILL after `grace_seconds`; waits until all are gone. From any thread.

    True: nothing of it lives (any more), or it never was the group meant. False: it does not die.
    """
    if group <= 1 or group == os.getpgrp() or not group_is_alive(group, start_time):
        return True
    # From here on it is ours as long as it has members: a number in use is not given away.
    for number, patience in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, KILL_SECONDS)):
        process_groups.send_signal(group, number)
        deadline = time.monotonic() + patience
        while process_groups.members(group):
            if time.monotonic() >= deadline:
                break
            time.sleep(POLL_SECONDS)
        else:
            return True
    return False
