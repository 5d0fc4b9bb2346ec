"""A flow: what a template says, in its one canonical form. Plain values, nothing compiled.

`to_json` and `from_json` are the form a template version is stored in.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from stepflow.model import jsontext

Json = Any
"""dict, list, str, int, finite float, bool or None."""

NEVER_RETRIED = frozenset(
    {"EXPRESSION_FAILED", "COMPONENT_NOT_FOUND", "INVALID_INPUT", "UPSTREAM_FAILED", "WORKER_LOST"}
)


class RetryPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """`max_attempts` counts the first try; all times in milliseconds."""

    strategy: Literal["never", "fixed", "exponential", "jittered"] = "exponential"
    max_attempts: int = 4
    base_delay_ms: int = 1000
    factor: float = 2.0
    max_delay_ms: int = 300_000
    on: tuple[str, ...] = ()
    """Error codes that are retried; empty: everything but `NEVER_RETRIED`."""

    def covers(self, code: str) -> bool:
        if self.strategy == "never" or code == "UPSTREAM_FAILED":
            return False
        return code in self.on if self.on else code not in NEVER_RETRIED


class OnError(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happens when a step has failed and its retries are used up."""

    action: Literal["fail", "skip", "continue"] = "fail"
    default_output: Json = None
    """A value template, used by `continue`."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    key: str
    component: str
    input: Json = None
    """A value template (`DSL.md` section 3), canonical spellings only."""
    depends_on: tuple[str, ...] = ()
    skip_if: Json = None
    """A condition: a value template or an expression string; the step is skipped when it is true."""
    when: Json = None
    """The same the other way round: the step runs only when it is true."""
    on_error: OnError = OnError()
    retry: RetryPolicy | None = None
    timeout_ms: int | None = None
    """Of one attempt."""
    must_execute: bool = False
    on_crash: Literal["retry", "fail"] = "retry"
    sensitive: bool = False
    output_schema: Json = None
    metadata: dict[str, Any] = {}
    description: str = ""
    simulate: Json = None


class Flow(msgspec.Struct, frozen=True, omit_defaults=True):
    steps: tuple[Step, ...]
    name: str = ""
    description: str = ""
    version: str = ""
    metadata: dict[str, Any] = {}
    input_schema: Json = None
    output_schema: Json = None
    variables: Json = None
    output: Json = None
    """A value template; None: `{step key: output}` of the completed steps nobody depends on."""
    has_output: bool = False
    """True where the author wrote an `output`, also when it is null."""
    order: Literal["graph", "sequential"] = "graph"
    evaluate: Literal["all", "needed"] = "all"
    max_concurrency: int = 10
    timeout_ms: int | None = None
    """Of the run, from its first start."""
    fail_fast: bool = False
    triggers: Json = None
    tests: Json = None

    @property
    def components(self) -> tuple[str, ...]:
        """The paths of the components a worker needs to run this flow, sorted."""
        return tuple(sorted({step.component for step in self.steps}))

    @property
    def secrets(self) -> frozenset[str]:
        """The names of the variables that are secret."""
        return secrets_of(self.variables)

    @property
    def variable_defaults(self) -> dict[str, Json]:
        """The values of variables that nobody gives."""
        properties = (self.variables or {}).get("properties") or {}
        return {
            name: schema["default"]
            for name, schema in properties.items()
            if isinstance(schema, dict) and "default" in schema
        }

    def to_json(self) -> str:
        try:
            return msgspec.json.encode(self).decode()
        except UnicodeEncodeError:
            # Half a surrogate pair: legal as an escape in JSON, and only so.
            return jsontext.encode(msgspec.to_builtins(self))

    @classmethod
    def from_json(cls, text: str) -> Flow:
        try:
            return _READ.decode(text)
        except msgspec.DecodeError:
            return msgspec.convert(jsontext.decode(text), cls)


_READ = msgspec.json.Decoder(Flow)
"""Made here, by the one thread that imports: where two are the first ones to read a type, msgspec crashes."""


def is_whole_schema(variables: Json) -> bool:
    """A `variables` block in its long form, a schema of all of them; in the short one it maps each name to its own."""
    if not isinstance(variables, dict):
        return False
    named = variables.get("properties")
    return variables.get("type") == "object" or (
        isinstance(named, dict) and bool(named) and all(isinstance(one, dict) for one in named.values())
    )


def secrets_of(variables: Json) -> frozenset[str]:
    """The names of the secret ones in a `variables` block, in its short form or its long one, right or wrong."""
    if not isinstance(variables, dict):
        return frozenset()
    properties = variables.get("properties", {}) if is_whole_schema(variables) else variables
    if not isinstance(properties, dict):
        return frozenset()
    return frozenset(name for name, schema in properties.items() if isinstance(schema, dict) and schema.get("secret"))
