"""`e` in a real terminal: the editor gets it, and the screen is back whatever the editor did."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.test_terminal import Terminal, stepflow

pytestmark = [
    pytest.mark.tmux,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux"),
]

FLOW = """\
name: sleeper
steps:
  - id: nap
    type: wait
    input: {seconds: 600}
"""
EDITOR = """\
#!/bin/sh
# Named as one that is told of a line by +LINE.
echo "$@" >> {folder}/given
[ -e {folder}/fails ] && exit 3
[ -e {folder}/deletes ] && exec rm "$2"
[ -e {folder}/bytes ] && {{ printf '# \\377\\n' >> "$2"; exit 0; }}
sed -i "$(cat {folder}/does)" "$2"
"""


class Editor:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command = folder / "vim"
        self.command.write_text(EDITOR.format(folder=folder))
        self.command.chmod(0o755)

    def will(self, script: str) -> None:
        """What `sed` is told to do the next time."""
        (self.folder / "does").write_text(script)

    @property
    def given(self) -> list[str]:
        return (self.folder / "given").read_text().splitlines()


@pytest.fixture
def editor(tmp_path: Path) -> Editor:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Editor(folder)


@pytest.fixture
def terminal(tmp_path: Path, editor: Editor) -> Iterator[Terminal]:
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "stepflow.toml").touch()
    (shop / "sleeper.yaml").write_text(FLOW)
    terminal = Terminal(shop)
    terminal.type(f"export EDITOR={editor.command}", "Enter")
    yield terminal
    terminal.close()


def test_e_edits_the_file_at_the_line_and_the_screen_is_back(
    terminal: Terminal, editor: Editor, tmp_path: Path
) -> None:
    terminal.type(stepflow(), "Enter")
    terminal.expect("q Quit", "sleeper")
    terminal.type("3")
    terminal.expect("seconds: 600")
    terminal.type("Enter")
    terminal.type("j", "j")
    editor.will("s/600/60/")
    terminal.type("e")
    terminal.expect("seconds: 60}", "saved")
    assert editor.given == [f"+3 {tmp_path}/shop/sleeper.yaml"]
    editor.will("s/wait/wate/")
    terminal.type("e")
    terminal.expect("type: wate", "not saved", "v1 works on", "Unknown component")
    (editor.folder / "fails").touch()
    terminal.type("e")
    terminal.expect("vim ended with 3")
    editor.command.unlink()
    terminal.type("e")
    terminal.expect("cannot be started")
    terminal.type("q")
    terminal.expect("Executions")
    terminal.type("q")
    terminal.expect("stepflow.cli.main")
    assert terminal.state == "0 1"
    assert "Traceback" not in terminal.text


def look_at_one_without_a_file(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "alone.yaml").write_text(FLOW.replace("sleeper", "alone"))
    environment = {**os.environ, "STEPFLOW_DB": str(tmp_path / "shop" / "x.db")}
    create = stepflow("create", "alone", "--dsl", str(tmp_path / "alone.yaml")).split()
    subprocess.run(create, env=environment, check=True)
    (tmp_path / "alone.yaml").unlink()
    terminal.type(stepflow(), "Enter")
    terminal.expect("q Quit", "alone")
    terminal.type("3")
    terminal.expect("name: alone")


def test_a_template_without_a_file_is_edited_as_a_copy_and_nothing_typed_is_lost(
    terminal: Terminal, editor: Editor, tmp_path: Path
) -> None:
    look_at_one_without_a_file(terminal, tmp_path)
    editor.will("s/600/60/")
    terminal.type("e")
    terminal.expect("Saved alone v2", "seconds: 60}")
    editor.will("s/wait/wate/")
    terminal.type("e")
    terminal.expect("Not saved; e opens it again", "type: wate", "v2 works on")
    draft = Path(editor.given[-1].partition(" ")[2])
    assert "wate" in draft.read_text()
    editor.will("s/wate/wait/; s/60/6/")
    terminal.type("e")
    terminal.expect("Saved alone v3", "seconds: 6}")
    assert Path(editor.given[-1].partition(" ")[2]) == draft
    assert not draft.exists()
    editor.will("")
    terminal.type("e")
    terminal.expect("Nothing was changed")
    assert not Path(editor.given[-1].partition(" ")[2]).exists()


@pytest.mark.full
def test_what_an_editor_may_leave_behind_is_said_and_harms_nothing(
    terminal: Terminal, editor: Editor, tmp_path: Path
) -> None:
    look_at_one_without_a_file(terminal, tmp_path)
    (editor.folder / "deletes").touch()
    terminal.type("e")
    terminal.expect("cannot be read: No such file")
    (editor.folder / "deletes").unlink()
    (editor.folder / "bytes").touch()
    terminal.type("e")
    terminal.expect("Not saved: it is not UTF-8 text")
    (editor.folder / "bytes").unlink()
    editor.will("/^#/d; s/600/60/")
    terminal.type("e")
    terminal.expect("Saved alone v2", "seconds: 60}")
    terminal.type("j")
    terminal.expect("name: sleeper")
    (editor.folder / "deletes").touch()
    terminal.type("e")
    terminal.expect("sleeper", "gone")
    terminal.type("q", "q")
    terminal.expect("stepflow.cli.main")
    assert "defect" not in terminal.text
