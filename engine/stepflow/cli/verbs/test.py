"""`stepflow test`"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stepflow.cli.session import FAILED, diagnostic_lines, fail, note, read_file, say, with_workbench
from stepflow.cli.text import json_text, paint, safe

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.simulate.cases import CaseResult
    from stepflow.workbench import Workbench

_ENDINGS = (".yaml", ".yml", ".json")
_LINES_SHOWN = 10


@click.command("test")
@click.argument("files", nargs=-1, metavar="[FILE...]")
@click.option("--update", is_flag=True, help="Write what was seen into the cases that failed.")
@click.option("--json", "as_json", is_flag=True, help="One object a case.")
def command(files: tuple[str, ...], update: bool, as_json: bool) -> None:
    """Run the `tests:` of templates: real decisions on a virtual clock, mocked components where a case says so.

    Without files: all templates of this folder and the ones in it.

    \b
    Example:
      stepflow test
      stepflow test workflow.yaml --update
    """
    named = files or tuple(_found())
    texts = {file: read_file(file, "DSL file") for file in named}

    async def test(workbench: Workbench, client: Client | None) -> int:
        passed = failed = 0
        for file, text in texts.items():
            results = _tested(file, text, workbench, only_with_tests=not files)
            if results is None:
                failed += 1
                continue
            for result in results:
                passed += result.passed
                failed += not result.passed
                if as_json:
                    say(json_text(_as_json(file, result)))
            if results and not as_json:
                _show(file, results)
            if update:
                failed -= _update(file, text, results)
        if not as_json:
            mark = paint("✗", "red") if failed else paint("✓", "green")
            say(f"{mark} {passed} passed, {failed} failed")
        if not passed and not failed:
            fail("No template has tests; write some under `tests:`")
        return FAILED if failed else 0

    with_workbench(test)


def _found() -> list[str]:
    """Templates below here; folders that begin with a dot are left out."""
    found = []
    for folder, folders, names in os.walk("."):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
        found += [os.path.normpath(Path(folder) / name) for name in sorted(names) if name.endswith(_ENDINGS)]
    return [file for file in found if "tests:" in _text(file) or '"tests"' in _text(file)]


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _tested(file: str, text: str, workbench: Workbench, *, only_with_tests: bool) -> list[CaseResult] | None:
    """None: it is not a template."""
    read = workbench.validate(text, file)
    if read.flow is None:
        if only_with_tests and not text.lstrip().startswith("{") and "steps:" not in text:
            return []  # some other file that happens to have the word in it
        note(f"{paint('✗', 'red', sys.stderr)} {safe(file)}: DSL validation failed")
        for line in diagnostic_lines(read.diagnostics):
            note(line)
        return None
    return workbench.test(read.flow, str(Path(file).absolute().parent))


def _show(file: str, results: list[CaseResult]) -> None:
    say(safe(file))
    for result in results:
        say(f"  {paint('✓', 'green') if result.passed else paint('✗', 'red')} {safe(result.name)}")
        for difference in result.differences:
            say(f"      {safe(difference)}")
        if not result.passed and result.error is not None:
            say(paint(f"      error: {safe(result.error.get('message', ''))}", "dim"))
        if not result.passed:
            for line in result.lines[-_LINES_SHOWN:]:
                say(paint(f"      {safe(line)}", "dim"))
    say()


def _as_json(file: str, result: CaseResult) -> dict[str, Any]:
    return {
        "file": file,
        "name": result.name,
        "passed": result.passed,
        "differences": list(result.differences),
        "error": result.error,
    }


def _update(file: str, text: str, results: list[CaseResult]) -> int:
    """Rewrite the expectations of what failed; how many."""
    from stepflow.dsl.expectations import with_expectations

    wanted = {index: result.actual for index, result in enumerate(results) if not result.passed}
    if not wanted:
        return 0
    changed = with_expectations(text, file, wanted)
    if changed is None:
        fail(f"{safe(file)}: its expectations cannot be rewritten; write them by hand")
    try:
        Path(file).write_text(changed, encoding="utf-8")
    except OSError as error:
        fail(f"'{safe(file)}' cannot be written: {error.strerror}")
    note(f"{paint('✓', 'green', sys.stderr)} Updated {len(wanted)} of {safe(file)}")
    return len(wanted)
