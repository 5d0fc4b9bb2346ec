"""The graph's layout: no edge crosses a box, every edge has a way, and the same graph is always drawn the same."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from stepflow.model.run import StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.critical import critical_path
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.graph import (
    ASCII,
    BOX_HEIGHT,
    EAST,
    LIGHT,
    MOST_INDENT,
    NORTH,
    SOUTH,
    WEST,
    Branch,
    Layout,
    branches,
    depths,
    draw_edges,
    layout,
)
from stepflow_tui.presentation.nodes import box_line, box_width, branch_line, without_cells
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.timeline import Told
from stepflow_tui.presentation.timeline_folding import rows_of
from stepflow_tui.presentation.timeline_items import Item, Items
from stepflow_tui.presentation.timeline_prediction import Expected, Usual
from tests.tui.records import NOW, ago, step

UNICODE, ASCII_ONLY = Glyphs(), Glyphs(ascii_only=True)


class Node(msgspec.Struct, frozen=True):
    key: str
    depends_on: tuple[str, ...] = ()


def graph(**steps: str) -> list[Node]:
    return [Node(key, tuple(depends_on.split())) for key, depends_on in steps.items()]


TRAIN = graph(
    fetch="",
    clean="fetch",
    check="clean",
    features="clean",
    train="features",
    evaluate="train check",
    publish="evaluate",
)


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    """Of up to 14 steps, in any order, each depending on any before it."""
    count = draw(st.integers(0, 14))
    nodes = []
    for number in range(count):
        before = draw(st.sets(st.integers(0, number - 1), max_size=5)) if number else set()
        nodes.append(Node(f"s{number}", tuple(f"s{one}" for one in sorted(before))))
    return draw(st.permutations(nodes))


def laid(nodes: list[Node]) -> Layout:
    return layout(nodes, {node.key: 6 + len(node.key) for node in nodes})


def drawn(nodes: list[Node], critical: tuple[str, ...] = (), *, ascii_only: bool = False) -> str:
    """Boxes as blocks, which is enough to see the lines."""
    shape = laid(nodes)
    rows = [[" "] * shape.width for _ in range(shape.height)]
    for y, row in enumerate(draw_edges(shape, set(pairwise(critical)), ascii_only=ascii_only).rows):
        for x, (character, _) in row.items():
            rows[y][x] = character
    for key, box in shape.boxes.items():
        for y in range(box.y, box.y + BOX_HEIGHT):
            rows[y][box.x : box.x + box.width] = (key if y == box.y + 1 else "").center(box.width, "#")
    return "\n".join("".join(row).rstrip() for row in rows)


@given(graphs())
def test_every_edge_has_a_way_that_crosses_no_box(nodes: list[Node]) -> None:
    shape = laid(nodes)
    assert {(edge.source, edge.target) for edge in shape.edges} == {
        (key, node.key) for node in nodes for key in node.depends_on
    }
    for edge in shape.edges:
        source, target = shape.boxes[edge.source], shape.boxes[edge.target]
        assert edge.cells[0][0] == source.x + source.width
        assert source.y < edge.cells[0][1] < source.y + BOX_HEIGHT - 1
        assert edge.cells[-1] == (target.x - 1, target.y + 1)
        assert all(abs(x - a) + abs(y - b) == 1 for (x, y), (a, b) in pairwise(edge.cells))
        assert not any(box.holds(cell) for cell in edge.cells for box in shape.boxes.values())
        assert all(0 <= x < shape.width and 0 <= y < shape.height for x, y in edge.cells)


@given(graphs())
def test_boxes_stand_apart_and_after_what_they_depend_on(nodes: list[Node]) -> None:
    shape = laid(nodes)
    boxes = list(shape.boxes.values())
    for place, one in enumerate(boxes):
        assert one.x + one.width <= shape.width
        assert one.y + BOX_HEIGHT <= shape.height
        for other in boxes[place + 1 :]:
            beside = one.x + one.width <= other.x or other.x + other.width <= one.x
            assert beside or one.y + BOX_HEIGHT <= other.y or other.y + BOX_HEIGHT <= one.y
    for node in nodes:
        for key in node.depends_on:
            assert shape.boxes[key].x + shape.boxes[key].width < shape.boxes[node.key].x


@given(graphs())
def test_a_line_leads_only_where_an_edge_does(nodes: list[Node]) -> None:
    """Followed to the right and along its column from a box, it comes to no box that does not depend on that one."""
    shape = laid(nodes)
    for node in nodes:
        own = {cell for edge in shape.edges if edge.source == node.key for cell in edge.cells}
        for edge in shape.edges:
            if edge.source == node.key:
                continue
            # Edges of different steps run together only on their way into the same step.
            targets = {one.target for one in shape.edges if one.source == node.key}
            for before, after in pairwise(edge.cells):
                if before in own and after in own and _are_joined(shape, node.key, before, after):
                    assert edge.target in targets


def _are_joined(shape: Layout, source: str, before: tuple[int, int], after: tuple[int, int]) -> bool:
    return any((before, after) in set(pairwise(edge.cells)) for edge in shape.edges if edge.source == source)


@given(graphs())
def test_the_same_graph_is_drawn_the_same(nodes: list[Node]) -> None:
    assert drawn(nodes) == drawn(list(nodes))
    assert drawn(nodes, ascii_only=True).isascii()


def test_a_graph_as_it_is_drawn() -> None:
    assert drawn(TRAIN, ("fetch", "clean", "features", "train")).splitlines() == [
        "###########   ###########    ##############                  ##############   #############",
        "###fetch###━━▶###clean###━┳─▶####check#####───────────────┬─▶###evaluate###──▶###publish###",
        "###########   ########### ┃  ##############               │  ##############   #############",
        "###########   ########### ┃  ##############               │  ##############   #############",
        "                          ┃  ##############   ########### │",
        "                          ┗━▶###features###━━▶###train###─┘",
        "                             ##############   ###########",
        "                             ##############   ###########",
    ]


def test_a_step_that_two_wait_for_crossing_is_not_taken_for_another() -> None:
    """`c` waits for `b` and `d` for `a`: one of the lines comes out on the other row of its box."""
    shape = laid(graph(a="", b="", c="a b", d="a b", e="c", f="d c"))
    assert all(edge.cells for edge in shape.edges)


@pytest.mark.parametrize("signs", [LIGHT, ASCII])
def test_every_turn_has_a_sign(signs: str) -> None:
    assert len(signs) == 16
    assert signs[EAST | WEST] in "─-"
    assert signs[NORTH | SOUTH] in "│|"


@given(graphs())
def test_the_indented_form_has_every_step_once_under_one_it_depends_on(nodes: list[Node]) -> None:
    lines = branches(nodes, (), ascii_only=False)
    assert sorted(line.key for line in lines) == sorted(node.key for node in nodes)
    by_key = {node.key: node for node in nodes}
    for line in lines:
        assert set(line.also) <= set(by_key[line.key].depends_on)
        assert len(line.also) == max(0, len(by_key[line.key].depends_on) - 1)
        assert len(line.prefix) <= MOST_INDENT + 1


def test_the_indented_form_as_it_is_drawn() -> None:
    lines = branches(TRAIN, ("fetch", "clean", "features", "train"), ascii_only=False)
    assert [f"{line.prefix}{line.key} {' '.join(line.also)}".rstrip() for line in lines] == [
        "fetch",
        "┗clean",
        " ├check",
        " ┗features",
        "  ┗train",
        "   └evaluate check",
        "    └publish",
    ]


def test_a_chain_of_ten_thousand_is_laid_out_in_lines_that_stay_short() -> None:
    nodes = [Node("s0"), *(Node(f"s{n}", (f"s{n - 1}",)) for n in range(1, 10_000))]
    lines = branches(nodes, [node.key for node in nodes], ascii_only=False)
    assert len(lines) == 10_000
    assert max(len(line.prefix) for line in lines) <= MOST_INDENT + 1
    assert depths(nodes)["s9999"] == 9999


@pytest.mark.parametrize("glyphs", [Glyphs(), Glyphs(ascii_only=True)])
@pytest.mark.parametrize(
    "key", ["a", "a-name-that-is-much-longer-than-a-box", "日本語の長い名前のステップです", "x\x1b[2J"]
)
def test_a_box_has_its_width_whatever_stands_in_it(key: str, glyphs: Glyphs) -> None:
    for status in StepStatus:
        record = step(key, status, error={"message": "no"}, attempt=3)
        for line in range(BOX_HEIGHT):
            told = Told(is_critical=True)
            spans = box_line(rows_of([record])[0], line, box_width(key), NOW, glyphs, told, is_selected=True)
            text = "".join(text for text, _ in spans)
            assert cell_len(text) == box_width(key)
            assert "\x1b" not in text


@given(st.lists(st.text(max_size=6), max_size=4), st.integers(0, 12))
def test_what_is_left_of_a_line_has_the_cells_that_are_left(texts: list[str], cells: int) -> None:
    line: Line = [(text, "") for text in texts if cell_len(text) == len(text) or text.isprintable()]
    whole = sum(cell_len(text) for text, _ in line)
    assert sum(cell_len(text) for text, _ in without_cells(line, cells)) == max(0, whole - cells)


# What is known beside a step


def text(line: Line) -> str:
    return "".join(part for part, _ in line)


def box(record: StepRecord, told: Told, *before: StepRecord, glyphs: Glyphs = UNICODE) -> list[str]:
    """What stands in it."""
    (row,) = rows_of([*before, record])
    width = box_width(record.key, told.items)
    lines = [text(box_line(row, line, width, NOW, glyphs, told, is_selected=False)) for line in (1, 2)]
    assert {cell_len(line) for line in lines} == {width}
    return [line[1:-1].rstrip() for line in lines]


def branch(record: StepRecord, told: Told, glyphs: Glyphs = UNICODE) -> str:
    (row,) = rows_of([record])
    return text(branch_line(Branch(record.key, "", ()), row, 14, NOW, glyphs, told, progress=22)).rstrip()


def shards(failed: int, done: int, running: int, total: int) -> Items:
    statuses = [RunStatus.FAILED] * failed + [RunStatus.COMPLETED] * done + [RunStatus.RUNNING] * running
    return Items([Item(f"exec_{n}", n, status, ago(60), None) for n, status in enumerate(statuses)], total)


TRAINING = step("train", StepStatus.RUNNING, started_at=ago(100))
LEFT = Told(expected=Expected(ago(100), NOW + timedelta(seconds=44), Usual(144, 150, 5)))


def test_a_running_step_says_how_far_it_is_and_what_it_still_takes() -> None:
    assert box(TRAINING, LEFT) == ["▶ train  69%", "  1m40 ~44s"]
    assert box(TRAINING, LEFT, glyphs=ASCII_ONLY)[1] == "  1m40 ~44s"
    named = msgspec.structs.replace(TRAINING, key="train-the-model")
    assert box(named, LEFT) == ["▶ train-the-model", "  1m40 ~44s 69%"]
    assert branch(TRAINING, LEFT) == "▶ train          1m40     ███████▋░░░ 69% ~44s"
    late = Told(expected=Expected(ago(100), NOW, Usual(40, 50, 5)))
    assert box(named, late) == ["▶ train-the-model", "  1m40 late 1m00"]
    assert box(TRAINING, Told()) == ["▶ train", "  1m40"]


def test_a_step_that_has_not_begun_says_what_it_usually_takes() -> None:
    pending = step("evaluate", StepStatus.PENDING)
    told = Told(expected=Expected(NOW, NOW + timedelta(seconds=20), Usual(20, 25, 5)))
    assert box(pending, told) == ["· evaluate", "  ~20s"]
    assert branch(pending, told) == "· evaluate       ~20s"
    assert box(pending, Told()) == ["· evaluate", ""]


def test_a_step_of_many_items_says_how_many_have_ended_and_failed() -> None:
    waits = step("features", StepStatus.WAITING, awaits="children")
    told = Told(items=shards(3, 185, 9, 200))
    assert box(waits, told) == ["? features ×200", "  █████▋ 94% 3✗"]
    assert box(waits, told, glyphs=ASCII_ONLY) == ["? features x200", "  ###### 94% 3x"]
    assert branch(waits, told) == "? features ×200  1m00     ██████████████▏ 94% 3✗"
    done = step("features", StepStatus.COMPLETED, component="/builtin/map", started_at=ago(60), finished_at=ago(30))
    assert box(done, Told(items=shards(3, 197, 0, 200))) == ["✓ features ×200", "  30s 3✗"]
    assert box(done, Told(items=shards(0, 1, 0, 1))) == ["✓ features", "  30s"]


def test_a_step_that_was_tried_again_took_all_of_its_attempts() -> None:
    first = step("load", StepStatus.FAILED, attempt=1, started_at=ago(60), finished_at=ago(50))
    last = step("load", StepStatus.COMPLETED, attempt=2, started_at=ago(20), finished_at=ago(10))
    assert box(last, Told(), first) == ["✓ load", "  50s #2"]


# What is critical, and what is left


def test_the_critical_path_is_what_each_step_waited_for() -> None:
    done = StepStatus.COMPLETED
    steps = [
        step("a", done, 0, started_at=ago(60), finished_at=ago(50)),
        step("quick", done, 1, started_at=ago(50), finished_at=ago(49), depends_on=("a",)),
        step("slow", done, 2, started_at=ago(50), finished_at=ago(20), depends_on=("a",)),
        step("end", done, 3, started_at=ago(20), finished_at=ago(10), depends_on=("quick", "slow")),
        step("early", done, 4, started_at=ago(60), finished_at=ago(55)),
    ]
    assert critical_path(steps, NOW) == ("a", "slow", "end")
    running = msgspec.structs.replace(steps[1], status=StepStatus.RUNNING, finished_at=None)
    assert critical_path([steps[0], running, *steps[2:]], NOW) == ("a", "quick")
    assert critical_path([step("a", StepStatus.PENDING)], NOW) == ()
