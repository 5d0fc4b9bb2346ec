"""Data in canonical keys to a `Flow`: every key is read, and one that is unknown is an error."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from stepflow.dsl.cases import read_cases
from stepflow.dsl.diagnostics import quoted
from stepflow.dsl.handling import Handling
from stepflow.dsl.kinds import Kinds
from stepflow.dsl.places import Place
from stepflow.dsl.problems import Problems
from stepflow.dsl.references import MAX_STEP_KEY, SUB_FLOW_KEYS, Folder
from stepflow.dsl.schemas import check_schema
from stepflow.dsl.spellings import FLOW_KEYS, STEP_KEYS, fold_component, fold_keys
from stepflow.dsl.triggers import read_triggers
from stepflow.model.flow import Flow, Json, OnError, RetryPolicy, Step, is_whole_schema, secrets_of
from stepflow.model.ids import is_template_name, template_name_of

FLOW_KNOWN = frozenset(
    [
        "name",
        "description",
        "version",
        "metadata",
        "input_schema",
        "output_schema",
        "schemas",
        "variables",
        "steps",
        "output",
        "order",
        "evaluate",
        "max_concurrency",
        "timeout",
        "retry",
        "on_error",
        "fail_fast",
        "triggers",
        "tests",
        "$schema",
        "schema",
        "examples",
    ]
)
STEP_KNOWN = frozenset(
    [
        "id",
        "name",
        "component",
        "input",
        "depends_on",
        "skip_if",
        "when",
        "on_error",
        "retry",
        "timeout",
        "must_execute",
        "output_schema",
        "metadata",
        "description",
        "on_crash",
        "sensitive",
        "simulate",
        "max_retries",
        "retry_delay",
        "retry_backoff",
    ]
)
_SIMULATE_KNOWN = frozenset({"output", "duration", "error"})
SUB_FLOW_COMPONENTS = ("/builtin/eval", "/builtin/map", "/builtin/iterate")
"""Their input may hold a flow written out."""

MAX_STEPS = 100_000


class Parser:
    """Reads one document."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self._kinds = Kinds(problems)
        self.folder = Folder((), problems)
        self._handling = Handling(problems, self._kinds, self.folder)
        self.nested: list[tuple[Flow, Parser]] = []
        """Flows written out inside this one, with what read them."""
        self.places: dict[str, Place] = {}
        """Where each step stands."""
        self.default_on_error: OnError | None = None
        """Of the flow, for the steps that have none of their own."""

    def flow(self, data: Json) -> Flow | None:
        if not isinstance(data, dict):
            self.problems.error("E101", "A template is a mapping with 'steps'", (), "begin it with `steps:`")
            return None
        raw = fold_keys(data, FLOW_KEYS, (), self.problems)
        self._kinds.unknown_keys(raw, FLOW_KNOWN, ())
        self._flow_schemas(raw)
        listed = self._listed_steps(raw.get("steps"))
        self.folder = Folder([key for key, _, _ in listed], self.problems)
        self._handling = Handling(self.problems, self._kinds, self.folder)
        default_retry, default_on_error = self._handling.read(raw, ())
        self.default_on_error = default_on_error
        steps = tuple(self._step(key, body, place, default_retry, default_on_error) for key, body, place in listed)
        has_output = raw.get("output") is not None
        output = self.folder.fold(raw["output"], ("output",)) if has_output else None
        self._secrets_are_inputs(raw.get("variables"))
        self._read_nested()
        return Flow(
            steps=steps,
            name=self._name(raw.get("name")),
            description=self._kinds.text(raw, "description", ()),
            version="" if raw.get("version") is None else str(raw["version"]),
            metadata=self._kinds.mapping(raw, "metadata", ()),
            input_schema=self._kinds.schema(raw, "input_schema", ()),
            output_schema=self._kinds.schema(raw, "output_schema", ()),
            variables=self._variables(raw.get("variables")),
            output=output,
            has_output=has_output,
            order=self._kinds.word(raw, "order", ("graph", "sequential"), "graph", ()),  # type: ignore[arg-type]  # it is one of these words
            max_concurrency=self._kinds.count(raw, "max_concurrency", 10, ()),
            timeout_ms=self._kinds.duration(raw.get("timeout"), ("timeout",), may_be_nothing=False),
            fail_fast=self._kinds.flag(raw, "fail_fast", ()),
            evaluate=self._kinds.word(raw, "evaluate", ("all", "needed"), "all", ()),  # type: ignore[arg-type]  # it is one of these words
            triggers=read_triggers(raw.get("triggers"), self.problems, self._kinds),
            tests=read_cases(raw.get("tests"), [key for key, _, _ in listed], self.problems, self._kinds),
        )

    # The flow's own keys

    def _name(self, name: Json) -> str:
        if name is None:
            return ""
        text = "" if isinstance(name, list | dict) else str(name)
        if is_template_name(text):
            return text
        slug = template_name_of(text)
        if not slug:
            self.problems.error("E105", f"{quoted(name)} cannot be a name", ("name",), "use letters, digits, - and _")
        return slug

    def _flow_schemas(self, raw: dict[str, Any]) -> None:
        """`schemas.properties.input` is `input_schema`."""
        schemas = raw.pop("schemas", None)
        if schemas is None:
            return
        properties = schemas.get("properties") if isinstance(schemas, dict) else None
        if not isinstance(properties, dict):
            self.problems.error("E106", "'schemas' needs 'properties'", ("schemas",), "or write `input_schema:`")
            return
        for name, key in (("input", "input_schema"), ("output", "output_schema"), ("variables", "variables")):
            if name in properties and raw.get(key) is None:
                raw[key] = properties[name]
                self.problems.renamed(("schemas", "properties", name), (key,))

    def _secrets_are_inputs(self, variables: Json) -> None:
        """A secret goes into the input of a step as it is, and nowhere else: it is read when the step is performed."""
        secrets = secrets_of(variables)
        for reference in self.folder.references if secrets else ():
            if reference.kind != "variable" or reference.name not in secrets:
                continue
            if not _is_step_input(reference.place):
                self.problems.error(
                    "E133", f"The secret variable '{reference.name}' can only be used in the input of a step",
                    reference.place, "what is judged, kept or handed out is stored and shown",
                )  # fmt: skip
            elif reference.is_worked_on or reference.path or "$if" in reference.place:
                self.problems.error(
                    "E133", f"The secret variable '{reference.name}' can only be used as it is", reference.place,
                    "its value is not known before the step is performed; work with it in the component",
                )  # fmt: skip

    def _read_nested(self) -> None:
        for raw, place in self.folder.sub_flows:
            parser = Parser(self.problems.inside(place))
            flow = parser.flow(raw)
            if flow is not None:
                self.nested.append((flow, parser))

    def _variables(self, raw: Json) -> Json:
        if raw is None:
            return None
        schema = raw if is_whole_schema(raw) else {"type": "object", "properties": raw}
        properties = {} if schema.get("properties") is None else schema["properties"]
        if not isinstance(properties, dict):
            self.problems.error("E107", "'variables' is a mapping of names to schemas", ("variables",))
            return None
        for name, one in properties.items():
            if isinstance(one, dict) and one.get("secret") and "default" in one:
                self.problems.error(
                    "E134", f"The secret variable '{name}' has a default, which everybody could read",
                    ("variables", name), "give it at start as env:NAME or file:PATH",
                )  # fmt: skip
        wrong = check_schema(schema)
        if wrong is not None and schema is not raw:
            wrong = msgspec.structs.replace(wrong, place=wrong.place[1:])
        self._kinds.no_schema(wrong, "variables", ("variables",))
        return schema

    # Steps

    def _listed_steps(self, raw: Json) -> list[tuple[str, dict[str, Any], Place]]:
        """Key, body under canonical keys, place."""
        if raw is None:
            self.problems.error("E102", "Missing required field: steps", (), "list the steps under `steps:`")
            return []
        if isinstance(raw, dict):
            bodies = [(body, ("steps", key), key) for key, body in raw.items()]
        elif isinstance(raw, list):
            bodies = [(body, ("steps", index), None) for index, body in enumerate(raw)]
        else:
            self.problems.error("E102", "'steps' is a list of steps, or a mapping of ids to steps", ("steps",))
            return []
        if not bodies:
            self.problems.error("E102", "A template needs at least one step", ("steps",))
        if len(bodies) > MAX_STEPS:
            self.problems.error("E103", f"More than {MAX_STEPS:,} steps", ("steps",))
            return []
        listed: list[tuple[str, dict[str, Any], Place]] = []
        for body, place, given in bodies:
            if not isinstance(body, dict):
                self.problems.error("E109", "A step is a mapping with an 'id' and a 'type'", place)
                continue
            folded = fold_keys(body, STEP_KEYS, place, self.problems)
            key = self._step_key(folded, place, given)
            if key is not None:
                listed.append((key, folded, place))
        return listed

    def _step_key(self, body: dict[str, Any], place: Place, given: str | None) -> str | None:
        named = next((one for one in (body.get("id"), given, body.get("name")) if one is not None), None)
        if named is None:
            self.problems.error("E110", f"Missing required field: steps[{place[1]}].id", place, "give the step an id")
            return None
        key = str(named) if isinstance(named, str | int) and not isinstance(named, bool) else ""
        if not key or len(key) > MAX_STEP_KEY or not key.isprintable():
            message, hint = f"{quoted(named)} cannot be a step's id", "use letters, digits and -, or put it in quotes"
            self._refuse_key("E111", message, hint, body, place, given)
            return None
        if key in self.places:
            message, hint = f"Duplicate step id '{key}'", "each step needs an id of its own"
            self._refuse_key("E112", message, hint, body, place, given)
            return None
        if given is not None and key != given:
            self.problems.warning(
                "W112", f"The step's id is '{key}', and its key '{given}' names nothing", (*place, "id"),
                f"refer to it as '{key}', or leave the id out",
            )  # fmt: skip
        self.places[key] = place
        return key

    def _refuse_key(
        self, code: str, message: str, hint: str, body: dict[str, Any], place: Place, given: str | None
    ) -> None:
        if body.get("id") is None and given is not None:
            self.problems.error(code, message, place, hint, at_key=True)
        else:
            self.problems.error(code, message, (*place, "name" if body.get("id") is None else "id"), hint)

    def _step(
        self,
        key: str,
        raw: dict[str, Any],
        place: Place,
        default_retry: RetryPolicy | None,
        default_on_error: OnError | None,
    ) -> Step:
        self._kinds.unknown_keys(raw, STEP_KNOWN, place)
        component = self._component(raw.get("component"), place)
        retry, on_error = self._handling.read(raw, place)
        sub_flows = SUB_FLOW_KEYS if component in SUB_FLOW_COMPONENTS else ()
        return Step(
            key=key,
            component=component,
            input=self.folder.fold(raw.get("input"), (*place, "input"), sub_flow_at=sub_flows),
            depends_on=self._depends_on(raw.get("depends_on"), (*place, "depends_on")),
            skip_if=self._condition(raw.get("skip_if"), (*place, "skip_if")),
            when=self._condition(raw.get("when"), (*place, "when")),
            on_error=on_error or default_on_error or OnError(),
            retry=retry or default_retry,
            timeout_ms=self._kinds.duration(raw.get("timeout"), (*place, "timeout"), may_be_nothing=False),
            must_execute=self._kinds.flag(raw, "must_execute", place),
            on_crash=self._kinds.word(raw, "on_crash", ("retry", "fail"), "retry", place),  # type: ignore[arg-type]  # it is one of these words
            sensitive=self._kinds.flag(raw, "sensitive", place),
            output_schema=self._kinds.schema(raw, "output_schema", place),
            metadata=self._kinds.mapping(raw, "metadata", place),
            description=self._kinds.text(raw, "description", place),
            simulate=self._simulated(raw.get("simulate"), (*place, "simulate")),
        )

    def _simulated(self, raw: Json, place: Place) -> dict[str, Any] | None:
        if raw is None:
            return None
        if not isinstance(raw, dict):
            self.problems.error("E113", "'simulate' is a mapping of output, duration and error", place)
            return None
        self._kinds.unknown_keys(raw, _SIMULATE_KNOWN, place)
        self._kinds.duration(raw.get("duration"), (*place, "duration"))
        if not isinstance(raw.get("error"), str | dict | None):
            self.problems.error("E113", "'error' is {code, message}, or the message", (*place, "error"))
        return raw

    def _component(self, written: Json, place: Place) -> str:
        if written is None:
            where = f"[{place[1]}]" if isinstance(place[1], int) else f".{place[1]}"
            self.problems.error(
                "E114", f"Missing required field: steps{where}.type", place, "say what it runs, e.g. `type: http.get`"
            )
            return ""
        if not isinstance(written, str) or not written or not re.fullmatch(r"[A-Za-z0-9_./-]+", written):
            self.problems.error(
                "E115", f"{quoted(written)} is not a component", (*place, "component"), "e.g. /http/get"
            )
            return ""
        return fold_component(written)

    def _condition(self, raw: Json, place: Place) -> Json:
        return raw if raw is None or isinstance(raw, bool) else self.folder.fold_condition(raw, place)

    def _depends_on(self, raw: Json, place: Place) -> tuple[str, ...]:
        names = [raw] if isinstance(raw, str) else raw
        if names is None:
            return ()
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self.problems.error("E116", "'depends_on' is a list of step ids", place)
            return ()
        return tuple(dict.fromkeys(names))


def _is_step_input(place: Place) -> bool:
    return len(place) > 2 and place[0] == "steps" and place[2] == "input"
