"""Values for the keys of templates: those that fit, and those at the edge of what fits."""

from __future__ import annotations

from stepflow.components.registry import builtin_registry
from stepflow.model.flow import Json

# fmt: off
COMPONENTS = (
    *sorted(builtin_registry().paths), "/user/load", "/builtin/ecko", "echo", "http.get", "wait", "eval", "map",
    "/http.",
)
TEXTS = (
    "", "a", "text", "${{ 1 }}", "$.input.a", "$.nothing", "a\nb", "\x1b[2J", "\x7f", "\u2028", "\ud800", "{{a}}",
    "x" * 2000,
)
KEYS = (
    "a", "b", "x", "v", "a b", "", "$a", "x-a", "é", "\n", "__class__", "0", '"', "\u202e", "\udc00", "a" * 1200,
)
NUMBERS = (
    0, 1, -1, 2, 1000, 10**6, 10**6 + 1, 2**53, 2**63, 2**64, 10**30, 10**308, 0.5, -0.0, 1.5, 1e300, 1e-300,
)
DURATIONS = (
    "250ms", "30s", "5m", "1h30m", "2d", "1.5h", "99999w", "1", "s", "-1s", "1 h", "٣s", "9" * 400 + "s", "1e3s",
)
CRONS = (
    "* * * * *", "0 7 * * 1-5", "0 0 31 2 *", "*/0 * * * *", "0 0 L * *", "0 0 * * fri#2", "0 0 * * 0#9", "60 * * * *",
    "@hourly", "@reboot", "H H * * *", "R * * * *", "* * * * * *", "0 0 29 2 1#5", "1-0 * * * *", "0-59/7,1 0 1 jan ?",
    "0 0 l2 * *", "0 0 * * l5", "", "a b c d e", "0 0 0 0 0", "9" * 190,
)
CRON_FIELDS = (
    "*", "0", "1", "31", "60", "*/5", "1-5", "5-1", "1,2", "L", "?", "mon", "jan", "0#1", "H", "R(1-5)", "*/99", "-",
    ",",
)
TIME_ZONES = (
    "UTC", "Europe/Berlin", "../../etc", "Europe", "\0", "a" * 5000, "é", "",
)
SCHEMAS: tuple[Json, ...] = (
    {}, True, False, [], "string", 3, {"type": "object"}, {"type": "strin"}, {"type": []}, {"not": {}},
    {"type": "string", "minLength": 2.0}, {"type": "array", "minItems": 2.0},
    {"type": ["integer", "null"], "minimum": 3},
    {"enum": [1, "a", None]}, {"const": {"a": 1}}, {"const": "\ud800"},
    {"anyOf": [{"type": "string"}, {"type": "null"}]},
    {"$ref": "#"}, {"$ref": "#/nowhere"}, {"$ref": "http://a.example/x"}, {"allOf": [{"$ref": "#"}]},
    {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, {"items": {"$ref": "#/items"}},
    {"type": "object", "properties": {name: {"$ref": "#"} for name in "abcdefghij"}},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
    {"properties": {"a": True, "b": False}}, {"properties": {"x": {"default": 5, "secret": True}}},
    {"pattern": "("}, {"pattern": "(a+)+$"}, {"pattern": "a{1,9999}{1,9999}"}, {"pattern": "(?<=a)b\\1"},
    {"multipleOf": 0}, {"multipleOf": 1e-300}, {"minimum": 10**400}, {"format": "date-time"}, {"format": "nonsense"},
    {"$schema": "http://json-schema.org/draft-04/schema#", "id": "x"}, {"$schema": "nonsense"},
    {"$id": "::", "type": "string"}, {"$id": "http://a.example/", "$ref": "b"}, {"$anchor": "a"}, {"$dynamicRef": "#a"},
    {"unevaluatedProperties": False, "if": {}, "then": {"minProperties": 9}},
)
# fmt: on
