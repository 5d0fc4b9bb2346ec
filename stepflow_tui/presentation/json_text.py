"""A large value as the JSON text that it is stored as, of which only what is looked at is ever decoded.

It is read through once, for where things stand in it: that takes a hundredth of the room that the objects would.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from stepflow.model import jsontext

SMALL = 32 * 1024
"""Bytes up to which a value is decoded whole."""
MOST_BYTES = 12
"""Of a character: two escapes, for one that is not among the first 65,536."""
MOST_LEVELS = 100
"""With which it is decoded whole: Python follows not many more."""
AT_ONCE = 100
"""Items that are passed over at a time."""
APART = 4096
"""Bytes after which it is noted again where an item begins."""
MOST_KEPT = 16
"""Places of a value that stay decoded."""

_LEVELS, _PARTS = 12, 1000
"""That an item, and that each of its levels, may have to be passed over at once: so nothing holds up the screen."""
_CHARACTERS = rb"""(?:
      [^"\\\x80-\xff]++ | \\[^u]
    | [\xc0-\xdf][\x80-\xbf] | [\xe0-\xef][\x80-\xbf]{2} | [\xf0-\xff][\x80-\xbf]{3}
    | \\u(?![Dd][89ABab])[0-9A-Fa-f]{4}
    | \\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}
    | (?=.{12})\\u[Dd][89ABab][0-9A-Fa-f]{2}(?!\\u[Dd][C-Fc-f])
    )*+"""
"""Of a text. None is cut in two, however it is written."""
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'


class _Patterns(NamedTuple):
    item: re.Pattern[bytes]
    """That is neither nested deep nor has many parts."""
    items: re.Pattern[bytes]
    """`AT_ONCE` of them, with what stands behind each; and so many with keys."""
    members: re.Pattern[bytes]
    key: re.Pattern[bytes]
    between: re.Pattern[bytes]
    characters: re.Pattern[bytes]


@cache
def _patterns() -> _Patterns:
    """Most never look at a large value."""
    inside = b""
    for _ in range(_LEVELS):
        deeper = rb"|[\[{]%s[\]}]" % inside if inside else b""
        inside = rb'(?:[^\[\]{}"]++|%s%s){0,%d}+' % (_STRING, deeper, _PARTS)
    item = rb'(?:%s|[^\[\]{}",:\s]++|[\[{]%s[\]}])' % (_STRING, inside)
    return _Patterns(
        re.compile(item, re.DOTALL),
        re.compile(rb"(?:\s*+%s\s*+,){%d}+" % (item, AT_ONCE), re.DOTALL),
        re.compile(rb"(?:\s*+%s\s*+:\s*+%s\s*+,){%d}+" % (_STRING, item, AT_ONCE), re.DOTALL),
        re.compile(rb"(%s)\s*+:\s*+" % _STRING, re.DOTALL),
        re.compile(rb"\s*+,?\s*+"),
        re.compile(_CHARACTERS, re.DOTALL | re.VERBOSE),
    )


class _Source:
    """A text, in which what is known already from another was replaced by a zero."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.known: dict[int, JsonText] = {}
        self.large: dict[int, JsonText] = {}
        """What stands in it and is not small, is deep, or has what is known. Both by where they begin."""

    def cut(self, at: int, known: JsonText) -> None:
        self.data = b"0".join((self.data[:at], self.data[at + known.end - known.start :]))
        self.known[at] = known


