"""`stepflow components`"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from stepflow.cli.completers import components
from stepflow.cli.session import fail, say, with_workbench
from stepflow.cli.text import json_lines, json_text, paint, safe, table, terminal_width

if TYPE_CHECKING:
    from stepflow.contracts.component import Component
    from stepflow.workbench import Workbench


@click.command("components")
@click.argument("name", required=False, shell_complete=components)
@click.option("--json", "as_json", is_flag=True, help="One object a component.")
def command(name: str | None, as_json: bool) -> None:
    """List what steps can run, or show one with its schemas and an example.

    \b
    Examples:
      stepflow components
      stepflow components http.get
    """

    async def show(workbench: Workbench) -> None:
        if name is None:
            listed = list(workbench.registry)
            if as_json:
                for component in listed:
                    say(json_text(_as_json(component)))
                return
            for line in _listed(listed, terminal_width()):
                say(line)
            return
        component = _named(name, workbench)
        if as_json:
            say(json_text(_as_json(component)))
        else:
            _show(component)

    with_workbench(show)


def _listed(components: Iterable[Component], width: int | None) -> list[str]:
    """A table; in a terminal its descriptions are wrapped."""
    rows: list[tuple[str, str]] = []
    listed = list(components)
    first = max([28, *(len(safe(component.path)) + 2 for component in listed)])
    for component in listed:
        description = safe(component.description)
        lines = textwrap.wrap(description, max(width - first, 24)) if width is not None else [description]
        rows += zip([component.path, *[""] * len(lines)], lines or [""], strict=False)
    return table(("COMPONENT", "DESCRIPTION"), rows, (first,), 72)


def _named(name: str, workbench: Workbench) -> Component:
    from stepflow.dsl.spellings import fold_component

    paths = sorted(workbench.registry.paths)
    path = fold_component(name)
    if path not in paths:
        alike = [path for path in paths if name in path.split("/")]
        if len(alike) > 1:
            fail(f"Several components are of '{safe(name)}': {safe(', '.join(alike))}")
        if not alike:
            fail(f"Unknown component '{safe(name)}'{safe(_meant(name, paths))}")
        (path,) = alike
    return workbench.registry.get(path)


def _meant(name: str, paths: Iterable[str]) -> str:
    from stepflow.dsl.diagnostics import did_you_mean

    if "/" in name or "." in name:
        return did_you_mean("/" + name.lstrip("/").replace(".", "/"), paths)
    # A word alone is one of ours: what all their paths begin with must not make them alike.
    return did_you_mean(name, [path.removeprefix("/builtin/") for path in paths if path.startswith("/builtin/")])


def _show(component: Component) -> None:
    say(f"{paint(safe(component.path), 'bold')}  {safe(component.description)}")
    for title, schema in (("Input", component.input_schema), ("Output", component.output_schema)):
        if schema not in (None, True):
            say()
            say(f"{title}:")
            for line in json_lines(schema):
                say(f"  {line}")
    if component.example is not None:
        say()
        say("Example:")
        for line in _example(component).splitlines():
            say(f"  {line}")


def _example(component: Component) -> str:
    """As a step, and what it gives."""
    import yaml

    step: dict[str, Any] = {"id": "example", "component": component.path}
    if "input" in component.example:
        step["input"] = component.example["input"]
    text = str(yaml.safe_dump([step], sort_keys=False, allow_unicode=True, width=76))
    if "output" in component.example:
        text += f"# gives {json_text(component.example['output'])}\n"
    return text


def _as_json(component: Component) -> dict[str, Any]:
    return {
        "path": component.path,
        "description": component.description,
        "input_schema": component.input_schema,
        "output_schema": component.output_schema,
        "example": component.example,
    }
