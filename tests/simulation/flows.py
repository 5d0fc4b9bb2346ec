"""Random flows from a seed, as their authors write them, each with the outcome of every attempt of its steps.

The outcomes stand in the steps' metadata (`plan`), one for each attempt, the last for all that follow: whoever performs
a step finds there what it gives, be it a worker, a simulation or the reference model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Json = Any

AT_ONCE, LATER, IN_A_THREAD = "/test/at_once", "/test/later", "/test/in_a_thread"
HANGS = "/test/hangs"
OWN_CODES = ("BROKEN", "BUSY", "CLOSED")
"""Of planned failures alone."""
CODES = (*OWN_CODES, "INVALID_INPUT")
DEEPEST = 2
"""Flows inside flows."""

_KEYS = ("{}", "{}-{}", "{}.{}", "{}.output", "{}_{}")
_FIELDS = {
    "n": "number",
    "flag": "flag",
    "text": "text",
    "list": "list",
    "list[-1]": "number",
    "none": "any",
    "deep": "any",
    "deep.x": "any",
    'deep["y z"]': "number",
}
_INPUT_FIELDS = {"n": "number", "flag": "flag", "text": "text", "list": "list", "none": "any"}


class Made(NamedTuple):
    """A flow and what it is started with."""

    dsl: dict[str, Json]
    input: Json
    variables: dict[str, Json]


class Known(NamedTuple):
    """A step that others may refer to."""

    key: str
    fields: Mapping[str, str]
    """What is in its output, when it completes: path -> kind."""
    timely: bool
    """The output holds a time or the id of a run: another one each time, so nothing is computed of it."""


def make_flow(seed: object) -> Made:
    chance = random.Random(str(seed))
    maker = _FlowMaker(chance, 0)
    dsl = {"name": "random", **maker.flow(chance.randint(1, 8))}
    variables = {"given": chance.randint(0, 3)} if chance.random() < 0.8 else {}
    return Made(dsl, thing(chance), variables)


def thing(chance: random.Random) -> dict[str, Json]:
    """An object in which every path of `_FIELDS` leads somewhere. A key with a dot beside a nested one: only `path`
    means it."""
    return {
        "n": chance.randint(-1, 4),
        "flag": chance.random() < 0.5,
        "text": chance.choice(["", "a", "abc", "0"]),
        "list": [chance.randint(0, 3) for _ in range(chance.randint(1, 3))],
        "none": None,
        "deep": {"x": 1, "y z": 2},
        "deep.x": "literally",
    }


class _FlowMaker:
    """Makes one flow. Steps are made in an order in which each may refer to those before it, and listed in another."""

    def __init__(self, chance: random.Random, depth: int) -> None:
        self._chance = chance
        self._depth = depth
        self._known: list[Known] = []
        self._timely = False
        """Whether the value in the making holds a time or an id."""

    def flow(self, size: int) -> dict[str, Json]:
        chance = self._chance
        steps = [self._step(index) for index in range(size)]
        made: dict[str, Json] = {"steps": steps, **self._settings()}
        if made.get("order") != "sequential":
            chance.shuffle(steps)
        if self._likely(0.6):
            made["output"] = self.value()
        if self._likely(0.05):
            made["output_schema"] = {"type": "object"}
        return made

    def _settings(self) -> dict[str, Json]:
        chance = self._chance
        made: dict[str, Json] = {}
        if self._likely(0.35):
            made["evaluate"] = "needed"
        if self._likely(0.12):
            made["order"] = "sequential"
        if self._likely(0.4):
            made["max_concurrency"] = chance.randint(1, 4)
        if self._likely(0.1):
            made["fail_fast"] = True
        if self._likely(0.12):
            made["retry"] = self._retry()
        if self._likely(0.08):
            made["on_error"] = chance.choice(["skip", "fail", {"action": "continue", "default_output": {"n": 7}}])
        if self._depth == 0:
            made["variables"] = {"given": {"type": "integer"}}
        elif self._likely(0.1):
            made["input_schema"] = {"type": "object"}
        return made

    def _likely(self, share: float) -> bool:
        return self._chance.random() < share

    # Steps

    def _step(self, index: int) -> dict[str, Json]:
        chance = self._chance
        key = chance.choice(_KEYS).format(chr(97 + index), index)
        self._timely = False
        kinds: list[tuple[float, Callable[[], tuple[dict[str, Json], Mapping[str, str]]]]] = [
            (5, self._planned),
            (3, self._echo),
            (0.7, self._sleep),
            (0.4, self._fail),
        ]
        if self._depth < DEEPEST:
            kinds += [(0.9, self._eval), (0.7, self._map), (0.5, self._iterate)]
        kind = chance.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]
        body, fields = kind()
        timely = self._timely
        step = {"id": key, **body, **self._handling()}
        self._timely = timely or self._timely
        if self._known and self._likely(0.2):
            step["depends_on"] = sorted({one.key for one in chance.choices(self._known, k=chance.randint(1, 2))})
        if self._likely(0.15):
            step["skip_if"] = self._judgement()
        if self._likely(0.12):
            step["when"] = self._judgement()
        if self._likely(0.08):
            step["must_execute"] = True
        self._known.append(Known(key, fields, self._timely))
        return step

    def _planned(self) -> tuple[dict[str, Json], Mapping[str, str]]:
        chance = self._chance
        if self._likely(0.02):
            return {"component": HANGS, "timeout": "15ms", "simulate": {"duration": "1h"}}, {}
        output = thing(chance) if self._likely(0.9) else chance.choice([None, 0, "", [], False, 3])
        plan: list[Json] = []
        while self._likely(0.3) and len(plan) < 3:
            code = chance.choice(CODES)
            plan.append({"error": {"code": code, "message": f"{code.lower()} {len(plan) + 1}"}})
        if not plan or self._likely(0.6):
            plan.append({"skip": "nothing to do"} if self._likely(0.06) else {"output": output})
        component = chance.choices([AT_ONCE, LATER, IN_A_THREAD], [5, 4, 1])[0]
        body = {"component": component, "input": self.value(), "metadata": {"plan": plan}}
        if self._likely(0.3):
            body["simulate"] = {"duration": f"{chance.randint(0, 3000)}ms"}
        if self._likely(0.06):
            body["output_schema"] = {"type": chance.choice(["object", "array"])}
        self._timely = False  # what it gives is planned, whatever it is given
        return body, _FIELDS if isinstance(output, dict) else {}

    def _echo(self) -> tuple[dict[str, Json], Mapping[str, str]]:
        if self._likely(0.3):
            number = self._number()
            return {"type": "echo", "input": {"v": f"${{{{ {number} }}}}"}}, {"v": "number"}
        return {"type": "echo", "input": {"v": self.value(), "w": self.value()}}, {"v": "any", "w": "any"}

    def _sleep(self) -> tuple[dict[str, Json], Mapping[str, str]]:
        self._timely = True
        if self._likely(0.1):
            return {"type": "sleep", "input": {"duration": "1h"}, "timeout": "15ms"}, {}
        return {"type": "sleep", "input": {"duration_ms": self._chance.randint(0, 2)}}, {"until": "any"}

    def _fail(self) -> tuple[dict[str, Json], Mapping[str, str]]:
        return {"type": "fail", "input": {"message": "broken by itself", "code": self._chance.choice(CODES)}}, {}

    def _eval(self) -> tuple[dict[str, Json], Mapping[str, str]]:
        body: dict[str, Json] = {"workflow": self._child(), "input": self._input_of_child()}
        unwrap = self._likely(0.5)
        if unwrap:
            body["unwrap"] = True
        self._timely = True
        return {"type": "eval", "input": body}, {} if unwrap else {"result.outcome": "text", "result": "any"}

    def _map(self) -> tuple[dict[str, Json], Mapping[str, str]]:
        chance = self._chance
        items = [self._input_of_child() for _ in range(chance.randint(0, 4))]
        body: dict[str, Json] = {"workflow": self._child(), "items": items}
        if self._likely(0.15):
            body["items"] = self._reference("list") or "$.input.list"
        if self._likely(0.4):
            # With several at once it would depend on who ends first which of the others start.
            body |= {"max_concurrency": chance.choice([1, 10]), "tolerated_failures": chance.randint(0, 2)}
        elif self._likely(0.4):
            body["max_concurrency"] = chance.randint(1, 3)
        self._timely = True
        fields = {"successful": "number", "failed": "number", "skipped": "number", "results": "any"}
        return {"type": "map", "input": body}, fields

    def _iterate(self) -> tuple[dict[str, Json], Mapping[str, str]]:
        chance = self._chance
        body = self._child()
        body["steps"].append({"id": "again", "type": "echo", "input": {"n": "${{ $.input.n + 1 }}", "flag": True}})
        body["output"] = {
            "$if": f"${{{{ $.input.n >= {chance.randint(0, 4)} }}}}",
            "then": {"result": body.get("output", "done")} if self._likely(0.9) else "neither",
            "else": {"next": "$.steps.again.output"},
        }
        value: dict[str, Json] = {"flow": body, "initial_input": self._input_of_child()}
        if self._likely(0.4):
            value["max_iterations"] = chance.randint(1, 3)
        self._timely = True
        return {"type": "iterate", "input": value}, {"iterations": "number", "terminated": "flag", "result": "any"}

    def _child(self) -> dict[str, Json]:
        return _FlowMaker(self._chance, self._depth + 1).flow(self._chance.randint(1, 3))

    def _input_of_child(self) -> Json:
        if self._likely(0.75):
            return thing(self._chance)
        return self._chance.choice([None, 2, "$.input", self.value(1)])

    def _handling(self) -> dict[str, Json]:
        chance = self._chance
        made: dict[str, Json] = {}
        if self._likely(0.35):
            if self._likely(0.2):
                made |= {"max_retries": chance.randint(0, 2), "retry_delay": "1ms"}
            else:
                made["retry"] = self._retry()
        if self._likely(0.4):
            default = {"default_output": self.value()} if self._likely(0.7) else {}
            actions = ["fail", "skip", {"action": "skip"}, {"action": "continue", **default}, {"action": "use_default"}]
            if not made:
                actions.append({"action": "retry", **self._retry()})
            made["on_error"] = chance.choice(actions)
        return made

    def _retry(self) -> dict[str, Json]:
        chance = self._chance
        made: dict[str, Json] = {"max_attempts": chance.randint(1, 4), "delay": f"{chance.randint(0, 2)}ms"}
        if self._likely(0.5):
            made["strategy"] = chance.choice(["fixed", "exponential", "jittered", "never"])
        if self._likely(0.3):
            made["on"] = chance.sample([*CODES, "STEP_TIMEOUT", "INVALID_OUTPUT"], chance.randint(1, 3))
        return made

    # Values

    def value(self, deep: int = 3) -> Json:
        chance = self._chance
        pick = chance.random()
        if pick < 0.4:
            return self._reference() or chance.randint(0, 9)
        if pick < 0.5 or deep == 0:
            return chance.choice([None, True, 0, 2, "", "text", [], {"k": 1}, {"$literal": {"$step": "nobody"}}])
        if pick < 0.58:
            return {"$if": self._chosen_by(), "then": self.value(deep - 1), "else": self.value(deep - 1)}
        if pick < 0.65:
            return {"$coalesce": [self.value(deep - 1) for _ in range(chance.randint(1, 3))]}
        if pick < 0.75:
            return {name: self.value(deep - 1) for name in chance.sample("xyz", chance.randint(1, 3))}
        if pick < 0.8:
            return [self.value(deep - 1) for _ in range(chance.randint(1, 3))]
        if pick < 0.85:
            return f"n: ${{{{ {self._number()} }}}}, ${{{{ {self._condition()} }}}}"
        return f"${{{{ {self._number() if self._likely(0.6) else self._condition()} }}}}"

    def _chosen_by(self) -> Json:
        return f"${{{{ {self._condition()} }}}}" if self._likely(0.5) else self._reference() or False

    def _known_with(self, kind: str | None, *, plain: bool) -> list[tuple[Known, str | None]]:
        return [
            (one, path)
            for one in self._known
            if not (plain and one.timely)
            for path in (*one.fields, *(() if kind else (None,)))
            if kind is None or path is None or one.fields[path] == kind
        ]

    def _reference(self, kind: str | None = None) -> Json:
        """In one of its spellings; None: there is nothing to refer to."""
        chance = self._chance
        found = self._known_with(kind, plain=False)
        if not found or self._likely(0.15):
            return self._reference_outside(kind)
        step, path = chance.choice(found)
        self._timely = self._timely or step.timely
        if self._likely(0.04):
            path = "nowhere"
        if self._likely(0.4) and '"' not in step.key:
            return self._written(step.key, "output", path)
        made: dict[str, Json] = {"$step": step.key} if self._likely(0.5) else {"$from": {"step": step.key}}
        if path is not None:
            made["path"] = path if self._likely(0.5) else f"$.{path}"
        if self._likely(0.3):
            made["$default"] = self.value(1)
            if self._likely(0.3):
                made["$on_skip"] = "use_default"
        elif self._likely(0.1):
            made["$on_skip"] = chance.choice(["use_default", "skip_step"])
        return made

    def _reference_outside(self, kind: str | None) -> Json:
        chance = self._chance
        path = chance.choice([name for name, one in _INPUT_FIELDS.items() if kind in (None, one)])
        if kind is not None:
            return f"$.input.{path}"
        written: list[Json] = [f"$.input.{path}", {"$input": path}, {"$from": {"workflow": "input"}, "path": path}]
        if self._depth == 0:
            written += ["$.variables.given", {"$variable": "given", "default": 5}]
        return chance.choice(written)

    def _written(self, key: str, part: str, path: str | None = None) -> str:
        quoted = "." in key and self._likely(0.5)
        root = f'$.steps["{key}"].{part}' if quoted else f"$.steps.{key}.{part}"
        return root if path is None else f"{root}.{path}"

    # Expressions

    def _operand(self, kind: str) -> str | None:
        """A reference inside an expression."""
        found = self._known_with(kind, plain=True)
        if found and self._likely(0.75):
            step, path = self._chance.choice(found)
            return self._written(step.key, "output", path)
        paths = [name for name, one in _INPUT_FIELDS.items() if one == kind]
        return f"$.input.{self._chance.choice(paths)}" if paths and self._likely(0.5) else None

    def _number(self, deep: int = 2) -> str:
        chance = self._chance
        if self._likely(0.02):
            return self._operand("text") or "'x'"
        pick = chance.random()
        if deep == 0 or pick < 0.5:
            return self._operand("number") or str(chance.randint(-2, 5))
        if pick < 0.7:
            return f"({self._number(deep - 1)} {chance.choice('+-*')} {self._number(deep - 1)})"
        if pick < 0.78:
            return f"({self._number(deep - 1)} if {self._condition(deep - 1)} else {self._number(deep - 1)})"
        if pick < 0.84:
            return f"{chance.choice(['min', 'max'])}({self._number(deep - 1)}, {self._number(deep - 1)})"
        if pick < 0.92:
            return f"default({self._operand('number') or '$.input.nowhere'}, {self._number(deep - 1)})"
        return f"{chance.choice(['len', 'sum'])}({self._operand('list') or '[1, 2]'})"

    def _condition(self, deep: int = 2, *, judging: bool = False) -> str:
        chance = self._chance
        if judging and self._known and self._likely(0.4):
            key = chance.choice(self._known).key
            if self._likely(0.5):
                return f'{self._written(key, "status")} == "{chance.choice(["completed", "skipped", "failed"])}"'
            return f'{self._written(key, "error.code")} {chance.choice(["==", "!="])} "{chance.choice(CODES)}"'
        pick = chance.random()
        if deep == 0 or pick < 0.3:
            return self._operand("flag") or chance.choice(["true", "false"])
        if pick < 0.6:
            return f"{self._number(deep - 1)} {chance.choice(['<', '<=', '>', '>=', '==', '!='])} {self._number(0)}"
        if pick < 0.68:
            return f"not {self._condition(deep - 1, judging=judging)}"
        if pick < 0.8:
            sign = chance.choice(["and", "or", "&&", "||"])
            return f"({self._condition(deep - 1, judging=judging)} {sign} {self._condition(deep - 1, judging=judging)})"
        if pick < 0.88:
            return f"exists({self._operand(chance.choice(['number', 'any'])) or '$.input.nowhere'})"
        return f"{self._number(0)} in {self._operand('list') or '[0, 1]'}"

    def _judgement(self) -> Json:
        """A `skip_if` or `when`."""
        timely = self._timely
        if self._likely(0.08):
            return self._likely(0.5)
        if self._likely(0.2):
            made = self._reference()
            # Whether it is true does not depend on the time it holds; the step's output does not hold it either.
            self._timely = timely
            return made
        text = self._condition(judging=True)
        return f"${{{{ {text} }}}}" if self._likely(0.3) else text
