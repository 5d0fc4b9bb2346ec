"""Is it a template? The flow that a text says, or everything that is wrong with it, at once."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import msgspec

from stepflow.dsl.bounds import beyond_bounds
from stepflow.dsl.diagnostics import Diagnostic, has_errors, quoted
from stepflow.dsl.inputs import InputChecks, Takes
from stepflow.dsl.load import Document, load
from stepflow.dsl.parse import Parser
from stepflow.dsl.places import Format
from stepflow.dsl.problems import Problems
from stepflow.dsl.references import Reference, find_cycle
from stepflow.model import jsontext
from stepflow.model.flow import Flow, Json
from stepflow.model.paths import minus_hint

_BUILTIN = "/builtin/"
OUR_FAMILIES = (_BUILTIN, "/http/", "/shell/", "/python/")
"""Where an unknown component is a mistake; elsewhere another worker may offer it."""
UNKNOWN_COMPONENT = "E150"
NOTHING_OFF: Mapping[str, str] = {}
MOST_NAMED = 8
"""Steps that a hint lists."""


class ReadFlow(msgspec.Struct, frozen=True):
    flow: Flow | None
    """None: there are errors."""
    diagnostics: tuple[Diagnostic, ...]
    source_format: Format


def read_flow(
    dsl: str | Mapping[str, Any],
    *,
    file: str | None = None,
    format: Format | None = None,  # noqa: A002 - as the API calls it
    components: Collection[str] | Mapping[str, Takes] | None = None,
    turned_off: Mapping[str, str] = NOTHING_OFF,
) -> ReadFlow:
    """Read a template. `components`: the paths that are known, with what they take where that is to be judged too;
    None: they are not judged. `turned_off`: paths that may not be used here, each with the way out. Never raises for
    what the author wrote."""
    with _collector_at_rest():
        return _read_flow(dsl, file, format, components, turned_off)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Reading makes many objects and hardly any garbage: to look through them again and again costs a sixth."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_flow(
    dsl: str | Mapping[str, Any],
    file: str | None,
    format: Format | None,  # noqa: A002 - as the API calls it
    components: Collection[str] | Mapping[str, Takes] | None,
    turned_off: Mapping[str, str],
) -> ReadFlow:
    document = load(dsl, format or _format_of(file)) if isinstance(dsl, str) else _document_of(dsl)
    problems = Problems(document, file)
    problems.found += [msgspec.structs.replace(one, file=file) for one in document.diagnostics + document.warnings]
    if document.diagnostics and not isinstance(document.salvaged, dict):
        return ReadFlow(None, tuple(problems.found), document.source_format)
    parser = Parser(problems)
    flow = parser.flow(document.salvaged if document.diagnostics else document.data)
    if flow is not None:
        known = None if components is None else frozenset(components)
        inputs = InputChecks(components) if isinstance(components, Mapping) else None
        flows = [(flow, parser)]
        while flows:
            one, its_parser = flows.pop()
            _check_references(one, its_parser, its_parser.problems)
            if its_parser is not parser:
                _check_no_variable_is_required(one, its_parser.problems)
            if known is not None:
                _check_components(one, its_parser, known, turned_off, its_parser.problems)
            if inputs is not None:
                inputs.check(one, its_parser)
            flows += its_parser.nested
    found = tuple(sorted(problems.found, key=lambda diagnostic: (diagnostic.line, diagnostic.column)))
    return ReadFlow(None if has_errors(found) else flow, found, document.source_format)


def _format_of(file: str | None) -> Format | None:
    if file is not None and file.endswith(".json"):
        return "json"
    return "yaml" if file is not None and file.endswith((".yaml", ".yml")) else None


def _document_of(dsl: Mapping[str, Any]) -> Document:
    document = Document("", "json")
    try:
        document.data = jsontext.decode(jsontext.encode(dsl))
    except (TypeError, ValueError, RecursionError) as error:
        document.diagnostics.append(Diagnostic("E002", "error", f"The template is not JSON: {error}"))
        return document
    problem = beyond_bounds(document.data)
    if problem is not None:
        document.diagnostics.append(problem)
    return document


def _check_references(flow: Flow, parser: Parser, problems: Problems) -> None:
    keys = [step.key for step in flow.steps]
    dependencies: dict[str, set[str]] = {key: set() for key in keys}
    if flow.order == "sequential":
        for earlier, later in pairwise(keys):
            dependencies[later].add(earlier)
    _check_order(flow, parser, dependencies, problems)
    owner_of = {place: key for key, place in parser.places.items()}
    for reference in parser.folder.references:
        if reference.kind == "input" and not reference.tolerant:
            _check_input_path(flow.input_schema, reference, problems)
        elif reference.kind == "variable" and not reference.tolerant:
            _check_variable(flow.variables, reference, problems)
        elif reference.kind == "step" and reference.name not in dependencies:
            hint = problems.suggestion(reference.name, keys) or _few(keys)
            problems.error("E140", f"Invalid reference: unknown step '{reference.name}'", reference.place, hint)
        elif reference.kind == "step" and reference.place[:2] in owner_of:
            dependencies[owner_of[reference.place[:2]]].add(reference.name)
        elif reference.kind == "step" and reference.place[0] == "on_error":
            _depend_by_default(flow, parser, reference, dependencies, problems)
    _check_cycles(dependencies, parser, problems)


def _depend_by_default(
    flow: Flow, parser: Parser, reference: Reference, dependencies: dict[str, set[str]], problems: Problems
) -> None:
    """What the flow's `on_error` refers to, every step waits for that has no `on_error` of its own."""
    for step in flow.steps:
        if step.on_error is parser.default_on_error:
            if step.key == reference.name:
                message = f"Step '{step.key}' refers to itself by the flow's on_error"
                problems.error("E141", message, reference.place, "give that step an on_error of its own")
            else:
                dependencies[step.key].add(reference.name)


