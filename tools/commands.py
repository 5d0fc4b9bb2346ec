"""Writes docs/commands.md, the reference of the command line, from the commands themselves.

`python tools/commands.py` rewrites the page; a test compares it with the commands.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click

from stepflow.cli.main import EXIT_CODES, SECTIONS, group

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"
WIDTH = 120

ENVIRONMENT = {
    "STEPFLOW_DB": "The database, where `--db` names none.",
    "STEPFLOW_DURABILITY": "`full` (the default: survives power loss) or `normal` (survives a kill).",
    "STEPFLOW_VAR_NAME": "The variable `name` of an execution, where `--var` does not give it.",
    "STEPFLOW_THEME": "The theme of the terminal UI, whatever its settings say.",
    "STEPFLOW_ASCII": "Set: the terminal UI draws with ASCII alone, whatever its settings say.",
    "NO_COLOR": "Set: no colours. `TERM=dumb` does the same.",
    "SHELL": "The shell that `stepflow completion` is for, where none is named.",
}

_HEAD = """\
# The commands

`stepflow …`, `aio wf …` and `aio workflow …` are the same commands; `stepflow` alone opens the terminal UI. This page
is written from the commands by `python tools/commands.py`.

Results go to stdout, everything else to stderr: progress, warnings, errors. Every command that shows something has
`--json`. Colours are for terminals; in a pipe the text is plain and no line is cut. Where an execution is asked for,
its id, its TRN, or the beginning of its id will do, four characters or more that no other begins with.
`stepflow completion` makes the shell complete commands, templates, executions and more at TAB.
"""


def page() -> str:
    root = click.Context(group, info_name="stepflow")
    parts = [_HEAD, _exit_codes(), _environment(), f"## For every command\n\n{_options(group, root)}"]
    for section, verbs in SECTIONS.items():
        parts.append(f"## {section}\n")
        for verb in verbs:
            command = group.get_command(root, verb)
            assert command is not None
            parts.append(_command(command, click.Context(command, root, verb)))
    return "\n".join(parts)


def _exit_codes() -> str:
    rows = "".join(f"| {code} | {what} |\n" for code, what in EXIT_CODES.items())
    return f"## Exit codes\n\n| code | meaning |\n| --- | --- |\n{rows}"


def _environment() -> str:
    rows = "".join(f"| `{name}` | {what} |\n" for name, what in ENVIRONMENT.items())
    return f"## Environment\n\n| variable | meaning |\n| --- | --- |\n{rows}"


def _command(command: click.Command, context: click.Context, heading: str = "###") -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    words, _, examples = cleandoc(command.help or "").partition("\b\n")
    parts = [
        f"{heading} {context.command_path.removeprefix('stepflow ')}\n",
        f"```text\n{usage}\n```\n",
        _prose(words),
        _options(command, context),
    ]
    parts += _examples(examples)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            parts.append(_command(below, click.Context(below, context, name), f"{heading}#"))
    return "\n".join(parts)


def _prose(text: str) -> str:
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n") if paragraph.strip()]
    return "".join(f"{_wrapped(paragraph)}\n\n" for paragraph in paragraphs).removesuffix("\n")


def _options(command: click.Command, context: click.Context) -> str:
    """A line for each; `--help`, which all have, is not told again."""
    found = [parameter.get_help_record(context) for parameter in command.params if isinstance(parameter, click.Option)]
    lines = [_wrapped(f"- `{names}`: {_spoken(what)}", "  ") for names, what in filter(None, found)]
    return "".join(f"{line}\n" for line in lines)


def _spoken(what: str) -> str:
    """`[default: 50; 1<=x<=100]`, as click writes it, in brackets that are no link."""
    bounds = re.sub(r"(\d+)<=x<=(\d+)", r"\1 to \2", re.sub(r"x>=(\d+)", r"\1 or more", what))
    return re.sub(r"\s*\[([^\[\]]*)\]$", r" (\1)", bounds)


def _examples(text: str) -> Iterator[str]:
    """What is indented is typed, or written into a file; between it stand words."""
    for typed, block in re.findall(r"((?:^  .*\n?)+)|((?:^\S.*\n?)+)", textwrap.dedent(text), re.MULTILINE):
        if typed:
            language = "sh" if typed.lstrip().startswith("stepflow") else "text"
            yield f"```{language}\n{textwrap.dedent(typed).rstrip()}\n```\n"
        elif not block.startswith("Example"):
            yield _wrapped(block.strip()) + "\n"


def _wrapped(text: str, below: str = "") -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=below, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name}: {sum(map(len, SECTIONS.values()))} commands")
