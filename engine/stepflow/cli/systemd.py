"""A systemd unit that keeps a worker running. Pure: paths and settings in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LAST_SECONDS = 20
"""Beside the grace: for steps that do not stop at once, and the last commits."""


def unit(command: Sequence[str], folder: str, environment: Mapping[str, str], grace_seconds: float) -> str:
    """`KillMode=mixed`: only the worker is told to stop, and stops its steps' commands itself, in its own time.
    `=-`: where the folder is not there yet, the worker makes it."""
    variables = "".join(f"Environment={_word(f'{name}={value}')}\n" for name, value in environment.items())
    return f"""\
[Unit]
Description=StepFlow worker

[Service]
ExecStart={" ".join(map(_argument, command))}
WorkingDirectory=-{folder.replace("%", "%%")}
{variables}Restart=on-failure
RestartSec=2
KillMode=mixed
TimeoutStopSec={round(grace_seconds) + LAST_SECONDS}
UMask=0077

[Install]
WantedBy=default.target
"""


def _argument(word: str) -> str:
    return _word(word.replace("$", "$$"))


def _word(text: str) -> str:
    """As one word, of which systemd expands nothing."""
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if not text or set(text) & set(" \t;'\"\\") else text