class JsonText:
    """An object, a list, or a long text."""

    def __init__(self, source: _Source, start: int, end: int = 0) -> None:
        self._source = source
        self.start, self.end = start, end
        kind = source.data[start : start + 1]
        self.is_object, self.is_text = kind == b"{", kind == b'"'
        self.levels = 0
        """Below it that were read through, each by itself."""
        self._count = 0
        self._places, self._offsets = array("Q"), array("Q")
        """The number of some items, and where they begin."""
        self._kept: dict[int, list[tuple[str | int, Any]]] = {}

    def __len__(self) -> int:
        """Of a text: its characters."""
        if self.is_text and not self._count:
            self._count = self._characters()
        return self._count

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, JsonText) or self is other:
            return self is other
        same = self._source.known == other._source.known and self.end - self.start == other.end - other.start
        return same and other._stands_in(self._source.data, self.start)

    __hash__ = None  # type: ignore[assignment] # as everything that is compared by what stands in it

    def __getitem__(self, key: str | int) -> Any:
        return self.at(self.place_of(key))[1]

    def at(self, place: int) -> tuple[str | int, Any]:
        """Its key there, and its value. `IndexError`: it has not as many."""
        if not 0 <= place < self._count:
            raise IndexError(place)
        number = bisect_right(self._places, place) - 1
        return self._part(number)[place - self._places[number]]

    def place_of(self, key: str | int) -> int:
        """`KeyError`, `IndexError`: there is none."""
        if not self.is_object:
            if isinstance(key, int) and key < self._count:
                return key
            raise IndexError(key)
        for number in self._where_it_may_be(str(key)):
            for place, (name, _) in enumerate(self._part(number), self._places[number]):
                if name == key:
                    return place
        raise KeyError(key)

    def _where_it_may_be(self, key: str) -> Iterator[int]:
        """First what was looked at last, then where it is written, then everywhere: it can be written otherwise."""
        yield from list(self._kept)
        data, written, before = self._source.data, jsontext.encode(key).encode(), -1
        found = data.find(written, self.start, self.end)
        while found >= 0:
            number = bisect_right(self._offsets, found) - 1
            if number != before:
                yield number
            before = number
            found = data.find(written, found + 1, self.end)
        yield from range(len(self._places))

    def members(self) -> Iterator[tuple[str | int, Any]]:
        for number in range(len(self._places)):
            yield from self._kept.get(number) or self._read(number)

    def decode(self) -> Any:
        return _decoded(self.written())

    def beginning(self, characters: int) -> str:
        """Of a text."""
        at = self.start + 1
        return self._from(at, min(self.end - 1, at + MOST_BYTES * characters))[0][:characters]

    def _characters(self) -> int:
        """It is not all decoded at once: with one of them that is wide it would take four times the room."""
        count, at = 0, self.start + 1
        while at < self.end - 1:
            text, end = self._from(at, min(self.end - 1, at + SMALL))
            if end == at:
                return len(self.decode())  # it is damaged
            count, at = count + len(text), end
        return count

    def _from(self, at: int, until: int) -> tuple[str, int]:
        """What of a text is whole between these two, and where that ends."""
        found = _patterns().characters.match(self._source.data, at, until)
        assert found is not None, "it matches nothing too"
        return str(_decoded(b'"' + found[0] + b'"')), found.end()

    def written(self) -> bytes:
        """All of it."""
        data, at, pieces = self._source.data, self.start, []
        for place, known in sorted(self._source.known.items()):
            if self.start <= place < self.end:
                pieces += [data[at:place], known.written()]
                at = place + 1
        return b"".join((*pieces, data[at : self.end]))

    def _stands_in(self, data: bytes, at: int) -> bool:
        return data.startswith(memoryview(self._source.data)[self.start : self.end], at)

    def is_at(self, data: bytes, at: int) -> bool:
        """This stands there, and nothing of it was known from elsewhere."""
        return not self._source.known and self._stands_in(data, at)

    def _part(self, number: int) -> list[tuple[str | int, Any]]:
        part = self._kept.pop(number, None) or self._read(number)
        self._kept[number] = part
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return part

    def _read(self, number: int) -> list[tuple[str | int, Any]]:
        """From one place that was noted to the next."""
        source, data = self._source, self._source.data
        first, at = self._places[number], self._offsets[number]
        last = self._places[number + 1] if number + 1 < len(self._places) else self._count
        part = []
        for place in range(first, last):
            key: str | int = place
            if self.is_object:
                name = _patterns().key.match(data, at)
                assert name is not None, "it was passed over before"
                key, at = str(_decoded(name[1])), name.end()
            value, at = _value(source, at)
            part.append((key, value))
            at = _after(_patterns().between, source, at)
        return part

    # Reading through

    def note(self, at: int) -> None:
        """The next item begins there."""
        if not self._places or self._count - self._places[-1] >= AT_ONCE or at - self._offsets[-1] >= APART:
            self._places.append(self._count)
            self._offsets.append(at)

    def passed(self, count: int) -> None:
        self._count += count


