"""Other keys than the table's: a preset, and what a person wrote under `[keys]`; what cannot be is refused."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from textual.keys import KEY_NAME_REPLACEMENTS, Keys, format_key

from stepflow.dsl.diagnostics import did_you_mean
from stepflow_tui.keymap import KEYS, VIEWS, Key

PRESETS: dict[str, dict[str, str]] = {
    "default": {},
    "vim": {"pane": "l,tab", "pane_back": "h,shift+tab", "log": "M", "open_log": "M", "history": "Q"},
}
"""By name: id of the key -> the keys it has instead. `vim`: h and l go to the panes left and right."""

EATEN = frozenset(
    f"ctrl+{key}" for key in (*"absqhijkmogntwy", "left_square_bracket", "backslash", "space", "at", "enter")
)
"""Terminals and multiplexers keep these for themselves, or send another key for them."""
MOVING = frozenset(
    "j k g G down up pagedown pageup home end ctrl+d ctrl+u ctrl+f ctrl+c escape".split()  # noqa: SIM905 - reads better
)
_HOW = 'write it as "R", "ctrl+e" or "f5"'
_NAMES = frozenset(key.value for key in Keys) | {f"f{number}" for number in range(1, 25)}


def keys_in_place(preset: str, own: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """By id, the keys that are not those of the table, as Textual names them; and what was refused."""
    by_id = {key.id: key for key in KEYS}
    changed = {name: keys for name, keys in PRESETS[preset].items() if name in by_id}
    troubles = []
    asked = []
    for name, keys in own.items():
        names = _names(keys) if isinstance(keys, str) else ""
        if name not in by_id:
            troubles.append(f"keys.{name}: there is no such key{did_you_mean(name, by_id)}")
        elif trouble := _impossible(names):
            troubles.append(f"keys.{name}: {trouble}")
        else:
            changed[name] = names
            asked.append(name)
    # All of them first: two may change places.
    while clash := next(((name, one) for name in asked if (one := _taken(by_id[name], changed))), None):
        name, trouble = clash
        asked.remove(name)
        del changed[name]
        troubles.append(f"keys.{name}: {trouble}")
    return changed, troubles


def shown(key: Key, changed: Mapping[str, str]) -> str:
    """As people read it, with the second key that some ask for."""
    names = changed.get(key.id)
    if names is None:
        return key.shown
    first = format_key(names.split(",")[0])
    _, _, second = key.shown.partition(" ")
    return f"{first} {second}" if len(second) == 1 and key.keys.count(",") == 0 else first


def _impossible(names: str) -> str | None:
    for name in names.split(","):
        read = format_key(name)
        if not name:
            return _HOW
        if name in EATEN or name.startswith("alt+"):
            return f"{read} never reaches the screen, terminals keep it; choose another"
        if len(name) > 1 and name not in _NAMES and len(read) > 1:
            return f"there is no key '{read}'; {_HOW}"
        if name in MOVING:
            return f"{read} moves, copies or goes back, on every screen; choose another"
        if name in VIEWS:
            return f"{read} shows {VIEWS[name][1]}; choose another"
    return None


def _taken(key: Key, changed: Mapping[str, str]) -> str | None:
    for name in changed[key.id].split(","):
        for other in KEYS:
            together = not key.views or not other.views or set(key.views) & set(other.views)
            if other is not key and together and name in changed.get(other.id, other.keys).split(","):
                return f"{format_key(name)} is the key of '{other.id}' ({other.help}); give that one another"
    return None


def _names(keys: str) -> str:
    return "comma" if keys.strip() == "," else ",".join(map(_named, keys.split(",")))


def _named(key: str) -> str:
    """As Textual names it: `?` is question_mark."""
    key = key.strip()
    modifiers, plus, last = key.rpartition("+") if len(key) > 1 and not key.endswith("+") else ("", "", key)
    if len(last) == 1 and not last.isalnum():
        name = unicodedata.name(last, last).lower().replace("-", "_").replace(" ", "_")
        last = KEY_NAME_REPLACEMENTS.get(name, name)
    return f"{modifiers}{plus}{last}"
