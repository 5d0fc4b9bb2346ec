"""The clipboard, by the way that reaches the person: tmux's buffer, the terminal's own escape, a native tool, or the
browser's."""

from __future__ import annotations

import os
import shutil
import subprocess

from textual.app import App

_TOOLS = (("wl-copy",), ("xclip", "-selection", "clipboard"), ("pbcopy",))
SECONDS = 2.0


def copy(app: App[int], text: str, way: str = "auto") -> str:
    """Copy `text`; which way it went. Where `way` does not lead there, the terminal's own escape is left."""
    if app.is_web:
        app.copy_to_clipboard(text)  # the page takes the escape
        return "the browser"
    to_tmux = way == "tmux" or (way == "auto" and "TMUX" in os.environ)
    if to_tmux and _feed(("tmux", "load-buffer", "-w", "-"), text):
        return "tmux"
    if way == "native" or (way == "auto" and not os.environ.get("SSH_CONNECTION")):
        for tool in _TOOLS:
            if shutil.which(tool[0]) and _feed(tool, text):
                return tool[0]
    app.copy_to_clipboard(text)
    return f"the terminal (OSC 52){'' if way in ('auto', 'osc52') else f', because {way} cannot'}"


def first_way(*, is_web: bool) -> str:
    """The one that `auto` tries first here."""
    if is_web:
        return "browser"
    if "TMUX" in os.environ:
        return "tmux"
    tool = next((tool for tool, *_ in _TOOLS if shutil.which(tool)), None)
    return tool if tool and not os.environ.get("SSH_CONNECTION") else "OSC 52"


def _feed(command: tuple[str, ...], text: str) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - programs of the user's own machine, by our own names
            command, input=text.encode(), capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
