"""Kinds of values under the keys of a template: durations, counts, words, texts, schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepflow.dsl.diagnostics import did_you_mean
from stepflow.dsl.places import Place
from stepflow.dsl.problems import Problems
from stepflow.dsl.schemas import check_schema
from stepflow.dsl.spellings import WithUnit
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
                hint = did_you_mean(key, known).removeprefix("; ")
                self.problems.error(
                    "E120", f"Unknown key '{key}'", (*place, key), hint or "keys of your own begin with x-"
                )

    def duration(self, raw: Json, place: Place) -> int | None:
        if raw is None:
            return None
        try:
            return parse_duration(f"{raw:d}ms" if isinstance(raw, WithUnit) else str(raw))
        except ValueError as error:
            self.problems.error("E119", str(error), place)
            return None

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
        self.problems.error("E119", f"'{key}' is true or false", (*place, key))
        return False

    def word(self, raw: Mapping[str, Any], key: str, words: tuple[str, ...], default: str, place: Place) -> str:
        value = raw.get(key)
        if value is None:
            return default
        if value not in words:
            hint = did_you_mean(str(value), words).removeprefix("; ")
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
        for problem in check_schema(schema):
            self.problems.error("E108", f"'{key}' is not a JSON Schema: {problem}", (*place, key))
        return schema
