"""Values that fold: rows are what a reader of the whole would see, and cost what is looked at."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.json_tree import (
    AT_FIRST,
    Form,
    JsonTree,
    Path,
    as_text,
    folds,
    json_row,
    matches,
)
from stepflow_tui.presentation.pieces import LONG, Pieces

GLYPHS = Glyphs()
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
values = st.recursive(
    scalars | st.text(min_size=LONG, max_size=LONG + 20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)
documents = st.dictionaries(st.text(max_size=4), values, max_size=5)


def shown(tree: JsonTree, form: Form = "json", glyphs: Glyphs = GLYPHS) -> list[str]:
    return ["".join(text for text, _ in json_row(tree.row_at(row), form, glyphs)) for row in range(tree.row_count)]


def unfold_all(tree: JsonTree) -> None:
    for path, _ in list(tree.walk()):
        tree.unfold(path)


@given(documents)
def test_unfolded_every_value_has_its_row_and_every_row_its_value(document: dict[str, Any]) -> None:
    tree = JsonTree(document)
    unfold_all(tree)
    paths = [path for path, _ in tree.walk()]
    rows = [tree.row_at(row) for row in range(tree.row_count)]
    assert [row.path for row in rows if not row.is_piece] == paths
    for number, row in enumerate(rows):
        if not row.is_piece:
            assert tree.row_of(row.path) == number
            assert tree.at(row.path) == row.value
            assert row.is_open == folds(row.value)


@given(documents, st.data())
def test_folding_takes_away_what_unfolding_gave(document: dict[str, Any], data: st.DataObject) -> None:
    tree = JsonTree(document)
    unfold_all(tree)
    before = shown(tree)
    opened = list(tree.unfolded())
    if not opened:
        return
    path = data.draw(st.sampled_from(opened))
    inside = sum(one[: len(path)] == path for one, _ in tree.walk()) - 1
    tree.fold(path)
    if isinstance(tree.at(path), dict | list):
        assert tree.row_count <= len(before) - inside
    assert all(one[: len(path)] != path for one in tree.unfolded())
    unfold_all(tree)
    assert shown(tree) == before


@given(documents)
def test_every_row_can_be_shown_in_every_form(document: dict[str, Any]) -> None:
    tree = JsonTree(document)
    unfold_all(tree)
    for form in ("json", "yaml"):
        for line in shown(tree, form):
            assert not any(ord(character) < 32 for character in line)


@given(values)
def test_what_is_copied_says_the_same(value: Any) -> None:
    if isinstance(value, str):
        assert as_text(value, "json") == value
    else:
        assert json.loads(as_text(value, "json")) == value
        assert yaml.safe_load(as_text(value, "yaml")) == value


def test_a_value_as_it_is_shown() -> None:
    tree = JsonTree({"input": {"n": 1, "xs": [1, {"a": None}], "s": "one\ntwo"}, "output": None})
    assert shown(tree) == [
        '▾ "input": {3}',
        '    "n": 1',
        '  ▾ "xs": [2]',
        "      0: 1",
        "    ▾ 1: {1}",
        '        "a": null',
        '  ▸ "s": "one\\ntwo"',
        '  "output": null',
    ]
    tree.unfold(("input", "s"))
    tree.fold(("input", "xs"))
    assert shown(tree, "yaml", Glyphs(ascii_only=True)) == [
        "- input: {3}",
        "    n: 1",
        "  + xs: [2]  1, {…}",
        "  - s: 7 characters",
        "      one",
        "      two",
        "  output: null",
    ]


def test_texts_of_several_lines_are_escaped_in_a_row_and_copied_as_blocks() -> None:
    document = {"script": "set -e\necho \u00fc\n", "odd": "\n x", "plain": "one"}
    lines = shown(JsonTree({"input": document}), "yaml", Glyphs(ascii_only=True))
    assert lines[1] == '  + script: "set -e\\necho \\xFC\\n"'
    assert as_text({"script": document["script"]}, "yaml") == "script: |\n  set -e\n  echo ü\n"
    assert yaml.safe_load(as_text(document, "yaml")) == document


@given(st.lists(st.text(alphabet="a:- #'\"\n\t \\|>\r\x85é", max_size=8), max_size=4))
def test_blocks_of_any_text_say_the_same(value: list[str]) -> None:
    assert yaml.safe_load(as_text(value, "yaml")) == value
    assert yaml.safe_load(as_text({"a": {"b": value}}, "yaml")) == {"a": {"b": value}}


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["", "a", "b" * LONG, "c" * (2 * LONG + 1), "\n", "\r\n", "\r", "\x85", "\u2028é"])))
def test_a_text_has_all_its_lines_in_pieces(parts: list[str]) -> None:
    for text in ("".join(parts), "".join(parts) * 70):
        lines = [line[at : at + LONG] for line in text.splitlines() for at in range(0, len(line) or 1, LONG)]
        found = Pieces(text)
        assert [found[place] for place in range(len(found))] == lines
        with pytest.raises(IndexError):
            found[len(lines)]


def test_keys_and_texts_match_whatever_their_case() -> None:
    tree = JsonTree({"Alpha": [1, "beta"], "flag": True, "none": None})
    found = {
        needle: [path for path, value in tree.walk() if matches(path, value, needle)] for needle in ("alpha", "be")
    }
    assert found == {"alpha": [("Alpha",)], "be": [("Alpha", 1)]}
    assert [path for path, value in tree.walk() if matches(path, value, "true")] == [("flag",)]


def test_ten_megabytes_are_unfolded_where_they_are_looked_at() -> None:
    tree = JsonTree({"output": {"rows": [{"id": number, "name": f"customer {number}"} for number in range(200_000)]}})
    assert tree.row_count <= AT_FIRST
    tree.unfold(("output", "rows"))
    path: Path = ("output", "rows", 123_456)
    tree.unfold(path)
    assert tree.row_count == 200_000 + 2 + 2
    assert tree.row_at(tree.row_of((*path, "name"))).value == "customer 123456"
    assert tree.row_at(tree.row_count - 1).path == ("output", "rows", 199_999)


@pytest.mark.parametrize("path", [("nope",), ("input", "nope"), ("input", "xs", 9)])
def test_what_is_not_there_cannot_be_unfolded(path: Path) -> None:
    tree = JsonTree({"input": {"xs": [[1]]}})
    with pytest.raises((KeyError, IndexError, ValueError)):
        tree.unfold(path)
    assert shown(tree)
