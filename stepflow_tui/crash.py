"""A defect of the screen: a report in a file, without values of variables and without what the environment hides."""

from __future__ import annotations

import os
import platform
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

_SECRET = re.compile(r"(?i)key|token|secret|passw|credential|auth|STEPFLOW_VAR_")
SHORTEST_HIDDEN = 4
"""Characters of a value: a shorter one would take half of every sentence away."""


def write_report(error: BaseException, about: Mapping[str, object], folder: Path) -> Path:
    """Only its owner can read it. `OSError`: it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}.{os.getpid()}.txt"
    with open(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as opened:
        opened.write(report_text(error, about, os.environ))
    return file


def report_text(error: BaseException, about: Mapping[str, object], environment: Mapping[str, str]) -> str:
    facts = {
        "stepflow": version("stepflow-tui"),
        "textual": version("textual"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "terminal": f"{environment.get('TERM', '?')} {environment.get('TERM_PROGRAM', '')}".strip(),
        **about,
    }
    lines = [f"{name}: {value}" for name, value in facts.items()]
    text = "\n".join([*lines, "", *traceback.format_exception(error)])
    hidden = {value for name, value in environment.items() if _SECRET.search(name) and len(value) >= SHORTEST_HIDDEN}
    for value in sorted(hidden, key=len, reverse=True):
        text = text.replace(value, "***")
    return text.encode("utf-8", "replace").decode()
