"""Themes: one TOML file each in `themes/`, found by their place."""

from __future__ import annotations

import tomllib
from pathlib import Path

from textual.theme import Theme

DEFAULT = "stepflow-dark"
_COLOURS = (
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
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ThemeError(f"{file}: {error}") from error
    missing = [name for name in _COLOURS if not isinstance(raw.get(name), str)]
    if missing:
        raise ThemeError(f"{file}: no colour for {', '.join(missing)}")
    return Theme(name=file.stem, dark=bool(raw.get("dark", True)), **{name: raw[name] for name in _COLOURS})


def load_themes() -> list[Theme]:
    return [load_theme(file) for file in sorted(themes_folder().glob("*.toml"))]
