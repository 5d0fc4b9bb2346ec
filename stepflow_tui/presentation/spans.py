"""Spans: pieces of a line with the name of their style; and text that is safe and fits."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

Span = tuple[str, str]
"""Text, and the name of a style (`""`: plain). Names are the component classes of `widgets.lines`."""
Line = list[Span]


def safe(text: object) -> str:
    """One line of text from a run: no control characters, no direction marks; they are shown instead."""
    written = str(text)
    if written.isascii() and written.isprintable():
        return written
    return "".join(
        character if not unicodedata.category(character).startswith("C") else _visible(character)
        for character in written
    )


def _visible(character: str) -> str:
    if character in "\n\r":
        return "⏎"
    return " " if character == "\t" else "·"


def fit(text: str, width: int) -> str:
    """Exactly `width` cells: padded, or cut at its end."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text + " " * (width - cell_len(text))
    return set_cell_size(text, width - 1) + "…" if width > 1 else "…"


def fit_name(text: str, width: int) -> str:
    """Exactly `width` cells: padded, or cut in its middle, since names differ at both ends."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length <= width:
        return text + " " * (width - length)
    if width < 5:
        return fit(text, width)
    tail = (width - 1) // 2
    end = text
    while cell_len(end) > tail:
        end = end[1:]
    return set_cell_size(set_cell_size(text, width - 1 - cell_len(end)) + "…" + end, width)


def cells(line: Sequence[Span]) -> int:
    return sum(cell_len(text) for text, _ in line)


def fit_line(line: Sequence[Span], width: int) -> Line:
    """`line` cut or padded to `width` cells."""
    fitted: Line = []
    left = width
    for text, style in line:
        if left <= 0:
            break
        length = cell_len(text)
        if length > left:
            text, length = fit(text, left), left
        fitted.append((text, style))
        left -= length
    if left > 0:
        fitted.append((" " * left, ""))
    return fitted


def with_found(line: Sequence[Span], words: str, style: str = "late-reverse") -> Line:
    """`line` with `words` in `style` wherever they stand in it."""
    text, words = _lowered("".join(piece for piece, _ in line)), _lowered(words)
    cuts: list[tuple[int, int]] = []
    at = text.find(words)
    while words and at >= 0:
        cuts.append((at, at + len(words)))
        at = text.find(words, at + len(words))
    if not cuts:
        return list(line)
    found: Line = []
    begin = 0
    for piece, own in line:
        at, end = begin, begin + len(piece)
        for first, last in cuts:
            if last <= at or first >= end:
                continue
            if first > at:
                found.append((piece[at - begin : first - begin], own))
            found.append((piece[max(first, at) - begin : min(last, end) - begin], style))
            at = min(last, end)
        if at < end:
            found.append((piece[at - begin :], own))
        begin = end
    return found


def _lowered(text: str) -> str:
    """As long as `text`: some letters are two when they are small."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text
