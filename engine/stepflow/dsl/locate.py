"""Where a value that is wrong stands in the author's text. The text is read again, and only when somebody asks."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from stepflow.dsl.load import load
from stepflow.dsl.parse import Parser
from stepflow.dsl.places import Format, Place, write_place
from stepflow.dsl.problems import Problems


class Locator:
    """Of one template; `steps` are its keys in the flow's order."""

    def __init__(self, source: str, source_format: Format, file: str | None, steps: tuple[str, ...]) -> None:
        self._source = source
        self._format = source_format
        self._file = file
        self._steps = steps

    @cached_property
    def _read(self) -> tuple[Problems, dict[str, Place]]:
        document = load(self._source, self._format)
        problems = Problems(document, self._file)
        parser = Parser(problems)
        if not document.diagnostics:
            parser.flow(document.data)  # tells the document how its keys are spelled
        return problems, parser.places

    def __call__(self, place: Place, expression: str | None) -> dict[str, Any]:
        """`path`, and `file`, `line` and `column` where they are known. `place` is of the flow, where steps are a list;
        `expression` is one in the value there."""
        problems, places = self._read
        if place[0] == "steps" and isinstance(place[1], int):
            place = (*places.get(self._steps[place[1]], place[:2]), *place[2:])
        found: dict[str, Any] = {"path": write_place(problems.written(place))}
        line, column = problems.position(place, None if expression is None else (expression, 0))
        if line:
            found |= {"line": line, "column": column}
            if self._file is not None:
                found["file"] = self._file
        return found
