"""The person's own file: read with warnings, written in place, and never the reason for a crash."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepflow_tui.config import CHOICES, LARGEST, Config, ConfigError, _changed

WRITTEN = """\
# mine
theme = "nightjar"  # at night
glyphs = "ascii"

# what I press
[keys]
run = "R"

[views]
bad = "status:failed"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "ui.toml"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_without_a_file_everything_is_as_it_is_by_default(file: Path) -> None:
    config = Config(file)
    assert {name: config.setting(name) for name in CHOICES} == {name: choices[0] for name, choices in CHOICES.items()}
    assert (config.theme, config.table("keys"), config.troubles) == (None, {}, [])
    assert not file.parent.exists()


def test_what_is_written_is_read_and_comments_stay(file: Path) -> None:
    write(file, WRITTEN)
    config = Config(file)
    config.set("glyphs", "unicode")
    config.set("clock", "off")
    config.set("cancel", "x", "keys")
    config.set("run", None, "keys")
    config.set('slow "ones"', "dur:>5m", "views")
    config.set("of a new table", 1, "views")
    text = file.read_text(encoding="utf-8")
    assert "# mine\n" in text
    assert "# what I press\n[keys]\ncancel" in text
    read = Config(file)
    assert (read.theme, read.setting("glyphs"), read.setting("clock")) == ("nightjar", "unicode", "off")
    assert read.table("keys") == {"cancel": "x"}
    assert read.table("views") == {"bad": "status:failed", 'slow "ones"': "dur:>5m", "of a new table": 1}
    assert read.troubles == []


def test_the_first_value_makes_the_file(file: Path) -> None:
    Config(file).set("run", "R", "keys")
    assert file.read_text() == '[keys]\nrun = "R"\n'
    assert [path.name for path in file.parent.iterdir()] == ["ui.toml"]


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("theem = 'x'", "ui.toml: 'theem' is unknown; did you mean 'theme'?"),
        ("glyphs = 'round'", 'ui.toml: glyphs is "round"; it takes auto, unicode, ascii'),
        ("glyphs = 3", "ui.toml: glyphs is 3; it takes auto, unicode, ascii"),
        ("glyphs = ['a']", 'ui.toml: glyphs is ["a"]; it takes auto, unicode, ascii'),
        ("theme = true", "ui.toml: theme is true; it takes the name of a theme"),
        ("keys = 'vim'", 'ui.toml: keys is "vim"; write a table, [keys]'),
        ("theme = ", "ui.toml is not read: "),
        ("a = 2026-01-01", "ui.toml: 'a' is unknown"),
        ("\x00", "ui.toml is not read: "),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_holds(file: Path, text: str, trouble: str) -> None:
    write(file, text)
    config = Config(file)
    assert len(config.troubles) == 1
    assert config.troubles[0].startswith(trouble)
    assert config.setting("glyphs") == "auto"
    assert config.theme is None
    assert config.table("keys") == {}


def test_a_file_that_is_no_text_is_said(file: Path) -> None:
    write(file, "")
    file.write_bytes(b"\xff\xfe\x00")
    assert "ui.toml is not read" in Config(file).troubles[0]
    file.unlink()
    file.mkdir()
    assert "ui.toml is not read: Is a directory" in Config(file).troubles[0]


def test_a_broken_file_is_never_written_over(file: Path) -> None:
    write(file, WRITTEN)
    config = Config(file)
    write(file, WRITTEN + "oh no")
    with pytest.raises(ConfigError, match="while it cannot be read"):
        config.set("theme", "ember")
    assert file.read_text() == WRITTEN + "oh no"
    assert config.theme == "nightjar"


def test_a_change_by_somebody_else_is_seen_and_kept(file: Path) -> None:
    config = Config(file)
    assert not config.read()
    write(file, "theme = 'ember'")
    assert config.read()
    assert not config.read()
    os.utime(file, ns=(1, 1))
    write(file, "theme = 'moss'")
    config.set("clock", "slow")
    assert (config.theme, Config(file).theme, Config(file).setting("clock")) == ("moss", "moss", "slow")


def test_where_it_is_a_link_what_it_leads_to_is_written(file: Path, tmp_path: Path) -> None:
    write(file, "")
    file.unlink()
    target = tmp_path / "dotfiles.toml"
    target.write_text("theme = 'ember'\n")
    file.symlink_to(target)
    Config(file).set("theme", "moss")
    assert file.is_symlink()
    assert target.read_text() == 'theme = "moss"\n'


def test_a_folder_that_cannot_be_written_is_said(file: Path) -> None:
    file.parent.write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match="cannot be written"):
        Config(file).set("theme", "ember")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda file: file.symlink_to("/dev/zero"), "it is no regular file"),
        (os.mkfifo, "it is no regular file"),
        (lambda file: file.symlink_to(file), None),
        (lambda file: write(file, "#" * (LARGEST + 1)), "it is larger than 256 KB"),
    ],
)
def test_what_no_person_wrote_is_not_read(file: Path, make: Callable[[Path], None], why: str | None) -> None:
    file.parent.mkdir()
    make(file)
    config = Config(file)
    assert config.broken == why
    assert len(config.troubles) == (why is not None)


TEXT = st.text(max_size=20).filter(lambda text: max(text, default="a") <= "\ud7ff")
VALUES = TEXT | st.booleans() | st.integers() | st.lists(TEXT, max_size=2) | st.dictionaries(TEXT, TEXT, max_size=2)


@given(
    before=st.dictionaries(TEXT, TEXT | st.dictionaries(TEXT, VALUES, max_size=3), max_size=4),
    changes=st.lists(st.tuples(TEXT, VALUES, st.sampled_from(["", "keys", "views"])), max_size=4),
)
def test_any_value_is_read_as_it_was_written(before: dict[str, Any], changes: list[tuple[str, Any, str]]) -> None:
    text = _changed("", before, "x", None, "")
    wanted = before
    for name, value, table in changes:
        if table and not isinstance(wanted.get(table), dict):
            wanted = {**wanted, table: {}}
        wanted = {**wanted, table: {**wanted[table], name: value}} if table else {**wanted, name: value}
        text = _changed(text, wanted, name, value, table)
        assert tomllib.loads(text) == wanted
