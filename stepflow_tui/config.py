"""The person's own file, `ui.toml`: settings, keys, saved views. What is wrong in it is shown, and is never a crash.

A value is written into the text as it stands, so that comments and order stay; the file is replaced as a whole.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepflow.dsl.diagnostics import did_you_mean
from stepflow.errors import WorkflowEngineError

CHOICES: dict[str, tuple[str, ...]] = {
    "glyphs": ("auto", "unicode", "ascii"),
    "clock": ("auto", "fast", "slow", "off"),
    "preset": ("default", "vim"),
    "confirm": ("key", "typed"),
    "clipboard": ("auto", "tmux", "osc52", "native"),
    "notify": ("auto", "bell", "off"),
    "restore": ("on", "off"),
}
"""What each setting may be, the default first; `theme` may be any that there is."""
TABLES = ("keys", "views", "profiles", "breakpoints")
LARGEST = 1 << 18
"""Bytes of a file that a person wrote."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = re.compile(r"\s*\[")


class ConfigError(WorkflowEngineError):
    """The file cannot be written, or has no place."""

    def __init__(self, message: str) -> None:
        super().__init__("CONFIG", message)


class Config:
    def __init__(self, file: Path | None = None) -> None:
        """None: nothing is read or kept."""
        self.file = file
        self.values: dict[str, Any] = {}
        """As they are in the file."""
        self.broken: str | None = None
        """Why it was not read."""
        self._read_at: tuple[int, int] | None = None
        self.read()

    def read(self) -> bool:
        """Whether the file is another one than when it was last read."""
        stamp = None if self.file is None else _stamp(self.file)
        if stamp == self._read_at:
            return False
        self._read_at = stamp
        try:
            self.values = {} if self.file is None or stamp is None else tomllib.loads(_text_of(self.file))
            self.broken = None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            self.broken = f"{error.strerror if isinstance(error, OSError) else error}"
        return True

    def setting(self, name: str) -> str:
        """One of its `CHOICES`; the default where the file says something else."""
        value = self.values.get(name)
        return value if isinstance(value, str) and value in CHOICES[name] else CHOICES[name][0]

    @property
    def theme(self) -> str | None:
        value = self.values.get("theme")
        return value if isinstance(value, str) else None

    def table(self, name: str) -> dict[str, Any]:
        """One of `TABLES`; empty where the file has none."""
        value = self.values.get(name)
        return value if isinstance(value, dict) else {}

    @property
    def troubles(self) -> list[str]:
        """What is wrong in the file, each with the way out."""
        if self.broken is not None:
            return [f"ui.toml is not read: {self.broken}; mend the file, what it said before holds"]
        known = ("theme", *CHOICES, *TABLES)
        found = [
            f"ui.toml: '{name}' is unknown{did_you_mean(name, known)}" for name in self.values if name not in known
        ]
        for name, choices in CHOICES.items():
            if name in self.values and self.values[name] not in choices:
                found.append(f"ui.toml: {name} is {_shown(self.values[name])}; it takes {', '.join(choices)}")
        if not isinstance(self.values.get("theme", ""), str):
            found.append(f"ui.toml: theme is {_shown(self.values['theme'])}; it takes the name of a theme")
        found += [
            f"ui.toml: {name} is {_shown(self.values[name])}; write a table, [{name}]"
            for name in TABLES
            if not isinstance(self.values.get(name, {}), dict)
        ]
        return found

    def set(self, name: str, value: Any, table: str = "") -> None:
        """Write `name` (of `table`); None takes it out. `ConfigError`."""
        self.read()
        if self.broken is not None:
            raise ConfigError(f"ui.toml is not changed while it cannot be read: {self.broken}")
        wanted = {key: dict(one) if isinstance(one, dict) else one for key, one in self.values.items()}
        if table and not isinstance(wanted.get(table), dict):
            wanted[table] = {}
        place: dict[str, Any] = wanted[table] if table else wanted
        place[name] = value
        if value is None:
            del place[name]
        if self.file is not None:
            try:
                text = _text_of(self.file) if self.file.exists() else ""
                _replace(self.file, _changed(text, wanted, name, value, table))
            except OSError as error:
                raise ConfigError(f"{self.file} cannot be written: {error.strerror}") from error
            self._read_at = _stamp(self.file)
        self.values = wanted


def user_folder() -> Path:
    """Where a person's `ui.toml` and themes are. `ConfigError`, as below."""
    from platformdirs import user_config_path

    return _own(user_config_path, "XDG_CONFIG_HOME")


def reports_folder() -> Path:
    """Where what went wrong with the screen is written down."""
    from platformdirs import user_state_path

    return _own(user_state_path, "XDG_STATE_HOME") / "crashes"


def memory_file() -> Path:
    """Where it is kept how the screens stood when they were left."""
    from platformdirs import user_state_path

    return _own(user_state_path, "XDG_STATE_HOME") / "screens.json"


def _own(folder_of: Callable[[str], Path], variable: str) -> Path:
    """`ConfigError`: who has no home has none."""
    try:
        return folder_of("stepflow")
    except RuntimeError as error:
        raise ConfigError(f"There is no home folder to keep settings in; set HOME, or {variable}") from error


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _text_of(file: Path) -> str:
    """`OSError`, `UnicodeDecodeError`. One without an end, or that is waited for, is not begun."""
    found = file.stat()
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    if found.st_size > LARGEST:
        raise OSError(errno.EFBIG, f"it is larger than {LARGEST // 1024} KB")
    return file.read_text(encoding="utf-8")


def _replace(file: Path, text: str) -> None:
    """Where it is a link, as people keep such files, the one it leads to."""
    target = file.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(target)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _changed(text: str, wanted: dict[str, Any], name: str, value: Any, table: str) -> str:
    """`text` with one line changed; written anew where that does not give `wanted`."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    begin = 0
    if table:
        begin = next((row + 1 for row, line in enumerate(lines) if line.split("#")[0].strip() == f"[{table}]"), -1)
        if begin < 0:
            lines += [*(["\n"] if lines else []), f"[{table}]\n"]
            begin = len(lines)
    end = next((row for row in range(begin, len(lines)) if _HEADER.match(lines[row])), len(lines))
    own = re.compile(rf"\s*(?:{re.escape(name)}|{re.escape(json.dumps(name))})\s*=")
    rows = [row for row in range(begin, end) if own.match(lines[row])]
    line = [] if value is None else [f"{_key(name)} = {_shown(value)}\n"]
    if rows:
        lines[rows[0] : rows[0] + 1] = line
    else:
        while end > begin and not lines[end - 1].split("#")[0].strip():
            end -= 1  # what stands above the next table is about it
        lines[end:end] = line
    changed = "".join(lines)
    try:
        as_wanted = tomllib.loads(changed) == wanted
    except tomllib.TOMLDecodeError:
        as_wanted = False
    return changed if as_wanted else _written(wanted)


def _written(values: dict[str, Any]) -> str:
    lines = [f"{_key(name)} = {_shown(one)}" for name, one in values.items() if not isinstance(one, dict)]
    for table, content in values.items():
        if isinstance(content, dict):
            lines += ["", f"[{_key(table)}]", *(f"{_key(name)} = {_shown(one)}" for name, one in content.items())]
    return "\n".join(lines).lstrip("\n") + "\n"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _shown(name)


def _shown(value: Any) -> str:
    """As TOML has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_shown(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    return str(value)
