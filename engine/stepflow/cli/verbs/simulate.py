"""`stepflow simulate`"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from stepflow.cli.session import FAILED, diagnostic_lines, fail, note, read_file, read_input, say, with_workbench
from stepflow.cli.text import json_text, paint, safe
from stepflow.model.times import format_duration

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.dsl.cases import Mock
    from stepflow.model.flow import Flow
    from stepflow.simulate.planned import Plan
    from stepflow.simulate.report import Simulation
    from stepflow.workbench import Workbench

_FILES = (".yaml", ".yml", ".json")


@click.command("simulate")
@click.argument("template", metavar="FILE|TEMPLATE")
@click.option("--input", "given", metavar="JSON|@FILE|-", help="The input: JSON, @file, or - for stdin.")
@click.option("--file", metavar="PATH", help="Read the input from a file.")
@click.option("--mock", "mocks", multiple=True, metavar="STEP=JSON", help="The output of a step.")
@click.option("--fail", "failing", multiple=True, metavar="STEP[:CODE]", help="Let a step fail.")
@click.option("--from-history", is_flag=True, help="Take outputs from the last completed execution.")
@click.option("--version", type=click.IntRange(1), help="A version of the template; default: the newest.")
@click.option("--json", "as_json", is_flag=True, help="As one object.")
def command(
    template: str,
    given: str | None,
    file: str | None,
    mocks: tuple[str, ...],
    failing: tuple[str, ...],
    from_history: bool,
    version: int | None,
    as_json: bool,
) -> None:
    """Show what an execution would do, without doing it: the same decisions on a virtual clock.

    \b
    Examples:
      stepflow simulate workflow.yaml --input '{"orderId": "123"}'
      stepflow simulate order-flow --fail process-payment:CARD_DECLINED
      stepflow simulate order-flow --mock fetch='{"total": 3}' --from-history
    """
    value = read_input(given, file)

    async def simulate(workbench: Workbench, client: Client | None) -> int:
        flow = await _flow(template, version, workbench, client)
        plan = await _plan(flow, template, mocks, failing, from_history, client)
        made = workbench.simulate(flow, {} if value is None else value, plan)
        if as_json:
            say(json_text(_as_json(made)))
        else:
            _show(made)
        return 0 if made.success else FAILED

    with_workbench(simulate)


async def _flow(template: str, version: int | None, workbench: Workbench, client: Client | None) -> Flow:
    if not template.endswith(_FILES):
        if client is None:
            fail(f"Template '{safe(template)}' not found: there is no database yet; name a file")
        return (await client.get_template(template, version)).flow
    read = workbench.validate(read_file(template, "DSL file"), template)
    if read.flow is None:
        note(f"{paint('✗', 'red', sys.stderr)} DSL validation failed")
        for line in diagnostic_lines(read.diagnostics):
            note(line)
        sys.exit(FAILED)
    return read.flow


async def _plan(
    flow: Flow,
    template: str,
    mocks: Iterable[str],
    failing: Iterable[str],
    from_history: bool,
    client: Client | None,
) -> Plan:
    from pathlib import Path

    from stepflow.simulate.planned import History, Plan

    history = History()
    if client is not None:
        name = flow.name or Path(template).stem if template.endswith(_FILES) else template
        history = await client.history(name)
    if from_history and not history.executions:
        fail("There is no completed execution to take outputs from; leave out --from-history")
    steps = [step.key for step in flow.steps]
    return Plan(
        fail=dict(_failure(one, steps) for one in failing),
        mocks=dict(_mock(one, steps) for one in mocks),
        history=history,
        use_outputs=from_history,
    )


def _known(key: str, steps: list[str]) -> str:
    from stepflow.dsl.diagnostics import did_you_mean

    if key not in steps and not key.startswith("/"):
        raise click.UsageError(f"There is no step '{safe(key)}'{did_you_mean(key, steps)}")
    return key


def _failure(text: str, steps: list[str]) -> tuple[str, str]:
    key, colon, code = text.rpartition(":")
    if not colon or text in steps:
        key, code = text, "SIMULATED"
    return _known(key, steps), code


def _mock(text: str, steps: list[str]) -> tuple[str, tuple[Mock, ...]]:
    from stepflow.dsl.cases import Mock

    key, equals, output = text.partition("=")
    if not equals:
        raise click.UsageError("--mock takes STEP=JSON, like --mock fetch='{\"n\": 1}'")
    try:
        return _known(key, steps), (Mock(output=json.loads(output)),)
    except json.JSONDecodeError as error:
        raise click.UsageError(f"--mock {safe(key)}: not JSON: {error.msg} in column {error.colno}") from None


def _show(made: Simulation) -> None:
    say(f"{paint('ℹ', 'blue')} Simulation results")
    say(f"  Success: {'Yes' if made.success else 'No'}")
    say(f"  Steps:   {made.step_count}")
    say(f"  Duration: {format_duration(made.duration_ms)}")
    if not made.success:
        say(f"  Error: {_failure_of(made)}")
    say()
    say("  Execution path:")
    for key in made.path:
        say(f"    → {safe(key)}")
    if made.skipped:
        say()
        say("  Skipped:")
        for key, reason in made.skipped.items():
            say(f"    ↷ {safe(key)} ({safe(reason)})")
    if made.predicted.executions:
        predicted = made.predicted
        say()
        say(f"  Predicted from {predicted.executions} executions:")
        median, p95 = format_duration(predicted.median_ms), format_duration(predicted.p95_ms)
        say(f"    median {median}, p95 {p95}")
        say(f"    critical path: {safe(' → '.join(predicted.critical_path))}")
    for line in _sources(made):
        note(line)
    if made.success:
        say()
        say("Final Output:")
        say(json_text(made.output))


def _failure_of(made: Simulation) -> str:
    error = made.error or {"message": f"it would be {made.status.value}"}
    step = (error.get("details") or {}).get("step_key")
    return safe(f"{step}: {error['message']}" if step else error["message"])


def _sources(made: Simulation) -> Iterable[str]:
    """Where the outputs come from that nothing was told of."""
    by_source: dict[str, list[str]] = {}
    for step in made.steps:
        if step.source and step.source not in ("computed", "mock", "children"):
            by_source.setdefault(step.source, []).append(step.key)
    for source, keys in by_source.items():
        yield paint(f"  {_SOURCES.get(source, source)}: {safe(', '.join(keys))}", "dim", sys.stderr)


_SOURCES = {
    "history": "Outputs of the last completed execution",
    "example": "Outputs made up from the component's example",
    "schema": "Outputs made up from the output schema",
    "simulate": "Outputs from `simulate:`",
    "assumed": "Signals assumed to come at once",
    "nothing known": "Outputs nothing is known of (null)",
}


def _as_json(made: Simulation) -> dict[str, Any]:
    predicted = made.predicted
    return {
        "success": made.success,
        "status": made.status.value,
        "steps": made.step_count,
        "duration_ms": made.duration_ms,
        "path": list(made.path),
        "skipped": dict(made.skipped),
        "output": made.output,
        "error": made.error,
        "predicted": {
            "median_ms": predicted.median_ms,
            "p95_ms": predicted.p95_ms,
            "critical_path": list(predicted.critical_path),
            "executions": predicted.executions,
        },
        "sources": {step.key: step.source for step in made.steps if step.source},
    }
