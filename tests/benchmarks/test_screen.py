"""The screen that is measured is the real one, in a terminal that sees what a person would."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import bare, million, scenes, screen
from benchmarks.terminal import Picture, Terminal


def test_a_picture_is_what_was_written_last_where_it_was_written() -> None:
    picture = Picture(columns=12, rows=3)
    picture.draw("\x1b[?2026h\x1b[2;3H\x1b[1;48;5;4mmarked\x1b[0m\r\nplain\x1b[1;1H表x\x1b[?2026l")
    assert picture.lines == ["表x         ", "  marked    ", "plain       "]
    assert picture.under_cursor(2) == "marked    "
    assert picture.under_cursor(10) == ""
    picture.draw("\x1b[2;1H\x1b[38;2;1;2;3;49m  marked\x1b[3;1H\x1b[48;2;1;2;3mplain")
    assert picture.under_cursor(0) == "plain       "


def test_a_key_is_seen_when_its_frame_is_whole_and_bytes_are_counted(tmp_path: Path) -> None:
    screens = screen.Screens(tmp_path)
    with screens.bare() as terminal:
        terminal.settle(0.1)
        written = terminal.written
        assert len(screen.keys_ms(terminal, bare.BEGUN, count=2, pause=0)) == 2
        assert terminal.written > written
        assert terminal.most_megabytes() > 10


def test_a_program_that_ends_too_early_shows_what_it_said() -> None:
    with Terminal([sys.executable, "-c", "print('gone')"]) as terminal, pytest.raises(EOFError, match="gone"):
        terminal.expect("more")


@pytest.mark.full
def test_executions_are_seen_opened_and_gone_through(tmp_path: Path) -> None:
    screens = screen.Screens(tmp_path)
    million.make(tmp_path / "large.db", 1000, 5000)
    assert min(screen.first_paint_seconds(screens, tmp_path / "large.db", rounds=1)) > 0
    with screens.on(tmp_path / "large.db", bytes_a_second=screen.SLOW_LINE) as terminal:
        terminal.settle(0.2)
        assert len(screen.keys_ms(terminal, screen.LIST, count=2, pause=0)) == 2
    database = tmp_path / "long.db"
    scenes.make(database, scenes.long_run(steps=2, lines=3, rows=20))
    assert len(screen.open_ms(screens, database, f"{2 + scenes.TALKERS + 1} steps", rounds=1)) == 1
    opened, keys, megabytes = screen.large_value(screens, database, cycles=1)
    assert min(opened, *keys) > 0
    assert len(keys) == 20
    assert 10 < megabytes <= screens.most_megabytes


def test_commits_are_seen(tmp_path: Path) -> None:
    ours, bares = screen.visible_ms(screen.Screens(tmp_path), tmp_path / "x.db", count=2)
    assert min(*ours, *bares) > 0
