"""All rules over one template, and the fixes that are certain. Nothing here raises for what an author wrote."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache

import msgspec

from stepflow.discovery import discover
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.dsl.lint.dependencies import without_implied_dependencies
from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.source import Edit
from stepflow.dsl.lint.suppressions import Suppressions, find_suppressions, is_suppressed
from stepflow.dsl.lint.view import ComponentFacts, View
from stepflow.dsl.load import load
from stepflow.dsl.places import Format
from stepflow.dsl.validate import NOTHING_OFF, read_flow
from stepflow.model.flow import Flow

MOST_ROUNDS = 25
"""Of fixing: what touches something that was put right has its turn in the next."""

Components = Mapping[str, ComponentFacts]
"""By path. None in its place: components are judged by their family alone, and no path is unknown."""


class LintOptions(msgspec.Struct, frozen=True):
    ignore: Collection[str] = ()
    """Codes and names of rules that are not asked."""


class LintResult(msgspec.Struct, frozen=True):
    flow: Flow | None
    """None: it is not a template, and `diagnostics` are those of validation."""
    diagnostics: tuple[Diagnostic, ...]
    """Of validation and of the rules, in the order of lines."""


@cache
def rules() -> tuple[Rule, ...]:
    """All there are, in the order of their codes."""
    return tuple(sorted(discover("stepflow.dsl.lint.rules", "RULES", Rule), key=lambda rule: rule.code))


def lint_flow(
    text: str,
    *,
    file: str | None = None,
    format: Format | None = None,  # noqa: A002 - as read_flow calls it
    components: Components | None = None,
    turned_off: Mapping[str, str] = NOTHING_OFF,
    options: LintOptions = LintOptions(),  # noqa: B008 - frozen
) -> LintResult:
    """What is wrong with a template, or, where it is valid, what is risky in it."""
    read = read_flow(text, file=file, format=format, components=components, turned_off=turned_off)
    if read.flow is None:
        return LintResult(None, read.diagnostics)
    views = [View.of(load(text, _format(file, format)), components)]
    silenced = find_suppressions(views[0].source)
    found = [one for one in read.diagnostics if not is_suppressed(silenced, one.line, one.code)]
    while views:
        view = views.pop()
        found += [_diagnostic(view, rule, finding, file) for rule, finding in _findings(view, silenced, options)]
        views += view.nested()
    return LintResult(read.flow, tuple(sorted(found, key=lambda one: (one.line, one.column, one.code))))


def fix_text(
    text: str,
    *,
    file: str | None = None,
    format: Format | None = None,  # noqa: A002 - as read_flow calls it
    components: Components | None = None,
    options: LintOptions = LintOptions(),  # noqa: B008 - frozen
) -> tuple[str, int]:
    """The text with everything put right whose fix is certain, and how much that was.

    The rest of the text stays as it is. The flow it says is the same, but for names in `depends_on` that were implied;
    so flows inside it are left alone, which are kept word for word.
    """
    chosen = _format(file, format)
    number = 0
    for _ in range(MOST_ROUNDS):
        flow = read_flow(text, format=chosen, components=components).flow
        if flow is None:
            return text, number
        view = View.of(load(text, chosen), components)
        fixes = _certain(text, _meaning(flow), _apart(_fixes(view, options)), chosen)
        if not fixes:
            return text, number
        text = _edited(text, fixes)
        number += len(fixes)
    return text, number


def _format(file: str | None, given: Format | None) -> Format | None:
    if given is None and file is not None:
        return "json" if file.endswith(".json") else "yaml" if file.endswith((".yaml", ".yml")) else None
    return given


def _findings(view: View, silenced: Suppressions, options: LintOptions) -> Iterator[tuple[Rule, Finding]]:
    """What the rules find and no comment silences."""
    for rule in rules():
        if rule.code in options.ignore or rule.name in options.ignore:
            continue
        for finding in rule.check(view):
            if not is_suppressed(silenced, view.position(finding.place)[0], rule.code, rule.name):
                yield rule, finding


def _diagnostic(view: View, rule: Rule, finding: Finding, file: str | None) -> Diagnostic:
    line, column = view.position(finding.place)
    hint = finding.hint or rule.reason
    return Diagnostic(rule.code, rule.level, finding.message, view.path(finding.place), file, line, column, hint)


# Fixing

Fix = tuple[Edit, ...]
"""The edits of one finding: all of them or none."""


def _fixes(view: View, options: LintOptions) -> Iterator[Fix]:
    for rule, finding in _findings(view, find_suppressions(view.source), options):
        if rule.fix is not None:
            edits = rule.fix(view, finding)
            if edits:
                yield edits


def _apart(fixes: Iterator[Fix]) -> list[Fix]:
    """Those that do not touch one another; the others have their turn when these are done."""
    chosen: list[Fix] = []
    reached = -1
    for fix in sorted(fixes, key=lambda fix: fix[0].start):
        if fix[0].start > reached:
            chosen.append(fix)
            reached = max(edit.end for edit in fix)
    return chosen


def _certain(text: str, meaning: str, fixes: list[Fix], source_format: Format | None) -> list[Fix]:
    """Those after which the text still says the same: the proof that a fix is one."""
    if not fixes:
        return []
    flow = read_flow(_edited(text, fixes), format=source_format).flow
    if flow is not None and _meaning(flow) == meaning:
        return fixes
    if len(fixes) == 1:
        return []
    middle = len(fixes) // 2
    halves = (fixes[:middle], fixes[middle:])
    return [fix for half in halves for fix in _certain(text, meaning, half, source_format)]


def _edited(text: str, fixes: list[Fix]) -> str:
    for edit in sorted((edit for fix in fixes for edit in fix), key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.replacement + text[edit.end :]
    return text


def _meaning(flow: Flow) -> str:
    # Not as JSON, which has no words for half a surrogate pair; equal flows may still differ, as 1 and true do.
    return repr(without_implied_dependencies(flow))
