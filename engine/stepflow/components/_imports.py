"""Importing Python files that lie beside templates, of several folders, in one process.

Two folders may hold files of one name (`tasks.py`); each folder gets its own. Python's own and installed modules come
first, so that a stray `json.py` cannot break the worker. A module is imported once per process and never reloaded.
"""

from __future__ import annotations

import importlib
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_lock = threading.RLock()
_known_folders: dict[str, None] = {}
"""Every folder ever given, the latest first. What else is in `sys.path` is the usual path."""
_modules: dict[tuple[Path, ...], dict[str, ModuleType]] = {}
"""What was imported from each group of folders, by name."""


@contextmanager
def importing_from(folders: Sequence[Path]) -> Iterator[None]:
    """Within, `import` finds what lies in `folders`, and does not see what was imported from other folders.

    Afterwards every folder ever given stays importable, for functions that import while they run; there the folder
    given last wins where two have a file of one name."""
    key = tuple(folders)
    with _lock:
        own = _modules.setdefault(key, {})
        hidden = _take_out(key)
        sys.modules.update(own)
        usual = _usual_path()
        # The folder a program was started in must not stand before the folders that are meant.
        here = [entry for entry in usual if entry in ("", ".", _current_folder())]
        sys.path[:] = [*(entry for entry in usual if entry not in here), *map(str, key), *here]
        importlib.invalidate_caches()
        before = set(sys.modules)
        try:
            yield
        finally:
            for name in set(sys.modules) - before:
                if _lies_in(sys.modules[name], key):
                    own[name] = sys.modules[name]
            for name, module in hidden.items():
                sys.modules.setdefault(name, module)
            latest = dict.fromkeys([*map(str, key), *_known_folders])
            _known_folders.clear()
            _known_folders.update(latest)
            sys.path[:] = [*usual, *latest]


def import_module(name: str, folders: Sequence[Path]) -> ModuleType:
    """Module `name`, looked for in the usual places, then in `folders`. `ModuleHiddenError`: a file in `folders` is
    meant, but another module has its name."""
    with importing_from(folders):
        module = importlib.import_module(name)
        top = name.partition(".")[0]
        for folder in folders:
            file = folder / f"{top}.py"
            if file.is_file() or (folder / top / "__init__.py").is_file():
                if not _lies_in(sys.modules[top], (folder,)):
                    raise ModuleHiddenError(top, folder, sys.modules[top])
                break
        return module


class ModuleHiddenError(Exception):
    def __init__(self, name: str, folder: Path, module: ModuleType) -> None:
        where = getattr(module, "__file__", None) or "part of Python"
        super().__init__(f"'{name}' in {folder} is hidden by the module of that name ({where}); rename it")


def place_of(error: BaseException, folders: Sequence[Path]) -> tuple[str | None, int]:
    """File and line, below one of `folders`, that `error` came from; None and 0 if from elsewhere."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 0
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if any(Path(frame.filename).is_relative_to(folder) for folder in folders):
            return frame.filename, frame.lineno or 0
    return None, 0


def _take_out(key: tuple[Path, ...]) -> dict[str, ModuleType]:
    hidden = {}
    for other, modules in _modules.items():
        if other != key:
            for name, module in modules.items():
                if sys.modules.get(name) is module:
                    hidden[name] = sys.modules.pop(name)
    return hidden


def _usual_path() -> list[str]:
    return [entry for entry in sys.path if entry not in _known_folders]


def _lies_in(module: ModuleType, folders: Sequence[Path]) -> bool:
    places = [module.__file__] if getattr(module, "__file__", None) else [*getattr(module, "__path__", ())]
    return any(place and Path(place).resolve().is_relative_to(folder) for place in places for folder in folders)


def _current_folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return "."  # it was deleted since
