"""Templates from the grammar: every key in every spelling, with values that fit, nearly fit, or do not fit at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import yaml

from stepflow.dsl.spellings import FLOW_KEYS, ON_ERROR_KEYS, RETRY_KEYS, STEP_KEYS, TRIGGER_KEYS
from stepflow.model.flow import Json
from tests.fuzz import samples
from tests.fuzz.expressions import write_expression, write_path

MOST_FLOWS = 4
"""In one template, one inside another."""

Write = Callable[[], Json]


def write_template(random: Random) -> str:
    data = _Grammar(random).flow()
    if random.random() < 0.3:
        return json.dumps(data, ensure_ascii=random.random() < 0.5, indent=random.choice((None, 1)))
    return yaml.dump(
        json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")),  # its writer takes no surrogates
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        sort_keys=False,
        allow_unicode=random.random() < 0.5,
        default_flow_style=random.choice((False, False, None, True)),
        width=random.choice((80, 1000)),
    )


class _Grammar:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._flows = 0
        self._ids: list[str] = []

    def flow(self) -> Json:
        self._flows += 1
        outer, self._ids = self._ids, [self._id(number) for number in range(self._random.choice((1, 1, 2, 3, 5)))]
        keys: dict[str, Write] = {
            "name": self._text,
            "description": self._text,
            "version": self._scalar,
            "metadata": self._object,
            "input_schema": self._schema,
            "output_schema": self._schema,
            "schemas": lambda: {"properties": {"input": self._schema(), "output": self._schema()}},
            "variables": self._variables,
            "output": self._value,
            "order": lambda: self._word("graph", "sequential"),
            "evaluate": lambda: self._word("all", "needed"),
            "max_concurrency": self._number,
            "timeout": self._duration,
            "retry": self._retry,
            "on_error": self._on_error,
            "fail_fast": self._flag,
            "triggers": self._triggers,
            "tests": self._tests,
            "$schema": self._text,
            "x-mine": self._scalar,
        }
        data = {"steps": self._steps(), **self._some(keys, FLOW_KEYS, 0.15)}
        self._ids = outer
        return data

    def _steps(self) -> Json:
        if self._chance(0.02):
            return self._anything()
        if self._chance(0.2):
            return {key: self._step() for key in self._ids}
        steps: list[Json] = [{"id": key, **self._step()} for key in self._ids]
        return [*steps, self._anything()] if self._chance(0.02) else steps

    def _step(self) -> dict[str, Json]:
        keys: dict[str, Write] = {
            "depends_on": lambda: self._pick((self._step_id(), [self._step_id()], self._ids[:1])),
            "skip_if": self._condition,
            "when": self._condition,
            "on_error": self._on_error,
            "retry": self._retry,
            "max_retries": self._number,
            "retry_delay": self._duration,
            "retry_backoff": self._number,
            "timeout": self._duration,
            "must_execute": self._flag,
            "output_schema": self._schema,
            "metadata": self._object,
            "description": self._text,
            "on_crash": lambda: self._word("retry", "fail"),
            "sensitive": self._flag,
            "simulate": self._simulate,
            "name": self._text,
        }
        component = self._pick(samples.COMPONENTS) if self._chance(0.5) else "/builtin/echo"
        body = {self._pick(("component", "type")): component, **self._some(keys, STEP_KEYS, 0.08)}
        if self._chance(0.8):
            body[self._pick(("input", "input", "args", "parameters"))] = self._input()
        return body

    def _input(self) -> Json:
        """Also what the components take that run flows and that wait."""
        roll = self._random.random()
        if roll < 0.15 and self._flows < MOST_FLOWS:
            items = {"items": self._pick(([1, 2], "$.input.items", self._value()))}
            more = {"input": self._value(), "initial_input": 1, "max_iterations": self._number()}
            return {self._pick(("workflow", "flow")): self.flow(), **self._pick((items, {}, more, {**items, **more}))}
        if roll < 0.25:
            return self._pick(({"duration_ms": self._number()}, {"seconds": self._number()}, {"until": self._text()}))
        return self._value()

    # Values

    def _value(self, depth: int = 3) -> Json:
        if depth == 0 or self._chance(0.25):
            return self._pick((self._scalar, self._reference, self._interpolated))()

        def inner() -> Json:
            return self._value(depth - 1)

        forms: tuple[Write, ...] = (
            lambda: [inner() for _ in range(self._random.randint(0, 3))],
            lambda: {self._key(): inner() for _ in range(self._random.randint(0, 3))},
            lambda: {"$if": inner(), "then": inner(), "else": inner()},
            lambda: {"$if": inner(), "then": inner(), "otherwise": inner()},
            lambda: {"$coalesce": [inner() for _ in range(self._random.randint(0, 3))]},
            lambda: {"$literal": inner()},
            lambda: {"$from": {"step": self._step_id()}, "path": write_path(self._random), "$default": inner()},
            lambda: {"$from": {"workflow": "input"}, "path": write_path(self._random)},
            lambda: {"$from": {"variable": self._key(), "default": self._scalar()}},
            lambda: {"$step": self._step_id(), "$on_skip": self._word("use_default", "skip_step"), "$default": inner()},
            lambda: {"$step": self._step_id(), "onSkip": {"action": "useDefault", "defaultValue": inner()}},
            lambda: {"$input": write_path(self._random)},
            lambda: {"$variable": self._key(), "default": inner()},
            lambda: {self._pick(("$from", "$text", "$expr", "$who")): inner()},
        )
        return self._pick(forms)()

    def _reference(self) -> Json:
        step = self._step_id()
        path = write_path(self._random).removeprefix("$")
        forms = (
            f"$.steps.{step}.output{path}",
            f'$.steps["{step}"].output',
            f"$.steps.{step}.status",
            f"$.steps.{step}.error",
            f"$.steps.{step}",
            f"$.steps{path}",
            f"$.input{path}",
            "$.variables.v",
            f"$.variables.{self._key()}.a",
            "$.run.id",
        )
        return self._pick(forms)

    def _interpolated(self) -> Json:
        text = f"${{{{ {write_expression(self._random)} }}}}"
        return self._pick((text, f"a {text} b", text + text, f"${{{{ {text} }}}}", text.replace("}}", "", 1)))

    def _condition(self) -> Json:
        failed = f"$.steps.{self._step_id()}.status == 'failed'"
        return self._pick((write_expression(self._random), self._value(), self._flag(), failed))

    # What stands under the keys

    def _retry(self) -> Json:
        keys: dict[str, Write] = {
            "strategy": lambda: self._word("never", "fixed", "exponential", "jittered"),
            "max_attempts": self._number,
            "max_retries": self._number,
            "base_delay": self._duration,
            "max_delay": self._duration,
            "factor": self._number,
            "jitter": self._flag,
            "on": lambda: self._pick(("TIMEOUT", ["A", "B"], [1], {})),
        }
        return self._pick((True, False, "fixed", self._some(keys, RETRY_KEYS, 0.3), self._some(keys, RETRY_KEYS, 0.3)))

    def _on_error(self) -> Json:
        action = self._word("fail", "skip", "continue", "retry", "terminate", "use_default")
        keys: dict[str, Write] = {"default_output": self._value, "max_attempts": self._number}
        return self._pick((action, {"action": action, **self._some(keys, ON_ERROR_KEYS, 0.5)}))

    def _triggers(self) -> Json:
        keys: dict[str, Write] = {
            "cron": self._cron,
            "after": self._text,
            "input": self._object,
            "enabled": self._flag,
            "timezone": lambda: self._pick(samples.TIME_ZONES),
            "statuses": lambda: self._pick(("completed", ["failed"], "running", {}, [[]])),
        }
        listed = [self._some(keys, TRIGGER_KEYS, 0.4) for _ in range(self._random.randint(0, 2))]
        return self._pick((listed, {"cron": self._cron()}, listed[:1]))

    def _cron(self) -> Json:
        if self._chance(0.5):
            return self._pick(samples.CRONS)
        return " ".join(self._random.choices(samples.CRON_FIELDS, k=self._pick((5, 5, 5, 4, 6))))

    def _tests(self) -> Json:
        keys: dict[str, Write] = {
            "name": self._scalar,
            "input": self._object,
            "variables": self._object,
            "mocks": lambda: {self._pick((*self._ids, "/http/get", "who")): self._mock()},
            "expect": self._expected,
        }
        cases = [self._some(keys, {}, 0.5) for _ in range(self._random.randint(0, 2))]
        return self._pick((cases, {"cases": cases, "config": {}}))

    def _mock(self) -> Json:
        one = {self._pick(("output", "error", "skip", "what")): self._anything()}
        return self._pick((one, [one], [], 1))

    def _expected(self) -> Json:
        step = self._pick(("completed", {"status": "skipped"}, {"output": self._anything()}, 1))
        return {
            "status": self._word("completed", "failed"),
            "output": self._anything(),
            "steps": {self._step_id(): step},
        }

    def _simulate(self) -> Json:
        errors = ("broken", {"code": "A", "message": "b"}, {"code": 1}, {"details": 1}, 5, [])
        keys: dict[str, Write] = {
            "output": self._anything,
            "duration": self._duration,
            "error": lambda: self._pick(errors),
        }
        return self._some(keys, {}, 0.5)

    def _variables(self) -> Json:
        named = {"v": self._schema(), self._key(): {"type": "string", "secret": True}}
        return self._pick((named, {"type": "object", "properties": {"v": {}}}, self._anything()))

    def _schema(self) -> Json:
        schema = self._pick(samples.SCHEMAS)
        if self._chance(0.3):
            return {"type": "object", "properties": {self._key(): schema}, "default": self._anything()}
        return schema

    # Small things

    def _some(self, keys: Mapping[str, Write], spellings: Mapping[str, str], share: float) -> dict[str, Json]:
        """Each with this chance, sometimes in another spelling and sometimes with a value of any kind."""
        found: dict[str, Json] = {}
        for key, write in keys.items():
            if self._chance(share):
                names = [key, *(other for other, canonical in spellings.items() if canonical == key)]
                name = self._pick(names) if self._chance(0.3) else key
                found[name] = self._anything() if self._chance(0.05) else write()
        if self._chance(0.02):
            found[self._key()] = self._anything()
        return found

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _pick(self, things: Any) -> Any:
        return self._random.choice(things)

    def _id(self, number: int) -> str:
        odd = (f"a.b{number}", f"fetch-{number}", f"é{number}", "s0", f"s{number} x", "\x1b[1m")
        return self._pick(odd) if self._chance(0.3) else f"s{number}"

    def _step_id(self) -> str:
        return self._pick(self._ids)

    def _key(self) -> str:
        return self._pick(samples.KEYS)

    def _word(self, *words: str) -> str:
        return self._pick(words) if self._chance(0.9) else self._pick(("nonsense", "", words[0].upper()))

    def _text(self) -> str:
        return self._pick(samples.TEXTS)

    def _number(self) -> Json:
        return self._random.randint(1, 5) if self._chance(0.6) else self._pick(samples.NUMBERS)

    def _flag(self) -> Json:
        return self._chance(0.5) if self._chance(0.9) else self._pick(("true", "yes", 0, None))

    def _duration(self) -> Json:
        return self._pick(("30s", "1h30m", self._pick(samples.DURATIONS), self._number()))

    def _scalar(self) -> Json:
        return self._pick((self._text, self._number, self._flag, lambda: None))()

    def _object(self) -> Json:
        return {self._key(): self._scalar() for _ in range(self._random.randint(0, 2))}

    def _anything(self) -> Json:
        return self._pick((self._scalar(), self._object(), [self._scalar()], {"a": [{}]}, []))
