"""Loading: YAML 1.2 with positions, and every mistake as a diagnostic."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepflow.dsl.load import MAX_BYTES, MAX_NESTING, load
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


def test_positions_are_of_the_values_themselves() -> None:
    document = load("name: x\nsteps:\n  - id: a\n    input: {deep: [1, two]}\n", "yaml")
    assert document.position(("name",)) == (1, 7)
    assert document.position(("steps", 0, "input", "deep", 1)) == (4, 23)
    assert document.position(("steps", 0, "input", "nowhere")) == (4, 5)


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
