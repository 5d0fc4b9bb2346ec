"""What a step may run, in every spelling, and what an editor knows of each component's input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from stepflow.dsl.schema.parts import Schema, said, spelled, under
from stepflow.dsl.spellings import COMPONENT_WORDS, STEP_KEYS, fold_component
from stepflow.dsl.validate import OUR_FAMILIES
from stepflow.model.flow import Json

_CHARACTERS = "[A-Za-z0-9_./-]+"


class Offered(Protocol):
    """What an editor says of a component."""

    @property
    def path(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def input_schema(self) -> Json:
        """None: it takes anything."""

    @property
    def example(self) -> Json:
        """`{"input": …}`, or None."""


def definitions(offered: Sequence[Offered] | None) -> Schema:
    inputs = {input_name(one.path): input_schema(one) for one in offered or () if input_schema(one)}
    return {"component": _component(offered), **inputs}


def _component(offered: Sequence[Offered] | None) -> Schema:
    if offered is None:
        return {"type": "string", "pattern": f"^{_CHARACTERS}$", "examples": ["/http/get", "/shell/run"]}
    families = "|".join(("builtins", *(family.strip("/") for family in OUR_FAMILIES)))
    elsewhere = f"^(?!/(?:{families})/|(?:{families})[./])(?=.*[./]){_CHARACTERS}$"
    ours = [one.path for one in offered if one.path.startswith(OUR_FAMILIES)]
    return {
        "type": "string",
        "anyOf": [
            *(said(one.description, {"const": one.path}) for one in offered),
            said("Another spelling of a component's path.", {"pattern": _written_as(ours)}),
            said("A component of your own, or of another worker.", {"pattern": elsewhere}),
        ],
    }


def runs(paths: Iterable[str]) -> Schema:
    """Of a step: it runs one of these."""
    written = {"type": "string", "pattern": _written_as(paths)}
    return {"anyOf": [{"required": [key], **under([key], written)} for key in spelled("component", STEP_KEYS)]}


def _written_as(paths: Iterable[str]) -> str:
    """The pattern of all that `fold_component` makes one of these of."""
    return f"^(?:{'|'.join(form for path in paths for form in _forms(path))})$"


def _forms(path: str) -> list[str]:
    forms = [path, *(word for word, meant in COMPONENT_WORDS.items() if meant == path)]
    if path.startswith("/builtin/"):
        name = path.removeprefix("/builtin/")
        forms += [f"/builtins/{name}", f"builtins/{name}", *([name] if fold_component(name) == path else [])]
    if "." in path:  # a dot would be read as a slash, so only the path itself is it
        return [form.replace(".", "\\.") for form in forms if form.startswith("/")]
    return [form if form.startswith("/") else form.replace("/", "[./]") for form in (*forms, path[1:])]


def input_name(path: str) -> str:
    return f"input:{path}"


def input_schema(component: Offered) -> Schema:
    """The keys of its input, described and not judged: any of them may be a reference. Empty: nothing is known."""
    schema = component.input_schema
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return {}
    example = component.example.get("input") if isinstance(component.example, dict) else None
    return said(
        component.description,
        {
            "properties": {key: _hint(one) for key, one in properties.items()},
            **({} if example is None else {"examples": [example]}),
        },
    )


def _hint(schema: Json) -> Schema:
    if not isinstance(schema, dict):
        return {}
    written = schema.get("type") or ()
    kinds = [written] if isinstance(written, str) else list(written)
    values = schema.get("enum") or ([True, False] if "boolean" in kinds else [])
    hint = said(str(schema.get("description") or " or ".join(kinds)))
    return {**hint, "anyOf": [{"enum": values}, {}]} if values else hint
