"""The variables of a run: `--var NAME=VALUE`, else `STEPFLOW_VAR_NAME` in the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from stepflow.cli.session import parse_json
from stepflow.cli.text import safe

if TYPE_CHECKING:
    from stepflow.model.flow import Flow, Json

var_option = click.option(
    "--var", "variables", multiple=True, metavar="NAME=VALUE", help="A variable; a secret as env:NAME or file:PATH."
)


def read_variables(given: Iterable[str], flow: Flow) -> dict[str, Json]:
    """What the template's schema calls a text is taken as it stands; else it is JSON where it can be."""
    schemas: dict[str, Any] = (flow.variables or {}).get("properties") or {}
    texts = {name: text for name in schemas if (text := os.environ.get(_in_environment(name))) is not None}
    texts |= dict(_pair(one, schemas) for one in given)
    return {name: _value(text, schemas[name]) for name, text in texts.items()}


def _in_environment(name: str) -> str:
    return "STEPFLOW_VAR_" + re.sub(r"\W", "_", name).upper()


def _pair(text: str, schemas: dict[str, Any]) -> tuple[str, str]:
    from stepflow.dsl.diagnostics import did_you_mean

    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError("--var takes NAME=VALUE, like --var region=eu")
    if name not in schemas:
        raise click.UsageError(f"The template has no variable '{safe(name)}'{safe(did_you_mean(name, schemas))}")
    return name, value


def _value(text: str, schema: Json) -> Json:
    if isinstance(schema, dict) and schema.get("type") == "string":
        return text
    try:
        return parse_json(text)
    except ValueError:
        return text
