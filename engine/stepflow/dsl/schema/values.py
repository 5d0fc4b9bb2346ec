"""Values: anything, with the forms in it that are replaced; and flows written out inside a value."""

from __future__ import annotations

from stepflow.dsl.references import FORMS, SUB_FLOW_KEYS
from stepflow.dsl.schema.parts import NOT_OFFERED, NULL, Schema, has, one_of, ref, said, under


def definitions() -> Schema:
    return {
        "value": _value({}),
        "sub_flow_input": _value(dict.fromkeys(SUB_FLOW_KEYS, said(_SUB_FLOW, ref("sub_flow")))),
        "sub_flow": _sub_flow(),
    }


def _value(sub_flows: Schema) -> Schema:
    """`sub_flows`: keys of a plain object that may hold a flow."""
    plain: Schema = {"propertyNames": {"not": {"pattern": "^\\$"}}, "additionalProperties": ref("value")}
    return {
        "properties": _FORMS,
        "items": ref("value"),
        "if": _IS_FORM,
        "then": {"allOf": [_alone(form) for form in FORMS]},
        "else": {**plain, "properties": sub_flows} if sub_flows else plain,
    }


def _alone(form: str) -> Schema:
    """Beside a form stand the keys that belong to it, and no others."""
    rule = _SKIPPED if form in ("$from", "$step") else {}
    beside = {form: True, **_BESIDE.get(form, {})}
    return {"if": {"required": [form]}, "then": {"properties": beside, "additionalProperties": False, **rule}}


_SUB_FLOW = "A flow written out here, with steps of its own, or a reference to one."
_IS_FORM: Schema = {"type": "object", "anyOf": [{"required": [form]} for form in FORMS]}
_PATH = said("Where in it, like `a.b[0]`.", {"type": ["string", "null"], "maxLength": 1000})


def _source(key: str, schema: Schema, more: Schema | None = None) -> Schema:
    properties = {key: schema, **(more or {})}
    return {"type": "object", "required": [key], "properties": properties, "additionalProperties": False}


_FORMS: Schema = {
    "$from": said(
        "A reference: { step: ID }, { workflow: input } or { variable: NAME }.",
        {
            "anyOf": [
                _source("step", said("The step whose output it is.", {"type": "string"})),
                _source("workflow", said("The run's input.", {"const": "input"})),
                _source(
                    "variable",
                    said("The name of the variable.", {"type": "string"}),
                    {"default": said("The value where it has none.")},
                ),
            ]
        },
    ),
    "$step": said("The output of this step.", {"type": "string"}),
    "$input": {**_PATH, **said("The run's input, at this path.")},
    "$variable": said("The value of this variable.", {"type": "string"}),
    "$if": said("A choice: if this is true, `then`, else `else`.", ref("value")),
    "$coalesce": said(
        "The first of these that is neither null nor skipped.",
        {"type": "array", "minItems": 1, "items": ref("value")},
    ),
    "$literal": said("This value as it stands, not expanded."),
}

_OLDER_ON_SKIP: Schema = {
    "type": ["object", "null"],
    "properties": {
        "action": said("`useDefault` or `skip`.", one_of(("useDefault", "skip", "use_default", "skip_step"))),
        "defaultValue": said("The value when that step was skipped.", ref("value")),
    },
    "additionalProperties": False,
    **NOT_OFFERED,
}
_OF_STEP: Schema = {
    "path": _PATH,
    "$on_skip": said("What to do when that step was skipped.", one_of(("use_default", "skip_step"))),
    "$default": said("The value when that step was skipped.", ref("value")),
    "onSkip": said("Another spelling of `$on_skip` and `$default`.", _OLDER_ON_SKIP),
}
_SKIPPED: Schema = {"if": has("onSkip"), "then": {"properties": {"$on_skip": NULL, "$default": False}}}
_BESIDE: dict[str, Schema] = {
    "$from": _OF_STEP,
    "$step": _OF_STEP,
    "$variable": {"path": _PATH, "default": said("The value where the variable has none.")},
    "$if": {"then": said("The value if so.", ref("value")), "else": said("The value if not.", ref("value"))},
}


def _sub_flow() -> Schema:
    """A flow written out, one inside `$literal`, or a value that gives one."""
    flow: Schema = {"$ref": "#"}
    wrapped = {"type": "object", "required": ["$literal"], **under(["$literal"], {"type": "object"})}
    return {
        "if": wrapped,
        "then": {**under(["$literal"], flow), "additionalProperties": False},
        "else": {
            "if": {"anyOf": [{"not": {"type": "object"}}, _IS_FORM]},
            "then": ref("value"),
            "else": flow,
        },
    }
