"""`stepflow test`"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stepflow.cli.completers import file_paths
from stepflow.cli.session import FAILED, diagnostic_lines, fail, note, read_file, say, with_templates, write_file
from stepflow.cli.text import json_text, paint, safe

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.model.flow import Flow
    from stepflow.simulate.cases import CaseResult
    from stepflow.workbench import Workbench

_LINES_SHOWN = 10
_WORDS_OF_TESTS = re.compile(r"\btests?\b")
_KEY_OF_TESTS = re.compile(r"(?m)^tests?:")
"""At the top of a template that is no YAML."""


@click.command("test")
@click.argument("files", nargs=-1, metavar="[FILE|FOLDER...]", shell_complete=file_paths)
@click.option("--update", is_flag=True, help="Write what was seen into the cases that failed.")
@click.option("--json", "as_json", is_flag=True, help="One object a case.")
def command(files: tuple[str, ...], update: bool, as_json: bool) -> None:
    """Run the `tests:` of templates: real decisions on a virtual clock. What a case does not mock is really performed:
    commands run, requests are sent.

    Of a folder, by default this one: all templates in it and below it that have tests. What a case expects is compared
    partially: keys that it does not name may be anything; lists and values must be equal.

    \b
    Examples:
      stepflow test
      stepflow test workflow.yaml --update
    """
    named = [found for file in files or (".",) for found in (_templates_in(file) if Path(file).is_dir() else (file,))]
    texts = {file: read_file(file, "DSL file") for file in named}
    folder_of = {file: str(Path(file).absolute().parent) for file in named}

    async def test(workbench: Workbench, client: Client | None) -> int:
        passed = failed = updated = 0
        for file, text in texts.items():
            flow = _flow_in(file, text, workbench)
            if flow is None:
                failed += 1
                continue
            results = await workbench.test(flow, folder_of[file])
            if update:
                _update(file, text, results)
            wrong = sum(not result.passed for result in results)
            passed += len(results) - wrong
            updated += wrong if update else 0
            failed += 0 if update else wrong
            if as_json:
                for result in results:
                    say(json_text(_as_json(file, result, updated=update and not result.passed)))
            elif results:
                _show(file, results, updated=update)
        if not passed and not failed and not updated:
            fail("No template has tests; write some under `tests:`")
        if not as_json:
            mark = paint("✗", "red") if failed else paint("✓", "green")
            say(f"{mark} {passed} passed, {failed} failed{f', {updated} updated' if updated else ''}")
        return FAILED if failed else 0

    with_templates(test)


def _templates_in(folder: str) -> list[str]:
    """Those with tests in it and below it."""
    from stepflow.workspace.finding import TEMPLATE_ENDINGS, files_in

    found = [os.path.normpath(entry.path) for entry in files_in(folder, TEMPLATE_ENDINGS)]
    return [file for file in found if _has_tests(file)]


def _has_tests(file: str) -> bool:
    """It is a template with tests, or was meant to be one; others have YAML files too."""
    from stepflow.dsl.load import load
    from stepflow.workspace.finding import is_template

    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    if not _WORDS_OF_TESTS.search(text) or not is_template(text, file):
        return False
    document = load(text, "json" if file.endswith(".json") else "yaml")
    if document.diagnostics:
        return _KEY_OF_TESTS.search(text) is not None
    keys = document.data.keys() if isinstance(document.data, dict) else ()
    return "tests" in keys or "test" in keys


def _flow_in(file: str, text: str, workbench: Workbench) -> Flow | None:
    """None: it is wrong, and that was said."""
    read = workbench.validate(text, file)
    if read.flow is None:
        note(f"{paint('✗', 'red', sys.stderr)} {safe(file)}: DSL validation failed")
        for line in diagnostic_lines(read.diagnostics):
            note(line)
    return read.flow


def _show(file: str, results: list[CaseResult], *, updated: bool) -> None:
    say(safe(file))
    for result in results:
        if result.passed:
            say(f"  {paint('✓', 'green')} {safe(result.name)}")
            continue
        mark, what = (paint("✓", "green"), " (updated)") if updated else (paint("✗", "red"), "")
        say(f"  {mark} {safe(result.name)}{what}")
        for difference in result.differences:
            say(f"      {safe(difference)}")
        if result.error is not None:
            say(paint(f"      error: {safe(result.error.get('message', ''))}", "dim"))
        for line in result.lines[-_LINES_SHOWN:]:
            say(paint(f"      {safe(line)}", "dim"))
    say()


def _as_json(file: str, result: CaseResult, *, updated: bool) -> dict[str, Any]:
    return {
        "file": file,
        "name": result.name,
        "passed": result.passed,
        "updated": updated,
        "differences": list(result.differences),
        "error": result.error,
    }


def _update(file: str, text: str, results: list[CaseResult]) -> None:
    """Rewrite the expectations of what failed."""
    from stepflow.dsl.expectations import with_expectations

    wanted = {index: result.actual for index, result in enumerate(results) if not result.passed}
    if not wanted:
        return
    changed = with_expectations(text, file, wanted)
    if changed is None:
        fail(f"{safe(file)}: its expectations cannot be rewritten where they stand; write them by hand")
    write_file(file, changed, "DSL file")
    note(f"{paint('✓', 'green', sys.stderr)} Updated {len(wanted)} of {safe(file)}")
