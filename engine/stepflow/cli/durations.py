"""Durations as options: `30s`, `5m`, `1h30m`, `2d`."""

from __future__ import annotations

from datetime import timedelta

import click

from stepflow.model.times import parse_duration


def duration(ctx: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    """The callback of an option that takes one."""
    if value is None:
        return None
    try:
        return timedelta(milliseconds=parse_duration(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
