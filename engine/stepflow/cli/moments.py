"""Moments as options: a time, or how long ago it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from stepflow.model.times import parse_duration


def moment(ctx: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """The callback of an option that takes one: `2h` ago, `2025-01-20 14:22` of local time, or of the zone it names."""
    if value is None:
        return None
    try:
        return _ago(value) or datetime.fromisoformat(value.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        how = "write how long ago, as 2h or 7d, or a time, as 2025-01-20 or '2025-01-20 14:22'"
        raise click.BadParameter(f"'{value}' is no time; {how}") from None


def _ago(value: str) -> datetime | None:
    try:
        return datetime.now(UTC) - timedelta(milliseconds=parse_duration(value))
    except ValueError:
        return None