def _check_order(flow: Flow, parser: Parser, dependencies: dict[str, set[str]], problems: Problems) -> None:
    for step in flow.steps:
        for index, name in enumerate(step.depends_on):
            if name in dependencies:
                dependencies[step.key].add(name)
            else:
                place = (*parser.places[step.key], "depends_on", index)
                hint = problems.suggestion(name, dependencies) or _few(dependencies)
                problems.error("E140", f"Unknown step '{name}'", place, hint)


def _few(keys: Collection[str]) -> str:
    """The steps, where they are no more than one reads."""
    if len(keys) > MOST_NAMED:
        return ""
    return f"there {'are' if len(keys) > 1 else 'is'} {', '.join(keys) or 'none'}"


def _check_cycles(dependencies: dict[str, set[str]], parser: Parser, problems: Problems) -> None:
    for key, names in dependencies.items():
        if key in names:
            problems.error("E141", f"Step '{key}' refers to itself", parser.places[key])
            names.discard(key)
    cycle = find_cycle({key: sorted(names) for key, names in dependencies.items()})
    if cycle is not None:
        problems.error(
            "E142",
            f"Circular reference: {' → '.join(cycle)}",
            parser.places[cycle[0]],
            "one of these steps must not wait for the next",
        )


def _check_input_path(schema: Json, reference: Reference, problems: Problems) -> None:
    """Judged against the properties that `input_schema` names."""
    for part in reference.path:
        if not isinstance(schema, dict) or not isinstance(part, str):
            return
        properties = schema.get("properties")
        is_open = schema.get("additionalProperties", False) is not False or "patternProperties" in schema
        if (
            not isinstance(properties, dict)
            or is_open
            or any(key in schema for key in ("$ref", "anyOf", "oneOf", "allOf"))
        ):
            return
        if part not in properties:
            hint = minus_hint(part, properties) or problems.suggestion(part, properties)
            problems.error(
                "E143",
                f"Invalid reference: {reference.written}",
                reference.place,
                hint or "input_schema does not name it",
            )
            return
        schema = properties[part]


def _check_variable(schema: Json, reference: Reference, problems: Problems) -> None:
    properties = (schema.get("properties") if isinstance(schema, dict) else None) or {}
    if reference.name not in properties:
        hint = problems.suggestion(reference.name, properties)
        problems.error(
            "E144", f"Invalid reference: {reference.written}", reference.place, hint or "name it under `variables:`"
        )


def _check_no_variable_is_required(flow: Flow, problems: Problems) -> None:
    """Of a flow inside another, which is started with an input and nothing else."""
    required = flow.variables.get("required") if isinstance(flow.variables, dict) else None
    for name in required if isinstance(required, list) else ():
        message = f"The variable {quoted(name)} is required, and a flow inside another is given no variables"
        problems.error("E145", message, ("variables",), "take the value from its input")


def _check_components(
    flow: Flow, parser: Parser, known: frozenset[str], turned_off: Mapping[str, str], problems: Problems
) -> None:
    ours = [path.removeprefix(_BUILTIN) for path in sorted(known) if path.startswith(_BUILTIN)]
    for step in flow.steps:
        place = (*parser.places[step.key], "component")
        if step.component in turned_off:
            message = f"Component '{step.component}' is turned off in this workspace"
            problems.error(UNKNOWN_COMPONENT, message, place, turned_off[step.component])
            continue
        if not step.component or step.component in known:
            continue
        hint = _component_hint(step.component, known, ours, problems)
        if step.component.startswith(OUR_FAMILIES):
            problems.error(
                UNKNOWN_COMPONENT,
                f"Unknown component '{step.component}'",
                place,
                hint or "`stepflow components` lists them",
            )
        else:
            problems.warning(
                "W151", f"Component '{step.component}' is not one of StepFlow's", place,
                hint or "a worker must offer it: put it into the workspace's components/ folder",
            )  # fmt: skip


def _component_hint(component: str, known: frozenset[str], ours: list[str], problems: Problems) -> str:
    word = component.removeprefix(_BUILTIN)
    if word == component:
        return problems.suggestion(component, known)
    of_that_name = sorted(path for path in known if word in path.split("/"))
    if of_that_name:
        return f"did you mean '{of_that_name[0]}'?" if len(of_that_name) == 1 else _few(of_that_name)
    # What all of these begin with must not make them alike.
    return problems.suggestion(word, ours).replace("'", f"'{_BUILTIN}", 1)
