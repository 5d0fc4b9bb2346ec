"""The living processes of a process group and of its session, and signals to all of them.

A step's process leads a group and a session of its own. Children stay in the session even where a program moves them to
another group (`timeout`, a shell's job control), so both are looked at. Zombies count as gone: where nobody reaps
orphans, they stay for ever.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

PROC = Path("/proc")
HAS_PROC = sys.platform.startswith("linux")


def members(group: int) -> list[int]:
    """The pids of the living processes whose group or session is `group`."""
    return [pid for pid in _all_pids() if _belongs(pid, group) and is_alive(pid)]


def send_signal(group: int, number: signal.Signals) -> None:
    """To every member of the group, and of its session. Nobody left is fine."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # Gone, or (macOS) only zombies are left, or a member that became somebody else's.
        pass
    for pid in members(group):
        try:
            if os.getpgid(pid) != group:
                os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def is_alive(pid: int) -> bool:
    """Whether `pid` exists and is not a zombie."""
    state = _stat(pid)[:1] if HAS_PROC else _ps(pid, "stat=").split()[:1]
    return bool(state) and state[0][0] not in "ZX"


def start_time(pid: int) -> int | None:
    """When process `pid` started, in a unit of the platform's own (Linux: ticks since boot); the same for all its life,
    and another one for the next process that gets the number. None: there is no such process."""
    if HAS_PROC:
        fields = _stat(pid)
        return int(fields[19]) if fields else None  # field 22 of the file; ours begin at field 3
    return _macos_start_time(_ps(pid, "lstart="))


def environment_has(pid: int, entry: str) -> bool:
    """Whether process `pid` was started with `NAME=value` in its environment, as far as we may know."""
    if HAS_PROC:
        try:
            return entry.encode() in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
        except OSError:
            return False
    return entry in _ps(pid, "command=", "-Eww").split()


def _all_pids() -> list[int]:
    if HAS_PROC:
        return [int(name) for name in os.listdir(PROC) if name.isdigit()]  # noqa: PTH208 - names alone, and it is polled
    return [int(pid) for pid in _run("ps", "-axo", "pid=").split()]


def _belongs(pid: int, group: int) -> bool:
    try:
        return os.getpgid(pid) == group or os.getsid(pid) == group
    except (ProcessLookupError, PermissionError):
        return False


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/<pid>/stat` from the third, the state; empty: there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the second field, the name, may hold blanks and brackets


def _ps(pid: int, column: str, *options: str) -> str:
    return _run("ps", *options, "-o", column, "-p", str(pid)).strip()


def _run(*command: str) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(  # noqa: S603 - fixed programs, and pids
        command, capture_output=True, text=True, check=False, env=environment
    ).stdout


def _macos_start_time(text: str) -> int | None:
    """Seconds, of `Mon Jan  5 12:34:56 2026`."""
    from datetime import datetime

    try:
        return int(datetime.strptime(text, "%a %b %d %H:%M:%S %Y").timestamp())
    except ValueError:
        return None
