"""Keys and words in an older spelling, which is accepted and no longer written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.source import Edit
from stepflow.dsl.lint.view import View
from stepflow.dsl.places import Place
from stepflow.dsl.spellings import (
    FLOW_KEYS,
    ON_ERROR_ACTIONS,
    ON_ERROR_KEYS,
    RETRY_KEYS,
    STEP_KEYS,
    UNIT_OF_KEY,
    fold_component,
    is_older,
)
from stepflow.model.flow import Json


def check(view: View) -> Iterator[Finding]:
    yield from _keys(view, (), FLOW_KEYS)
    yield from _rules_for_errors(view, ())
    for step in view.flow.steps:
        place = view.place(step)
        yield from _keys(view, place, STEP_KEYS)
        yield from _rules_for_errors(view, place)
        yield from _component(view, place)


def _rules_for_errors(view: View, place: Place) -> Iterator[Finding]:
    for key in ("retry", "on_error"):
        inner = view.written_place((*place, key))
        yield from _keys(view, inner, RETRY_KEYS if key == "retry" else {**RETRY_KEYS, **ON_ERROR_KEYS})
        if key == "on_error":
            written = view.written_at(inner)
            at = (*inner, "action") if isinstance(written, dict) else inner
            yield from _word(view, at, ON_ERROR_ACTIONS)


def _keys(view: View, place: Place, spellings: Mapping[str, str]) -> Iterator[Finding]:
    written = view.written_at(place)
    for key in written if isinstance(written, dict) else ():
        if key in spellings and is_older(key):
            yield _finding(key, spellings[key], (*place, key))


def _word(view: View, place: Place, spellings: Mapping[str, str]) -> Iterator[Finding]:
    word = view.written_at(place)
    if isinstance(word, str) and word in spellings and word != word.lower():
        yield _finding(word, spellings[word], place)


def _component(view: View, place: Place) -> Iterator[Finding]:
    at = view.written_place((*place, "component"))
    written = view.written_at(at)
    if isinstance(written, str) and written.startswith("/builtins/"):
        yield _finding(written, fold_component(written), at)


def _finding(written: str, canonical: str, place: Place) -> Finding:
    return Finding(f"'{written}' is an older spelling of '{canonical}'", place, f"write {canonical}", canonical)


def fix(view: View, finding: Finding) -> tuple[Edit, ...]:
    place = finding.place
    value = view.written_at(place)
    if not finding.message.startswith(f"'{place[-1]}' is"):
        return _only((view.source.replace_value(place, str(value), finding.instead),))
    renamed = view.source.rename_key(place, finding.instead)
    unit_ms = UNIT_OF_KEY.get(str(place[-1]))
    if unit_ms is None or not isinstance(value, int | float):
        return _only((renamed,))
    # The key named the unit, so the value must from here on.
    return _only((renamed, view.source.replace_value(place, str(value), _duration(value, unit_ms))))


def _duration(value: Json, unit_ms: int) -> str:
    duration_ms = round(value * unit_ms)
    return f"{duration_ms}ms" if duration_ms % 1000 else f"{duration_ms // 1000}s"


def _only(edits: tuple[Edit | None, ...]) -> tuple[Edit, ...]:
    """All of them, or none."""
    known = tuple(edit for edit in edits if edit is not None)
    return known if len(known) == len(edits) else ()


RULES: tuple[Rule, ...] = (
    Rule(
        code="L214",
        name="deprecated-spelling",
        level="info",
        reason="One language is easier to search, to read and to learn than three.",
        bad="""\
description: Close the shop
timeoutSeconds: 90
steps:
  - { id: close, component: /builtins/echo }
  - { id: count, component: /builtin/echo, dependsOn: [close], onError: { action: useDefaultOutput, defaultValue: 1 } }
outputs: ["$.steps.close.output", "$.steps.count.output"]
""",
        good="""\
description: Close the shop
timeout: 90s
steps:
  - { id: close, component: /builtin/echo }
  - { id: count, component: /builtin/echo, depends_on: [close], on_error: { action: continue, default_output: 1 } }
output: ["$.steps.close.output", "$.steps.count.output"]
""",
        check=check,
        fix=fix,
    ),
)
