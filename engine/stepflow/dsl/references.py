"""References in value templates: every spelling folded into `$from`, each remembered with its place.

Also the questions that need all of them: unknown steps, self references, cycles.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

import msgspec

from stepflow.dsl.diagnostics import quoted
from stepflow.dsl.places import Place
from stepflow.dsl.problems import Problems
from stepflow.model.expressions import ExpressionSyntaxError, handed_on, parse_expression, references_in
from stepflow.model.flow import Json
from stepflow.model.paths import Path, parse_path

ROOTS = ("$.input", "$.steps.", '$.steps["', "$.variables.", "$.run.")
FORMS = ("$from", "$step", "$input", "$variable", "$if", "$coalesce", "$literal")
_BESIDE = {
    "$from": {"$from", "path", "$on_skip", "$default", "onSkip"},
    "$step": {"$step", "path", "$on_skip", "$default", "onSkip"},
    "$input": {"$input"},
    "$variable": {"$variable", "path", "default"},
    "$if": {"$if", "then", "else"},
    "$coalesce": {"$coalesce"},
    "$literal": {"$literal"},
}
_ON_SKIP = ("use_default", "skip_step")
_OLDER_ACTIONS = {"useDefault": "use_default", "skip": "skip_step"}
MAX_STEP_KEY = 200
"""Characters."""
UNREADABLE: Json = {"$expr": "null"}
"""Stands where something was refused: nobody takes it for a value, and the flow is refused with it."""
SUB_FLOW_KEYS = ("workflow", "flow")
_KEY_END = re.compile(r"[.\[]")
_ROOTS_WRITTEN = {"step": "$.steps.", "input": "$.input", "variable": "$.variables.", "run": "$.run"}


Kind = Literal["step", "input", "variable", "run"]


class Reference(msgspec.Struct, frozen=True):
    kind: Kind
    name: str
    path: Path
    place: Place
    tolerant: bool = False
    """It is only asked whether it is there."""
    is_worked_on: bool = False
    """An expression makes something else of it."""

    @property
    def written(self) -> str:
        """As messages show it."""
        root = _ROOTS_WRITTEN[self.kind] + self.name
        return root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path)


class Folder:
    """Folds the value templates of one flow."""

    def __init__(self, step_keys: Collection[str], problems: Problems) -> None:
        self._step_keys = frozenset(step_keys)
        self._problems = problems
        self.references: list[Reference] = []
        self.sub_flows: list[tuple[dict[str, Any], Place]] = []
        """Flows written out inside a value, and where."""

    def fold(self, raw: Json, place: Place, *, sub_flow_at: Collection[str] = ()) -> Json:
        """The canonical template. Under the keys `sub_flow_at` stand sub-flows, which have their own scope."""
        if isinstance(raw, str):
            return self._text(raw, place) if "$" in raw else raw
        if isinstance(raw, list):
            return [self.fold(item, (*place, index)) for index, item in enumerate(raw)]
        if isinstance(raw, dict):
            for key in raw:
                if key.startswith("$"):
                    form = next((one for one in FORMS if one in raw), None)
                    if form is not None:
                        return self._form(form, raw, place)
                    self._unknown_form(key, place)
            return {
                key: self._sub_flow(value, (*place, key))
                if key in sub_flow_at and isinstance(value, dict)
                else self.fold(value, (*place, key))
                for key, value in raw.items()
            }
        return raw

    def _unknown_form(self, key: str, place: Place) -> None:
        to_keep_it = "to keep it as data, wrap it in $literal"
        if key.startswith(("$.", "${{")):
            message, hint = f"'{key}' is a key, and keys are not expanded", to_keep_it
        else:
            suggestion = self._problems.suggestion(key, FORMS)
            message, hint = f"Unknown form '{key}'", f"{suggestion} {to_keep_it}".strip()
        self._problems.error("E121", message, (*place, key), hint, at_key=True)

    def _sub_flow(self, raw: dict[str, Any], place: Place) -> Json:
        """A flow written out is not expanded here: it has its own scope. Else it is a value like any other."""
        if "$literal" in raw and isinstance(raw["$literal"], dict):
            self.sub_flows.append((raw["$literal"], (*place, "$literal")))
            return self.fold(raw, place)
        if any(form in raw for form in FORMS):
            return self.fold(raw, place)
        self.sub_flows.append((raw, place))
        return {"$literal": raw}

    def fold_condition(self, raw: Json, place: Place) -> Json:
        """Of `skip_if` and `when`: a text is an expression, with or without `${{ }}` around it."""
        if not isinstance(raw, str):
            return self.fold(raw, place)
        text = raw.strip()
        if text.startswith("${{") and text.find("}}") == len(text) - 2:
            text = text[3:-2]
        return self._expression(text.strip(), place)

    def _form(self, form: str, raw: dict[str, Any], place: Place) -> Json:
        for key in raw:
            if key not in _BESIDE[form]:
                suggestion = self._problems.suggestion(key, _BESIDE[form])
                self._problems.error(
                    "E122",
                    f"'{key}' cannot stand beside {form}",
                    (*place, key),
                    suggestion or "wrap it in $literal to keep it as data",
                    at_key=True,
                )
        match form:
            case "$from":
                return self._from(raw["$from"], raw, place)
            case "$step":
                return self._from({"step": raw["$step"]}, raw, place)
            case "$input":
                path = raw["$input"]
                return self._from({"workflow": "input"}, {} if path in (None, "", "$") else {"path": path}, place)
            case "$variable":
                source = {"variable": raw["$variable"], **({"default": raw["default"]} if "default" in raw else {})}
                return self._from(source, raw, place)
            case "$if":
                return {
                    "$if": self.fold(raw["$if"], (*place, "$if")),
                    "then": self.fold(raw.get("then"), (*place, "then")),
                    "else": self.fold(raw.get("else"), (*place, "else")),
                }
            case "$coalesce":
                if not isinstance(raw["$coalesce"], list) or not raw["$coalesce"]:
                    self._problems.error("E123", "$coalesce takes a list of values", (*place, "$coalesce"))
                    return UNREADABLE
                return {"$coalesce": self.fold(raw["$coalesce"], (*place, "$coalesce"))}
            case _:
                return {"$literal": raw["$literal"]}

    def _from(self, source: Json, raw: dict[str, Any], place: Place) -> Json:
        path_text = raw.get("path")
        path = self._path(path_text, (*place, "path"))
        name = self._source(source)
        if name is None:
            self._problems.error(
                "E124", "$from takes { step: ID }, { workflow: input } or { variable: NAME }", (*place, "$from")
            )
            return UNREADABLE
        self._remember(*name, path, place)
        folded: dict[str, Any] = {"$from": source}
        if path_text is not None:
            folded["path"] = path_text
        self._on_skip(raw, place, folded)
        return folded

    @staticmethod
    def _source(source: Json) -> tuple[Kind, str] | None:
        """What a `$from` refers to: the kind of thing, and its name."""
        if not isinstance(source, dict):
            return None
        keys = source.keys()
        if keys == {"step"} and isinstance(source["step"], str):
            return "step", source["step"]
        if source == {"workflow": "input"}:
            return "input", ""
        if "variable" in keys and keys <= {"variable", "default"} and isinstance(source["variable"], str):
            return "variable", source["variable"]
        return None

    def _on_skip(self, raw: dict[str, Any], place: Place, folded: dict[str, Any]) -> None:
        action = raw.get("$on_skip")
        default = raw.get("$default")
        has_default = "$default" in raw
        older = raw.get("onSkip")
        if older is not None:
            if not isinstance(older, dict) or older.keys() - {"action", "defaultValue"}:
                self._problems.error("E125", "'onSkip' is { action, defaultValue }", (*place, "onSkip"))
                return
            if action is not None or has_default:
                self._problems.error(
                    "E104", "'onSkip' and '$on_skip' say the same", (*place, "onSkip"), "keep '$on_skip'"
                )
                return
            action = older.get("action")
            action = _OLDER_ACTIONS.get(action, action) if isinstance(action, str) else action
            default, has_default = older.get("defaultValue"), "defaultValue" in older
        if action is not None and action not in _ON_SKIP:
            where = (*place, "$on_skip") if older is None else (*place, "onSkip", "action")
            hint = self._problems.suggestion(str(action), _ON_SKIP)
            self._problems.error("E125", f"$on_skip is use_default or skip_step, not {quoted(action)}", where, hint)
            return
        if action is not None:
            folded["$on_skip"] = action
        if has_default:
            folded["$default"] = self.fold(default, (*place, "$default"))

    def _path(self, text: Json, place: Place) -> Path:
        if text is None:
            return ()
        if not isinstance(text, str):
            self._problems.error("E126", "A path is a text like a.b[0]", place)
            return ()
        try:
            return parse_path(text)
        except ValueError as error:
            hint = "an expression stands in ${{ … }}" if " " in text else ""
            self._problems.error("E126", str(error), place, hint)
            return ()

    def _text(self, text: str, place: Place) -> Json:
        if "${{" in text:
            return self._interpolated(text, place)
        if not text.startswith(ROOTS):
            return text
        if text == "$.input" or text.startswith(("$.input.", "$.input[")):
            return self._from({"workflow": "input"}, _path_of(text.removeprefix("$.input")), place)
        if text.startswith("$.steps"):
            return self._step_text(text, place)
        if text.startswith("$.variables."):
            name, _, rest = text.removeprefix("$.variables.").partition(".")
            return self._from({"variable": name}, _path_of(rest), place)
        if text == "$.run.id":
            return {"$from": {"run": "id"}}
        if text.startswith("$.run."):
            self._problems.error("E124", f"'{text}' is unknown; of the run there is $.run.id", place)
            return UNREADABLE
        return text

    def _interpolated(self, text: str, place: Place) -> Json:
        """`"${{ a }}"` keeps its type; with text around it, it becomes text."""
        parts: list[Json] = []
        position = 0
        while (begin := text.find("${{", position)) >= 0:
            if begin > position:
                parts.append(text[position:begin])
            end = _end_of_expression(text, begin + 3)
            if end < 0:
                self._problems.error(
                    "E127", "The expression has no end", place, "close it with }}, or wrap the text in $literal",
                    at=(text, begin),
                )  # fmt: skip
                return UNREADABLE
            parts.append(self._expression(text[begin + 3 : end].strip(), place))
            position = end + 2
        if position < len(text):
            parts.append(text[position:])
        return parts[0] if len(parts) == 1 else {"$text": parts}

    def _expression(self, text: str, place: Place) -> Json:
        try:
            node = parse_expression(text, self._step_keys)
        except ExpressionSyntaxError as error:
            says = error.message if "expression" in error.message else f"In the expression: {error.message}"
            self._problems.error("E127", says, place, error.hint, at=(text, error.column))
            return UNREADABLE
        as_it_is = handed_on(node)
        for one, tolerant in references_in(node):
            name = "" if one.kind == "run" else one.name
            self.references.append(Reference(one.kind, name, one.path, place, tolerant, one not in as_it_is))
        return {"$expr": text}

    def _step_text(self, text: str, place: Place) -> Json:
        rest = text.removeprefix("$.steps")
        if rest.startswith("["):
            end = rest.find('"]')
            return self._step_output(rest[2:end], rest[end + 2 :], text, place)
        rest = rest.removeprefix(".")
        # The longest known step id matches first.
        ends = [*(found.start() for found in _KEY_END.finditer(rest, 0, MAX_STEP_KEY + 1)), len(rest)]
        end = next((end for end in reversed(ends) if rest[:end] in self._step_keys), ends[0])
        return self._step_output(rest[:end], rest[end:], text, place)

    def _step_output(self, key: str, after: str, text: str, place: Place) -> Json:
        after = after.removeprefix(".")
        if after == "output" or after.startswith(("output.", "output[")):
            return self._from({"step": key}, _path_of(after.removeprefix("output")), place)
        if after == "status" or after == "error" or after.startswith(("error.", "error[")):
            part = "status" if after == "status" else "error"
            folded = self._from({"step": key}, _path_of(after.removeprefix(part)), place)
            return folded if folded is UNREADABLE else {**folded, "$from": {"step": key, "part": part}}
        self._problems.error("E124", f"'{text}' reads no output", place, f"write it like $.steps.{key}.output.field")
        return UNREADABLE

    def _remember(self, kind: Kind, name: str, path: Path, place: Place) -> None:
        self.references.append(Reference(kind, name, path, place))


def _end_of_expression(text: str, position: int) -> int:
    """Of the `}}` that is not inside quotes; -1: there is none."""
    end = text.find("}}", position)
    if end < 0 or ('"' not in text[position:end] and "'" not in text[position:end]):
        return end
    quote = ""
    while position < len(text):
        character = text[position]
        if quote:
            if character == "\\":
                position += 1
            elif character == quote:
                quote = ""
        elif character in "\"'":
            quote = character
        elif text.startswith("}}", position):
            return position
        position += 1
    return -1


def _path_of(rest: str) -> dict[str, str]:
    return {"path": f"${rest}" if rest.startswith((".", "[")) else f"$.{rest}"} if rest else {}


def find_cycle(dependencies: Mapping[str, Iterable[str]]) -> list[str] | None:
    """A cycle, its first step again at its end; None: there is none."""
    done: set[str] = set()
    for start in dependencies:
        if start in done:
            continue
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            key, leaving = stack.pop()
            if leaving:
                on_path.discard(path.pop())
                done.add(key)
                continue
            if key in on_path:
                return [*path[path.index(key) :], key]
            if key in done:
                continue
            path.append(key)
            on_path.add(key)
            stack.append((key, True))
            stack.extend((other, False) for other in dependencies.get(key, ()) if other not in done)
    return None
