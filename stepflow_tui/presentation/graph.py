"""A graph of steps as lines: boxes in layers with edges between them, or one indented line a step. Pure and repeatable.

In boxes, edges run in the gutters between two layers and, past a layer, on rows of their own: none crosses a box.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Protocol

import msgspec

BOX_HEIGHT = 4
LANE_HEIGHT = 2
"""Of an edge that goes past a layer."""
SWEEPS = 4
MOST_INDENT = 24

Cell = tuple[int, int]
"""Column and row."""


class Linked(Protocol):
    @property
    def key(self) -> str: ...
    @property
    def depends_on(self) -> tuple[str, ...]: ...


class Box(msgspec.Struct, frozen=True):
    x: int
    y: int
    width: int

    def holds(self, cell: Cell) -> bool:
        x, y = cell
        return self.x <= x < self.x + self.width and self.y <= y < self.y + BOX_HEIGHT


class Edge(msgspec.Struct, frozen=True):
    source: str
    target: str
    cells: tuple[Cell, ...]
    """From beside the source to beside the target, each beside the one before."""


class Layout(msgspec.Struct, frozen=True):
    boxes: Mapping[str, Box]
    edges: tuple[Edge, ...]
    width: int
    height: int


def depths(steps: Sequence[Linked]) -> dict[str, int]:
    """The longest way to each step from one that depends on nothing."""
    followers: dict[str, list[str]] = {step.key: [] for step in steps}
    waits_for = {step.key: 0 for step in steps}
    for step in steps:
        for key in set(step.depends_on):
            if key in followers:
                followers[key].append(step.key)
                waits_for[step.key] += 1
    depth = dict.fromkeys(waits_for, 0)
    ready = [key for key, count in waits_for.items() if not count]
    for key in ready:
        for follower in followers[key]:
            depth[follower] = max(depth[follower], depth[key] + 1)
            waits_for[follower] -= 1
            if not waits_for[follower]:
                ready.append(follower)
    return depth


# Boxes


class _Place:
    """A box in its layer, or the lane of an edge that goes past it."""

    def __init__(self, key: str | None, layer: int, rank: int) -> None:
        self.key = key
        self.layer = layer
        self.rank = rank
        """Where it stands among equals."""
        self.before: list[_Place] = []
        self.after: list[_Place] = []
        self.y = 0

    @property
    def height(self) -> int:
        return LANE_HEIGHT if self.key is None else BOX_HEIGHT

    @property
    def row(self) -> int:
        """Where edges come in, and go out. Every place begins on an even row, so this one is odd."""
        return self.y + 1

    @property
    def other_row(self) -> int:
        """An even one, where an edge goes out that would be taken for another in `row`."""
        return self.y if self.key is None else self.y + 2


def layout(steps: Sequence[Linked], widths: Mapping[str, int]) -> Layout:
    """`widths`: of the boxes, with their borders."""
    layers, chains = _layers(steps)
    _order(layers)
    _stack(layers)
    columns = [max(widths[place.key] for place in layer if place.key is not None) for layer in layers]
    gutters = [_Gutter([place for place in layer if place.after]) for layer in layers]
    left, x = [], 0
    for width, gutter in zip(columns, gutters, strict=True):
        left.append(x)
        x += width + gutter.width
    boxes = {
        place.key: Box(left[place.layer], place.y, columns[place.layer])
        for layer in layers
        for place in layer
        if place.key is not None
    }
    edges = [
        Edge(source, target, tuple(_cells(chain, left, columns, gutters))) for (source, target), chain in chains.items()
    ]
    height = max((place.y + place.height for layer in layers for place in layer), default=0)
    return Layout(boxes, tuple(edges), x, height)


def _layers(steps: Sequence[Linked]) -> tuple[list[list[_Place]], dict[tuple[str, str], list[_Place]]]:
    """And for each edge the places it goes through, its ends among them. Edges of one step share their lanes."""
    depth = depths(steps)
    layers: list[list[_Place]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    places = {}
    for rank, step in enumerate(steps):
        places[step.key] = place = _Place(step.key, depth[step.key], rank)
        layers[place.layer].append(place)
    chains: dict[tuple[str, str], list[_Place]] = {}
    targets: dict[str, list[str]] = {step.key: [] for step in steps}
    for step in steps:
        for key in dict.fromkeys(step.depends_on):
            if key in targets:
                targets[key].append(step.key)
    for key, followers in targets.items():
        chain = [places[key]]
        for layer in range(depth[key] + 1, max((depth[one] for one in followers), default=-1) + 1):
            for one in followers:
                if depth[one] == layer:
                    _join(chain[-1], places[one])
                    chains[key, one] = [*chain, places[one]]
            if any(depth[one] > layer for one in followers):
                lane = _Place(None, layer, places[key].rank)
                layers[layer].append(lane)
                _join(chain[-1], lane)
                chain.append(lane)
    return layers, chains


def _join(one: _Place, other: _Place) -> None:
    one.after.append(other)
    other.before.append(one)


def _order(layers: list[list[_Place]]) -> None:
    """Each place near those it is joined to, so that few edges cross."""
    for sweep in range(SWEEPS):
        at = {id(place): number for layer in layers for number, place in enumerate(layer)}
        downwards = sweep % 2 == 0
        for layer in layers if downwards else reversed(layers):
            layer.sort(key=lambda place: (_middle(place.before if downwards else place.after, at, place), place.rank))
            at |= {id(place): number for number, place in enumerate(layer)}


def _middle(others: list[_Place], at: Mapping[int, int], place: _Place) -> float:
    return sum(at[id(other)] for other in others) / len(others) if others else at[id(place)]


def _stack(layers: list[list[_Place]]) -> None:
    for layer in layers:
        free = 0
        for place in layer:
            wanted = sorted(other.y for other in place.before)
            place.y = max(free, wanted[(len(wanted) - 1) // 2] if wanted else 0)
            free = place.y + place.height


class _Gutter:
    """The way from one layer to the next: which column each edge goes up or down in, and the row it comes out on.

    A line that comes out on a row on which another edge goes in must have left that row before: its column is further
    left. Where two would have to be left of each other, one comes out on its other row.
    """

    def __init__(self, sources: list[_Place]) -> None:
        self.row = {id(source): source.row for source in sources}
        self.column: dict[int, int] = {}
        """From the gutter's left; none: straight on."""
        bent = [source for source in sources if any(target.row != source.row for target in source.after)]
        taken: list[list[tuple[int, int]]] = []
        while bent:
            free = [source for source in bent if not any(self._is_left_of(other, source) for other in bent)]
            if not free:
                turned = next(one for one in bent if self.row[id(one)] == one.row)
                self.row[id(turned)] = turned.other_row
                continue
            source = min(free, key=lambda one: one.y)
            bent.remove(source)
            first = 1 + max(
                (
                    self.column[id(other)]
                    for other in sources
                    if id(other) in self.column and self._is_left_of(other, source)
                ),
                default=-1,
            )
            rows = [self.row[id(source)], *(target.row for target in source.after)]
            self.column[id(source)] = _first_free(taken, first, (min(rows), max(rows)))
        self.tracks = len(taken)
        self.width = self.tracks + 3 if sources else 0

    def _is_left_of(self, one: _Place, other: _Place) -> bool:
        """`one` has to leave its row before `other` goes in there."""
        row = self.row[id(one)]
        return one is not other and any(target.row == row for target in other.after)


