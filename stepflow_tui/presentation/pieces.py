"""A long text as its lines, and long lines in pieces: where some begin is noted, and the rest is found from there."""

from __future__ import annotations

import re
from array import array
from functools import cache

LONG = 160
"""Characters from which on a text folds into its lines, and of a line of it."""
AT_ONCE = 64

_ENDS = "\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
"""As `str.splitlines` has them."""


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Of a piece, and of `AT_ONCE`. Most never look at a long text."""
    one = rf"[^{_ENDS}]{{0,{LONG}}}+"
    end = rf"(?:\r\n|[{_ENDS}])"
    return (
        re.compile(rf"({one}){end}?"),
        re.compile(rf"(?>{one}{end}|[^{_ENDS}]{{{LONG}}}){{{AT_ONCE}}}"),
    )


class Pieces:
    def __init__(self, text: str) -> None:
        self._text = text
        self._offsets = array("Q")
        """Of each `AT_ONCE`th."""
        self._kept: tuple[int, list[str]] = (-1, [])
        many = _patterns()[1]
        at, found = 0, many.match(text)
        while found is not None:
            self._offsets.append(at)
            at = found.end()
            found = many.match(text, at)
        rest = self._from(at)
        self._count = len(self._offsets) * AT_ONCE + len(rest)
        self._offsets.append(at)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> str:
        if not 0 <= place < self._count:
            raise IndexError(place)
        number, within = divmod(place, AT_ONCE)
        if self._kept[0] != number:
            self._kept = number, self._from(self._offsets[number])
        return self._kept[1][within]

    def _from(self, at: int) -> list[str]:
        """`AT_ONCE` of them, or as many as there are."""
        found: list[str] = []
        while len(found) < AT_ONCE and at < len(self._text):
            piece = _patterns()[0].match(self._text, at)
            assert piece is not None, "it matches all"
            found.append(piece[1])
            at = piece.end()
        return found
