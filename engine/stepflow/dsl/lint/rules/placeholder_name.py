"""A name or description that was left for later."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View
from stepflow.dsl.places import Place
from stepflow.model.flow import Json

_PLACEHOLDER = re.compile(
    r"(todo|tbd|fixme|xxx+|foo|foobar|asdf|untitled|unnamed|placeholder|change-?me"
    r"|(my|new|some)-(step|flow|workflow|template))([-_ ]?\d+)?"
)


def check(view: View) -> Iterator[Finding]:
    yield from _judge("name", view.body.get("name"), ("name",), "The template")
    yield from _judge("description", view.body.get("description"), ("description",), "The template")
    for step in view.flow.steps:
        yield from _judge("id", step.key, view.place(step), "A step")
        description = view.step_body(step).get("description")
        yield from _judge("description", description, view.place(step, "description"), f"Step '{step.key}'")


def _judge(key: str, text: Json, place: Place, owner: str) -> Iterator[Finding]:
    if not isinstance(text, str):
        return
    word = re.sub(r"[\s_]+", "-", text.strip(" .…:!").lower())
    if not word:
        yield Finding(f"{owner} has an empty {key}", place, "say in a few words what it does, or leave the key out")
    elif _PLACEHOLDER.fullmatch(word) or word.startswith(("todo-", "todo:", "fixme-", "fixme:")):
        yield Finding(f"{owner} has a placeholder as its {key}: '{text}'", place, "say in a few words what it does")


RULES: tuple[Rule, ...] = (
    Rule(
        code="L221",
        name="placeholder-name",
        level="info",
        reason="Names are what is seen of a template in lists, logs and errors.",
        bad="""\
description: Greet
steps:
  - { id: my-step, component: /builtin/echo, input: { text: hello } }
""",
        good="""\
description: Greet
steps:
  - { id: greet, component: /builtin/echo, input: { text: hello } }
""",
        check=check,
    ),
)