def _first_free(taken: list[list[tuple[int, int]]], first: int, span: tuple[int, int]) -> int:
    column = first
    while True:
        if column == len(taken):
            taken.append([])
        if all(span[1] < begin or end < span[0] for begin, end in taken[column]):
            taken[column].append(span)
            return column
        column += 1


def _cells(chain: list[_Place], left: list[int], columns: list[int], gutters: list[_Gutter]) -> list[Cell]:
    cells: list[Cell] = []
    for source, target in pairwise(chain):
        gutter = gutters[source.layer]
        begin = left[source.layer] + columns[source.layer]
        end = begin + gutter.width - 1
        row = gutter.row[id(source)]
        if source.key is None:
            x = left[source.layer]
            if row != source.row:
                cells.append((x, source.row))
            cells += [(column, row) for column in range(x, begin)]
        bend = begin + 1 + gutter.column[id(source)] if id(source) in gutter.column else end
        cells += [(column, row) for column in range(begin, bend)]
        step = 1 if target.row >= row else -1
        cells += [(bend, at) for at in range(row, target.row + step, step)]
        cells += [(column, target.row) for column in range(bend + 1, end + 1)]
    return cells


# Lines between boxes

NORTH, EAST, SOUTH, WEST = 1, 2, 4, 8
LIGHT = " ╵╶└╷│┌├╴┘─┴┐┤┬┼"
HEAVY = " ╹╺┗╻┃┏┣╸┛━┻┓┫┳╋"
ASCII = " ||+|||+-+-+++++"


