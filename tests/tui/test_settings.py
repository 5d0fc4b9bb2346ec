"""The settings' screen: what is chosen is there at once and stays; what is written elsewhere is seen."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import clipboard
from stepflow_tui.config import Config
from stepflow_tui.screens.settings import Preview, SettingsList, SettingsView
from stepflow_tui.theme import COLOURS, DEFAULT, load_themes
from stepflow_tui.widgets.bar import Bar
from tests.support.engine import start
from tests.tui.test_dashboard import Screen, screen_on, sleeping


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "ui.toml"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STEPFLOW_THEME", "STEPFLOW_ASCII", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)


async def open_settings(screen: Screen, key: str = "8") -> SettingsList:
    await screen.press(key)
    await screen.until(lambda: isinstance(screen.app.screen, SettingsView) and screen.app.screen.is_mounted)
    await screen.expect("Theme")
    return screen.app.screen.query_one(SettingsList)


async def test_right_chooses_the_next_theme_and_the_file_has_it(storage: SQLiteStorage, file: Path) -> None:
    async with screen_on(storage, config=Config(file)) as screen:
        await open_settings(screen, "comma")
        names = screen.app.session.themes
        await screen.press("right")
        chosen = names[(names.index(DEFAULT) + 1) % len(names)]
        await screen.until(lambda: screen.app.theme == chosen)
        await screen.expect(f"‹ {chosen} ›")
        assert tomllib.loads(file.read_text()) == {"theme": chosen}
        await screen.press("left")
        await screen.until(lambda: screen.app.theme == DEFAULT)
    async with screen_on(storage, config=Config(file)) as screen:
        assert screen.app.theme == DEFAULT


@pytest.mark.full
async def test_each_setting_can_be_changed_and_says_what_it_means(storage: SQLiteStorage, file: Path) -> None:
    async with screen_on(storage, config=Config(file)) as screen:
        pane = await open_settings(screen)
        for _ in range(7):
            await screen.press("j", "right")
        assert pane.selected == "restore"
        await screen.expect("with bars and arrows", "drawn twice a second", "h and l go from pane", "yes, typed")
        written = {"glyphs": "unicode", "clock": "fast", "preset": "vim", "confirm": "typed", "clipboard": "tmux"}
        written |= {"notify": "bell", "restore": "off"}
        assert tomllib.loads(file.read_text()) == written
        await screen.press("1")
        await screen.press("l")
        await screen.until(lambda: screen.dashboard.focused is not screen.dashboard.executions)


async def test_it_is_said_what_auto_came_to_and_how_many_themes_there_are(
    storage: SQLiteStorage, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.screens.settings.LOOK_SECONDS", 0.02)
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    folder = file.parent / "themes"
    folder.mkdir(parents=True)
    ours = len(load_themes()[0])
    async with screen_on(storage, (80, 24), config=Config(file)) as screen:
        pane = await open_settings(screen)
        await screen.expect("‹ auto: unicode ›", "‹ auto: twice a second ›", "‹ auto: tmux ›", f" {ours} of ours · ")
        assert "colour" in screen.text_of(pane).split("\n")[0]
        (folder / "mine.toml").write_text("\n".join(f'{name} = "#ffffff"' for name in COLOURS))
        await screen.expect(f"{ours} of ours · 1 of yours", "mine.toml: foreground on background has a contrast of 1.0")
        footer = screen.app.screen.query_one("#footer", Bar)
        await screen.until(lambda: "mine.toml: foreground on background" in screen.text_of(footer))
        screen.app.session.set("theme", "mine")
        await screen.expect(f"yours · {ours} of ours")


async def test_ascii_signs_are_on_all_screens_at_once(storage: SQLiteStorage, file: Path) -> None:
    start(storage, sleeping())
    async with screen_on(storage, config=Config(file)) as screen:
        await screen.expect("◦")
        await open_settings(screen)
        await screen.press("j", "left")
        await screen.expect("< ascii >")
        assert "◦" not in screen.text
        await screen.press("1")
        await screen.expect("queued")
        assert "◦" not in screen.text


async def test_a_theme_that_is_saved_is_seen_on_every_screen(
    storage: SQLiteStorage, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.screens.following.WATCH_SECONDS", 0.02)
    (file.parent / "themes").mkdir(parents=True)
    mine = file.parent / "themes" / "mine.toml"
    mine.write_text("\n".join(f'{name} = "#{"ffffff" if name == "foreground" else "000000"}"' for name in COLOURS))
    file.write_text("theme = 'mine'\n")
    async with screen_on(storage, config=Config(file)) as screen:
        await screen.until(lambda: screen.app.theme == "mine")
        mine.write_text(mine.read_text().replace("ffffff", "eeeeee"))
        await screen.until(lambda: screen.app.theme_variables["foreground"].lower() == "#eeeeee")
        assert screen.app.screen is screen.dashboard
        mine.write_text("dark = 3")
        await screen.expect("mine.toml")


async def test_what_is_saved_elsewhere_is_seen_and_what_is_wrong_is_said(
    storage: SQLiteStorage, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.screens.settings.LOOK_SECONDS", 0.02)
    file.parent.mkdir()
    async with screen_on(storage, config=Config(file)) as screen:
        await open_settings(screen)
        file.write_text("theme = 'heather'\n")
        await screen.until(lambda: screen.app.theme == "heather")
        file.write_text("theme = 'heathr'\nclock = 'never'\nkeys = {run = 'ctrl+a'}\n")
        await screen.expect("there is no theme 'heathr'; did you mean 'heather'?", "clock is", "ctrl+a never reaches")
        assert screen.app.theme == DEFAULT
        file.write_text("theme = ")
        await screen.expect("ui.toml is not read")
        await screen.press("right")
        await screen.expect("while it cannot be read")
        file.unlink()
        await screen.until(lambda: screen.app.session.troubles == [])


async def test_a_theme_of_ones_own_appears_when_it_is_saved(
    storage: SQLiteStorage, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.screens.settings.LOOK_SECONDS", 0.02)
    folder = file.parent / "themes"
    folder.mkdir(parents=True)
    file.write_text("theme = 'mine'\n")
    ours = next(theme for theme in load_themes()[0] if theme.name == DEFAULT)
    colours = {name: getattr(ours, name) for name in COLOURS}
    async with screen_on(storage, config=Config(file)) as screen:
        await screen.expect("ui.toml: theme: there is no theme 'mine'")
        await open_settings(screen)
        for background in ("#101010", "#202020"):
            colours["background"] = background
            (folder / "mine.toml").write_text("\n".join(f'{name} = "{value}"' for name, value in colours.items()))
            await screen.until(lambda: screen.app.theme == "mine")
            await screen.until(lambda wanted=background: screen.app.screen.styles.background.hex == wanted)  # type: ignore[misc]  # bound at once
        (folder / "mine.toml").write_text("primary = 3")
        await screen.expect("mine.toml: no colour for", "until it is mended")
        assert screen.app.theme == "mine"
        (folder / "mine.toml").unlink()
        await screen.until(lambda: screen.app.theme == DEFAULT)


async def test_the_environment_wins_and_says_so(
    storage: SQLiteStorage, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPFLOW_THEME", "moss")
    monkeypatch.setenv("STEPFLOW_ASCII", "1")
    file.parent.mkdir()
    file.write_text("theme = 'ember'\nglyphs = 'unicode'\n")
    async with screen_on(storage, config=Config(file)) as screen:
        assert screen.app.theme == "moss"
        await open_settings(screen)
        await screen.expect("STEPFLOW_THEME is set and wins", "STEPFLOW_ASCII is set and wins", "< moss >")
        await screen.press("right")
        await screen.expect("unset it to choose here")
        assert "ember" in file.read_text()


async def test_an_unknown_theme_in_the_environment_is_no_crash(
    storage: SQLiteStorage, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPFLOW_THEME", "embre")
    file.parent.mkdir()
    file.write_text("theme = 'heather'\n")
    async with screen_on(storage, config=Config(file)) as screen:
        assert screen.app.theme == "heather"
        await screen.expect("STEPFLOW_THEME: there is no theme 'embre'; did you mean 'ember'?")


async def test_enter_on_the_clipboard_copies_a_test(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[tuple[str, str]] = []
    monkeypatch.setattr(clipboard, "copy", lambda app, text, way: copied.append((text, way)) or "tmux")
    async with screen_on(storage) as screen:
        await open_settings(screen)
        await screen.press(*"jjjjj", "enter")
        await screen.expect("Copied 'copied by stepflow' by tmux")
        assert copied == [("copied by stepflow", "auto")]
        await screen.press("g", "enter")
        await screen.until(lambda: screen.app.theme != DEFAULT)


@pytest.mark.parametrize("no_color", [False, pytest.param(True, marks=pytest.mark.full)])
async def test_every_theme_paints_every_sign(
    storage: SQLiteStorage, no_color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    async with screen_on(storage, (60, 24)) as screen:
        pane = await open_settings(screen)
        pictures = set()
        for theme in screen.app.session.themes:
            screen.app.session.set("theme", theme)
            await screen.expect("completed", "timed_out", f"‹ {theme} ›")
            await screen.pilot.pause()
            cursor = pane.style_of("cursor")
            assert cursor.reverse or cursor.bgcolor != pane.rich_style.bgcolor, theme
            strip = screen.app.screen.query_one(Preview).render_line(2)
            assert any(segment.style is not None and segment.style.reverse for segment in strip)
            pictures.add(screen.app.export_screenshot(simplify=True).replace(theme, ""))
        assert len(pictures) == len(screen.app.session.themes)


@pytest.mark.parametrize(
    "size", [(40, 10), *(pytest.param(size, marks=pytest.mark.full) for size in ((80, 24), (200, 60)))]
)
async def test_it_works_at_every_size(storage: SQLiteStorage, size: tuple[int, int]) -> None:
    async with screen_on(storage, size) as screen:
        await open_settings(screen)
        for key in ("j", "right", "G", "g", "question_mark", "x", "colon", "escape", "1", "8", "q"):
            await screen.press(key)
        await screen.expect("Executions" if size[0] > 300 else "stepflow")


async def test_typed_confirmation_wants_the_whole_word(storage: SQLiteStorage) -> None:
    run_id = start(storage, sleeping())
    config = Config()
    config.set("confirm", "typed")
    async with screen_on(storage, config=config) as screen:
        await screen.expect("queued")
        await screen.press("c")
        await screen.expect("type yes:")
        await screen.press("y", "n")
        await screen.until(lambda: not screen.app.screen.query("#question"))
        await screen.press("c", "y", "e")
        await screen.expect("ye_")
        assert not storage.get_run(run_id).status.is_final
        await screen.press("s")
        await screen.until(lambda: storage.get_run(run_id).status.is_final)
