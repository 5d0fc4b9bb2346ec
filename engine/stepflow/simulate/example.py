"""A value made from a JSON Schema: the plainest one that it allows.

What says most is taken first: `const`, `default`, an example, the first of an `enum`; else a value is built. Of
`oneOf`, `anyOf`, `if` and several types the first choice is taken with which the value is allowed. Only `pattern`,
`not` and names of properties are not built for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import islice, product
from typing import Any

from stepflow.dsl.schemas import compile_schema
from stepflow.model.flow import Json
from stepflow.simulate.intersection import Schema, intersection

MAX_DEPTH = 40
MAX_TRIES = 64
"""Of one value."""
MAX_TRIES_IN_ALL = 1000
MAX_ITEMS = 1000
MAX_CHARACTERS = 100_000

_ROOT = "urn:stepflow:schema"
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "someone@example.org",
    "idn-email": "someone@example.org",
    "hostname": "example.org",
    "idn-hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org",
    "uri-reference": "https://example.org",
    "iri": "https://example.org",
    "iri-reference": "https://example.org",
    "uri-template": "https://example.org",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "json-pointer": "/a",
    "relative-json-pointer": "0",
    "regex": "x",
}
_KEYWORDS = {
    "object": ("properties", "required", "additionalProperties", "minProperties", "patternProperties"),
    "array": ("items", "prefixItems", "minItems", "contains", "uniqueItems"),
    "string": ("minLength", "maxLength", "format", "pattern"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
"""What speaks of a type without naming it."""


class _NoValueError(Exception):
    """There is none, or none that ends."""


def example_of(schema: Json) -> Json:
    """None where the schema allows everything, or nothing."""
    for strict in (True, False):
        with suppress(_NoValueError, RecursionError):
            return _Maker(schema, strict=strict).value(schema, ("#",))
    return None


class _Maker:
    """`strict`: what cannot be made right is not made at all; else it is made as well as it can be."""

    def __init__(self, root: Json, *, strict: bool) -> None:
        self._root = root
        self._strict = strict
        self._definitions = {"root": {**_from_root(root), "$id": _ROOT}} if isinstance(root, dict) else {}
        self._tries_left = MAX_TRIES_IN_ALL

    def value(self, schema: Json, within: tuple[str, ...], taken: list[Json] | None = None) -> Json:
        """The first value that is allowed. `within`: the references that are being followed. `taken`: values it must
        differ from."""
        first: list[Json] = []
        for value in islice(self._candidates(schema, within), MAX_TRIES):
            self._tries_left -= 1
            if (taken is None or value not in taken) and self._allows(schema, value):
                return value
            first = first or [value]
        if self._strict or not first:
            raise _NoValueError
        return first[0]

    def _allows(self, schema: Json, value: Json) -> bool:
        if not isinstance(schema, dict) or schema.keys() <= _RIGHT_AT_ONCE or self._tries_left < 0:
            return True
        try:
            judge = compile_schema({"$defs": self._definitions, "allOf": [_from_root(schema)]})
            return bool(judge.is_valid(value))
        except ValueError:
            return True  # it cannot be judged

    def _candidates(self, schema: Json, within: tuple[str, ...]) -> Iterator[Json]:
        if schema is True:
            yield None
        if not isinstance(schema, dict):
            return
        parts: list[Schema] = []
        choices: list[list[Json]] = []
        within = self._spread(schema, within, parts, choices)
        for chosen in islice(product(*choices), MAX_TRIES):
            with suppress(_NoValueError):
                yield from self._of_choice([*parts, *chosen], within)

    def _of_choice(self, parts: list[Json], within: tuple[str, ...]) -> Iterator[Json]:
        simple: list[Schema] = []
        choices: list[list[Json]] = []
        for part in parts:
            if part is False:
                raise _NoValueError
            if isinstance(part, dict):
                within = self._spread(part, within, simple, choices)
        if choices:
            for chosen in islice(product(*choices), MAX_TRIES):
                with suppress(_NoValueError):
                    yield from self._of_choice([*simple, *chosen], within)
            return
        yield from self._of_simple(intersection(simple), within)

    def _spread(
        self, schema: Schema, within: tuple[str, ...], parts: list[Schema], choices: list[list[Json]]
    ) -> tuple[str, ...]:
        """Into parts that all must hold, and choices of which one must; with the references that were followed."""
        simple = {key: value for key, value in schema.items() if key not in _COMPOSING}
        parts.append(simple)
        if isinstance(schema.get("$ref"), str):
            reference = schema["$ref"]
            if reference in within or len(within) > MAX_DEPTH:
                raise _NoValueError
            within = (*within, reference)
            found = _referred(reference, self._root)
            if found is False:
                raise _NoValueError
            if isinstance(found, dict):
                within = self._spread(found, within, parts, choices)
        for part in schema.get("allOf") or ():
            if part is False:
                raise _NoValueError
            if isinstance(part, dict):
                within = self._spread(part, within, parts, choices)
        choices += [list(schema[key]) for key in ("oneOf", "anyOf") if schema.get(key)]
        if "if" in schema:
            choices.append([{"allOf": [schema["if"], schema.get("then", True)]}, schema.get("else", True)])
        if isinstance(schema.get("type"), list):
            # Anything rather than null.
            choices.append([{"type": kind} for kind in sorted(schema["type"], key=lambda kind: kind == "null")])
            del simple["type"]
        return within

    def _of_simple(self, schema: Schema, within: tuple[str, ...]) -> Iterator[Json]:
        if "const" in schema:
            yield schema["const"]
            return
        if "default" in schema:
            yield schema["default"]
        yield from schema.get("examples") or ()
        if "enum" in schema:
            yield from schema["enum"]
            return
        kind = schema.get("type") or next(
            (name for name, words in _KEYWORDS.items() if any(word in schema for word in words)), None
        )
        match kind:
            case "object":
                yield self._object(schema, within)
            case "array":
                yield self._array(schema, within)
            case "string":
                yield from _strings(schema)
            case "integer" | "number":
                yield from _numbers(schema, whole=kind == "integer")
            case "boolean":
                yield from (False, True)
            case _:
                yield None

    def _object(self, schema: Schema, within: tuple[str, ...]) -> Json:
        properties: dict[str, Json] = schema.get("properties") or {}
        required = list(schema.get("required") or ())
        made = {name: self.value(self._schema_of(name, schema), within) for name in required}
        most = schema.get("maxProperties", math.inf)
        for name, one in properties.items():
            if name not in made and len(made) < most:
                with suppress(_NoValueError):
                    made[name] = self.value(one, within)
        number = 1
        while len(made) < min(_count(schema, "minProperties"), MAX_ITEMS):
            name = f"key{number}"
            made.setdefault(name, self.value(self._schema_of(name, schema), within))
            number += 1
        # In the order of the schema.
        return {name: made[name] for name in dict.fromkeys([*properties, *made]) if name in made}

    @staticmethod
    def _schema_of(name: str, schema: Schema) -> Json:
        properties = schema.get("properties") or {}
        return properties[name] if name in properties else schema.get("additionalProperties", True)

    def _array(self, schema: Schema, within: tuple[str, ...]) -> Json:
        """With one item where there may be one: more can be seen of what becomes of it."""
        first: list[Json] = list(schema.get("prefixItems") or ())
        others = schema.get("items", True)
        least = min(_count(schema, "minItems"), MAX_ITEMS)
        contained = _count(schema, "minContains", 1) if "contains" in schema else 0
        schemas = [*first, *[{"allOf": [others, schema.get("contains")]}] * min(contained, MAX_ITEMS)]
        schemas += [others] * (least - len(schemas))
        if not schemas and isinstance(others, dict) and schema.get("maxItems", 1) > 0:
            with suppress(_NoValueError):
                return [self.value(others, within)]
        made: list[Json] = []
        for one in schemas:
            made.append(self.value(one, within, made if schema.get("uniqueItems") else None))
        return made


_COMPOSING = {"$ref", "allOf", "oneOf", "anyOf", "if", "then", "else"}
_RIGHT_AT_ONCE = {
    *("type", "title", "description", "$schema", "$defs", "format", "minLength", "maxLength", "minimum", "maximum"),
    *("properties", "required", "additionalProperties", "items", "minItems", "maxItems", "minProperties"),
}
"""With these alone the first value made needs no judge."""


def _count(schema: Schema, key: str, default: int = 0) -> int:
    return int(schema.get(key, default))  # JSON may write 3.0


def _strings(schema: Schema) -> Iterator[Json]:
    least = min(_count(schema, "minLength"), MAX_CHARACTERS)
    made = _FORMATS.get(schema.get("format", ""))
    if made is None:
        most = schema.get("maxLength", math.inf)
        yield "x" * least
        # Others, for lists in which each must be another.
        for number in range(MAX_TRIES):
            text = str(number).rjust(least, "x")
            if len(text) <= most:
                yield text
    elif len(made) >= least:
        yield made
    elif "@" in made:
        yield "x" * (least - len(made)) + made
    else:
        yield made + "/" + "x" * (least - len(made) - 1)


def _numbers(schema: Schema, *, whole: bool) -> Iterator[Json]:
    """Zero if it is allowed, else what is next to it; then others."""
    step = _fraction(schema.get("multipleOf", 1))
    if whole and step.denominator != 1:
        step = Fraction(step.numerator)
    low, high = _lowest(schema), _highest(schema)
    begin = Fraction(0)
    if low is not None and low > 0:
        begin = low
    elif high is not None and high < 0:
        begin = high
    up = high is None or begin != high
    if "multipleOf" not in schema and not whole:
        yield _number(begin, whole=False)
        if low is not None and high is not None:
            yield _number((low + high) / 2, whole=False)
    count = math.ceil(begin / step) if up else math.floor(begin / step)
    for number in range(MAX_TRIES):
        yield _number((count + (number if up else -number)) * step, whole=whole)


def _lowest(schema: Schema) -> Fraction | None:
    bounds = [_fraction(schema[key]) for key in ("minimum", "exclusiveMinimum") if key in schema]
    return max(bounds, default=None)


def _highest(schema: Schema) -> Fraction | None:
    bounds = [_fraction(schema[key]) for key in ("maximum", "exclusiveMaximum") if key in schema]
    return min(bounds, default=None)


def _fraction(number: float) -> Fraction:
    return Fraction(str(number))


def _number(value: Fraction, *, whole: bool) -> Json:
    return int(value) if whole or value.denominator == 1 else float(value)


def _referred(reference: str, root: Json) -> Json:
    found: Any = root if reference[:2] in ("#", "#/") else True
    for part in reference.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return True
    return found


def _from_root(schema: Json) -> Json:
    """With references that lead into the whole schema, wherever this part of it stands."""
    if isinstance(schema, dict):
        return {
            key: f"{_ROOT}{value}" if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _from_root(value)
            for key, value in schema.items()
        }  # fmt: skip
    if isinstance(schema, list):
        return [_from_root(one) for one in schema]
    return schema
