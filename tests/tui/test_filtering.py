"""The filter as it is typed, on the first screen: completion, what was typed before, filters kept under a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.config import Config
from stepflow_tui.panes.saved_views import SavedViews
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.screens.settings import SettingsView
from stepflow_tui.widgets.bar import Bar
from stepflow_tui.widgets.filter_field import FilterField
from tests.support.engine import start, until, working
from tests.support.flows import chain
from tests.tui.test_dashboard import Screen, failing, screen_on, sleeping


async def some(storage: SQLiteStorage) -> dict[str, str]:
    """One that failed, one that completed, one that is queued, by template."""
    runs = {"failing": start(storage, failing()), "flow": start(storage, chain(1))}
    async with working(storage):
        for run_id in runs.values():
            await until(storage, run_id)
    return {**runs, "sleeper": start(storage, sleeping())}


def field(screen: Screen) -> FilterField:
    return screen.app.screen.query_one(FilterField)


async def type_filter(screen: Screen, text: str) -> None:
    await screen.press("slash")
    await screen.until(lambda: bool(screen.app.screen.query(FilterField)))
    field(screen).set(text)


def shown(screen: Screen) -> list[str]:
    return [run.template for run in screen.dashboard.executions.runs]


async def test_names_may_come_before_the_field_is_there_and_after_it_has_gone(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        coming = FilterField("template:fl", [])
        coming.templates = ["flow"]
        coming.hint()
        await screen.app.screen.mount(coming)
        await screen.until(lambda: "flow" in screen.text_of(coming.query_one(Bar)))
        await coming.remove()
        coming.hint()
        assert not screen.app.screen.query(FilterField)


@pytest.mark.parametrize("size", [(40, 10), (120, 40)])
async def test_what_is_typed_is_shown_alone_and_esc_takes_it_away(
    storage: SQLiteStorage, size: tuple[int, int]
) -> None:
    await some(storage)
    async with screen_on(storage, size) as screen:
        await screen.until(lambda: len(shown(screen)) == 3)
        await type_filter(screen, "status:failed")
        await screen.until(lambda: shown(screen) == ["failing"])
        await screen.press("enter")
        await screen.until(lambda: not screen.app.screen.query(FilterField))
        assert screen.dashboard.focused is screen.dashboard.executions
        assert "/status:failed" in str(screen.dashboard.executions.border_title)
        assert str(screen.dashboard.executions.border_subtitle) == "1 of 3 · ● live"
        await screen.press("escape")
        await screen.until(lambda: len(shown(screen)) == 3)
        await type_filter(screen, "sleeper")
        await screen.until(lambda: shown(screen) == ["sleeper"])
        await screen.press("escape")
        await screen.until(lambda: len(shown(screen)) == 3)


async def test_a_filter_follows_what_happens(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen, working(storage):
        await type_filter(screen, "status:failed")
        await screen.press("enter")
        await screen.expect("No execution matches")
        ok, bad = start(storage, chain(1)), start(storage, failing())
        await screen.until(lambda: shown(screen) == ["failing"])
        await until(storage, ok)
        await screen.expect(short_id(bad), "no such column")
        # The templates show how their newest executions stand, filtered or not.
        await screen.until(lambda: "✓ flow" in screen.text_of(screen.dashboard.templates))


async def test_a_wrong_filter_says_what_is_wrong_where_it_is_typed(storage: SQLiteStorage) -> None:
    await some(storage)
    async with screen_on(storage) as screen:
        await type_filter(screen, "status:failed stauts:x")
        await screen.expect("There is no field 'stauts'; did you mean 'status'?")
        await screen.press("enter")
        assert field(screen).field.cursor_position == len("status:failed ")
        assert len(shown(screen)) == 3
        field(screen).set("dur:5")
        await screen.expect("dur needs > or <")
        field(screen).set("status:")
        await screen.expect("scheduled")
        await screen.press("enter")
        await screen.expect("status needs a value")
        await screen.press("escape")


async def test_tab_completes_fields_statuses_and_templates(storage: SQLiteStorage) -> None:
    await some(storage)
    async with screen_on(storage) as screen:
        await type_filter(screen, "sta")
        await screen.expect("status:")
        await screen.press("tab")
        assert field(screen).field.value == "status:"
        await screen.press("tab", "tab")
        assert field(screen).field.value == "status:queued"
        await screen.press("shift+tab")
        assert field(screen).field.value == "status:scheduled"
        field(screen).set("template:f")
        await screen.until(lambda: bool(field(screen).templates))
        await screen.press("tab")
        assert field(screen).field.value == "template:failing"
        await screen.until(lambda: shown(screen) == ["failing"])
        await screen.press("tab")
        assert field(screen).field.value == "template:flow"
        await screen.until(lambda: shown(screen) == ["flow"])
        field(screen).set("step:B")
        await screen.press("tab")
        assert field(screen).field.value == "step:bad", "the step that one failed by"
        field(screen).set("nothing:x")
        await screen.press("tab")
        assert field(screen).field.value == "nothing:x"


async def test_up_brings_what_was_typed_before(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        for text in ("one", "two"):
            await type_filter(screen, text)
            await screen.press("enter")
            await screen.until(lambda: not screen.app.screen.query(FilterField))
        await type_filter(screen, "draft")
        for key, value in (("up", "two"), ("up", "one"), ("up", "one"), ("down", "two"), ("down", "draft")):
            await screen.press(key)
            assert field(screen).field.value == value


async def test_filters_are_kept_under_a_name_opened_and_forgotten(storage: SQLiteStorage, tmp_path: Path) -> None:
    await some(storage)
    config = Config(tmp_path / "ui.toml")
    async with screen_on(storage, config=config) as screen:
        await screen.press("apostrophe")
        await screen.expect("No filter is kept yet")
        await screen.press("B")
        await screen.expect("There is no filter to keep")
        await type_filter(screen, "status:failed")
        await screen.press("enter")
        await screen.until(lambda: shown(screen) == ["failing"])
        await screen.press("B")
        await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
        await screen.press("b", "a", "d", "enter")
        await screen.expect("Kept as bad")
        assert 'bad = "status:failed"' in (tmp_path / "ui.toml").read_text()
        await screen.press("escape")
        await screen.until(lambda: len(shown(screen)) == 3)
        config.set("wrong", "stauts:x", table="views")
        config.set("long", {"filter": "", "sort": "duration", "reverse": True}, table="views")
        await screen.press("apostrophe")
        await screen.expect("status:failed", "There is no field 'stauts'", "by duration, reversed")
        await screen.press("enter")
        await screen.until(lambda: shown(screen) == ["failing"])
        await screen.press("apostrophe", "j", "enter")
        await screen.expect("ui.toml: wrong: There is no field 'stauts'")
        await screen.press("apostrophe", "G", "enter")
        await screen.until(lambda: screen.dashboard.executions.listing.sort == "duration")
        await screen.press("apostrophe")
        await screen.until(lambda: bool(screen.app.screen.query(SavedViews)))
        await screen.press("delete", "n")
        await screen.press("apostrophe", "delete", "y")
        await screen.expect("Forgot bad")
        assert "bad" not in (tmp_path / "ui.toml").read_text()


def bars(text: str) -> int:
    return sum(one in "▁▂▃▄▅▆▇█" for one in text)


async def test_the_last_durations_stand_beside_executions_and_templates(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen, working(storage):
        for _ in range(3):
            await until(storage, start(storage, chain(1)))
        await screen.until(lambda: bars(screen.text_of(screen.dashboard.templates)) == 3)
        # The newest one, with those before it.
        await screen.until(lambda: bars(screen.text_of(screen.dashboard.executions).splitlines()[0]) == 3)
        assert bars(screen.text) > 3


async def test_what_is_typed_in_one_go_is_all_of_the_filter_and_no_key_of_the_screen(storage: SQLiteStorage) -> None:
    run_id = start(storage, failing())
    async with working(storage):
        await until(storage, run_id)
    async with screen_on(storage) as screen:
        await screen.until(lambda: bool(screen.dashboard.executions.runs))
        screen.burst("slash", *"tus:failed", "home", *"sta", "end", "x", "backspace")
        await screen.until(lambda: bool(screen.app.screen.query(FilterField)))
        await screen.until(lambda: field(screen).field.value == "status:failed")
        screen.burst("ctrl+u", *"template:failing", "enter", "colon", *"settings", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, SettingsView))
        assert screen.dashboard.executions.listing.filter.text == "template:failing"
        assert [run.id for run in storage.list_runs(10, None, None, None, True)[0]] == [run_id]
