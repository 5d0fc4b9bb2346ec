"""Finding by a few letters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepflow_tui.presentation.fuzzy import emphasised, look_up, match


@pytest.mark.parametrize(
    ("wanted", "better", "worse"),
    [
        ("re", "Retry it", "Theme: ember"),
        ("set", "Screen: Settings", "Show the newest text"),
        ("wo", "Screen: Workers", "Show of all"),
        ("th night", "Theme: nightjar", "Other: midnight"),
        ("cy", "Copy it", "Quit quickly: a copy"),
        ("REDRAW", "redraw", "retry, and draw"),
    ],
)
def test_beginnings_of_words_and_letters_in_a_row_come_first(wanted: str, better: str, worse: str) -> None:
    first, second = match(wanted, better), match(wanted, worse)
    assert first is not None
    assert second is None or first[0] > second[0]


def test_what_has_not_all_letters_is_not_found() -> None:
    assert match("xq", "Retry it") is None
    assert match("yrt", "Retry it") is None
    assert match("", "anything") == (0, ())
    assert match(" ", "anything") == (0, ())


@given(wanted=st.text(max_size=8), text=st.text(max_size=30))
def test_the_letters_that_are_found_are_those_that_were_wanted(wanted: str, text: str) -> None:
    found = match(wanted, text)
    if found is not None and len(text.lower()) == len(text):
        lowered = text.lower()
        letters = {lowered[place] for place in found[1]}
        assert letters == set("".join(wanted.lower().split()))
    assert match(text, text) is not None


@given(text=st.text(max_size=30), places=st.sets(st.integers(0, 29)))
def test_emphasis_changes_no_letter(text: str, places: set[int]) -> None:
    line = emphasised(text, tuple(places), "dim")
    assert "".join(piece for piece, _ in line) == text


def test_other_words_find_it_too_from_two_letters_on() -> None:
    others = ("answer", "approve", "resume")
    hit = look_up("appr", "Answer what it waits for", others)
    assert hit is not None
    assert (hit.is_whole, hit.places, hit.by) == (True, (), ("approve",))
    one_of_each = look_up("appr what", "Answer what it waits for", others)
    assert one_of_each is not None
    assert (one_of_each.places, one_of_each.by) == ((7, 8, 9, 10), ("approve",))
    assert look_up("qz", "Answer what it waits for", others) is None
    scattered = look_up("rfor", "Answer what it waits for", others)
    assert scattered is not None
    assert not scattered.is_whole
    assert look_up("x", "Answer", ("xylophone",)) is None


def test_the_word_itself_is_better_than_one_that_begins_so() -> None:
    tab, theme = look_up("graph", "Tab: Graph of 1w7i", ("graph",)), look_up("graph", "Theme: graphite")
    assert tab is not None
    assert theme is not None
    assert tab.score > theme.score
