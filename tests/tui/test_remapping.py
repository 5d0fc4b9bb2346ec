"""Other keys than the table's, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest

from stepflow_tui.keymap import KEYS, VIEWS, keys_of
from stepflow_tui.remapping import EATEN, MOVING, PRESETS, keys_in_place, shown

BY_ID = {key.id: key for key in KEYS}


@pytest.mark.parametrize("preset", PRESETS)
def test_no_screen_has_a_key_twice_in_any_preset(preset: str) -> None:
    changed, troubles = keys_in_place(preset, {})
    assert troubles == []
    for view, _, _ in VIEWS.values():
        taken = [name for key in keys_of(view) for name in changed.get(key.id, key.keys).split(",")]
        assert sorted(taken) == sorted(set(taken)), view
        assert not set(taken) & set(VIEWS)
        assert not set(taken) & EATEN


def test_keys_have_names_of_their_own() -> None:
    names = {view for view, _, _ in VIEWS.values()}
    assert not names & set(BY_ID), "a digit and a key would be changed together"


def test_a_key_is_changed_and_shown_so() -> None:
    changed, troubles = keys_in_place("default", {"run": "f2", "cancel": "ctrl+e", "help": "f1", "commands": "!"})
    assert troubles == []
    assert changed == {"run": "f2", "cancel": "ctrl+e", "help": "f1", "commands": "exclamation_mark"}
    assert shown(BY_ID["run"], changed) == "f2"
    assert shown(BY_ID["cancel"], changed) == "ctrl+e y"
    assert shown(BY_ID["commands"], changed) == "!"
    assert shown(BY_ID["quit"], changed) == "q"


def test_two_keys_may_change_places() -> None:
    changed, troubles = keys_in_place("default", {"run": "t", "retry": "r"})
    assert troubles == []
    assert changed == {"run": "t", "retry": "r"}


@pytest.mark.parametrize(
    ("own", "trouble"),
    [
        ({"rum": "R"}, "keys.rum: there is no such key; did you mean 'run'?"),
        ({"run": ""}, 'keys.run: write it as "R", "ctrl+e" or "f5"'),
        ({"run": 3}, 'keys.run: write it as "R", "ctrl+e" or "f5"'),
        ({"run": ["r"]}, 'keys.run: write it as "R", "ctrl+e" or "f5"'),
        ({"run": "wibble"}, "keys.run: there is no key 'wibble'"),
        ({"run": "ctrl+a"}, "keys.run: ctrl+a never reaches the screen"),
        ({"run": "ctrl+["}, "keys.run: ctrl+left_square_bracket never reaches the screen"),
        ({"run": "alt+r"}, "keys.run: alt+r never reaches the screen"),
        ({"run": "j"}, "keys.run: j moves"),
        ({"run": "escape"}, "keys.run: esc moves"),
        ({"run": "8"}, "keys.run: 8 shows Settings"),
        ({"run": "c"}, "keys.run: c is the key of 'cancel'"),
        ({"run": "?"}, "keys.run: ? is the key of 'help'"),
        ({"run": "f5,q"}, "keys.run: q is the key of 'quit'"),
        ({"run": ","}, "keys.run: , is the key of 'open_settings'"),
    ],
)
def test_what_cannot_be_is_refused_and_the_key_stays(own: dict[str, Any], trouble: str) -> None:
    changed, troubles = keys_in_place("default", own)
    assert changed == {}
    assert len(troubles) == 1
    assert troubles[0].startswith(trouble)


def test_nothing_of_the_table_is_a_key_that_moves() -> None:
    moving = MOVING - {"escape", "ctrl+c"}
    assert [key.id for key in KEYS if set(key.keys.split(",")) & moving] == []
