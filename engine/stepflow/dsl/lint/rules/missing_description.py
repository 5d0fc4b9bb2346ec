"""A template that does not say what it is for."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View


def check(view: View) -> Iterator[Finding]:
    if not view.is_nested and view.body.get("description") is None:
        yield Finding("The template has no description", (), "one line, e.g. `description: Check an order and ship it`")


RULES: tuple[Rule, ...] = (
    Rule(
        code="L211",
        name="missing-description",
        level="info",
        reason="Lists of templates show it, and whoever starts one reads it first.",
        bad="""\
name: ship
steps:
  - { id: ship, component: /python/call, input: { function: "orders:ship" } }
""",
        good="""\
name: ship
description: Hand an order to the carrier
steps:
  - { id: ship, component: /python/call, input: { function: "orders:ship" } }
""",
        check=check,
    ),
)
