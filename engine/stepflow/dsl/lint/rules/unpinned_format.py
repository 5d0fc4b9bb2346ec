"""A file that is read without saying as what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View

LOAD_FILE = "/builtin/load_file"
_SAID_BY_NAME = frozenset(
    {".json", ".yaml", ".yml", ".csv", ".txt", ".md", ".log", ".html", ".xml", ".sql", ".py", ".sh"}
)


def check(view: View) -> Iterator[Finding]:
    for step in view.flow.steps:
        if step.component != LOAD_FILE or not isinstance(step.input, dict) or step.input.get("format") is not None:
            continue
        path = step.input.get("path")
        # `data.txt` is a text to everybody; what `data` or "$.input.file" will be read as is not seen.
        if not isinstance(path, str) or PurePosixPath(path).suffix.lower() not in _SAID_BY_NAME:
            yield Finding(
                f"Step '{step.key}' reads a file whose format is not known",
                view.place(step, "input"),
                "add `format: json` (or yaml, csv, text) to its input",
            )


RULES: tuple[Rule, ...] = (
    Rule(
        code="L223",
        name="unpinned-format",
        level="info",
        reason="Without a format the name of the file decides whether its content arrives as data or as one text.",
        bad="""\
description: Read the orders
steps:
  - { id: orders, component: /builtin/load_file, input: { path: "$.input.file" } }
""",
        good="""\
description: Read the orders
steps:
  - { id: orders, component: /builtin/load_file, input: { path: "$.input.file", format: json } }
""",
        check=check,
    ),
)
