"""Data in canonical keys to a `Flow`: every key is read, and one that is unknown is an error."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, cast

from stepflow.dsl.diagnostics import did_you_mean
from stepflow.dsl.load import Place
from stepflow.dsl.problems import Problems
from stepflow.dsl.references import SUB_FLOW_KEYS, Folder
from stepflow.dsl.schemas import check_schema
from stepflow.dsl.spellings import (
    FLOW_KEYS,
    ON_ERROR_ACTIONS,
    ON_ERROR_KEYS,
    RETRY_KEYS,
    STEP_KEYS,
    WithUnit,
    fold_component,
    fold_keys,
)
from stepflow.model.flow import Flow, Json, OnError, RetryPolicy, Step
from stepflow.model.times import parse_duration

_FLOW_KNOWN = frozenset(
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
_STEP_KNOWN = frozenset(
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
_RETRY_KNOWN = frozenset(
    ["strategy", "max_attempts", "max_retries", "base_delay", "factor", "max_delay", "jitter", "on"]
)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_SUB_FLOW_COMPONENTS = ("/builtin/eval", "/builtin/map", "/builtin/iterate")

MAX_STEPS = 100_000


class Parser:
    """Reads one document."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self.folder = Folder((), problems)
        self.places: dict[str, Place] = {}
        """Where each step stands."""

    def flow(self, data: Json) -> Flow | None:
        if not isinstance(data, dict):
            self._problems.error("E101", "A template is a mapping with 'steps'", (), "begin it with `steps:`")
            return None
        raw = fold_keys(data, FLOW_KEYS, (), self._problems)
        self._unknown_keys(raw, _FLOW_KNOWN, ())
        self._flow_schemas(raw)
        self._not_available(raw)
        listed = self._listed_steps(raw.get("steps"))
        self.folder = Folder([key for key, _, _ in listed], self._problems)
        default_retry = self._retry(raw.get("retry"), ("retry",))
        default_on_error = self._on_error(raw.get("on_error"), ("on_error",))
        steps = tuple(self._step(key, body, place, default_retry, default_on_error) for key, body, place in listed)
        has_output = raw.get("output") is not None
        return Flow(
            steps=steps,
            name=self._name(raw.get("name")),
            description=self._text(raw, "description", ()),
            version="" if raw.get("version") is None else str(raw["version"]),
            metadata=self._mapping(raw, "metadata", ()),
            input_schema=self._schema(raw, "input_schema", ()),
            output_schema=self._schema(raw, "output_schema", ()),
            variables=self._variables(raw.get("variables")),
            output=self.folder.fold(raw["output"], ("output",)) if has_output else None,
            has_output=has_output,
            order=self._word(raw, "order", ("graph", "sequential"), "graph", ()),  # type: ignore[arg-type]  # _word gives one of these words
            max_concurrency=self._count(raw, "max_concurrency", 10, ()),
            timeout_ms=self._duration(raw.get("timeout"), ("timeout",)),
            fail_fast=self._bool(raw, "fail_fast", ()),
            triggers=raw.get("triggers"),
            tests=raw.get("tests"),
        )

    # The flow's own keys

    def _name(self, name: Json) -> str:
        if name is None:
            return ""
        text = str(name)
        if _NAME.fullmatch(text):
            return text
        slug = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")
        if not slug:
            self._problems.error("E105", f"'{text}' cannot be a name", ("name",), "use letters, digits, - and _")
        return slug

    def _flow_schemas(self, raw: dict[str, Any]) -> None:
        """`schemas.properties.input` is `input_schema`."""
        schemas = raw.pop("schemas", None)
        if schemas is None:
            return
        properties = schemas.get("properties") if isinstance(schemas, dict) else None
        if not isinstance(properties, dict):
            self._problems.error("E106", "'schemas' needs 'properties'", ("schemas",), "or write `input_schema:`")
            return
        for name, key in (("input", "input_schema"), ("output", "output_schema"), ("variables", "variables")):
            if name in properties:
                raw.setdefault(key, properties[name])
                self._problems.renamed(("schemas", "properties", name), (key,))

    def _not_available(self, raw: dict[str, Any]) -> None:
        evaluate = self._word(raw, "evaluate", ("all", "needed"), "all", ())
        if evaluate == "needed":
            self._problems.error(
                "E130", "'evaluate: needed' is not available in this release", ("evaluate",),
                "leave it out, and use skip_if on the steps that are not always needed",
            )  # fmt: skip
        if raw.get("triggers") is not None:
            self._problems.info(
                "I131", "Triggers are kept, but schedules are not active in this release", ("triggers",),
                "start it with `stepflow run`, from cron for example",
            )  # fmt: skip
        if raw.get("tests") is not None:
            self._problems.info("I132", "Tests are kept, but not run by this release", ("tests",))

    def _variables(self, raw: Json) -> Json:
        if raw is None:
            return None
        schema = raw if isinstance(raw, dict) and raw.get("type") == "object" else {"type": "object", "properties": raw}
        properties = schema.get("properties") or {}
        if not isinstance(properties, dict):
            self._problems.error("E107", "'variables' is a mapping of names to schemas", ("variables",))
            return None
        for name, one in properties.items():
            if isinstance(one, dict) and one.get("secret"):
                self._problems.error(
                    "E133", f"Secret variables ('{name}') are not available in this release", ("variables", name),
                    "read the secret inside the step, from its environment",
                )  # fmt: skip
        for problem in check_schema(schema):
            self._problems.error("E108", f"'variables' is not a JSON Schema: {problem}", ("variables",))
        return schema

    # Steps

    def _listed_steps(self, raw: Json) -> list[tuple[str, dict[str, Any], Place]]:
        """Key, body under canonical keys, place."""
        if raw is None:
            self._problems.error("E102", "Missing required field: steps", (), "list the steps under `steps:`")
            return []
        if isinstance(raw, dict):
            bodies = [(body, ("steps", key), key) for key, body in raw.items()]
        elif isinstance(raw, list):
            bodies = [(body, ("steps", index), None) for index, body in enumerate(raw)]
        else:
            self._problems.error("E102", "'steps' is a list of steps, or a mapping of ids to steps", ("steps",))
            return []
        if not bodies:
            self._problems.error("E102", "A template needs at least one step", ("steps",))
        if len(bodies) > MAX_STEPS:
            self._problems.error("E103", f"More than {MAX_STEPS:,} steps", ("steps",))
            return []
        listed: list[tuple[str, dict[str, Any], Place]] = []
        for body, place, given in bodies:
            if not isinstance(body, dict):
                self._problems.error("E109", "A step is a mapping with an 'id' and a 'type'", place)
                continue
            folded = fold_keys(body, STEP_KEYS, place, self._problems)
            key = self._step_key(folded, place, given)
            if key is not None:
                listed.append((key, folded, place))
        return listed

    def _step_key(self, body: dict[str, Any], place: Place, given: str | None) -> str | None:
        named = body.get("id", given if given is not None else body.get("name"))
        if named is None:
            self._problems.error("E110", f"Missing required field: steps[{place[1]}].id", place, "give the step an id")
            return None
        key = str(named) if isinstance(named, str | int) and not isinstance(named, bool) else ""
        if not key or len(key) > 200 or any(ord(character) < 32 for character in key):
            self._problems.error(
                "E111", f"{named!r} cannot be a step's id", (*place, "id"), "use letters, digits and -"
            )
            return None
        if key in self.places:
            self._problems.error(
                "E112", f"Duplicate step id '{key}'", (*place, "id"), "each step needs an id of its own"
            )
            return None
        self.places[key] = place
        return key

    def _step(
        self,
        key: str,
        raw: dict[str, Any],
        place: Place,
        default_retry: RetryPolicy | None,
        default_on_error: OnError | None,
    ) -> Step:
        self._unknown_keys(raw, _STEP_KNOWN, place)
        component = self._component(raw.get("component"), place)
        retry, on_error = self._step_error_handling(raw, place)
        sub_flows = SUB_FLOW_KEYS if component in _SUB_FLOW_COMPONENTS else ()
        if raw.get("simulate") is not None and not isinstance(raw["simulate"], dict):
            self._problems.error("E113", "'simulate' is a mapping of output, duration and error", (*place, "simulate"))
        return Step(
            key=key,
            component=component,
            input=self.folder.fold(raw.get("input"), (*place, "input"), sub_flow_at=sub_flows),
            depends_on=self._depends_on(raw.get("depends_on"), (*place, "depends_on")),
            skip_if=self._condition(raw.get("skip_if"), (*place, "skip_if")),
            when=self._condition(raw.get("when"), (*place, "when")),
            on_error=on_error or default_on_error or OnError(),
            retry=retry or default_retry,
            timeout_ms=self._duration(raw.get("timeout"), (*place, "timeout")),
            must_execute=self._bool(raw, "must_execute", place),
            on_crash=self._word(raw, "on_crash", ("retry", "fail"), "retry", place),  # type: ignore[arg-type]  # _word gives one of these words
            sensitive=self._bool(raw, "sensitive", place),
            output_schema=self._schema(raw, "output_schema", place),
            metadata=self._mapping(raw, "metadata", place),
            description=self._text(raw, "description", place),
            simulate=raw.get("simulate"),
        )

    def _component(self, written: Json, place: Place) -> str:
        if written is None:
            where = f"[{place[1]}]" if isinstance(place[1], int) else f".{place[1]}"
            self._problems.error(
                "E114", f"Missing required field: steps{where}.type", place, "say what it runs, e.g. `type: http.get`"
            )
            return ""
        if not isinstance(written, str) or not written or not re.fullmatch(r"[/\w.-]+", written):
            self._problems.error("E115", f"{written!r} is not a component", (*place, "component"), "e.g. /http/get")
            return ""
        return fold_component(written)

    def _condition(self, raw: Json, place: Place) -> Json:
        if raw is None or isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and not raw.startswith("$."):
            self._problems.error(
                "E127", f"'{raw}' is an expression, which is not available in this release", place,
                'use a reference to a true or false value, like "$.steps.ID.output.flag"',
            )  # fmt: skip
            return None
        return self.folder.fold(raw, place)

    def _depends_on(self, raw: Json, place: Place) -> tuple[str, ...]:
        names = [raw] if isinstance(raw, str) else raw
        if names is None:
            return ()
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self._problems.error("E116", "'depends_on' is a list of step ids", place)
            return ()
        return tuple(dict.fromkeys(names))

    # Retry and on_error

    def _step_error_handling(self, raw: dict[str, Any], place: Place) -> tuple[RetryPolicy | None, OnError | None]:
        retry = self._retry(raw.get("retry"), (*place, "retry"))
        loose = {key: raw[key] for key in ("max_retries", "retry_delay", "retry_backoff") if raw.get(key) is not None}
        if loose:
            if retry is not None:
                self._problems.error(
                    "E104", "'retry' and 'max_retries' say the same", (*place, "retry"), "keep 'retry'"
                )
            retry = self._retry(loose, place)
        raw_on_error = raw.get("on_error")
        on_error = self._on_error(raw_on_error, (*place, "on_error"))
        action = raw_on_error.get("action") if isinstance(raw_on_error, dict) else raw_on_error
        if action == "retry" and retry is None:
            rest = {k: v for k, v in raw_on_error.items() if k != "action"} if isinstance(raw_on_error, dict) else {}
            retry = self._retry(rest, (*place, "on_error"))
        return retry, on_error

    def _retry(self, raw: Json, place: Place) -> RetryPolicy | None:
        if raw is None or raw is False:
            return None
        if raw is True:
            return RetryPolicy()
        if isinstance(raw, str):
            raw = {"strategy": raw}
        if not isinstance(raw, dict):
            self._problems.error(
                "E117", "'retry' is a mapping or a strategy", place, "e.g. `retry: {max_attempts: 3, delay: 2s}`"
            )
            return None
        folded = fold_keys(raw, RETRY_KEYS, place, self._problems)
        self._unknown_keys(folded, _RETRY_KNOWN, place)
        strategy = self._word(folded, "strategy", ("never", "fixed", "exponential", "jittered"), "exponential", place)
        if self._bool(folded, "jitter", place):
            strategy = "jittered"
        attempts = self._count(folded, "max_attempts", RetryPolicy.__struct_defaults__[1], place)
        if folded.get("max_retries") is not None:
            if "max_attempts" in folded:
                self._problems.error("E104", "'max_attempts' and 'max_retries' say the same", place, "keep one")
            attempts = self._count(folded, "max_retries", 0, place, least=0) + 1
        factor = folded.get("factor", 2.0)
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor <= 1e6:
            self._problems.error("E117", "'factor' is a number from 1", (*place, "factor"))
            factor = 2.0
        on = folded.get("on") or []
        codes = [on] if isinstance(on, str) else on
        if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
            self._problems.error("E117", "'on' is a list of error codes", (*place, "on"))
            codes = []
        base = self._duration(folded.get("base_delay"), (*place, "base_delay"))
        longest = self._duration(folded.get("max_delay"), (*place, "max_delay"))
        return RetryPolicy(
            strategy=cast(Literal["never", "fixed", "exponential", "jittered"], strategy),
            max_attempts=attempts,
            base_delay_ms=1000 if base is None else base,
            factor=float(factor),
            max_delay_ms=300_000 if longest is None else longest,
            on=tuple(codes),
        )

    def _on_error(self, raw: Json, place: Place) -> OnError | None:
        if raw is None:
            return None
        body = {"action": raw} if isinstance(raw, str) else raw
        if not isinstance(body, dict) or not isinstance(body.get("action"), str):
            self._problems.error(
                "E118", "'on_error' is fail, skip, continue or retry, or a mapping with an action", place
            )
            return None
        folded = fold_keys(body, ON_ERROR_KEYS, place, self._problems)
        action = ON_ERROR_ACTIONS.get(folded["action"], folded["action"])
        if action == "retry":
            return OnError()
        self._unknown_keys(folded, frozenset({"action", "default_output"}), place)
        if action not in ("fail", "skip", "continue"):
            hint = did_you_mean(action, ("fail", "skip", "continue", "retry")).removeprefix("; ")
            self._problems.error("E118", f"Unknown action '{action}'", (*place, "action"), hint)
            return None
        default = folded.get("default_output")
        if default is not None and action != "continue":
            self._problems.error("E118", "'default_output' goes with `action: continue`", (*place, "default_output"))
        return OnError(action, self.folder.fold(default, (*place, "default_output")))

    # Kinds of values

    def _unknown_keys(self, raw: Mapping[str, Any], known: frozenset[str], place: Place) -> None:
        for key in raw:
            if key not in known and not key.startswith("x-"):
                hint = did_you_mean(key, known).removeprefix("; ")
                self._problems.error(
                    "E120", f"Unknown key '{key}'", (*place, key), hint or "keys of your own begin with x-"
                )

    def _duration(self, raw: Json, place: Place) -> int | None:
        if raw is None:
            return None
        if isinstance(raw, WithUnit):
            return int(raw)
        try:
            return parse_duration(raw if isinstance(raw, str) else str(raw))
        except ValueError as error:
            self._problems.error("E119", str(error), place)
            return None

    def _count(self, raw: Mapping[str, Any], key: str, default: int, place: Place, least: int = 1) -> int:
        value = raw.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1_000_000:
            self._problems.error("E119", f"'{key}' is a whole number from {least}", (*place, key))
            return default
        return int(value)

    def _bool(self, raw: Mapping[str, Any], key: str, place: Place) -> bool:
        value = raw.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self._problems.error("E119", f"'{key}' is true or false", (*place, key))
        return False

    def _word(self, raw: Mapping[str, Any], key: str, words: tuple[str, ...], default: str, place: Place) -> str:
        value = raw.get(key)
        if value is None:
            return default
        if value not in words:
            hint = did_you_mean(str(value), words).removeprefix("; ")
            self._problems.error("E119", f"'{key}' is one of {', '.join(words)}", (*place, key), hint)
            return default
        return str(value)

    def _text(self, raw: Mapping[str, Any], key: str, place: Place) -> str:
        value = raw.get(key)
        if value is None or isinstance(value, str):
            return value or ""
        self._problems.error("E119", f"'{key}' is a text", (*place, key), "put it in quotes")
        return ""

    def _mapping(self, raw: Mapping[str, Any], key: str, place: Place) -> dict[str, Any]:
        value = raw.get(key)
        if value is None or isinstance(value, dict):
            return value or {}
        self._problems.error("E119", f"'{key}' is a mapping", (*place, key))
        return {}

    def _schema(self, raw: Mapping[str, Any], key: str, place: Place) -> Json:
        schema = raw.get(key)
        if schema is None:
            return None
        if not isinstance(schema, dict | bool):
            self._problems.error("E108", f"'{key}' is a JSON Schema", (*place, key))
            return None
        for problem in check_schema(schema):
            self._problems.error("E108", f"'{key}' is not a JSON Schema: {problem}", (*place, key))
        return schema
