"""Text for a terminal or a pipe: tables, boxes, rules, colours. Pure: records in, lines out.

Whatever comes from a run is data: control characters are made visible before a terminal sees them.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TextIO

BOX_ROOM = 36
BOX_LABEL = 14
LONGEST = 500
"""Characters of an error or a value where it is one of many; `--json` gives it whole."""

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "cyan": 36, "dim": 2, "bold": 1}


def safe(text: object) -> str:
    """One line of text without control characters or direction marks."""
    written = str(text)
    if written.isascii() and written.isprintable():
        return written
    return "".join(
        character
        if not unicodedata.category(character).startswith("C") or character == "\u200d"
        else _visible(character)
        for character in written
    )


def _visible(character: str) -> str:
    code = ord(character)
    if character == "\n":
        return "⏎"
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def shortened(text: str, most: int = LONGEST) -> str:
    """What a table or a list shows of a text of any length."""
    return text if len(text) <= most else text[: most - 1] + "…"


def use_colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """`text` in `colour` where `stream` (stdout by default) is a terminal that takes colours."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if use_colour(stream or sys.stdout) else text


def local_time(moment: datetime | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    return "-" if moment is None else moment.astimezone().strftime(form)


def width_of(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def pad(text: str, width: int) -> str:
    return text + " " * max(0, width - width_of(text))


def terminal_width() -> int | None:
    """None: it is no terminal, and lines may be as long as they are."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    widths: Sequence[int],
    rule: int,
    *,
    below: Iterable[str | Sequence[str] | None] = (),
    room: int | None = None,
) -> list[str]:
    """Columns at least as wide as `widths`; the last one takes what it needs. `below`: for each row, what stands under
    it if there is anything to say, a line or several. Where it is wider than `room`, columns are as narrow as they can
    be."""
    cells = [[safe(cell) for cell in row] for row in rows]
    columns = [max([least, *(width_of(row[index]) + 2 for row in cells)]) for index, least in enumerate(widths)]
    length = rule + sum(columns) - sum(widths)
    if room is not None and sum(columns) + max(width_of(row[-1]) for row in (header, *cells)) > room:
        columns = [max(width_of(row[index]) for row in (header, *cells)) + 1 for index in range(len(widths))]
        length = min(length, room)

    def line(row: Sequence[str]) -> str:
        return ("".join(pad(cell, width) for cell, width in zip(row, columns, strict=False)) + row[-1]).rstrip()

    lines = [line(header), "─" * length]
    for row, more in zip(cells, list(below) or [None] * len(cells), strict=True):
        lines.append(line(row))
        lines += [paint(f"  {safe(one)}", "dim") for one in ([more] if isinstance(more, str) else more or ()) if one]
    return lines


def box(title: str, rows: Iterable[tuple[str, str]], *, room: int = BOX_ROOM) -> list[str]:
    """A box of label and value rows, `room` cells for the values; one that is too long is cut, a TRN after its last
    '/'."""
    room = max(room, BOX_ROOM)
    inner = BOX_LABEL + 3 + room
    lines = [f"┌{'─' * inner}┐", f"│ {pad(cut(safe(title), inner - 2), inner - 1)}│", f"├{'─' * inner}┤"]
    for label, value in rows:
        lines.append(f"│ {pad(label, BOX_LABEL - 1)}│ {pad(cut(safe(value), room), room + 1)}│")
    return [*lines, f"└{'─' * inner}┘"]


def cut(text: str, width: int) -> str:
    if width_of(text) <= width:
        return text
    if text.startswith("trn:") and "/" in text[:width]:
        return text[: text.rindex("/", 0, width) + 1][: width - 3] + "..."
    while width_of(text) > width - 3:
        text = text[:-1]
    return text + "..."


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON for people and pipes; what a terminal would obey is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    obeyed = [c for c in set(text) if c != "\n" and unicodedata.category(c).startswith("C")]
    return text.translate({ord(c): json.dumps(c)[1:-1] for c in obeyed}) if obeyed else text


def json_lines(value: Any, room: int = 76, before: int = 0) -> list[str]:
    """JSON for reading: what fits into `room` cells, of which `before` are taken, stands on one line."""
    whole = json_text(value)
    if not value or not isinstance(value, dict | list) or width_of(whole) <= room - before:
        return [whole]
    if isinstance(value, dict):
        ends, items = "{}", [(f"{json_text(key)}: ", item) for key, item in value.items()]
    else:
        ends, items = "[]", [("", item) for item in value]
    lines = [ends[0]]
    for name, item in items:
        first, *rest = json_lines(item, room - 3, width_of(name))
        written = [name + first, *rest]
        written[-1] += ","
        lines += [f"  {line}" for line in written]
    lines[-1] = lines[-1][:-1]
    return [*lines, ends[1]]
