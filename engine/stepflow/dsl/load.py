"""Text to data with positions: YAML 1.2 (core scalars) or JSON, with every syntax mistake as a diagnostic.

`on`, `no`, `0777`, `12:30`, `2024-01-01` are strings or plain integers, never booleans, octals or dates. Duplicate
keys, tags, merge keys and a second document are errors. Size, nesting and node count are capped, so that an alias bomb
is an error and not a hang.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import yaml

from stepflow.dsl.compose import Composer, Refused
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.dsl.places import Entry, Format, Place, Places, Position, json_as_yaml
from stepflow.dsl.syntax import beyond_json, no_character, read_json, yaml_mistake
from stepflow.model.flow import Json

MAX_BYTES = 10 * 1024 * 1024


class Document:
    """What a text says, or why it says nothing."""

    def __init__(self, text: str, source_format: Format, data: Json = None) -> None:
        self.data = data
        """None where there are diagnostics."""
        self.salvaged: Json = None
        """What could be read beside what the diagnostics say, to look for more mistakes in it."""
        self.text = text
        """As the author wrote it."""
        self.source_format = source_format
        self.diagnostics: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self._renamed: dict[Place, Place] = {}

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _entries(self) -> Mapping[Place, Entry]:
        return Places(self.text, self.source_format).entries

    def position(self, place: Place, *, of_key: bool = False) -> Position:
        """Of the nearest thing that stands in the text itself; `of_key`: of the key there, where it has one."""
        place = self.written(place)
        while True:
            entry = self._entries.get(place)
            at = None if entry is None else (entry.key_position if of_key else None) or entry.position
            if at is not None:
                return at
            if not place:
                return 0, 0
            place, of_key = place[:-1], False

    def holds(self, place: Place) -> bool:
        """It stands in the text under just these keys."""
        return place in self._entries

    def renamed(self, before: Place, after: Place) -> None:
        """What stands at `before` is called `after` from here on."""
        self._renamed.setdefault(after, before)

    def written(self, place: Place) -> Place:
        """The same place under the keys that the author wrote."""
        if place in self._entries:
            return place
        for end in range(len(place), 0, -1):
            before = self._renamed.get(place[:end])
            if before is not None:
                return (*self.written(before), *place[end:])
        return place


def load(text: str, source_format: Format | None = None) -> Document:
    """Never raises for what is in the text."""
    chosen: Format = source_format or ("json" if text.lstrip()[:1] in ("{", "[") else "yaml")
    document = Document(text, chosen)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        document.diagnostics.append(no_character(text, error.start))
        return document
    if size > MAX_BYTES:
        message = f"The text is larger than {MAX_BYTES // 1024 // 1024} MB"
        document.diagnostics.append(
            Diagnostic("E001", "error", message, hint="move data into files and read them with /builtin/load_file")
        )
        return document
    if chosen == "yaml":
        syntax_error = _compose(text, document)
        if syntax_error is not None:
            document.diagnostics.append(yaml_mistake(syntax_error, text))
        return document
    data, problem = read_json(text)
    if problem is None or problem.code == "E003":
        # YAML's reader gives the positions; the values are JSON's own.
        if _compose(json_as_yaml(text), document) is not None:
            problem = problem or beyond_json(text)
            document.diagnostics = [] if problem is None else [problem]
        if problem is None and not document.diagnostics:
            document.data = data
    elif source_format == "json" or problem.code == "E010":
        document.diagnostics.append(problem)
    elif _compose(text, document) is not None:
        document.diagnostics = [problem]
    return document


def _compose(text: str, document: Document) -> yaml.YAMLError | None:
    """What the text says goes into the document; why it is no YAML is given back."""
    composer = Composer(text)
    data: Json = None
    syntax_error = None
    try:
        data = composer.compose()
    except Refused as refusal:
        composer.mistakes.append(refusal.diagnostic)
    except yaml.YAMLError as error:
        syntax_error = error
    document.diagnostics, document.warnings = composer.mistakes, composer.warnings
    if composer.mistakes:
        document.salvaged = data
    else:
        document.data = data
    return syntax_error
