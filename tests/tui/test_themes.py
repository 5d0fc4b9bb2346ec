"""Themes: found by their place, complete, and readable."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import Theme

from stepflow_tui.theme import DEFAULT, ThemeError, load_theme, load_themes

ENOUGH = 4.5


def luminance(color: Color) -> float:
    parts = [part / 255 for part in color.rgb]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(Color.parse(one)), luminance(Color.parse(other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", load_themes(), ids=lambda theme: theme.name)
def test_every_signal_can_be_read_on_every_ground(theme: Theme) -> None:
    for ground in (theme.background, theme.panel, theme.boost):
        for name in ("foreground", "primary", "success", "warning", "error", "accent"):
            found = contrast(getattr(theme, name) or "", ground or "")
            assert found >= ENOUGH, f"{theme.name}: {name} on {ground} has {found:.1f}"
    assert contrast(theme.secondary or "", theme.background or "") >= ENOUGH


def test_the_default_is_there() -> None:
    assert DEFAULT in {theme.name for theme in load_themes()}


def test_a_theme_that_is_none_says_what_it_misses(tmp_path: Path) -> None:
    (tmp_path / "half.toml").write_text('primary = "#fff"\n')
    with pytest.raises(ThemeError, match="no colour for secondary"):
        load_theme(tmp_path / "half.toml")
    (tmp_path / "broken.toml").write_text("primary =")
    with pytest.raises(ThemeError, match=r"broken\.toml"):
        load_theme(tmp_path / "broken.toml")
