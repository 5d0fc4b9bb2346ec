"""Loading: YAML 1.2 with positions, and every mistake as a diagnostic."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepflow.dsl.bounds import MAX_NESTING
from stepflow.dsl.load import MAX_BYTES, load
from stepflow.dsl.places import Format

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def value(text: str) -> object:
    document = load(f"x: {text}\n", "yaml")
    assert not document.diagnostics, document.diagnostics
    return document.data["x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("0777", 777),
        ("0o17", 15),
        ("0x1F", 31),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        ("-2.5", -2.5),
        ("true", True),
        ("True", True),
        ("null", None),
        ("~", None),
        ("", None),
        ('"12"', "12"),
        ("'on'", "on"),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_scalars_are_those_of_the_core_schema(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: b: c", "E002", 1, 5),
        ("a: 1\nb:\n\t- 1", "E002", 3, 1),
        ("a: 'x", "E002", 1, 6),
        ("a: 1\na: 2", "E009", 2, 1),
        ("a: !!int 3", "E011", 1, 4),
        ("a: !x 3", "E011", 1, 4),
        ("a: *nobody", "E007", 1, 4),
        ("a: &x [*x]", "E007", 1, 8),
        ("a: 1\n---\nb: 2", "E004", 2, 1),
        ("a: .nan", "E010", 1, 4),
        ("a: -.inf", "E010", 1, 4),
        ("a: 1e999", "E010", 1, 4),
        ("a: &d {x: 1}\nb:\n  <<: *d", "E008", 3, 3),
        ("? [1]\n: 2", "E006", 1, 3),
    ],
)
def test_a_mistake_has_its_place_and_a_way_out(text: str, code: str, line: int, column: int) -> None:
    (found,) = load(text, "yaml").diagnostics
    assert (found.code, found.line, found.column) == (code, line, column)
    assert found.hint or code == "E006"


def test_reading_goes_on_behind_a_mistake() -> None:
    text = "a: 1\na: 2\nb: [!x 3, .nan]\nc:\n  <<: {a: 1}\n  a: {d: 1, d: {e: 1, e: 2}}\n---\nnever: 1\n"
    document = load(text, "yaml")
    assert [(one.code, one.line, one.path) for one in document.diagnostics] == [
        ("E009", 2, "a"),
        ("E011", 3, "b[0]"),
        ("E010", 3, "b[1]"),
        ("E008", 5, "c"),
        ("E009", 6, "c.a.d"),
        ("E009", 6, "c.a.d.e"),
        ("E004", 7, ""),
    ]
    assert document.data is None
    assert document.salvaged == {"a": 1, "b": [3, ".nan"], "c": {"a": {"d": 1}}}


def test_each_duplicate_names_the_line_of_the_first() -> None:
    found = load("a: 1\nb: 1\na: 2\nb: 2\na: 3", "yaml").diagnostics
    assert [one.hint[:29] for one in found] == [f"it stands already in line {n}; r"[:29] for n in (1, 2, 1)]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("when: !$.input.y", "put the expression into quotes"),
        ("when: !exists($.input.y)", "put the expression into quotes"),
        ("when: !x 1", "leave the tag out"),
        ("a: {q: ${{ $.input.x }}}", "inside { } and [ ] a text with ${{ … }} or with brackets stands in quotes"),
        ("a: [$.input.l[0]]", "inside { } and [ ] a text with ${{ … }} or with brackets stands in quotes"),
        ("a: [1, 2\nb: 1", "expected a comma or the closing bracket there, or quotes around a text"),
        ("a: `x`", "put the text into quotes; only letters, digits and some signs begin one without"),
    ],
)
def test_a_text_that_yaml_reads_otherwise_is_to_be_quoted(text: str, hint: str) -> None:
    (found,) = load(text, "yaml").diagnostics
    assert found.hint == hint


@pytest.mark.parametrize("before", ["", "\ufeff"])
def test_a_character_that_yaml_cannot_hold_has_its_place(before: str) -> None:
    (found,) = load(f"{before}ä: 1\nb: ü\x07", "yaml").diagnostics
    assert (found.code, found.line, found.column) == ("E002", 2, 5)
    assert found.message == "The character U+0007 cannot stand in YAML"
    assert load('b: "ü\\U00000007"').data == {"b": "ü\x07"}


@pytest.mark.parametrize("source_format", [None, "json"])
@pytest.mark.parametrize("number", ["NaN", "-Infinity", pytest.param("1" * 5000, id="long")])
def test_what_is_no_number_of_json_is_refused_where_it_stands(number: str, source_format: Format | None) -> None:
    (found,) = load(f'{{"a": "NaN",\n "b": [1, {number}]}}', source_format).diagnostics
    assert (found.code, found.line, found.column) == ("E010", 2, 11)


def test_json_that_is_nested_too_deeply_is_refused_where_it_is() -> None:
    (found,) = load('{"a":\n' + "[" * 100_000 + "]" * 100_000 + "}", "json").diagnostics
    assert (found.code, found.line, found.column) == ("E003", 2, MAX_NESTING)


def test_another_version_of_yaml_is_said_to_be_read_as_ours() -> None:
    document = load("%YAML 1.1\n---\na: yes\n")
    assert (document.data, document.diagnostics) == ({"a": "yes"}, [])
    assert [(one.code, one.line) for one in document.warnings] == [("W012", 1)]
    assert load("%YAML 1.2\n---\na: yes\n").warnings == []


def test_a_tab_as_indent_is_called_one() -> None:
    (found,) = load("steps:\n\t- id: a\n").diagnostics
    assert (found.line, found.hint) == (2, "indent with spaces; YAML does not allow tabs")


def test_positions_are_of_the_values_themselves() -> None:
    document = load("name: x\nsteps:\n  - id: a\n    input: {deep: [1, two]}\n", "yaml")
    assert document.position(("name",)) == (1, 7)
    assert document.position(("steps", 0, "input", "deep", 1)) == (4, 23)
    assert document.position(("steps", 0, "input", "nowhere")) == (4, 5)
    assert document.position(("name",), of_key=True) == (1, 1)
    assert document.position(("steps", 0, "input", "nowhere"), of_key=True) == (4, 5)


def test_an_alias_bomb_is_an_error_and_not_a_hang() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (found,) = load("\n".join(lines), "yaml").diagnostics
    assert found.code == "E005"


def test_nesting_is_capped() -> None:
    (found,) = load("x: " + "[" * (MAX_NESTING + 1) + "]" * (MAX_NESTING + 1), "yaml").diagnostics
    assert found.code == "E003"
    assert load("[" * 100_000, "yaml").diagnostics[0].code == "E003"
    assert load("[" * 100_000, "json").diagnostics[0].code in ("E002", "E003")


def test_size_is_capped() -> None:
    (found,) = load("x: " + "y" * MAX_BYTES).diagnostics
    assert found.code == "E001"


def test_json_with_tabs_is_json() -> None:
    document = load('{\n\t"a": [1,\t2],\n\t"b": "x\\ty"\n}', "json")
    assert document.data == {"a": [1, 2], "b": "x\ty"}
    assert document.position(("b",)) == (3, 7)


def test_a_mistake_in_json_has_its_place() -> None:
    (found,) = load('{"a": 1,\n "b" 2}', "json").diagnostics
    assert (found.line, found.column) == (2, 6)


@given(JSON)
def test_json_means_what_json_means(data: object) -> None:
    document = load(json.dumps({"x": data}), "json")
    assert not document.diagnostics
    assert document.data == {"x": data}


def is_data_or_a_mistake(text: str, source_format: Format | None) -> bool:
    document = load(text, source_format)
    return document.data is None or not document.diagnostics


@given(st.text(max_size=200))
def test_no_text_makes_it_raise(text: str) -> None:
    formats: tuple[Format | None, ...] = (None, "yaml", "json")
    assert all(is_data_or_a_mistake(text, source_format) for source_format in formats)


@given(st.text(alphabet="ab:-[]{}&*#!|>'\"%@,? \n\t0.~", max_size=80))
def test_no_heap_of_punctuation_makes_it_raise(text: str) -> None:
    assert is_data_or_a_mistake(text, "yaml")
