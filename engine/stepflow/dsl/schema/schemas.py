"""JSON Schemas inside a template: of a run's input, of outputs, of variables."""

from __future__ import annotations

from stepflow.dsl.schema.parts import Schema, ref, said, under


def definitions() -> Schema:
    return {"schema": _schema(), "variables": _variables(), "variable": _variable()}


def _schema() -> Schema:
    """What every dialect has in common, for completion; the schema as a whole is checked by `validate`."""
    types = ["object", "array", "string", "integer", "number", "boolean", "null"]
    type_or_types = {"anyOf": [{"enum": types}, {"type": "array", "items": {"enum": types}}]}
    inner = {"type": ["object", "boolean"], **ref("schema")}
    return {
        "type": ["object", "boolean", "null"],
        "properties": {
            "type": said("What kind of value it is.", type_or_types),
            "properties": said(
                "The keys of an object, each with its schema.", {"type": "object", "additionalProperties": inner}
            ),
            "required": said("The keys that must be there.", {"type": "array", "items": {"type": "string"}}),
            "additionalProperties": said("`false`: no other keys; or their schema.", inner),
            "items": said("The schema of a list's items."),
            "enum": said("The only values it may have.", {"type": "array"}),
            "const": said("The only value it may have."),
            "default": said("The value where none is given."),
            "description": said("What it is.", {"type": "string"}),
            "title": said("Its name.", {"type": "string"}),
            "format": said("For example `date-time` or `uri`.", {"type": "string"}),
            "pattern": said("A regular expression that a text must match.", {"type": "string"}),
            "minimum": said("The least a number may be.", {"type": "number"}),
            "maximum": said("The most a number may be.", {"type": "number"}),
        },
    }


def _variables() -> Schema:
    """A mapping of names to schemas, or the schema of an object with these properties."""
    each = ref("variable")
    named = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "object"}}
    return {
        "type": ["object", "null"],
        "if": {
            "anyOf": [
                {"required": ["type"], **under(["type"], {"const": "object"})},
                {"required": ["properties"], **under(["properties"], named)},
            ]
        },
        "then": {"allOf": [ref("schema"), under(["properties"], {"additionalProperties": each})]},
        "else": {"additionalProperties": each},
    }


def _variable() -> Schema:
    is_secret = {"required": ["secret"], **under(["secret"], {"not": {"enum": [False, None, 0, "", [], {}]}})}
    return {
        "type": ["object", "boolean"],
        "allOf": [ref("schema"), {"if": is_secret, "then": under(["default"], False)}],
        "properties": {"secret": said("`true`: never stored in clear and never shown.", {"examples": [True]})},
    }
