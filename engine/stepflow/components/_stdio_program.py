"""A program that offers components: how it is started, in a process group of its own, and how nothing of it is left."""

from __future__ import annotations

import atexit
import os
import signal
from pathlib import Path

import msgspec

from stepflow import process_groups

EOF_SECONDS = 1.0
"""How long a program may take to go when its stdin ends."""
TERM_SECONDS = 0.7
KILL_SECONDS = 5.0

_living: set[int] = set()


class Program(msgspec.Struct, frozen=True):
    command: tuple[str, ...]
    cwd: Path
    variables: dict[str, str]
    """Added to the worker's own."""
    start_seconds: float
    """How long it may take to be ready."""

    @property
    def name(self) -> str:
        """As the worker's log shows it."""
        return " ".join(self.command)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, **self.variables}


def group_started(group: int) -> None:
    """From now on it does not outlive this process, however that ends in order."""
    _living.add(group)


def group_ended(group: int) -> None:
    """Its leader is gone and reaped: end what it left behind.

    A number is given away only when nobody is in the group: a process that has it now means that nobody was left."""
    _living.discard(group)
    if process_groups.start_time(group) is None:
        process_groups.send_signal(group, signal.SIGKILL)


@atexit.register
def _kill_living() -> None:
    for group in list(_living):
        process_groups.send_signal(group, signal.SIGKILL)


def how_it_ended(exit_code: int | None) -> str:
    if exit_code is None:
        return "closed its output"
    if exit_code < 0:
        return f"was ended by signal {-exit_code}"
    return f"ended with exit code {exit_code}"
