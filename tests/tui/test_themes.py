"""Themes: found by their place, complete, and readable by everybody, on every terminal."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
from rich.color import Color as TerminalColour
from rich.color import ColorSystem
from textual.color import Color
from textual.theme import Theme

from stepflow_tui.presentation.glyphs import RUN_GLYPHS, STEP_GLYPHS
from stepflow_tui.theme import DEFAULT, ThemeError, load_theme, load_themes

ENOUGH = 4.5
GROUNDS = ("background", "surface", "panel", "boost")
TEXTS = ("foreground", "primary", "secondary", "accent", "success", "warning", "error")
SIGNALS = ("primary", "accent", "success", "warning", "error")
APART = 6.0
"""Between two signals of a theme for the colour-blind, in hundredths of the OKLab space, as they see them."""
SEEN_BY = {
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
"""What they see of linear red, green and blue: Machado, Oliveira and Fernandes 2009."""

THEMES = load_themes()[0]
COLOURED = [theme for theme in THEMES if not theme.ansi]

Rgb = tuple[int, int, int]


def linear(rgb: Rgb) -> tuple[float, float, float]:
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in (one / 255 for one in rgb)
    )
    return red, green, blue


def contrast(one: Rgb, other: Rgb) -> float:
    def luminance(rgb: Rgb) -> float:
        red, green, blue = linear(rgb)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def rgb_of(theme: Theme, name: str) -> Rgb:
    return Color.parse(getattr(theme, name)).rgb


def oklab(linear_rgb: list[float]) -> tuple[float, float, float]:
    red, green, blue = (min(1.0, max(0.0, part)) for part in linear_rgb)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    middle = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


@pytest.mark.parametrize("theme", COLOURED, ids=lambda theme: theme.name)
@pytest.mark.parametrize("system", [ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT])
def test_every_text_can_be_read_on_every_ground(theme: Theme, system: ColorSystem) -> None:
    for ground, text in itertools.product(GROUNDS, TEXTS):
        shown = [
            tuple(TerminalColour.from_rgb(*rgb_of(theme, name)).downgrade(system).get_truecolor())
            for name in (text, ground)
        ]
        found = contrast(*shown)  # type: ignore[arg-type]  # triplets
        assert found >= ENOUGH, f"{theme.name}: {text} on {ground} has {found:.2f}"


@pytest.mark.parametrize("theme", COLOURED, ids=lambda theme: theme.name)
def test_on_sixteen_colours_no_text_has_the_colour_of_its_ground(theme: Theme) -> None:
    for ground, text in itertools.product(GROUNDS, TEXTS):
        numbers = [
            TerminalColour.from_rgb(*rgb_of(theme, name)).downgrade(ColorSystem.STANDARD).number
            for name in (text, ground)
        ]
        assert numbers[0] != numbers[1], f"{theme.name}: {text} on {ground}"


@pytest.mark.parametrize("theme", [theme for theme in THEMES if theme.ansi], ids=lambda theme: theme.name)
def test_the_terminals_own_colours_stand_on_its_own_ground(theme: Theme) -> None:
    assert {getattr(theme, ground) for ground in GROUNDS} == {"ansi_default"}
    assert theme.foreground == theme.secondary == "ansi_default"
    assert theme.variables["cursor-style"] == "bold reverse", "the cursor has no colour of its own to be seen by"


def test_statuses_are_told_apart_without_colour() -> None:
    for glyphs in (RUN_GLYPHS, STEP_GLYPHS):
        for index in (0, 1):
            assert len({entry[index] for entry in glyphs.values()}) == len(glyphs)  # type: ignore[attr-defined]


@pytest.mark.parametrize("sight", SEEN_BY)
def test_themes_for_the_colour_blind_keep_signals_apart_as_they_see_them(sight: str) -> None:
    themes = [theme for theme in THEMES if theme.name.startswith(sight)]
    assert {theme.dark for theme in themes} == {True, False}
    for theme in themes:
        for one, other in itertools.combinations(SIGNALS, 2):
            seen = [
                [
                    sum(part * weight for part, weight in zip(linear(rgb_of(theme, name)), row, strict=True))
                    for row in SEEN_BY[sight]
                ]
                for name in (one, other)
            ]
            apart = 100 * math.dist(oklab(seen[0]), oklab(seen[1]))
            assert apart >= APART, f"{theme.name}: {one} and {other} are {apart:.1f} apart"


def test_there_is_one_for_everybody() -> None:
    names = {theme.name for theme in THEMES}
    assert DEFAULT in names
    assert {"contrast-dark", "contrast-light", "terminal", "mono", "stepflow-light"} <= names
    assert len(names) >= 12


WHOLE = "\n".join(f'{name} = "#ffffff"' for name in (*TEXTS, *GROUNDS))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('primary = "#fff"', "no colour for secondary, accent"),
        ("primary =", "bad.toml: "),
        (WHOLE.replace('boost = "#ffffff"', 'boost = "reddish"'), "boost: 'reddish' is no colour; write #7cc4ff"),
        (WHOLE + "\nprimry = '#fff'", "'primry' is unknown; did you mean 'primary'?"),
        (WHOLE + "\ndark = 'yes'", "dark is true or false"),
        (WHOLE + "\ncursor_style = 'blinking'", "cursor_style takes bold, dim"),
        (WHOLE.replace('boost = "#ffffff"', "boost = 3"), "no colour for boost"),
    ],
)
def test_a_file_that_is_no_theme_says_why(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ThemeError) as error:
        load_theme(tmp_path / "bad.toml")
    assert said in str(error.value)


def test_a_persons_own_themes_come_too_and_wrong_ones_are_said(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(WHOLE)
    (tmp_path / f"{DEFAULT}.toml").write_text(WHOLE)
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    (tmp_path / "notes.txt").write_text("no theme")
    (tmp_path / "folder.toml").mkdir()
    themes, troubles = load_themes(tmp_path)
    by_name = {theme.name: theme for theme in themes}
    assert by_name["mine"].primary == by_name[DEFAULT].primary == "#ffffff"
    wrong, *poor = troubles
    assert wrong.startswith("bad.toml: ")
    assert wrong.endswith("until it is mended the theme stays as it was, or is left out")
    assert poor[0] == "mine.toml: foreground on background has a contrast of 1.0; from 4.5 on it is readable"
    (tmp_path / "mine.toml").write_text(WHOLE.replace('background = "#ffffff"', 'background = "#000000"'))
    (tmp_path / f"{DEFAULT}.toml").write_text(WHOLE.replace('foreground = "#ffffff"', 'foreground = "ansi_default"'))
    assert load_themes(tmp_path)[1] == [wrong]
    assert load_themes(tmp_path / "none")[1] == []
