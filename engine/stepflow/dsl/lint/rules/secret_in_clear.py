"""A password, token or key that is written out in the template."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View, is_reference, property_names, strings_in
from stepflow.dsl.places import Place

_SECRET_NAME = re.compile(
    r"(.*_)?(password|passwd|passphrase|secret|token|credentials?|authorization"
    r"|api_?key|access_?key|private_?key|secret_?key|encryption_?key)"
)
_NOT_SECRET = re.compile(r".*(page|cursor|next|cancel|sync|continuation)_token")
_LOOKS_LIKE_A_KEY = re.compile(
    r"\bAKIA[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{30,}"
    r"|\b[sr]k[-_](live_|test_|proj-|ant-)?[A-Za-z0-9_-]{20,}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\bAIza[0-9A-Za-z_-]{35}"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|://[^/\s:@]+:[^/\s:@]+@"
)
_PLACEHOLDER = re.compile(r"<.*>|[*x.…-]+|", re.IGNORECASE)
_HINT = "read it inside the step, from its environment, or take it from a variable given at the start"


def check(view: View) -> Iterator[Finding]:
    if view.is_nested:
        return  # It has been looked through as the input of a step.
    for step in view.flow.steps:
        body = view.step_body(step)
        for key in ("input", "metadata", "on_error"):
            for place, text in strings_in(body.get(key), view.place(step, key), data=True):
                yield from _judge(place, text, f"Step '{step.key}'")
    for key in ("metadata", "output"):
        for place, text in strings_in(view.body.get(key), (key,), data=True):
            yield from _judge(place, text, "The template")
    yield from _variables(view)


def _variables(view: View) -> Iterator[Finding]:
    properties = view.flow.variables.get("properties") if property_names(view.flow.variables) else {}
    for name, schema in properties.items():
        default = schema.get("default") if isinstance(schema, dict) else None
        if isinstance(default, str) and _is_secret(name, default):
            yield Finding(f"Variable '{name}' has a secret in clear as its default", ("variables", name), _HINT)


def _judge(place: Place, text: str, owner: str) -> Iterator[Finding]:
    name = next((part for part in reversed(place) if isinstance(part, str)), "")
    if _is_secret(name, text):
        yield Finding(f"{owner} holds a secret in clear: {name}", place, _HINT)


def _is_secret(name: str, text: str) -> bool:
    if is_reference(text) or _PLACEHOLDER.fullmatch(text):
        return False
    if _LOOKS_LIKE_A_KEY.search(text):
        return True
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    return bool(_SECRET_NAME.fullmatch(snake)) and not _NOT_SECRET.fullmatch(snake)


RULES: tuple[Rule, ...] = (
    Rule(
        code="L204",
        name="secret-in-clear",
        level="warning",
        reason="A template is stored, shown and shared, and so is every secret in it.",
        bad="""\
description: Sign in
variables: { password: { type: string } }
steps:
  - id: sign-in
    component: /python/call
    input:
      function: "shop:sign_in"
      kwargs: { user: "$.input.user", password: hunter2, again: "$.variables.password" }
""",
        good="""\
description: Sign in
variables: { password: { type: string } }
steps:
  - id: sign-in
    component: /python/call
    input:
      function: "shop:sign_in"
      kwargs: { user: "$.input.user", password: "$.variables.password" }
""",
        check=check,
    ),
)
