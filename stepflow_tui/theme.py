"""Themes: one TOML file each, in `themes/` and in the person's own folder, found by their place."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import Theme

from stepflow.dsl.diagnostics import did_you_mean

DEFAULT = "stepflow-dark"
COLOURS = (
    "primary",
    "secondary",
    "accent",
    "success",
    "warning",
    "error",
    "foreground",
    "background",
    "surface",
    "panel",
    "boost",
)
ENOUGH = 4.5
"""Contrast from which on text is readable, by WCAG."""
_FLAGS = ("dark", "ansi")
STYLES = {"cursor_style": "bold", "quiet_style": "none"}
"""How the line under the cursor and quiet text stand out beside their colour, where a theme does not say."""
_STYLE_WORDS = ("bold", "dim", "italic", "reverse", "underline", "none")


class ThemeError(Exception):
    """A theme's file says something that is no theme."""


def themes_folder() -> Path:
    """Beside the code in an installed package, at the root of a checkout."""
    package = Path(__file__).parent
    installed = package / "themes"
    return installed if installed.is_dir() else package.parent / "themes"


def load_theme(file: Path) -> Theme:
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ThemeError(f"{file.name}: {error}") from error
    for trouble in _troubles(raw):
        raise ThemeError(f"{file.name}: {trouble}")
    return Theme(
        name=file.stem,
        dark=raw.get("dark", True),
        ansi=raw.get("ansi", False),
        variables={
            **{name.replace("_", "-"): raw.get(name, default) for name, default in STYLES.items()},
            "boost": raw["boost"],  # Textual makes it transparent where there is a panel
            "ansi-background": "ansi_default",
            "ansi-foreground": "ansi_default",
        },
        **{name: raw[name] for name in COLOURS},
    )


def _troubles(raw: dict[str, Any]) -> Iterator[str]:
    known = (*COLOURS, *_FLAGS, *STYLES)
    for name in raw:
        if name not in known:
            yield f"'{name}' is unknown{did_you_mean(name, known) or '; it takes ' + ', '.join(known)}"
    missing = [name for name in COLOURS if not isinstance(raw.get(name), str)]
    if missing:
        yield f"no colour for {', '.join(missing)}"
    for name in COLOURS:
        try:
            Color.parse(raw[name])
        except ColorParseError:
            yield f"{name}: '{raw[name]}' is no colour; write #7cc4ff, or ansi_blue for the terminal's own"
    for name in _FLAGS:
        if not isinstance(raw.get(name, True), bool):
            yield f"{name} is true or false"
    for name in STYLES:
        words = raw.get(name, "none")
        if not isinstance(words, str) or not words or not set(words.split()) <= set(_STYLE_WORDS):
            yield f"{name} takes {', '.join(_STYLE_WORDS)}"


def load_themes(own: Path | None = None) -> tuple[list[Theme], list[str]]:
    """Ours, then those of the folder `own`, which may take the names of ours; and what is wrong with its files."""
    themes = [load_theme(file) for file in sorted(themes_folder().glob("*.toml"))]
    troubles = []
    for file in _files_of(own):
        try:
            theme = load_theme(file)
            themes.append(theme)
            if (found := _contrast(theme)) < ENOUGH:
                said = f"foreground on background has a contrast of {found:.1f}; from {ENOUGH} on it is readable"
                troubles.append(f"{file.name}: {said}")
        except ThemeError as error:
            troubles.append(f"{error}; until it is mended the theme stays as it was, or is left out")
    return themes, troubles


def _contrast(theme: Theme) -> float:
    """Of its text, as WCAG counts it; the terminal's own colours are taken to be enough."""
    assert theme.foreground is not None
    assert theme.background is not None
    text, ground = Color.parse(theme.foreground), Color.parse(theme.background)
    if text.ansi is not None or ground.ansi is not None:
        return ENOUGH
    light, dark = sorted((_luminance(text), _luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Color) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def own_themes(own: Path | None) -> set[str]:
    """Names that a person's own folder has a file for."""
    return {file.stem for file in _files_of(own)}


def stamp_of(own: Path | None) -> list[tuple[str, int]]:
    """Another one when a file of the folder is."""
    return [(file.name, file.stat().st_mtime_ns) for file in _files_of(own)]


def _files_of(own: Path | None) -> list[Path]:
    return [] if own is None else sorted(file for file in own.glob("*.toml") if file.is_file())
