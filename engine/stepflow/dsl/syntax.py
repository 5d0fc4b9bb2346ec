"""What is wrong with a text that is neither YAML nor JSON, and where in it."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from yaml.reader import Reader, ReaderError

from stepflow.dsl.bounds import MAX_NESTING, beyond_bounds
from stepflow.dsl.compose import TOO_MANY_DIGITS
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.dsl.places import Position
from stepflow.model.flow import Json

_LINE_BREAKS = ("\n", "\r", "\x85", "\u2028", "\u2029")
_NO_NUMBER_OF_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|(?P<number>-?Infinity|NaN|-?[0-9]{4001,})', re.DOTALL)
_KEEP_AS_TEXT = "quote it to keep it as text"


def no_character(text: str, at: int) -> Diagnostic:
    """For half a surrogate pair."""
    line, column = _position(text, at)
    message = "Half a surrogate pair is no character"
    return Diagnostic("E002", "error", message, line=line, column=column, hint="save the text as UTF-8")


def read_json(text: str) -> tuple[Json, Diagnostic | None]:
    """What it says, or what is wrong with it as JSON."""

    def refuse(constant: str) -> Json:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=refuse), None
    except json.JSONDecodeError as error:
        hint = "check commas, quotes and brackets there"
        message = f"Not valid JSON: {error.msg}"
        return None, Diagnostic("E002", "error", message, line=error.lineno, column=error.colno, hint=hint)
    except ValueError:
        return None, _no_number(text)
    except RecursionError:
        return None, Diagnostic("E003", "error", f"Nested deeper than {MAX_NESTING} levels")


def _no_number(text: str) -> Diagnostic:
    at, number = next((found.start(), found[0]) for found in _NO_NUMBER_OF_JSON.finditer(text) if found["number"])
    line, column = _position(text, at)
    message = TOO_MANY_DIGITS if number[-1].isdigit() else f"{number} is not a JSON number"
    return Diagnostic("E010", "error", message, line=line, column=column, hint=_KEEP_AS_TEXT)


def beyond_json(text: str) -> Diagnostic | None:
    """What YAML's reader would have refused in JSON that it cannot read."""
    twice: list[str] = []

    def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for key, value in pairs:
            if key in found:
                twice.append(key)
            found[key] = value
        return found

    problem = beyond_bounds(json.loads(text, object_pairs_hook=unique))
    if twice:
        return Diagnostic("E009", "error", f"Duplicate key '{twice[0]}'", hint="remove one of them")
    return problem


def _position(text: str, at: int) -> Position:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def yaml_mistake(error: yaml.YAMLError, text: str) -> Diagnostic:
    refused = Reader.NON_PRINTABLE.search(text) if isinstance(error, ReaderError) else None
    if refused is not None:
        line, column = _position(text, refused.start())
        message = f"The character U+{ord(refused[0]):04X} cannot stand in YAML"
        hint = f'remove it, or write it in double quotes: "\\U{ord(refused[0]):08x}"'
        return Diagnostic("E002", "error", message, line=line, column=column, hint=hint)
    problem = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    message = f"Not valid YAML: {problem}" + (f" ({context})" if context else "")
    line, column = _syntax_position(mark, text)
    return Diagnostic(
        "E002", "error", message, line=line, column=column, hint=_syntax_hint(problem, _after(mark, text))
    )


def _syntax_position(mark: Any, text: str) -> Position:
    if mark is None:
        return 0, 0
    is_at_end = mark.index + text.startswith("\ufeff") >= len(text)
    if is_at_end and mark.line > 0 and mark.column == 0 and not text.endswith(_LINE_BREAKS):
        # The reader counts a line break at the end that is not there.
        return mark.line, len(text) - text.rfind("\n")
    return mark.line + 1, mark.column + 1


def _after(mark: Any, text: str) -> str:
    """The character at which it went wrong."""
    at = -1 if mark is None else mark.index + text.startswith("\ufeff")
    return text[at : at + 1]


def _syntax_hint(problem: str, character: str) -> str:
    if "expected ',' or" in problem:
        return (
            "inside { } and [ ] a text with ${{ … }} or with brackets stands in quotes"
            if character in ("{", "[")
            else "expected a comma or the closing bracket there, or quotes around a text"
        )
    if character == "\t" or "'\\t'" in problem or "tab" in problem:
        return "indent with spaces; YAML does not allow tabs"
    if "cannot start any token" in problem or "whitespace or line break" in problem:
        return "put the text into quotes; only letters, digits and some signs begin one without"
    if "mapping values are not allowed" in problem:
        return "expected a space after ':' and a consistent indent, or quotes around a text that contains ': '"
    if "could not find expected ':'" in problem:
        return "expected 'key: value'; is a ':' missing, or a text not quoted?"
    if "did not find expected key" in problem or "block end" in problem:
        return "expected a key at the indent of its neighbours; check the indent of this line"
    if "undefined alias" in problem:
        return "define it first with &name"
    if "unexpected end of stream" in problem or "quoted scalar" in problem:
        return "expected the closing quote"
    return "expected YAML there; check the indent, colons, quotes and brackets of this line"
