"""What options and arguments name: templates by name or TRN, and statuses."""

from __future__ import annotations

import click

from stepflow.errors import WorkflowEngineError
from stepflow.model import ids
from stepflow.model.statuses import RunStatus


def template_name(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The callback of one that names a template."""
    return None if value is None else ids.template_name(value)


def run_statuses(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[RunStatus, ...]:
    """The callback of an option that may be given more than once, each time with commas."""
    if not given:
        return ()
    from stepflow.client.runs import statuses_of  # whoever names one opens a client

    try:
        return statuses_of([word.strip() for one in given for word in one.split(",")]) or ()
    except WorkflowEngineError as error:
        raise click.UsageError(error.message, ctx) from error
