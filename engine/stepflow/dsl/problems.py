"""Gathering diagnostics while a document is read: all mistakes at once, each where it stands."""

from __future__ import annotations

from stepflow.dsl.diagnostics import Diagnostic
from stepflow.dsl.load import Document, Place, write_place


class Problems:
    def __init__(self, document: Document, file: str | None) -> None:
        self._document = document
        self._file = file
        self.found: list[Diagnostic] = []

    def error(self, code: str, message: str, place: Place, hint: str = "") -> None:
        self._add(code, "error", message, place, hint)

    def warning(self, code: str, message: str, place: Place, hint: str = "") -> None:
        self._add(code, "warning", message, place, hint)

    def info(self, code: str, message: str, place: Place, hint: str = "") -> None:
        self._add(code, "info", message, place, hint)

    def _add(self, code: str, level: str, message: str, place: Place, hint: str) -> None:
        line, column = self._document.position(place)
        self.found.append(
            Diagnostic(code, level, message, write_place(place), self._file, line, column, hint)  # type: ignore[arg-type]  # the three above say which levels there are
        )

    def renamed(self, before: Place, after: Place) -> None:
        """What stood at `before` is called `after` from here on, and still stands where it stood."""
        positions = self._document.positions
        if before in positions:
            positions.setdefault(after, positions[before])
