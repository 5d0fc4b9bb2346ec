"""Kinds of values under the keys of a template: durations, counts, words, texts, schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepflow.dsl.places import Place
from stepflow.dsl.problems import Problems
from stepflow.dsl.schemas import check_schema
from stepflow.dsl.spellings import WithUnit
from stepflow.dsl.violations import Violation
from stepflow.model.flow import Json
from stepflow.model.times import parse_duration


class Kinds:
    """Reads values of a mapping; of a wrong one it gives the default."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def unknown_keys(self, raw: Mapping[str, Any], known: frozenset[str], place: Place) -> None:
        if raw.keys() <= known:
            return
        for key in raw:
            if key not in known and not key.startswith("x-"):
                written = str(self.problems.written((*place, key))[-1])
                hint = self.problems.suggestion(written, known) or "keys of your own begin with x-"
                self.problems.error("E120", f"Unknown key '{written}'", (*place, written), hint, at_key=True)

    def duration(self, raw: Json, place: Place, *, may_be_nothing: bool = True) -> int | None:
        if raw is None:
            return None
        try:
            duration_ms = parse_duration(f"{raw:d}ms" if isinstance(raw, WithUnit) else str(raw))
        except ValueError as error:
            self.problems.error("E119", str(error), place)
            return None
        if not duration_ms and not may_be_nothing:
            name = self.problems.written(place)[-1]
            self.problems.error("E119", f"'{name}' must be longer than nothing", place, "leave it out, or say how long")
        return duration_ms

    def count(self, raw: Mapping[str, Any], key: str, default: int, place: Place, least: int = 1) -> int:
        value = raw.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1_000_000:
            self.problems.error("E119", f"'{key}' is a whole number from {least}", (*place, key))
            return default
        return int(value)

    def flag(self, raw: Mapping[str, Any], key: str, place: Place) -> bool:
        value = raw.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.problems.error("E119", f"'{key}' is true or false", (*place, key), "write it without quotes: true")
        return False

    def word(self, raw: Mapping[str, Any], key: str, words: tuple[str, ...], default: str, place: Place) -> str:
        value = raw.get(key)
        if value is None:
            return default
        if value not in words:
            hint = self.problems.suggestion(str(value), words)
            self.problems.error("E119", f"'{key}' is one of {', '.join(words)}", (*place, key), hint)
            return default
        return str(value)

    def text(self, raw: Mapping[str, Any], key: str, place: Place) -> str:
        value = raw.get(key)
        if value is None or isinstance(value, str):
            return value or ""
        self.problems.error("E119", f"'{key}' is a text", (*place, key), "put it in quotes")
        return ""

    def mapping(self, raw: Mapping[str, Any], key: str, place: Place) -> dict[str, Any]:
        value = raw.get(key)
        if value is None or isinstance(value, dict):
            return value or {}
        self.problems.error("E119", f"'{key}' is a mapping", (*place, key))
        return {}

    def schema(self, raw: Mapping[str, Any], key: str, place: Place) -> Json:
        schema = raw.get(key)
        if schema is None:
            return None
        if not isinstance(schema, dict | bool):
            self.problems.error("E108", f"'{key}' is a JSON Schema", (*place, key))
            return None
        self.no_schema(check_schema(schema), key, (*place, key))
        return schema

    def no_schema(self, wrong: Violation | None, key: str, place: Place) -> None:
        if wrong is not None:
            message = f"'{key}' is not a JSON Schema: {wrong.message}"
            hint = (wrong.word and self.problems.suggestion(wrong.word, wrong.known)) or wrong.otherwise
            self.problems.error("E108", message, (*place, *wrong.place), hint)
