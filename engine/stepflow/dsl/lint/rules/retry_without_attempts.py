"""A retry policy with a delay and a single attempt."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View
from stepflow.dsl.places import Place
from stepflow.dsl.spellings import RETRY_KEYS
from stepflow.model.flow import Json

_OF_NO_USE = ("base_delay", "max_delay", "factor", "jitter", "on")


def check(view: View) -> Iterator[Finding]:
    yield from _judge(view.body.get("retry"), ("retry",), "The template's")
    for step in view.flow.steps:
        body = view.step_body(step)
        yield from _judge(body.get("retry"), view.place(step, "retry"), f"Step '{step.key}' has a")
        loose = {
            RETRY_KEYS.get(key, key): body[key]
            for key in ("max_retries", "retry_delay", "retry_backoff")
            if key in body
        }
        yield from _judge(loose, view.place(step), f"Step '{step.key}' has a")


def _judge(retry: Json, place: Place, owner: str) -> Iterator[Finding]:
    if not isinstance(retry, dict):
        return
    folded = {RETRY_KEYS.get(key, key): value for key, value in retry.items()}
    is_tried_once = folded.get("max_attempts") == 1 or folded.get("max_retries") == 0
    said = next((key for key in _OF_NO_USE if folded.get(key) is not None), None)
    if is_tried_once and said is not None:
        yield Finding(
            f"{owner} retry policy never retries: it allows one attempt",
            place,
            "max_attempts counts the first try; give it at least 2, or write `retry: never`",
        )


RULES: tuple[Rule, ...] = (
    Rule(
        code="L222",
        name="retry-without-attempts",
        level="warning",
        reason="`max_attempts` counts the first try, so 1 means that the delay beside it never comes.",
        bad="""\
description: Sum up the year
steps:
  - { id: sum, component: /python/call, retry: { max_attempts: 1, delay: 2s }, input: { function: "books:sum_up" } }
""",
        good="""\
description: Sum up the year
steps:
  - { id: sum, component: /python/call, retry: { max_attempts: 2, delay: 2s }, input: { function: "books:sum_up" } }
""",
        check=check,
    ),
)
