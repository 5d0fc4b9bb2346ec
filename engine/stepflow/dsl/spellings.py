"""Every other spelling of the language, folded into the canonical one; nothing after this knows of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepflow.dsl.places import Place
from stepflow.dsl.problems import Problems
from stepflow.model.flow import Json
from stepflow.model.times import MAX_DURATION_MS

FLOW_KEYS = {
    "inputSchema": "input_schema",
    "outputSchema": "output_schema",
    "outputs": "output",
    "maxConcurrency": "max_concurrency",
    "timeoutSeconds": "timeout",
    "timeout_ms": "timeout",
    "onError": "on_error",
    "failFast": "fail_fast",
    "test": "tests",
}

STEP_KEYS = {
    "key": "id",
    "type": "component",
    "parameters": "input",
    "args": "input",
    "dependsOn": "depends_on",
    "skipIf": "skip_if",
    "skip": "skip_if",
    "onError": "on_error",
    "timeoutSeconds": "timeout",
    "timeout_ms": "timeout",
    "mustExecute": "must_execute",
    "outputSchema": "output_schema",
    "onCrash": "on_crash",
    "maxRetries": "max_retries",
    "retryDelay": "retry_delay",
    "retryBackoff": "retry_backoff",
}

RETRY_KEYS = {
    "type": "strategy",
    "maxAttempts": "max_attempts",
    "maxRetries": "max_retries",
    "delay": "base_delay",
    "delay_ms": "base_delay",
    "base_delay_ms": "base_delay",
    "baseDelay": "base_delay",
    "baseDelayMs": "base_delay",
    "max_delay_ms": "max_delay",
    "maxDelay": "max_delay",
    "maxDelayMs": "max_delay",
    "retry_delay": "base_delay",
    "retry_backoff": "factor",
    "backoff": "factor",
}

TRIGGER_KEYS = {"schedule": "cron", "time_zone": "timezone", "timeZone": "timezone", "on": "statuses"}

ON_ERROR_KEYS = {
    "defaultOutput": "default_output",
    "default_value": "default_output",
    "defaultValue": "default_output",
}

ON_ERROR_ACTIONS = {"terminate": "fail", "use_default": "continue", "useDefaultOutput": "continue"}

COMPONENT_WORDS = {
    "wait": "/builtin/sleep",
    "approval": "/builtin/wait_event",
}

_NO_LONGER_WRITTEN = frozenset({"outputs", "test", "key", "parameters", "args", "skip", "default_value"})
"""Beside every key in camelCase. `type`, `delay` and keys that name their unit in lower case are spellings of today."""

UNIT_OF_KEY = {"timeoutSeconds": 1000, "timeout_ms": 1, "delay_ms": 1, "base_delay_ms": 1, "baseDelayMs": 1,
               "max_delay_ms": 1, "maxDelayMs": 1}  # fmt: skip
"""Keys that name their unit, in milliseconds: under them a bare number is a duration."""


class WithUnit(int):
    """A bare number that stood under a key which names its unit: milliseconds, `MAX_DURATION_MS` and one at most."""


def fold_keys(
    raw: Mapping[str, Json], spellings: Mapping[str, str], place: Place, problems: Problems
) -> dict[str, Any]:
    """`raw` under canonical keys. Two spellings of one key beside each other are an error."""
    if spellings.keys().isdisjoint(raw):
        return dict(raw)
    folded: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for key, value in raw.items():
        canonical = spellings.get(key, key)
        if canonical in folded:
            problems.error(
                "E104",
                f"'{key}' and '{spelled[canonical]}' say the same",
                (*place, key),
                f"keep '{canonical}' alone",
                at_key=True,
            )
            continue
        if key in UNIT_OF_KEY and isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
            duration_ms = value * UNIT_OF_KEY[key]
            value = WithUnit(round(duration_ms) if duration_ms <= MAX_DURATION_MS else MAX_DURATION_MS + 1)
        folded[canonical] = value
        spelled[canonical] = key
        if canonical != key:
            problems.renamed((*place, key), (*place, canonical))
    return folded


def is_older(key: str) -> bool:
    """Of another spelling of a key: it is accepted and no longer written."""
    return key in _NO_LONGER_WRITTEN or key != key.lower()


def fold_component(written: str) -> str:
    """`http.get` is `/http/get`, `wait` is `/builtin/sleep`, `/builtins/x` is `/builtin/x`."""
    if written in COMPONENT_WORDS:
        return COMPONENT_WORDS[written]
    if "." not in written and "/" not in written:
        return f"/builtin/{written}"
    path = written if written.startswith("/") else "/" + written.replace(".", "/")
    return f"/builtin/{path.removeprefix('/builtins/')}" if path.startswith("/builtins/") else path
