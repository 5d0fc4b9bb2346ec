"""Texts to begin from: the examples of the tree, what the rules of lint show, what the tests of the language say."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from stepflow.dsl.lint.linter import rules

ROOT = Path(__file__).parents[2]
_TESTS_OF_EXPRESSIONS = ("tests/core/test_expressions.py", "tests/core/test_values.py", "tests/dsl/test_validate.py")
_LONGEST = 20_000
"""Characters: a longer text says nothing new and takes its time."""


@cache
def templates() -> tuple[str, ...]:
    files = sorted(path for path in (ROOT / "examples").rglob("*") if path.suffix in (".yaml", ".json"))
    texts = [path.read_text(encoding="utf-8") for path in files]
    for rule in rules():
        texts += [rule.bad, rule.good]
    return tuple(text for text in dict.fromkeys(texts) if len(text) <= _LONGEST)


@cache
def expressions() -> tuple[str, ...]:
    """Every short text in the tests of expressions: most are one, the others are noise."""
    found: dict[str, None] = {}
    for file in _TESTS_OF_EXPRESSIONS:
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) <= 120:
                found[node.value] = None
    return tuple(found)
