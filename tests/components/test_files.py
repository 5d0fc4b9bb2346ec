"""`/builtin/load_file`, on real files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stepflow.components import files
from stepflow.errors import ComponentError
from tests.components.performing import perform
from tests.components.recorder import Recorder


def load(context: Recorder, path: str, format_name: str | None = None) -> Any:
    return perform("/builtin/load_file", {"path": path, "format": format_name}, context)


def refusal(context: Recorder, path: str, format_name: str | None = None) -> ComponentError:
    with pytest.raises(ComponentError) as caught:
        load(context, path, format_name)
    return caught.value


@pytest.mark.parametrize(
    ("name", "text", "format_name", "data"),
    [
        ("a.json", '{"n": 123456789012345678901234567890, "x": [1.5, null]}', "json",
         {"n": 123456789012345678901234567890, "x": [1.5, None]}),
        ("a.JSON", "\ufeff[1]", "json", [1]),
        ("a.yaml", "on: no\nmode: 0777\nat: 12:30\nday: 2024-01-01\nhex: 0x10\n", "yaml",
         {"on": "no", "mode": 777, "at": "12:30", "day": "2024-01-01", "hex": 16}),
        ("a.yml", "- a\n- {b: true}\n", "yaml", ["a", {"b": True}]),
        ("a.csv", 'id,name\n1,"Ada, L."\n\n2,ü\n', "csv", [{"id": "1", "name": "Ada, L."}, {"id": "2", "name": "ü"}]),
        ("a.csv", "", "csv", []),
        ("a.txt", "line\r\n\tx", "text", "line\r\n\tx"),
        ("Dockerfile", "FROM scratch\n", "text", "FROM scratch\n"),
    ],
)  # fmt: skip
def test_a_file_is_read_by_its_extension(
    context: Recorder, tmp_path: Path, name: str, text: str, format_name: str, data: Any
) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert load(context, name) == {
        "data": data,
        "metadata": {
            "resolved_path": str(tmp_path / name),
            "size_bytes": len(text.encode()),
            "format": format_name,
        },
    }


def test_a_format_beats_the_extension(context: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1]")
    assert load(context, "a.json", "text")["data"] == "[1]"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b'{"a": 1,\n "b" 2}', "is not JSON: Expecting ':' delimiter in line 2, column 6"),
        ("a.json", b"[NaN]", "NaN is not a number in JSON"),
        ("a.json", b"[" * 200_000, "is not JSON"),
        ("a.yaml", b"a: 1\na: 2\n", "is not YAML: Duplicate key 'a' in line 2, column 1"),
        ("a.yaml", b"a: !!python/object:os.system x", "Tags like"),
        ("a.yaml", b"a: [1\nb: 2", "is not YAML: Not valid YAML"),
        ("a.csv", b"a,b\n1,2,3\n", "line 2 has not as many values"),
        ("a.csv", b"a,b\n1\n", "line 2 has not as many values"),
        ("a.csv", b"a,a\n1,2\n", "two columns are named 'a'"),
        ("a.txt", b"ab\xff", "is not text in UTF-8 (byte 2)"),
    ],
)
def test_a_broken_file_says_what_and_where(
    context: Recorder, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    error = refusal(context, name)
    assert error.code == "FILE_INVALID"
    assert message in error.message
    assert str(tmp_path / name) in error.message


def test_a_bomb_of_aliases_is_an_error_and_no_hang(context: Recorder, tmp_path: Path) -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 10)]
    (tmp_path / "bomb.yaml").write_text("l0: &l0 x\n" + "\n".join(levels))
    assert "More than" in refusal(context, "bomb.yaml").message


def test_a_missing_file_says_where_it_was_looked_for(context: Recorder, tmp_path: Path) -> None:
    error = refusal(context, "data/none.json")
    assert error.code == "FILE_NOT_FOUND"
    assert error.message == f"There is no file 'data/none.json'; looked for {tmp_path}/data/none.json"


def test_the_templates_folder_comes_before_the_workspace(tmp_path: Path) -> None:
    base, workspace = tmp_path / "base", tmp_path / "workspace"
    for folder in (base, workspace):
        folder.mkdir()
        (folder / "who.txt").write_text(folder.name)
    (workspace / "shared.txt").write_text("shared")
    both = Recorder(base_dir=base, workspace=workspace)
    assert load(both, "who.txt")["data"] == "base"
    assert load(both, str(workspace / "shared.txt"))["data"] == "shared"
    assert load(Recorder(workspace=workspace), "who.txt")["data"] == "workspace"


def test_without_any_folder_nothing_is_read() -> None:
    error = refusal(Recorder(), "/etc/hostname")
    assert error.code == "FILE_NOT_ALLOWED"
    assert "no workspace" in error.message


@pytest.mark.parametrize(
    "path", ["../secret.txt", "/etc/passwd", "sub/../../secret.txt", "link.txt", "linked/secret.txt"]
)
def test_nothing_outside_of_the_roots_is_read(tmp_path: Path, path: str) -> None:
    base = tmp_path / "base"
    (base / "sub").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (base / "link.txt").symlink_to(tmp_path / "secret.txt")
    (base / "linked").symlink_to(tmp_path)
    error = refusal(Recorder(base_dir=base), path)
    assert error.code == "FILE_NOT_ALLOWED"
    assert "secret\n" not in error.message
    assert str(base) in error.message


def test_a_link_within_the_roots_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("x")
    (tmp_path / "base").symlink_to(tmp_path / "real")
    loaded = load(Recorder(base_dir=tmp_path / "base"), "a.txt")
    assert loaded["metadata"]["resolved_path"] == str(tmp_path / "real" / "a.txt")


def test_a_folder_or_a_pipe_is_no_file_to_read(context: Recorder, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert "is a folder" in refusal(context, "folder").message
    assert "is not a file with a content" in refusal(context, "pipe").message
    assert refusal(context, "a\0b").code == "INVALID_INPUT"


def test_a_file_below_a_file_is_not_found(context: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    assert refusal(context, "a.txt/b.txt").code == "FILE_NOT_FOUND"


def test_links_in_a_circle_are_an_error_of_the_step(context: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert refusal(context, "a").code == "FILE_NOT_READABLE"


def test_a_name_that_is_too_long_is_an_error_of_the_step(context: Recorder) -> None:
    assert refusal(context, "x" * 5000).code == "FILE_NOT_READABLE"


def test_a_file_over_the_limit_is_refused(context: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 1024 * 1024)
    (tmp_path / "a.txt").write_bytes(b"x" * (1024 * 1024 + 1))
    error = refusal(context, "a.txt")
    assert error.code == "FILE_TOO_LARGE"
    assert "larger than 1 MB" in error.message
    (tmp_path / "a.txt").write_bytes(b"x" * 1024 * 1024)
    assert load(context, "a.txt")["metadata"]["size_bytes"] == 1024 * 1024


def test_the_limit_is_a_hundred_megabytes() -> None:
    assert files.MAX_BYTES == 100 * 1024 * 1024
