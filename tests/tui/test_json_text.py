"""Large values that stay text: they read as if all of them was decoded, and take the room of what is looked at."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepflow.model import jsontext
from stepflow_tui.presentation.json_text import SMALL, JsonText, read_json
from stepflow_tui.presentation.json_tree import Form, JsonTree, as_text, matches
from tests.tui.test_json_tree import shown, values

ROWS = [{"id": number, "name": f"customer {number}", "text": "x" * 60} for number in range(100_000)]
PAD = "p" * 80
MANY = 450
"""Items with it, which are large together: some are passed over at once, and some by themselves."""
QUICK = settings(deadline=None, max_examples=30)
texts = st.text(alphabet='aé表😀"\\\n[]{},: \ud800', min_size=1, max_size=8)


def read(value: Any, known: list[JsonText] | None = None, **layout: Any) -> Any:
    return read_json(json.dumps(value, **layout).encode(), known or [])


def large_around(value: Any) -> Any:
    """`value` in what is large, in all the ways that it can be in there."""
    return {
        "list": [value, *[[PAD, value]] * MANY, value],
        "object": {"": value, **{f"k{number}": {PAD: value} for number in range(MANY)}, "é": value},
        "deep": {"a": {"b": [value, "y" * SMALL]}},
        "text": "\\\"'é😀\n" * 6000,
        "wide": [[value] * 1100, [PAD] * MANY],
        "end": value,
    }


@QUICK
@given(values, st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}]))
def test_a_large_value_reads_as_if_it_was_decoded(value: Any, layout: dict[str, Any]) -> None:
    whole = large_around(value)
    large = read(whole, **layout)
    assert isinstance(large, JsonText)
    assert large.decode() == whole
    for key in whole:
        inner = large[key]
        assert (inner.decode() if isinstance(inner, JsonText) else inner) == whole[key]
    for key in ("list", "object"):
        inside = large[key]
        expected = list(whole[key].items() if isinstance(whole[key], dict) else enumerate(whole[key]))
        assert list(inside.members()) == expected
        for place in (0, 1, 99, 100, 101, len(expected) - 1):
            assert inside.at(place) == expected[place]
            assert inside.place_of(expected[place][0]) == place


@QUICK
@given(values, st.sampled_from(["json", "yaml"]))
def test_its_rows_are_those_of_the_objects(value: Any, form: Form) -> None:
    whole = {
        "list": [[value, PAD]] * MANY,
        "object": {str(number): {"a": value, "b": PAD} for number in range(MANY)},
        "pad": "é😀" * 6000,
    }
    trees = [JsonTree({"output": whole}), JsonTree({"output": read(whole)})]
    assert isinstance(trees[1].value["output"], JsonText)
    for tree in trees:
        tree.unfold(("output", "list", 150))
        tree.unfold(("output", "object", "150"))
        tree.unfold(("output", "pad"))
    first, second = (shown(tree, form) for tree in trees)
    assert first == second
    for needle in ("150", "é", "true"):
        found = [[path for path, one in tree.walk() if matches(path, one, needle)] for tree in trees]
        assert found[0] == found[1]
    trees[1].fold(("output", "list"))
    assert trees[1].row_count < len(second)


@QUICK
@given(texts, st.integers(1, 40), st.booleans())
def test_a_long_text_begins_as_it_does(piece: str, characters: int, ascii_only: bool) -> None:
    text = "a" + piece * SMALL
    if "\ud800" in text and not ascii_only:
        return  # UTF-8 has none of these
    large = read(text, ensure_ascii=ascii_only)
    assert isinstance(large, JsonText)
    assert large.beginning(characters) == text[:characters]
    assert len(large) == len(text)


def test_what_is_known_is_kept_once_also_in_others() -> None:
    given, other = {"rows": ROWS[:2000]}, ["x" * SMALL] * 3
    first = read(given)
    around = read({"a": given, **{f"s{number}": None for number in range(1000)}, "b": given, "c": other}, [first])
    assert around["a"] is first
    assert around["b"] is first
    assert around.decode()["b"] == given
    assert around.decode()["c"] == other
    assert read(given, [first]) is first
    assert len(around._source.data) < len(json.dumps(other)) + 1000 * 20
    again = read({"a": given, **{f"s{number}": None for number in range(1000)}, "b": given, "c": other}, [first])
    assert again == around
    assert again != first
    assert read([given, 1], [first]) != read([given, 2], [first])
    assert read("x" * SMALL, [read("x" * SMALL)]) == read("x" * SMALL)


def test_what_looks_like_what_is_known_and_is_within_a_text_stays_text() -> None:
    known = read([[1]] * SMALL)
    around = ["a" + json.dumps([[1]] * SMALL), 1]
    assert read(around, [known]).decode() == around


@pytest.mark.parametrize("levels", [150, 1000])
@pytest.mark.parametrize("inside", ["1", json.dumps(ROWS[:2000])], ids=["small", "large"])
@pytest.mark.parametrize(("begin", "end"), ["[]", ('{"a":', "}")], ids=["lists", "objects"])
def test_it_may_be_nested_deeper_than_can_be_decoded(begin: str, end: str, inside: str, levels: int) -> None:
    text = begin * levels + inside + end * levels
    tree = JsonTree({"input": read_json(text.encode())})
    lines = shown(tree)
    assert 2 <= len(lines) <= 201
    key = "a" if begin != "[" else 0
    tree.unfold(("input", *[key] * (levels - 1)))
    assert tree.row_count >= levels
    assert shown(tree)[1].lstrip().startswith("▾")
    for form in ("json", "yaml"):
        copied = as_text(tree.at(("input",)), form)
        assert copied.count("customer 1999") == text.count("customer 1999")


def test_a_key_is_found_however_it_is_written_and_wherever_else_it_stands() -> None:
    inside = {"wanted": 0, "é": 0, 'q"': 0}
    whole = {**{f"k{number}": inside for number in range(5000)}, "é": 1, "wanted": 2, 'q"': 3}
    for ascii_only in (True, False):
        large = read(whole, ensure_ascii=ascii_only)
        assert [large["é"], large["wanted"], large['q"']] == [1, 2, 3]
        for missing in ("nope", "id", 3):
            with pytest.raises(KeyError):
                large[missing]
    rows = read(ROWS[:1000])
    for missing in (1000, -1, "0"):
        with pytest.raises((KeyError, IndexError)):
            rows[missing]


def test_keys_that_stand_there_twice_break_nothing() -> None:
    text = "{" + ",".join(f'"twice":{{"n":{number}}}' for number in range(5000)) + "}"
    tree = JsonTree({"output": read_json(text.encode())})
    tree.unfold(("output", "twice"))
    assert tree.row_count == 5000 + 1 + 1
    assert read_json(b'{"twice": 1, "twice": 2}') == {"twice": 2}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1,",
        '{"a"}',
        '"x',
        "[1, tru]",
        "[1]]",
        pytest.param("[" + "1," * SMALL, id="a list that does not end"),
        pytest.param("[" + "1," * SMALL + "1]]", id="a list that ends twice"),
        pytest.param('["' + "x" * SMALL, id="a text that does not end"),
        pytest.param('{"a":' + "[" * SMALL, id="deep"),
        pytest.param('{"a"' + " " * SMALL + "}", id="a key alone"),
    ],
)
def test_what_is_no_json_is_shown_as_it_stands_there(text: str) -> None:
    value = read_json(text.encode())
    assert value == text
    assert shown(JsonTree({"output": value}))


def test_a_broken_part_is_shown_as_it_stands_there() -> None:
    large = read_json(b"[" + b"1," * SMALL + b"tru,\xff,NaN]")
    assert isinstance(large, JsonText)
    assert large.at(SMALL) == (SMALL, "tru")
    assert large.at(SMALL + 1) == (SMALL + 1, "\ufffd")
    assert shown(JsonTree({"output": large}))


@pytest.mark.parametrize(
    "value",
    [
        {"rows": ROWS},
        list(range(1_200_000)),
        {f"k{number}": number for number in range(600_000)},
        [[[[[[[[number]]]]]]] for number in range(400_000)],
    ],
    ids=["rows", "numbers", "keys", "nested"],
)
def test_ten_megabytes_take_little_more_than_their_text(value: Any) -> None:
    text = jsontext.encode(value).encode()
    assert len(text) > 8_000_000
    last = list(value.values())[-1] if isinstance(value, dict) else value[-1]
    del value
    tracemalloc.start()
    try:
        tree = JsonTree({"output": read_json(text)})
        tree.unfold(("output",))
        if "rows" in tree.row_at(1).path:
            tree.unfold(("output", "rows"))
        assert tree.row_at(tree.row_count - 1).value in (last, ROWS[-1])
        for row in range(0, tree.row_count, tree.row_count // 50):
            tree.row_at(row)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000


def test_what_is_known_stands_in_small_things_too_as_it_is() -> None:
    known = read(["x" * 10] * 5000)
    assert isinstance(known, JsonText)
    value = {"request": {"rows": ["x" * 10] * 5000}, "more": [[["x" * 10] * 5000], 0]}
    told = read(value, [known])
    assert told["request"]["rows"] is known
    assert told["more"][0][0] is known
    assert told["more"][1] == 0
    assert json.loads(told["request"].written()) == value["request"]
