"""A request that is sent again although a second one may not be harmless."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View
from stepflow.model.flow import Json, Step

_NOT_IDEMPOTENT = ("POST", "PATCH")


def check(view: View) -> Iterator[Finding]:
    for step in view.flow.steps:
        is_retried = step.retry is not None and step.retry.strategy != "never" and step.retry.max_attempts > 1
        if is_retried and _may_do_it_twice(step) and not _has_idempotency_key(step.input):
            yield Finding(
                f"Step '{step.key}' repeats a request that is not idempotent",
                view.place(step),
                'send the same key with every attempt: `headers: { Idempotency-Key: "$.run.id" }`',
            )


def _may_do_it_twice(step: Step) -> bool:
    method = step.component.removeprefix("/http/").upper()
    if step.component == "/http/request" and isinstance(step.input, dict):
        method = str(step.input.get("method")).upper()
    return step.component.startswith("/http/") and method in _NOT_IDEMPOTENT


def _has_idempotency_key(value: Json) -> bool:
    """True as well where the headers are only known at run time."""
    headers = value.get("headers") if isinstance(value, dict) else None
    if not isinstance(headers, dict):
        return False
    return any("idempotency" in name.lower() or name.startswith("$") for name in headers)


RULES: tuple[Rule, ...] = (
    Rule(
        code="L216",
        name="retry-not-idempotent",
        level="warning",
        reason="A request whose answer was lost may have been carried out, and is carried out again by a retry.",
        bad="""\
description: Charge a card
steps:
  - id: charge
    component: /http/post
    timeout: 10s
    retry: { max_attempts: 3 }
    on_error: fail
    input: { url: "https://pay.example.com/charges", json: "$.input" }
""",
        good="""\
description: Charge a card
steps:
  - id: charge
    component: /http/post
    timeout: 10s
    retry: { max_attempts: 3 }
    on_error: fail
    input:
      url: "https://pay.example.com/charges"
      headers: { Idempotency-Key: "$.run.id" }
      json: "$.input"
""",
        check=check,
    ),
)
