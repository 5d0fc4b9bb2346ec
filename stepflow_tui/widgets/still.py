"""What lies behind the panes: drawn once, until it looks otherwise."""

from __future__ import annotations

from textual.containers import Container, Horizontal, Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Still(Widget):
    """Textual draws whatever lies behind a pane each time that the pane draws a line, and works out anew for each line
    how it would look. The last of the bases: Textual takes the styles of the first alone."""

    _still_strips: tuple[Region, list[Strip]] | None = None

    def render_lines(self, crop: Region) -> list[Strip]:
        if self._still_strips is None or self._still_strips[0] != crop:
            self._still_strips = crop, super().render_lines(crop)
        return self._still_strips[1]

    def _set_dirty(self, *regions: Region) -> None:
        super()._set_dirty(*regions)
        self._still_strips = None

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._still_strips = None


class StillContainer(Container, Still):
    """A box."""


class StillHorizontal(Horizontal, Still):
    """Panes side by side."""


class StillVertical(Vertical, Still):
    """Panes one above the other."""