def _value(source: _Source, at: int) -> tuple[Any, int]:
    """What begins there, and where it ends."""
    if at in source.known:
        return source.known[at], at + 1
    if at in source.large:
        return source.large[at], source.large[at].end
    found = _patterns().item.match(source.data, at)
    end = _read_through(source, at, ()).end if found is None else found.end()
    try:
        return _decoded(source.data[at:end]), end
    except RecursionError:
        return _read_through(source, at, ()), end


def _decoded(text: bytes) -> Any:
    """What is no JSON (others wrote it) is shown as it stands there."""
    try:
        return jsontext.decode(text)
    except ValueError:
        return text.decode(errors="replace")


def _read_through(source: _Source, at: int, known: Sequence[JsonText]) -> JsonText:
    """The object or list that begins there. `ValueError`: it is damaged."""
    patterns = _patterns()
    around: list[JsonText] = []
    node, at, singly = JsonText(source, at), at + 1, 0
    while True:
        at = _after(_patterns().between, source, at)
        if not singly:
            # Where so many cannot be passed over at once, they are looked at one by one before it is tried again.
            many = (patterns.members if node.is_object else patterns.items).match(source.data, at)
            if many is not None and many.end() - at <= SMALL:
                node.note(at)
                node.passed(AT_ONCE)
                at = many.end()
                continue
            singly = AT_ONCE
        if source.data[at : at + 1] in (b"]", b"}"):
            at = node.end = at + 1
            if not around:
                return node
            has_known = next(reversed(source.known), -1) >= node.start
            if node.end - node.start > SMALL or node.levels > MOST_LEVELS or has_known:
                source.large[node.start] = node
            around[-1].levels = max(around[-1].levels, node.levels + 1)
            node, singly = around.pop(), AT_ONCE
            node.passed(1)
            continue
        node.note(at)
        singly -= 1
        end = _pass_over(source, at := _after(patterns.key, source, at) if node.is_object else at, known)
        if end is None:
            around.append(node)
            node, at, singly = JsonText(source, at), at + 1, 0
        else:
            node.passed(1)
            at = end


def _after(pattern: re.Pattern[bytes], source: _Source, at: int) -> int:
    found = pattern.match(source.data, at)
    if found is None:
        raise ValueError(f"something is missing at {at}")
    return found.end()


def _pass_over(source: _Source, at: int, known: Sequence[JsonText]) -> int | None:
    """The end of the value that begins there; None: it is an object or a list that has to be read through."""
    found = _patterns().item.match(source.data, at)
    if found is not None and found.end() - at <= SMALL:
        return found.end()
    same = next((one for one in known if one.is_at(source.data, at)), None)
    if same is not None:
        source.cut(at, same)
        return at + 1
    kind = source.data[at : at + 1]
    if kind in (b"[", b"{"):
        return None
    if found is None:
        raise ValueError(f"a value is missing at {at}")
    if kind == b'"':
        source.large[at] = JsonText(source, at, found.end())
    return found.end()


def read_json(data: bytes, known: Sequence[JsonText] = ()) -> Any:
    """A value of its JSON: itself where it is small, else as text. What is `known` is kept once, also in it."""
    data = data.strip()
    same = next((one for one in known if one.end - one.start == len(data) and one.is_at(data, 0)), None)
    if same is not None:
        return same
    try:
        if len(data) <= SMALL or data[:1] not in b'{["':
            return _decoded(data)
    except RecursionError:
        pass
    source = _Source(data)
    if data[:1] == b'"':
        return JsonText(source, 0, len(data))
    try:
        value = _read_through(source, 0, known)
    except ValueError:
        value = None
    return data.decode(errors="replace") if value is None or value.end != len(source.data) else value
