"""Gathering diagnostics while a document is read: all mistakes at once, each where it stands."""

from __future__ import annotations

from stepflow.dsl.diagnostics import Diagnostic, Suggestions
from stepflow.dsl.load import Document
from stepflow.dsl.places import Place, Position, write_place

SEARCHED_LINES = 200
"""Below the beginning of a value: how far something in it is looked for."""


class Problems:
    """`base`: where the flow that is read stands in the document, when it is nested in another."""

    def __init__(self, document: Document, file: str | None, base: Place = ()) -> None:
        self._document = document
        self._file = file
        self._base = base
        self.found: list[Diagnostic] = []
        self.suggestion = Suggestions()

    def inside(self, place: Place) -> Problems:
        """For a flow that stands at `place`; what is found goes with the rest."""
        nested = Problems(self._document, self._file, (*self._base, *place))
        nested.found = self.found
        nested.suggestion = self.suggestion
        return nested

    def error(
        self,
        code: str,
        message: str,
        place: Place,
        hint: str = "",
        *,
        at: tuple[str, int] | None = None,
        at_key: bool = False,
    ) -> None:
        """`at`: a piece of the value's text, and the offset in it at which the mistake stands. `at_key`: the mistake is
        the key itself, which ends `place` as it is written."""
        self._add(code, "error", message, place, hint, at, at_key)

    def warning(self, code: str, message: str, place: Place, hint: str = "") -> None:
        self._add(code, "warning", message, place, hint)

    def info(self, code: str, message: str, place: Place, hint: str = "") -> None:
        self._add(code, "info", message, place, hint)

    def _add(
        self,
        code: str,
        level: str,
        message: str,
        place: Place,
        hint: str,
        at: tuple[str, int] | None = None,
        at_key: bool = False,
    ) -> None:
        written = (*self.written(place[:-1]), place[-1]) if at_key else self.written(place)
        line, column = self._document.position(written, of_key=at_key)
        if at is not None and line:
            line, column = self._inside(line, column, *at)
        self.found.append(
            Diagnostic(code, level, message, write_place(written), self._file, line, column, hint)  # type: ignore[arg-type]  # the three above say which levels there are
        )

    def written(self, place: Place) -> Place:
        """Counted from the beginning of the document, under the keys that the author wrote."""
        return self._document.written((*self._base, *place))

    def position(self, place: Place, at: tuple[str, int] | None = None) -> Position:
        """Of a value, or of what stands in its text; (0, 0): it stands nowhere."""
        line, column = self._document.position((*self._base, *place))
        return self._inside(line, column, *at) if at is not None and line else (line, column)

    def _inside(self, line: int, column: int, piece: str, offset: int) -> tuple[int, int]:
        """Where `offset` of `piece` stands, which begins somewhere below line and column; these, where the text has it
        in other words."""
        lines = self._document.lines[line - 1 : line - 1 + SEARCHED_LINES]
        written = piece.split("\n")
        before = piece[:offset].split("\n")
        below = len(before) - 1
        for number, text in enumerate(lines):
            start = text.find(written[0], column - 1 if number == 0 else 0)
            if start >= 0:
                if not below:
                    return line + number, start + 1 + offset
                start = lines[number + below].find(written[below]) if number + below < len(lines) else -1
                return (line + number + below, start + 1 + len(before[-1])) if start >= 0 else (line, column)
        return line, column

    def renamed(self, before: Place, after: Place) -> None:
        """What stood at `before` is called `after` from here on, and still stands where it stood."""
        self._document.renamed((*self._base, *before), (*self._base, *after))
