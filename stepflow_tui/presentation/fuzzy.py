"""Finding by a few letters: `rt` finds "Retry it", and better than "start"; or by another word for the same."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stepflow_tui.presentation.spans import Line

_WORD = 8
_TOGETHER = 9
_FIRST = 4
LEAST_OF_WORD = 2
"""Letters by which another word for something is known."""


class Hit(msgspec.Struct, frozen=True):
    score: int
    is_whole: bool
    """All that was wanted stands in a row somewhere, and not only its letters."""
    places: tuple[int, ...]
    """In the text, the characters that were found."""
    by: tuple[str, ...] = ()
    """The other words that it was found by."""


def look_up(wanted: str, text: str, others: Sequence[str] = ()) -> Hit | None:
    """As `match`; a word of `wanted` may also begin one of `others`, other words for the same, in small letters."""
    score, places, by, lowered = 0, set[int](), list[str](), text.lower()
    for word in wanted.lower().split():
        begun = min((one for one in others if len(word) >= LEAST_OF_WORD and one.startswith(word)), key=len, default="")
        inside = _match_word(word, lowered) if word in lowered else None
        other = _match_word(word, begun)
        if inside is None and other is None:
            scattered = match(wanted, text)
            return None if scattered is None else Hit(scattered[0], False, scattered[1])
        score += max(0 if inside is None else inside[0], 0 if other is None else other[0] + _WORD * (begun == word))
        if inside is not None:
            places.update(inside[1])
        else:
            by.append(begun)
    return Hit(score, True, tuple(sorted(places)), tuple(by))


def match(wanted: str, text: str) -> tuple[int, tuple[int, ...]] | None:
    """How well, and which characters of `text`, in their order; None: not all letters are there. Each word of
    `wanted` is looked for by itself; capitals do not matter."""
    score, found = 0, set[int]()
    for word in wanted.lower().split():
        one = _match_word(word, text.lower())
        if one is None:
            return None
        score += one[0]
        found.update(one[1])
    return score, tuple(sorted(found))


def _match_word(word: str, text: str) -> tuple[int, tuple[int, ...]] | None:
    """The best of the ways that begin at each place where its first letter is."""
    best: tuple[int, tuple[int, ...]] | None = None
    begin = text.find(word[0])
    while begin >= 0:
        places = [begin]
        for letter in word[1:]:
            # The next in a row, else one that begins a word, else any.
            next_one = places[-1] + 1
            if not text.startswith(letter, next_one):
                next_one = _begin_of_word(letter, text, next_one)
            if next_one < 0:
                break
            places.append(next_one)
        if len(places) < len(word):
            return best
        score = sum(_worth(place, index, places, text) for index, place in enumerate(places))
        if best is None or score > best[0]:
            best = score, tuple(places)
        begin = text.find(word[0], begin + 1)
    return best


def _begin_of_word(letter: str, text: str, after: int) -> int:
    anywhere = text.find(letter, after)
    place = anywhere
    while place > 0 and text[place - 1].isalnum():
        place = text.find(letter, place + 1)
    return place if place >= 0 else anywhere


def _worth(place: int, index: int, places: list[int], text: str) -> int:
    worth = _FIRST if place == 0 else 0
    if place == 0 or not text[place - 1].isalnum():
        worth += _WORD
    if index and places[index - 1] == place - 1:
        worth += _TOGETHER
    return worth - (place - places[index - 1] > 1 if index else min(place, 3))


def emphasised(text: str, places: tuple[int, ...], style: str) -> Line:
    """`text`, with the characters at `places` as titles."""
    line: Line = []
    for place, letter in enumerate(text):
        own = "title" if place in places else style
        if line and line[-1][1] == own:
            line[-1] = (line[-1][0] + letter, own)
        else:
            line.append((letter, own))
    return line
