"""Which files of a folder are templates, or were meant to be. What is hidden, virtual environments and packages of
others are left out."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from stepflow.dsl.load import load

TEMPLATE_ENDINGS = (".yaml", ".yml", ".json")
_LEFT_OUT = ("node_modules", "__pycache__")
_ENVIRONMENT = "pyvenv.cfg"

_STEPS = re.compile(r"""(?m)^(steps|"steps"|'steps')[ \t]*:""")
"""At the left edge, where only a key of the whole text can stand."""
_STEPS_IN_BRACES = re.compile(r"""["']?steps["']?\s*:""")


def files_in(folder: str, endings: tuple[str, ...], without: Collection[str] = ()) -> Iterator[os.DirEntry[str]]:
    """Those of the folder, sorted, then those of each folder in it. `without`: folders that are left out too."""
    try:
        with os.scandir(folder) as found:
            entries = sorted((one for one in found if not one.name.startswith(".")), key=lambda entry: entry.name)
    except OSError:
        return  # it has gone meanwhile, or is not ours to read
    yield from (entry for entry in entries if entry.name.endswith(endings) and not _is_folder(entry))
    for entry in entries:
        if _is_folder(entry) and not _is_left_out(entry.path, without):
            yield from files_in(entry.path, endings, without)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def is_left_out(path: str, folder: str, without: Collection[str] = ()) -> bool:
    """`files_in` would not come to `path`, which is below `folder`."""
    inner = os.path.dirname(path)  # noqa: PTH120 - it is asked for each change, and reads no disk
    while len(inner) > len(folder):
        if _is_left_out(inner, without):
            return True
        inner = os.path.dirname(inner)  # noqa: PTH120 - as above
    return False


def _is_left_out(folder: str, without: Collection[str]) -> bool:
    name = os.path.basename(folder)  # noqa: PTH119 - reads no disk
    if name.startswith(".") or name in _LEFT_OUT or folder in without:
        return True
    return os.path.exists(f"{folder}/{_ENVIRONMENT}")  # noqa: PTH110 - a Path costs more than the look


def is_template(text: str, file: str) -> bool:
    """It is a flow, or was meant to be one: other things have YAML and JSON files too."""
    if "steps" not in text:
        return False
    if _STEPS.search(text):
        return True
    document = load(text, "json" if Path(file).suffix == ".json" else "yaml")
    if document.diagnostics:
        return text.lstrip("\ufeff \t\r\n").startswith("{") and _STEPS_IN_BRACES.search(text) is not None
    return isinstance(document.data, dict) and "steps" in document.data
