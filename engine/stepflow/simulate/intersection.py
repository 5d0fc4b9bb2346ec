"""Several JSON Schemas that all must hold, as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from math import gcd
from typing import Any

from stepflow.model.flow import Json

Schema = dict[str, Any]


def intersection(schemas: Iterable[Schema]) -> Schema:
    """Of schemas without references and choices. What cannot be joined is said by the first."""
    joined: Schema = {}
    for schema in schemas:
        properties = _properties(joined, schema)
        for key, value in schema.items():
            joined[key] = _JOIN[key](joined[key], value) if key in joined and key in _JOIN else joined.get(key, value)
        if properties:
            joined["properties"] = properties
    return joined


def _both(one: Json, other: Json) -> Json:
    if one is True or other is True:
        return other if one is True else one
    return {"allOf": [one, other]}


def _properties(one: Schema, other: Schema) -> dict[str, Json]:
    """What only one of them names, the other may speak of in `additionalProperties`."""
    named, also = one.get("properties") or {}, other.get("properties") or {}
    return {
        name: _both(
            named[name] if name in named else one.get("additionalProperties", True),
            also[name] if name in also else other.get("additionalProperties", True),
        )
        for name in (*named, *also)
    }


def _items_first(one: list[Json], other: list[Json]) -> list[Json]:
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    return [_both(first, shorter[index]) if index < len(shorter) else first for index, first in enumerate(longer)]


def _type(one: str, other: str) -> str:
    return "integer" if {one, other} == {"integer", "number"} else one


def _multiple(one: float, other: float) -> float:
    first, second = Fraction(str(one)), Fraction(str(other))
    least = Fraction(
        first.numerator * second.numerator // gcd(first.numerator, second.numerator),
        gcd(first.denominator, second.denominator),
    )
    return int(least) if least.denominator == 1 else float(least)


def _common(one: list[Json], other: list[Json]) -> list[Json]:
    return [value for value in one if value in other]


def _union(one: list[str], other: list[str]) -> list[str]:
    return list(dict.fromkeys([*one, *other]))


_JOIN: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"), min),
    **dict.fromkeys(("items", "additionalProperties", "contains", "propertyNames"), _both),
    "multipleOf": _multiple,
    "type": _type,
    "enum": _common,
    "required": _union,
    "prefixItems": _items_first,
}
