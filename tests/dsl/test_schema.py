"""The JSON Schema of templates and the validator: the schema never refuses what is accepted, and what a schema can say
it says. Held on a corpus, on random templates, and on templates that a random change has damaged."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepflow.components.registry import builtin_registry
from stepflow.contracts.component import Component
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.dsl.handling import RETRY_KNOWN
from stepflow.dsl.parse import FLOW_KNOWN, STEP_KNOWN
from stepflow.dsl.references import FORMS
from stepflow.dsl.schema.template import template_schema
from stepflow.dsl.spellings import FLOW_KEYS, ON_ERROR_KEYS, RETRY_KEYS, STEP_KEYS, TRIGGER_KEYS, fold_component
from stepflow.dsl.validate import read_flow
from tests.dsl import corpus
from tests.dsl.corpus import FLOW_VALUES, RETRY_VALUES, STEP_VALUES, VALUES, Template
from tests.house import tree

OURS = builtin_registry()
SCHEMAS = {"ours": template_schema(OURS), "any": template_schema()}
VALIDATORS = {name: jsonschema_rs.validator_for(schema) for name, schema in SCHEMAS.items()}
KNOWN = {"ours": OURS.by_path, "any": None}

ONLY_THE_TEXT_TELLS = {
    r"E0\d\d": "the text holds no data: there is nothing yet that a schema could look at",
    r"E108 .* is not a JSON Schema": "whether a schema is one depends on its dialect, its patterns and its $refs",
    r"E111 \d{201,} ": "a schema does not count the digits of a number",
    r"E112": "ids are compared with each other",
    r"E119 .*longer than 100 years": "durations are added up",
    r"E119 .*longer than nothing": "a part of a millisecond is rounded",
    r"E124 .*(reads no output|of the run there is)": "what a text refers to stands inside it",
    r"E126 .*is not a path": "a path is parsed",
    r"E127": "an expression is parsed",
    r"E133": "a reference is followed to the variable's schema",
    r"E140": "references are followed to steps",
    r"E141": "references are followed to steps",
    r"E142": "references are followed from step to step",
    r"E143": "references are followed into another schema",
    r"E144": "references are followed to variables",
    r"E145": "a flow inside another is described as every flow is",
    r"E153": "what stands for a reference would have to be left out wherever a component's schema is asked",
    r"E161": "whether a cron expression has a next time is for the calendar",
    r"E162": "time zones are looked up",
    r"E170 Two cases": "names are compared with each other",
    r"E171 .*neither a step nor a component": "names are compared with the steps",
    r"E172 There is no step": "names are compared with the steps",
}
"""Of an error, `code message` -> why no schema can say it. All others the schema says too."""

SAID_BY_THE_SCHEMA = {
    *(f"E10{digit}" for digit in range(1, 10)), "E110", "E111", "E113", "E114", "E115", "E116", "E117", "E118", "E119",
    "E120", "E121", "E122", "E123", "E124", "E125", "E126", "E134", "E150", "E160", "E163", "E164", "E170", "E171",
    "E172",
}  # fmt: skip


def said_of(error: Diagnostic) -> str:
    return f"{error.code} {error.message}"


def only_the_text_tells(error: Diagnostic) -> bool:
    return any(re.match(pattern, said_of(error), re.DOTALL) for pattern in ONLY_THE_TEXT_TELLS)


def errors_of(template: Template, components: str) -> list[Diagnostic]:
    read = read_flow(template, components=KNOWN[components])
    return [] if read.flow is not None else [found for found in read.diagnostics if found.level == "error"]


def check_agreement(template: Template, components: str) -> None:
    errors = errors_of(template, components)
    validator = VALIDATORS[components]
    if not errors:
        assert validator.is_valid(template), [str(one)[:500] for one in validator.iter_errors(template)]
    said = [error for error in errors if not only_the_text_tells(error)]
    if said:
        assert not validator.is_valid(template), said


with_components = pytest.mark.parametrize("components", list(KNOWN))


# The corpus


@with_components
def test_what_is_accepted_the_schema_accepts(components: str) -> None:
    for name, template in corpus.accepted():
        assert errors_of(template, components) == [], name
        check_agreement(template, components)


@with_components
def test_what_is_refused_the_schema_refuses_where_it_can(components: str) -> None:
    for code, template in corpus.refused():
        expected = set() if code in ("E150", "E153") and components == "any" else {code}
        assert {error.code for error in errors_of(template, components)} >= expected, (code, str(template)[:500])
        check_agreement(template, components)


def test_every_code_is_one_that_the_schema_says_or_that_only_the_text_tells() -> None:
    sources = (path.read_text(encoding="utf-8") for path in tree.modules(tree.ENGINE / "dsl"))
    codes = {code for source in sources for code in re.findall(r'"(E\d{3})"', source)}
    assert codes == {
        code for code in codes if code in SAID_BY_THE_SCHEMA or only_the_text_tells(Diagnostic(code, "error", ""))
    }
    assert codes >= SAID_BY_THE_SCHEMA


def test_the_schema_says_every_code_that_it_is_said_to_say() -> None:
    alone = [
        errors[0].code
        for _, template in corpus.refused()
        if len(errors := errors_of(template, "ours")) == 1 and not VALIDATORS["ours"].is_valid(template)
    ]
    assert set(alone) >= SAID_BY_THE_SCHEMA


@pytest.mark.parametrize("pattern", [pattern for pattern in ONLY_THE_TEXT_TELLS if not pattern.startswith("E0")])
def test_what_only_the_text_tells_passes_the_schema(pattern: str) -> None:
    passed = [
        template
        for _, template in corpus.refused()
        if VALIDATORS["ours"].is_valid(template)
        and all(re.match(pattern, said_of(error)) for error in errors_of(template, "ours"))
    ]
    assert passed


@pytest.mark.parametrize("cron", ["", "* * * *", "* * * * * *", 5, None, "@" * 201])
def test_the_schema_counts_the_fields_of_a_cron_expression(cron: Any) -> None:
    assert not VALIDATORS["any"].is_valid(corpus.flow(triggers={"cron": cron}))


def test_the_corpus_has_every_key_of_flows_and_steps() -> None:
    assert {*FLOW_VALUES, "steps"} == FLOW_KNOWN
    assert set(STEP_VALUES) == STEP_KNOWN
    assert set(RETRY_VALUES) == RETRY_KNOWN


# Random templates


def some_of(
    values: dict[str, list[Any]], spellings: dict[str, str], **more: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """A mapping of some of these keys, each in some spelling and with a value that it takes."""
    names = [*values, *(other for other, key in spellings.items() if key in values)]

    def filled(chosen: list[str]) -> st.SearchStrategy[Any]:
        keys = ((name, spellings.get(name, name)) for name in chosen)
        return st.fixed_dictionaries(
            {name: more[key] if key in more else st.sampled_from(values[key]) for name, key in keys}
        )

    return st.lists(st.sampled_from(names), max_size=4, unique_by=lambda name: spellings.get(name, name)).flatmap(
        filled
    )


SCALARS = st.sampled_from([None, True, False, 0, -1, 3, 1.5, 10**30, "", "x", "30s", "fail", "$.input.x", "${{ 1 }}"])
DATA = st.recursive(
    SCALARS | st.sampled_from(VALUES),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["x", "path", "workflow", "flow"]), inner, max_size=2)
        | st.builds(lambda a, b: {"$if": a, "then": b}, inner, inner)
        | st.builds(lambda a: {"$step": "a", "$default": a}, inner)
        | st.builds(lambda a: {"$literal": a}, inner)
    ),
    max_leaves=5,
)
RETRIES = st.sampled_from(FLOW_VALUES["retry"]) | some_of(RETRY_VALUES, RETRY_KEYS)
ON_ERRORS = (
    st.sampled_from([*FLOW_VALUES["on_error"], *corpus.ON_ERRORS])
    | some_of(RETRY_VALUES, RETRY_KEYS).map(lambda keys: {"action": "retry", **keys})
    | DATA.map(lambda value: {"action": "continue", "default_output": value})
)
COMPONENT_TEXTS = st.lists(
    st.sampled_from(["builtin", "builtins", "http", "get", "shell", "run", "echo", "map", "wait", "x", ".", "/", "/"]),
    min_size=1,
    max_size=5,
).map("".join)
COMPONENTS = st.sampled_from([*corpus.SPELLED_COMPONENTS, *STEP_VALUES["component"]]) | COMPONENT_TEXTS


@st.composite
def random_templates(draw: st.DrawFn, depth: int = 0) -> Template:
    """Mostly accepted."""
    inputs = DATA if depth > 1 else DATA | random_templates(depth + 1).map(lambda inner: {"workflow": inner})
    bodies = some_of(
        {key: values for key, values in STEP_VALUES.items() if key not in ("id", "component")},
        STEP_KEYS, input=inputs, when=DATA, skip_if=DATA, retry=RETRIES, on_error=ON_ERRORS,
    )  # fmt: skip
    steps = [
        {"id": key, draw(st.sampled_from(["component", "type"])): draw(COMPONENTS), **draw(bodies)}
        for key in "ab"[: draw(st.integers(1, 2))]
    ]
    flow = draw(
        some_of(
            FLOW_VALUES, FLOW_KEYS, output=DATA, retry=RETRIES, on_error=ON_ERRORS,
            triggers=st.sampled_from(corpus.TRIGGERS), tests=st.lists(st.sampled_from(corpus.CASES), max_size=2),
        )
    )  # fmt: skip
    return {**flow, "steps": steps if draw(st.booleans()) else {body["id"]: body for body in steps}}


ACCEPTED = [template for _, template in corpus.accepted()]
WORDS = sorted(
    {*FLOW_VALUES, *STEP_VALUES, *RETRY_VALUES, *FLOW_KEYS, *STEP_KEYS, *RETRY_KEYS, *TRIGGER_KEYS, *ON_ERROR_KEYS}
    | {*FORMS, "$on_skip", "$default", "onSkip", "path", "action", "status", "outcome", "expect", "mocks", "x-note", ""}
)


def places_in(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, one in inner for found in places_in(one, (*place, key)))]


@st.composite
def damaged_templates(draw: st.DrawFn) -> Template:
    """An accepted template with one thing in it replaced, removed, added or called otherwise."""
    whole = {"": copy.deepcopy(draw(st.sampled_from(ACCEPTED) | random_templates()))}
    *above, last = draw(st.sampled_from(places_in(whole)[1:]))
    holder: Any = whole
    for part in above:
        holder = holder[part]
    value = holder[last]
    match draw(st.sampled_from(["replace", "remove", "add", "rename"])):
        case "remove" if above:
            del holder[last]
        case "add" if isinstance(value, dict):
            value[draw(st.sampled_from(WORDS))] = draw(DATA)
        case "rename" if above and isinstance(holder, dict):
            holder[draw(st.sampled_from(WORDS))] = holder.pop(last)
        case _:
            holder[last] = draw(DATA | st.sampled_from([[], {}, [3], [{}], {"x": {}}, {"action": "retry"}, [value]]))
    return whole[""]


SAMPLE = [
    pytest.param(200, id="sample"),
    pytest.param(10_000, id="many", marks=[pytest.mark.full, pytest.mark.timeout(1200)]),
]


@with_components
@pytest.mark.parametrize("number", SAMPLE)
@pytest.mark.parametrize("templates", [random_templates(), damaged_templates()], ids=["random", "damaged"])
def test_schema_and_validator_agree_on(templates: st.SearchStrategy[Template], number: int, components: str) -> None:
    @settings(max_examples=number, deadline=None)
    @given(templates)
    def check(template: Template) -> None:
        check_agreement(template, components)

    check()


# What editors make of it


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_it_is_a_json_schema_of_2020_12(schema: Any) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(schema)
    references = set(re.findall(r'"\$ref": "#/\$defs/([^"]*)"', json.dumps(schema)))
    assert references == {name.replace("/", "~1") for name in schema["$defs"]}


def schemas_in(schema: Any) -> list[Any]:
    """Every object in it that has properties."""
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    found = [one for value in inner for one in schemas_in(value)]
    return [schema, *found] if isinstance(schema, dict) and isinstance(schema.get("properties"), dict) else found


def test_every_key_that_is_offered_is_explained() -> None:
    silent = [
        (key, one)
        for schema in schemas_in(SCHEMAS["any"])
        if schema.get("additionalProperties") is False
        for key, one in schema["properties"].items()
        if isinstance(one, dict) and not one.get("doNotSuggest") and not one.get("description")
    ]
    assert silent == []


def test_only_the_canonical_spelling_of_a_key_is_offered() -> None:
    def offered(schema: Any) -> set[str]:
        return {key for key, one in schema["properties"].items() if not one.get("doNotSuggest")}

    assert offered(SCHEMAS["ours"]) == FLOW_KNOWN - {"schemas", "schema", "examples"}
    assert offered(SCHEMAS["ours"]["$defs"]["step"]) == STEP_KNOWN
    step = SCHEMAS["ours"]["$defs"]["step"]["properties"]
    assert (step["type"].get("deprecated"), step["parameters"].get("deprecated")) == (None, True)


def test_every_component_is_offered_with_its_description() -> None:
    offered = SCHEMAS["ours"]["$defs"]["component"]["anyOf"]
    assert {one["const"]: one["description"] for one in offered if "const" in one} == {
        component.path: component.description for component in OURS
    }


def input_in(schema: Any, written: str) -> list[str]:
    """The definitions by which an editor completes the input of a step that runs `written`."""
    step = {"id": "a", "component": written}
    rules = [rule for rule in schema["$defs"]["step"]["allOf"] if "input:" in json.dumps(rule.get("then"))]
    taken = [rule["then"] for rule in rules if jsonschema_rs.is_valid(rule["if"], step)]
    return [re.findall(r"\$defs/(input:[^\"]*)", json.dumps(then))[0].replace("~1", "/") for then in taken]


@pytest.mark.parametrize("written", ["/http/get", "http.get", "http/get"])
def test_the_input_is_completed_by_component_in_every_spelling(written: str) -> None:
    (name,) = input_in(SCHEMAS["ours"], written)
    http_get = OURS.get("/http/get")
    assert SCHEMAS["ours"]["$defs"][name]["properties"].keys() == http_get.input_schema["properties"].keys()
    assert input_in(SCHEMAS["ours"], "/http/gets") == input_in(SCHEMAS["any"], written) == []


@given(text=COMPONENT_TEXTS)
def test_a_spelling_is_one_of_a_component_if_it_is_folded_into_its_path(text: str) -> None:
    meant = fold_component(text)
    has_keys = meant in OURS and isinstance(OURS.get(meant).input_schema, dict)
    assert input_in(SCHEMAS["ours"], text) == ([f"input:{meant}"] if has_keys else [])


@pytest.mark.parametrize(
    "input_schema",
    [
        None,
        True,
        False,
        {},
        {"type": "object"},
        {"properties": {"x": True, "y": {"type": ["string", "null"]}, "z": {}}},
    ],
)
def test_a_component_of_the_workspace_may_have_any_input_schema(input_schema: Any) -> None:
    component = Component("/user/load.v1", lambda value, context: value, "sync", "Loads", input_schema=input_schema)
    schema = template_schema([*OURS, component])
    jsonschema_rs.meta.validate(schema)
    step = {"id": "a", "component": "/user/load.v1", "input": {"z": {"$input": "x"}, "more": 1}}
    assert jsonschema_rs.is_valid(schema, {"steps": [step]})
    has_keys = isinstance(input_schema, dict) and "properties" in input_schema
    assert input_in(schema, "/user/load.v1") == (["input:/user/load.v1"] if has_keys else [])
    assert input_in(schema, "/user/load/v1") == []