class Drawn(msgspec.Struct, frozen=True):
    """What stands between boxes, row by row: character and whether it is critical, by column."""

    rows: tuple[Mapping[int, tuple[str, bool]], ...]


def draw_edges(layout: Layout, critical: Collection[tuple[str, str]], *, ascii_only: bool) -> Drawn:
    """`critical`: the edges that are drawn heavy."""
    joints: dict[Cell, int] = {}
    heavy: set[Cell] = set()
    arrows: set[Cell] = set()
    for edge in layout.edges:
        cells = edge.cells
        _turn(joints, cells[0], WEST)
        for (x, y), (next_x, next_y) in pairwise(cells):
            there, back = {
                (1, 0): (EAST, WEST),
                (0, 1): (SOUTH, NORTH),
                (0, -1): (NORTH, SOUTH),
            }[next_x - x, next_y - y]
            _turn(joints, (x, y), there)
            _turn(joints, (next_x, next_y), back)
        arrows.add(cells[-1])
        if (edge.source, edge.target) in critical:
            heavy.update(cells)
    rows: list[dict[int, tuple[str, bool]]] = [{} for _ in range(layout.height)]
    for (x, y), directions in joints.items():
        is_heavy = (x, y) in heavy
        if (x, y) in arrows:
            character = ">" if ascii_only else "▶"
        else:
            character = (ASCII if ascii_only else HEAVY if is_heavy else LIGHT)[directions]
        rows[y][x] = (character, is_heavy)
    return Drawn(tuple(rows))


def _turn(joints: dict[Cell, int], cell: Cell, direction: int) -> None:
    joints[cell] = joints.get(cell, 0) | direction


# Indented


class Branch(msgspec.Struct, frozen=True):
    """A step in the indented form, under one of those it depends on."""

    key: str
    prefix: str
    also: tuple[str, ...]
    """What else it depends on."""


def branches(steps: Sequence[Linked], critical: Sequence[str], *, ascii_only: bool) -> list[Branch]:
    """A step stands under what it waited for on the critical path, else under the deepest of what it depends on."""
    depth = depths(steps)
    waited_for = dict(zip(critical[1:], critical, strict=False))
    parents: dict[str, str] = {}
    children: dict[str, list[str]] = {step.key: [] for step in steps}
    others: dict[str, tuple[str, ...]] = {}
    roots = []
    for step in steps:
        known = [key for key in dict.fromkeys(step.depends_on) if key in depth]
        parent = waited_for.get(step.key) or max(known, key=lambda key: depth[key], default=None)
        others[step.key] = tuple(key for key in known if key != parent)
        if parent is None:
            roots.append(step.key)
        else:
            parents[step.key] = parent
            children[parent].append(step.key)
    lines: list[Branch] = []
    passes, last, more, last_heavy, more_heavy = ("|", "`", "+", "`", "+") if ascii_only else ("┊", "└", "├", "┗", "┣")
    waiting = [(root, "", "") for root in reversed(roots)]
    while waiting:
        key, before, sign = waiting.pop()
        lines.append(Branch(key, before + sign, others[key]))
        below = _shortened(before + ((" " if sign in (last, last_heavy) else passes) if sign else ""), ascii_only)
        for child in reversed(children[key]):
            is_last = child is children[key][-1]
            if waited_for.get(child) == key:
                child_sign = last_heavy if is_last else more_heavy
            else:
                child_sign = last if is_last else more
            waiting.append((child, below, child_sign))
    return lines


def _shortened(prefix: str, ascii_only: bool) -> str:
    if len(prefix) <= MOST_INDENT:
        return prefix
    return ("." if ascii_only else "…") + prefix[2 - MOST_INDENT :]
