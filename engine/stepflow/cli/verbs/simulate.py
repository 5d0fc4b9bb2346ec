"""`stepflow simulate`"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stepflow.cli.completers import file_paths, steps, templates_or_files, versions
from stepflow.cli.names import template_name
from stepflow.cli.session import (
    FAILED,
    diagnostic_lines,
    fail,
    note,
    parse_json,
    read_file,
    read_input,
    say,
    with_templates,
)
from stepflow.cli.text import json_text, pad, paint, safe
from stepflow.cli.variables import read_variables, var_option
from stepflow.model.times import format_duration

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.dsl.cases import Mock
    from stepflow.model.flow import Flow
    from stepflow.simulate.planned import History, Plan
    from stepflow.simulate.report import Simulation
    from stepflow.workbench import Workbench

_FILES = (".yaml", ".yml", ".json")
_STEPS_NAMED = 8
"""Of one source of outputs."""
_SOURCE_ROOM = 32


@click.command("simulate")
@click.argument("template", metavar="FILE|TEMPLATE", callback=template_name, shell_complete=templates_or_files)
@click.option("--input", "given", metavar="JSON|@FILE|-", help="The input: JSON, @file, or - for stdin.")
@click.option("--file", metavar="PATH", help="Read the input from a file.", shell_complete=file_paths)
@var_option
@click.option(
    "--mock",
    "mocks",
    multiple=True,
    metavar="STEP=JSON|@FILE",
    help="The output of a step, or of a component; given again: of the next attempt.",
    shell_complete=steps,
)
@click.option("--fail", "failing", multiple=True, metavar="STEP[:CODE]", help="Let a step fail.", shell_complete=steps)
@click.option("--from-history", is_flag=True, help="Take outputs from the last completed execution.")
@click.option(
    "--version", type=click.IntRange(1), help="A version of the template; default: the newest.", shell_complete=versions
)
@click.option("--json", "as_json", is_flag=True, help="As one object.")
def command(
    template: str,
    given: str | None,
    file: str | None,
    variables: tuple[str, ...],
    mocks: tuple[str, ...],
    failing: tuple[str, ...],
    from_history: bool,
    version: int | None,
    as_json: bool,
) -> None:
    """Show what an execution would do, without doing it: the same decisions on a virtual clock.

    Nothing is called, written or waited for, and no secret is read. The outcome of a step is, in this order: --fail,
    --mock, its `simulate:`, what it computes if nothing outside is needed for that (echo, merge, sleep, …), its
    output in the last completed execution with --from-history, its component's example, a value made from its output
    schema. Durations come from the last executions, if there are any.

    \b
    Examples:
      stepflow simulate workflow.yaml --input '{"orderId": "123"}'
      stepflow simulate order-flow --fail process-payment:CARD_DECLINED
      stepflow simulate order-flow --mock fetch='{"total": 3}' --from-history
    """
    is_file = template.endswith(_FILES)
    if is_file and version is not None:
        raise click.UsageError("--version is of a saved template; a file has none")
    value = read_input(given, file)

    async def simulate(workbench: Workbench, client: Client | None) -> int:
        flow = _flow_in(template, workbench) if is_file else await _saved_flow(template, version, client)
        name = (flow.name or Path(template).stem) if is_file else template
        history = None if client is None else await client.history(name)
        given_variables = read_variables(variables, flow)
        made = workbench.simulate(
            flow,
            {} if value is None else value,
            _plan(flow, mocks, failing, history, use_outputs=from_history),
            variables=given_variables,
        )
        assumed = sorted(flow.secrets - (given_variables or {}).keys())
        if assumed and not as_json:
            note(f"{paint('ℹ', 'blue', sys.stderr)} Taken as given: {safe(', '.join(assumed))} (secret)")
        if as_json:
            say(json_text(_as_json(made)))
        else:
            _show(made)
        return 0 if made.success else FAILED

    with_templates(simulate)


def _flow_in(file: str, workbench: Workbench) -> Flow:
    read = workbench.validate(read_file(file, "DSL file"), file)
    if read.flow is None:
        note(f"{paint('✗', 'red', sys.stderr)} DSL validation failed")
        for line in diagnostic_lines(read.diagnostics):
            note(line)
        sys.exit(FAILED)
    return read.flow


async def _saved_flow(template: str, version: int | None, client: Client | None) -> Flow:
    if client is None:
        fail(f"Template '{safe(template)}' not found: there is no database yet; name a file")
    return (await client.get_template(template, version)).flow


# What it is told


def _plan(
    flow: Flow, mocks: Iterable[str], failing: Iterable[str], history: History | None, *, use_outputs: bool
) -> Plan:
    from stepflow.simulate.planned import History, Plan

    if use_outputs and (history is None or not history.executions):
        fail("There is no completed execution to take outputs from; leave out --from-history")
    return Plan(
        fail=dict(_failure(one, flow) for one in failing),
        mocks=_mocks(mocks, flow),
        history=history or History(),
        use_outputs=use_outputs,
    )


def _failure(text: str, flow: Flow) -> tuple[str, str]:
    steps = [step.key for step in flow.steps]
    key, colon, code = text.rpartition(":")
    if not colon or text in steps:
        key, code = text, ""
    return _known(key, steps), code or "SIMULATED"


def _mocks(given: Iterable[str], flow: Flow) -> Mapping[str, tuple[Mock, ...]]:
    from stepflow.dsl.cases import Mock
    from stepflow.dsl.parse import SUB_FLOW_COMPONENTS

    found: dict[str, tuple[Mock, ...]] = {}
    known = [*(step.key for step in flow.steps), *flow.components]
    for text in given:
        name, equals, output = text.partition("=")
        if not equals:
            raise click.UsageError("--mock takes STEP=JSON, like --mock fetch='{\"n\": 1}'")
        if output.startswith("@"):
            output = read_file(output[1:], "Mock file")
        try:
            mock = Mock(output=parse_json(output))
        except ValueError as error:
            raise click.UsageError(f"--mock {safe(name)}: not JSON: {error}") from None
        if name.startswith("/") and name not in known:
            if not set(flow.components) & set(SUB_FLOW_COMPONENTS):
                note(f"{paint('⚠', 'yellow', sys.stderr)} --mock {safe(name)}: no step of this template runs it")
            known.append(name)  # one of a flow that it starts may
        found[_known(name, known)] = (*found.get(name, ()), mock)
    return found


def _known(name: str, known: Iterable[str]) -> str:
    from stepflow.dsl.diagnostics import did_you_mean

    if name not in known:
        raise click.UsageError(f"There is no step '{safe(name)}'{safe(did_you_mean(name, known))}")
    return name


# What it says


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
        _show_prediction(made)
    if made.success:
        say()
        say("Final Output:")
        say(json_text(made.output))
    _note_sources(made)


def _failure_of(made: Simulation) -> str:
    error = made.error or {"message": f"it would be {made.status.value}"}
    step = (error.get("details") or {}).get("step_key")
    return safe(f"{step}: {error['message']}" if step else error["message"])


def _show_prediction(made: Simulation) -> None:
    predicted = made.predicted
    number = predicted.executions
    say()
    say(f"  Predicted from {number} execution{'' if number == 1 else 's'}:")
    say(f"    median {format_duration(predicted.median_ms)}, p95 {format_duration(predicted.p95_ms)}")
    if predicted.critical_path:
        say(f"    critical path: {safe(' → '.join(predicted.critical_path))}")


def _note_sources(made: Simulation) -> None:
    """To stderr: the rest is what the `aio wf` page shows."""
    steps_of: dict[str, list[str]] = {}
    for key, source in _sources(made).items():
        steps_of.setdefault(source, []).append(key)
    if not steps_of:
        return
    note("")
    note(paint("  Where outputs come from:", "dim", sys.stderr))
    for source, keys in steps_of.items():
        more = f" and {len(keys) - _STEPS_NAMED} more" if len(keys) > _STEPS_NAMED else ""
        named = safe(", ".join(keys[:_STEPS_NAMED]))
        note(paint(f"    {pad(_SOURCES.get(source, source), _SOURCE_ROOM)}{named}{more}", "dim", sys.stderr))


def _sources(made: Simulation) -> dict[str, str]:
    return {step.key: step.source for step in made.steps if step.source}


_SOURCES = {
    "told to fail": "--fail",
    "mock": "--mock",
    "simulate": "the step's `simulate:`",
    "children": "simulated children",
    "history": "the last completed execution",
    "example": "the component's example",
    "schema": "made from the output schema",
    "assumed": "assumed to come at once",
    "nothing known": "nothing is known (null)",
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
            "outputs_from": _sources(made),
        },
    }
