"""Filters and marks are taken back and done again."""

from __future__ import annotations

import pytest

from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.panes.executions import Executions
from stepflow_tui.presentation.filters import parse_filter
from stepflow_tui.undoing import MOST, Chosen, Undo
from tests.support.engine import start
from tests.support.flows import chain
from tests.tui.test_dashboard import Screen, screen_on, sleeping
from tests.tui.test_executions import shown


def chosen(words: str) -> Chosen:
    return Chosen(parse_filter(words), "created", False, {})


def test_one_goes_back_and_on_until_something_else_is_chosen() -> None:
    undo = Undo()
    first, second, third = chosen(""), chosen("a"), chosen("b")
    undo.note(first, second)
    undo.note(second, second)
    undo.note(second, third)
    assert undo.back(third) == second
    assert undo.back(second) == first
    assert undo.back(first) is None
    assert undo.on(first) == second
    undo.note(second, chosen("c"))
    assert undo.on(chosen("c")) is None
    assert undo.back(chosen("c")) == second


def test_only_the_last_ones_are_kept() -> None:
    undo = Undo()
    for number in range(MOST + 10):
        undo.note(chosen(f"x{number}"), chosen(f"x{number + 1}"))
    at, steps = chosen(f"x{MOST + 10}"), 0
    while (before := undo.back(at)) is not None:
        at, steps = before, steps + 1
    assert (steps, at) == (MOST, chosen("x10"))


async def filtered(screen: Screen, words: str) -> None:
    await screen.press("slash")
    await screen.until(lambda: bool(screen.app.screen.query("#filter")))
    await screen.press("ctrl+u", *words, "enter")
    await screen.until(lambda: not screen.app.screen.query("#filter"))


@pytest.mark.full
async def test_u_takes_back_filters_sorting_and_marks_and_capital_u_does_them_again(storage: SQLiteStorage) -> None:
    ids = [start(storage, sleeping()), start(storage, chain(1))]
    async with screen_on(storage) as screen:
        pane = await shown(screen)
        await screen.until(lambda: len(pane.runs) == 2)
        await screen.press("u")
        await screen.expect("No filter and no mark to take back")
        await filtered(screen, "sleeper")
        await screen.until(lambda: [run.id for run in pane.runs] == ids[:1])
        await screen.press("space", "O", "escape", "escape")
        await screen.until(lambda: len(pane.runs) == 2)

        def stands() -> tuple[str, bool, list[str]]:
            return pane.listing.filter.text, pane.listing.reverse, list(pane.marks)

        assert stands() == ("", True, [])
        steps = [("sleeper", True, []), ("sleeper", True, ids[:1]), ("sleeper", False, ids[:1]), ("sleeper", False, [])]
        for step in steps:
            await screen.press("u")
            assert stands() == step
        await screen.press("u")
        assert stands() == ("", False, [])
        await screen.until(lambda: len(pane.runs) == 2)
        for step in reversed(steps):
            await screen.press("U")
            assert stands() == step
        await screen.until(lambda: [run.id for run in pane.runs] == ids[:1])
        await screen.press("U", "U")
        await screen.expect("Nothing was taken back")


async def test_what_is_typed_letter_by_letter_is_taken_back_at_once(storage: SQLiteStorage) -> None:
    start(storage, sleeping())
    async with screen_on(storage) as screen:
        pane = screen.app.screen.query_one(Executions)
        await screen.until(lambda: len(pane.runs) == 1)
        await screen.press("slash")
        await screen.until(lambda: bool(screen.app.screen.query("#filter")))
        for letter in "chain":
            await screen.press(letter)
            await screen.until(
                lambda: pane.listing.filter.text.endswith(screen.app.screen.query_one("#filter Input").value)
            )  # type: ignore[attr-defined]  # it is an Input
        await screen.press("enter")
        await screen.until(lambda: not screen.app.screen.query("#filter"))
        await screen.press("u")
        assert pane.listing.filter.text == ""
