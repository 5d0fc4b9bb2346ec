"""A template as the rules look at it: the flow it says, what the author wrote, and where."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec

from stepflow.dsl.lint.dependencies import implied_dependencies
from stepflow.dsl.lint.source import Source
from stepflow.dsl.load import Document
from stepflow.dsl.parse import Parser
from stepflow.dsl.places import Place, Position, write_place
from stepflow.dsl.problems import Problems
from stepflow.dsl.references import SUB_FLOW_KEYS, Reference
from stepflow.dsl.spellings import FLOW_KEYS, ON_ERROR_KEYS, RETRY_KEYS, STEP_KEYS
from stepflow.model.flow import Flow, Json, Step

_OUTSIDE = ("/http/", "/shell/")


class ComponentFacts(msgspec.Struct, frozen=True):
    """What the rules need to know of a component."""

    external: bool = False
    """It talks to the network or to a process."""
    output_schema: Json = None
    deprecated: str = ""
    """What to use instead; empty: it is not deprecated."""
    input_schema: Json = None
    """Validation judges by it what a step gives."""


class View:
    """One flow: the template's, or one that is written out inside it. Places are counted from where it begins."""

    def __init__(
        self,
        document: Document,
        data: Json,
        flow: Flow,
        parser: Parser,
        components: Mapping[str, ComponentFacts] | None,
        base: tuple[Place, Place] = ((), ()),
    ) -> None:
        self.flow = flow
        self._document = document
        self._data = data
        self._parser = parser
        self._components = components
        self._base, self._written_base = base
        self._places = parser.places
        self.references: tuple[Reference, ...] = tuple(parser.folder.references)
        self.body: dict[str, Any] = {FLOW_KEYS.get(key, key): value for key, value in data.items()}
        """The flow as it is written, under canonical keys."""
        self._bodies = {
            key: {STEP_KEYS.get(name, name): value for name, value in self.written_at(place).items()}
            for key, place in self._places.items()
        }

    @cached_property
    def _index_at(self) -> dict[Place, int]:
        return {self._places[step.key]: index for index, step in enumerate(self.flow.steps)}

    @classmethod
    def of(cls, document: Document, components: Mapping[str, ComponentFacts] | None) -> View:
        """Of a document that says a valid template."""
        parser = Parser(Problems(document, None))
        flow = parser.flow(document.data)
        assert flow is not None
        return cls(document, document.data, flow, parser, components)

    @property
    def is_nested(self) -> bool:
        return bool(self._base)

    def nested(self) -> Iterator[View]:
        """The flows that are written out inside this one."""
        flows = self._parser.folder.sub_flows
        for (data, place), (flow, parser) in zip(flows, self._parser.nested, strict=True):
            base = (*self._base, *place), (*self._written_base, *self.written_place(place))
            yield View(self._document, data, flow, parser, self._components, base)

    @cached_property
    def source(self) -> Source:
        """The whole text, where places are counted from its beginning."""
        return Source(self._document.text, self._document.source_format)

    def facts(self, step: Step) -> ComponentFacts:
        if self._components is None:
            return ComponentFacts(external=step.component.startswith(_OUTSIDE))
        return self._components.get(step.component, ComponentFacts())

    def step_body(self, step: Step) -> dict[str, Any]:
        """The step as it is written, under canonical keys."""
        return self._bodies[step.key]

    def place(self, step: Step, *rest: str | int) -> Place:
        """Of the step, or of something in it under canonical keys."""
        return (*self._places[step.key], *rest)

    def index_at(self, place: Place) -> int:
        """Of the step something stands in."""
        return self._index_at[place[:2]]

    def written_place(self, place: Place) -> Place:
        """The place under the keys the author wrote."""
        node: Json = self._data
        written: list[str | int] = []
        for depth, part in enumerate(place):
            if isinstance(node, dict) and part not in node:
                spellings = _spellings_at(place[:depth])
                part = next((key for key in node if spellings.get(key) == part), part)
            written.append(part)
            node = _child(node, part)
        return tuple(written)

    def written_at(self, place: Place) -> Json:
        """What stands at a place, under the keys the author wrote."""
        node: Json = self._data
        for part in place:
            node = _child(node, part)
        return node

    def position(self, place: Place) -> Position:
        written = (*self._written_base, *self.written_place(place))
        return self._document.position(written if self._document.holds(written) else (*self._base, *place))

    def path(self, place: Place) -> str:
        """As diagnostics name it, `steps[0].input.x`."""
        return write_place((*self._written_base, *self.written_place(place)))

    @cached_property
    def implied_dependencies(self) -> tuple[frozenset[str], ...]:
        """Of each step."""
        return tuple(implied_dependencies(self.flow, index) for index in range(len(self.flow.steps)))

    @cached_property
    def read_steps(self) -> frozenset[str]:
        """Steps whose output is referred to anywhere."""
        return frozenset(reference.name for reference in self.references if reference.kind == "step")

    def mentions(self, reference: str) -> bool:
        """It is written somewhere in the text, also where nothing reads it now."""
        return reference in self._document.text


def strings_in(value: Json, place: Place, *, data: bool = False) -> Iterator[tuple[Place, str]]:
    """Every text in a value. Without `data` only where a reference could stand: in no `$literal` and in no sub-flow."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from strings_in(item, (*place, index), data=data)
    elif isinstance(value, dict):
        for key, item in value.items():
            is_scope_of_its_own = key in SUB_FLOW_KEYS and isinstance(item, dict)
            if data or (key != "$literal" and not is_scope_of_its_own):
                yield from strings_in(item, (*place, key), data=data)


def is_reference(text: str) -> bool:
    """It is filled in at run time, by us or by a shell."""
    return text.startswith("$.") or any(sign in text for sign in ("${", "{{", "$("))


def literal_truth(value: Json) -> bool | None:
    """Of a condition that is always the same; None: it depends on something, or there is none."""
    if value is None:
        return None
    if isinstance(value, bool | int | float):
        return bool(value)
    if isinstance(value, str):
        word = value.strip().removeprefix("${{").removesuffix("}}").strip().lower()
        return {"true": True, "1": True, "false": False, "0": False, "null": False, "": False}.get(word)
    return None


def property_names(schema: Json) -> Collection[str]:
    """The properties that a JSON Schema names."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else ()


def _child(node: Json, part: str | int) -> Json:
    if isinstance(node, dict):
        return node.get(part)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        return node[part]
    return None


def _spellings_at(prefix: Place) -> Mapping[str, str]:
    if not prefix:
        return FLOW_KEYS
    if prefix[-1] == "retry":
        return RETRY_KEYS
    if prefix[-1] == "on_error":
        return {**RETRY_KEYS, **ON_ERROR_KEYS}
    return STEP_KEYS if len(prefix) == 2 and prefix[0] == "steps" else {}
