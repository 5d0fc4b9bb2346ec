"""Templates as text: coloured lines, forms made from schemas, simulations drawn, files that are told of."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepflow.client import Client
from stepflow.client.workspace import Components, Gone, Mended, Problem, Round, Saved, Unchanged
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.model.flow import Step
from stepflow.model.statuses import RunStatus
from stepflow.model.template import Template
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.editor import EditorError, editor_command
from stepflow_tui.presentation.form import begin_with, fields_of, problem_with, value_of, whole
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.simulation import SOURCES, Picture
from stepflow_tui.presentation.source import coloured, source_gutter, worst
from stepflow_tui.presentation.spans import Line, cells, fit_line, safe
from stepflow_tui.presentation.templates import Entry, entry_row, problem_lines
from stepflow_tui.presentation.versions import diff_line, diff_of, first_differences
from stepflow_tui.watching import SavedFile, WatchedFiles, note_of
from tests.support.engine import save
from tests.support.flows import echo, flow
from tests.tui.records import NOW

UNICODE, ASCII = Glyphs(), Glyphs(ascii_only=True)


def text(line: Line) -> str:
    return "".join(span for span, _ in line)


# Source


@given(st.text(max_size=80))
def test_a_coloured_line_is_its_text_and_nothing_else(words: str) -> None:
    assert text(coloured(words)) == safe(words.removesuffix("\r").expandtabs(4))


@pytest.mark.parametrize(
    ("line", "part", "style"),
    [
        ("  - id: fetch # the first", "id", "active"),
        ("  - id: fetch # the first", "# the first", "dim"),
        ("url: 'https://x#y'", "'https://x#y'", "good"),
        ("input: {n: 30s, on: true}", "30s", "late"),
        ("input: ${{ steps.a.b }}", "${{ steps.a.b }}", "wait"),
        ('{"name": "x"}', '"name"', "active"),
    ],
)
def test_keys_texts_comments_and_expressions_are_told_apart(line: str, part: str, style: str) -> None:
    assert (part, style) in coloured(line)


def test_the_worst_problem_of_a_line_marks_it() -> None:
    problems = [
        Diagnostic("I1", "info", "i", line=2),
        Diagnostic("E1", "error", "e", line=2),
        Diagnostic("E2", "error", "e"),
    ]
    assert worst(problems) == {2: "error"}
    assert text(source_gutter(2, 3, "error", UNICODE)) == "  2✗│ "
    assert text(source_gutter(2, 3, "error", ASCII)).isascii()


def test_lines_end_where_editors_end_them() -> None:
    assert diff_of("a\nb\x0bc\n", "a\nb\x0bd\n")[1:] == [" a", "-b\x0bc", "+b\x0bd"]
    assert diff_of("a\n", "a\n") == []


def test_of_long_lines_that_differ_the_first_difference_is_seen() -> None:
    long = "  prompt: " + "word " * 40
    lines = diff_of(f"a\n{long}one\n{long}same\n", f"a\n{long}two\n{long}same\nnew\n")
    at = first_differences(lines)
    for row, line in enumerate(lines):
        if row in at:
            shown = "".join(piece for piece, _ in fit_line(diff_line(line, 60, at[row]), 60))
            assert shown[:2] == f"{line[0]}…"
            assert ("one" if line[0] == "-" else "two") in shown
    assert len(at) == 2, "the line that is new differs from none"
    assert diff_line("-short", 60, 3) == diff_line("-short")


@pytest.mark.parametrize("width", [24, 38, 52, 400])
def test_a_problem_is_written_to_its_end_in_as_many_lines_as_it_takes(width: int) -> None:
    message, hint = "Nothing limits how long a request may take 漢字 or how often it is made", "add `timeout:` to it"
    lines = problem_lines(Diagnostic("W210", "warning", message, line=14, column=5, hint=hint), width, UNICODE)
    assert all(cells(line) <= width for line in lines)
    assert "14:5" in text(lines[0])
    said = " ".join(" ".join(text(line).split()) for line in lines)
    assert message in said
    assert said.endswith(hint)
    assert (len(lines) == 1) == (width == 400)


# The list


@pytest.mark.parametrize("width", [12, 24, 40, 80])
def test_a_row_of_the_list_says_the_most_important_first(width: int) -> None:
    made = Template("order-flow-of-the-north", "", 12, NOW, NOW, "/x/order.yaml")
    entry = Entry(made.name, made, made.file)
    runs = [RunStatus.FAILED, *[RunStatus.COMPLETED] * 5]
    saved = SavedFile(NOW - timedelta(seconds=2), 31)
    line = fit_line(entry_row(entry, runs, [], saved, width, NOW, UNICODE), width)
    assert text(line).startswith("✓✓✓✓✓✗ " if width >= 30 else "✗ ")
    if width >= 40:
        assert text(line).rstrip().endswith("saved 2s ago v12")
    broken = text(entry_row(msgspec.structs.replace(entry, is_broken=True), runs, [], saved, 80, NOW, ASCII))
    assert "x not saved" in broken
    assert broken.isascii()
    gone = msgspec.structs.replace(made, file_gone=True)
    assert "file gone" in text(entry_row(Entry(made.name, gone, made.file), runs, [], saved, 80, NOW, UNICODE))


# The form

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["n"],
    "$defs": {"name": {"type": "string", "minLength": 2}},
    "properties": {
        "n": {"type": "integer"},
        "share": {"type": ["number", "null"]},
        "on": {"type": "boolean"},
        "size": {"enum": ["s", 10, None]},
        "same": {"enum": ["1", 1]},
        "who": {"$ref": "#/$defs/name"},
        "any": True,
    },
}


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("n", "12", 12),
        ("n", " ", msgspec.UNSET),
        ("n", "1.5", ValueError),
        ("share", "1.5", 1.5),
        ("share", "true", ValueError),
        ("share", "NaN1", ValueError),
        ("on", "yes", True),
        ("on", "no", False),
        ("on", "", msgspec.UNSET),
        ("size", "10", 10),
        ("size", "null", None),
        ("who", '"ada"', "ada"),
        ("same", "1", 1),
        ("any", "[1", ValueError),
        ("any", "{}", {}),
    ],
)
def test_what_is_typed_becomes_a_value_or_is_refused(name: str, typed: str, value: Any) -> None:
    field = next(one for one in fields_of(SCHEMA) or () if one.name == name)
    if value is ValueError:
        assert problem_with(field, typed)
        with pytest.raises(ValueError, match="not "):
            value_of(field, typed)
    else:
        assert value_of(field, typed) == value
        assert type(value_of(field, typed)) is type(value)


def test_a_field_is_judged_by_its_own_schema_and_by_what_the_schema_shares() -> None:
    fields = {one.name: one for one in fields_of(SCHEMA) or ()}
    assert problem_with(fields["n"], "") == "is required"
    assert problem_with(fields["share"], "") == ""
    assert "shorter than 2" in problem_with(fields["who"], '"a"')
    assert problem_with(fields["who"], '"ada"') == ""


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "n": st.integers() | st.text(max_size=5),
            "share": st.floats(allow_nan=False, allow_infinity=False) | st.none(),
            "on": st.booleans(),
            "size": st.sampled_from(["s", 10, None]),
            "same": st.sampled_from(["1", 1]),
            "who": st.text(max_size=5),
            "any": st.lists(st.integers(), max_size=3),
            "other": st.integers(),
        },
    )
)
def test_an_input_goes_through_the_form_unchanged(value: dict[str, Any]) -> None:
    begun = [begin_with(field, value) for field in fields_of(SCHEMA) or ()]
    assert whole([field for field, _ in begun], [typed for _, typed in begun], value) == value


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        [],
        {"type": "array"},
        {"type": "object"},
        {"properties": {}},
        {"properties": {f"p{number}": {} for number in range(99)}},
    ],
)
def test_what_is_no_object_with_named_parts_has_no_form(schema: Any) -> None:
    assert fields_of(schema) is None


# Simulations


async def test_a_simulation_is_drawn_with_the_way_that_the_end_waits_for(storage: SQLiteStorage) -> None:
    slow = {"output": 1, "duration": "2s"}
    shape = flow(
        Step(key="a", component="/builtin/echo", input=1, simulate=slow),
        Step(key="b", component="/builtin/echo", input=1, simulate={"output": 1, "duration": "1s"}),
        echo("c", 1, depends_on=("a", "b")),
        Step(key="no", component="/builtin/echo", input=1, skip_if=True),
    )
    save(storage, shape)
    async with Client(storage.url) as client:
        made = await client.simulate("flow")
    made = msgspec.structs.replace(
        made, predicted=msgspec.structs.replace(made.predicted, slow_ms={"a": 3000, "b": 1000}, executions=4)
    )
    picture = Picture(made, UNICODE)
    lines = [text(picture.line(row, 120)) for row in range(picture.line_count)]
    assert "would be completed" in lines[0]
    assert "0s" in lines[1]
    solid, hatched = (lines[2].count(sign) for sign in "█▒")
    assert abs(solid - 2 * hatched) <= 2
    assert lines[2].startswith("✓ ★a ")
    assert lines[3].startswith("✓  b ")
    assert lines[4].startswith("✓ ★c ")
    assert "2.0s-3.0s" in lines[2]
    assert lines[5].startswith("↷  no ")
    for width in (10, 20, 40, 80, 200):
        for row in range(picture.line_count):
            plain = text(Picture(made, ASCII).line(row, width))
            assert plain.isascii()


@pytest.mark.parametrize("source", SOURCES)
async def test_where_an_output_comes_from_is_not_cut_beside_a_text(storage: SQLiteStorage, source: str) -> None:
    slow = {"output": 1, "duration": "61s"}
    save(storage, flow(Step(key="transform", component="/builtin/echo", input=1, simulate=slow), echo("b", 1)))
    async with Client(storage.url) as client:
        made = await client.simulate("flow")
    made.steps[0].source = source
    for width in (46, 58, 80):
        line = fit_line(Picture(made, UNICODE).line(2, width), width)
        if source == "computed":
            assert SOURCES[source] not in text(line)
        else:
            assert SOURCES[source] in text(line)
        assert "█" in text(line), "beside its bar"


@pytest.mark.parametrize("width", [58, 80, 118])
async def test_a_simulation_says_once_what_reads_alike_and_draws_short_steps_in_eighths(
    storage: SQLiteStorage, width: int
) -> None:
    def told_ms(key: str, ms: int, *after: str) -> Step:
        simulate = {"output": 1, "duration": f"{ms}ms"}
        return Step(key=key, component="/builtin/echo", input=1, simulate=simulate, depends_on=after)

    save(storage, flow(told_ms("a", 100), told_ms("b", 9900, "a"), told_ms("c", 50, "b"), echo("d", 1)))
    async with Client(storage.url) as client:
        made = await client.simulate("flow")
    predicted = msgspec.structs.replace(
        made.predicted, slow_ms={"a": 101, "b": 9900}, executions=4, median_ms=10_050, p95_ms=10_051
    )
    picture = Picture(msgspec.structs.replace(made, predicted=predicted), UNICODE)
    lines = [text(picture.line(row, width)) for row in range(6)]
    assert lines[0].startswith("✓ would be completed  10s  from 4 executions")
    assert all(cells(picture.line(row, width)) <= width for row in range(6))
    for row, took in ((2, "0.1s"), (3, "9.9s"), (4, "50ms")):
        assert lines[row].split()[2:3] == [took]
    assert sum(sign in "▏▎▍▌▋▊▉" for sign in lines[4]) == 1
    assert lines[5].endswith("computed")
    assert lines[1].split()[0] == "0s"
    assert len(lines[1].split()) >= (2 if width == 58 else 4)


# Files that are told of


def told(*outcomes: Any, is_first: bool = False) -> Round:
    return Round(outcomes, 31.4, 1, is_first)


def test_what_is_told_of_files_is_said_in_one_line_the_worst_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = WatchedFiles()
    first = told(Saved("a.yaml", "a", 1, "version"), Components((), (), True), is_first=True)
    assert note_of(files.take(first, NOW)) is None
    wrong = Diagnostic("E102", "error", "No such step", line=3, column=4)
    both = told(Saved("a.yaml", "a", 2, "version"), Problem("b.yaml", (wrong,)))
    assert note_of(files.take(both, NOW)) == ("b.yaml:3:4 not saved: No such step · and 1 more", "bad")
    assert files.problem_of(str(tmp_path / "b.yaml")) == (wrong,)
    risky = Diagnostic("W1", "warning", "Risky", line=1, column=1)
    assert note_of(files.take(told(Problem("d.yaml", (risky, wrong))), NOW)) == (
        "d.yaml:3:4 not saved: No such step",
        "bad",
    )
    nowhere = Problem("c.yaml", (Diagnostic("E181", "error", "It is not UTF-8 text"),))
    assert note_of(files.take(told(nowhere), NOW)) == ("c.yaml not saved: It is not UTF-8 text", "bad")
    assert files.saved["a"] == SavedFile(NOW, 31.4)
    note = note_of(files.take(told(Gone("a.yaml", "a")), NOW))
    assert note == ("a.yaml is gone; template 'a' stays", "late")
    assert note_of(files.take(told(Mended("b.yaml", gone=True)), NOW)) == ("b.yaml is gone", "late")
    assert not files.problem_of(str(tmp_path / "b.yaml"))
    both = told(Mended("a.yaml", gone=True), Gone("a.yaml", "a"))
    assert note_of(files.take(both, NOW)) == ("a.yaml is gone; template 'a' stays", "late")
    assert note_of(files.take(told(Unchanged("c.yaml", "c", 4)), NOW)) is None
    assert "c" in files.saved


# The editor


@pytest.mark.parametrize(
    ("editor", "command"),
    [
        ("vim", ["vim", "+7", "x.yaml"]),
        ("/usr/bin/nano -w", ["/usr/bin/nano", "-w", "+7", "x.yaml"]),
        ("code --wait", ["code", "--wait", "-g", "x.yaml:7"]),
        ("hx", ["hx", "x.yaml:7"]),
        ("'my editor'", ["my editor", "x.yaml"]),
    ],
)
def test_an_editor_is_told_of_the_line_as_it_understands_it(
    editor: str, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor)
    assert editor_command("x.yaml", 7) == command
    monkeypatch.setenv("VISUAL", "micro")
    assert editor_command("x.yaml", 7)[0] == "micro"


def test_without_an_editor_it_is_said_how_to_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", " ")
    with pytest.raises(EditorError, match="EDITOR=vim"):
        editor_command("x.yaml", 7)
