"""What the schema is put together from: objects of keys in all their spellings, and the kinds of values under them.

A key with `doNotSuggest` is accepted and explained; editors do not offer it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stepflow.dsl.spellings import UNIT_OF_KEY, is_older
from stepflow.model.flow import Json
from stepflow.model.times import DURATION

Schema = dict[str, Json]

NULL: Schema = {"type": "null"}
TEXT: Schema = {"type": ["string", "null"]}
FLAG: Schema = {"type": ["boolean", "null"]}
MAPPING: Schema = {"type": ["object", "null"]}
FACTOR: Schema = {"type": ["number", "null"], "minimum": 1, "maximum": 1_000_000}
DURATION_TEXT: Schema = {
    "type": ["string", "null"],
    "pattern": f"^{DURATION}$",
    "examples": ["250ms", "30s", "5m", "1h30m"],
}
SOME_TIME: Schema = {**DURATION_TEXT, "pattern": f"^(?=[^1-9]*[1-9]){DURATION}$"}
"""A duration that is longer than nothing."""
ERROR: Schema = {
    "type": ["object", "string"],
    "properties": {
        "code": {"description": "Its code; `retry: { on: … }` goes by it."},
        "message": {"description": "Its words."},
    },
}
NOT_OFFERED: Schema = {"doNotSuggest": True}


def count(least: int = 1) -> Schema:
    return {"type": ["integer", "null"], "minimum": least, "maximum": 1_000_000}


def one_of(words: Iterable[str]) -> Schema:
    return {"enum": [*words, None]}


def words(offered: Iterable[str], accepted: Iterable[str]) -> Schema:
    """A text that is one of these words; those that are only `accepted` are no part of a completion."""
    return {"type": "string", "anyOf": [{"enum": [*offered]}, {"pattern": f"^(?:{'|'.join(accepted)})$"}]}


def said(description: str, schema: Schema | None = None) -> Schema:
    return {"description": description, **(schema or {})}


def ref(definition: str) -> Schema:
    return {"$ref": f"#/$defs/{definition.replace('~', '~0').replace('/', '~1')}"}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, NULL]}


def has(*keys: str) -> Schema:
    """One of these is there, and not null."""
    there = [{"required": [key], **under([key], {"not": NULL})} for key in keys]
    return there[0] if len(there) == 1 else {"anyOf": there}


def spelled(key: str, spellings: Mapping[str, str]) -> list[str]:
    """All spellings of a key, the canonical one first."""
    return [key, *(other for other, canonical in spellings.items() if canonical == key)]


def under(keys: Iterable[str], schema: Json) -> Schema:
    """In a rule: what stands under any of these keys. The keys are explained and offered elsewhere."""
    return {"properties": dict.fromkeys(keys, not_offered(schema) if isinstance(schema, dict) else schema)}


def not_offered(schema: Schema, description: str = "") -> Schema:
    """Editors read the mark beside a schema of its own, not beside a `$ref`."""
    body = {"allOf": [schema]} if "$ref" in schema else schema
    return {**body, **({"description": description} if description else {}), **NOT_OFFERED}


def mapping(
    keys: dict[str, Schema],
    spellings: Mapping[str, str] | None = None,
    *,
    required: str = "",
    rules: Sequence[Json] = (),
) -> Schema:
    """An object of these keys in all their spellings, of keys that begin with `x-`, and of no others. Of two spellings
    of one key only one may be there; `required` must be there in one of them."""
    properties: Schema = dict(keys)
    alone: Schema = {}
    for key, schema in keys.items():
        names = spelled(key, spellings or {})
        for index, name in enumerate(names):
            if index:
                properties[name] = _other_spelling(name, key, schema)
            if names[index + 1 :]:
                alone[name] = {"properties": dict.fromkeys(names[index + 1 :], False)}
    ways = [{"required": [name]} for name in spelled(required, spellings or {})] if required else []
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {"^x-": said("Yours: StepFlow does not read it.")},
        "additionalProperties": False,
        **({} if not ways else ways[0] if len(ways) == 1 else {"anyOf": ways}),
        **({"dependentSchemas": alone} if alone else {}),
        **({"allOf": list(rules)} if rules else {}),
    }


def _other_spelling(name: str, key: str, schema: Schema) -> Schema:
    """The property for another spelling of `key`. Under one that names its unit a bare number is a duration."""
    if name in UNIT_OF_KEY:
        least = "exclusiveMinimum" if schema["pattern"] == SOME_TIME["pattern"] else "minimum"
        schema = {"anyOf": [{"type": "number", least: 0}, {key: schema[key] for key in DURATION_TEXT}]}
    older = {"deprecated": True} if is_older(name) else {}
    return {**not_offered(schema, f"Another spelling of `{key}`."), **older}
