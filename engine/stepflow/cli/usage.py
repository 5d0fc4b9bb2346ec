"""What was wrong with the command line, in our words: what, the usage, and where the help is."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

import click
from click.exceptions import NoSuchOption

from stepflow.cli.text import paint, safe
from stepflow.dsl.diagnostics import did_you_mean


def usage_lines(error: click.UsageError, context: click.Context) -> list[str]:
    """`context`: of the command that was called, where the error knows of none."""
    context = error.ctx or context
    message = safe(_message(error).strip().rstrip("."))
    return [
        f"{paint('✗', 'red', sys.stderr)} {message}",
        *context.get_usage().splitlines(),
        f"Try '{context.command_path} --help'",
    ]


def _message(error: click.UsageError) -> str:
    match error:
        case NoSuchOption(ctx=click.Context() as context):
            return _unknown_option(error.option_name, context)
        case click.BadOptionUsage() if "requires" in error.message:
            return f"Option '{error.option_name}' needs a value"
        case click.MissingParameter(param=click.Option() as option):
            return f"Missing option '{max(option.opts, key=len)}'"
        case click.MissingParameter(param=click.Parameter() as argument):
            return f"Missing argument '{argument.human_readable_name}'"
        case click.BadParameter(param=click.Parameter() as parameter):
            return _bad_value(parameter, error)
        case _:
            return _other(error)


def _other(error: click.UsageError) -> str:
    """What click has no kind of error for, in every release of it that we take."""
    if more := re.match(r"Got unexpected extra arguments? \((.*)\)", error.message, re.DOTALL):
        return f"It takes no further argument: {more[1]}"
    unknown = re.match(r"No such command '(.*)'\.", error.message, re.DOTALL)
    if unknown and error.ctx is not None and isinstance(error.ctx.command, click.Group):
        return f"Unknown command '{unknown[1]}'{did_you_mean(unknown[1], error.ctx.command.list_commands(error.ctx))}"
    return error.message


def _unknown_option(name: str, context: click.Context) -> str:
    said = f"Unknown option '{name}'"
    known = [option for parameter in context.command.get_params(context) for option in parameter.opts]
    root = context.find_root()
    if context is root:
        return said + (_meant(name, known) or "; options of a command stand after it")
    ours = [option for parameter in root.command.params for option in parameter.opts]
    if name in ours:
        return f"Option '{name}' stands before the command: {root.command_path} {name} … {context.info_name}"
    return said + _meant(name, known)


def _meant(name: str, known: Iterable[str]) -> str:
    """The dashes, which all begin with, must not make them alike."""
    dashes = {option.lstrip("-"): option for option in known}
    return re.sub(r"'(.*)'", lambda found: f"'{dashes[found[1]]}'", did_you_mean(name.lstrip("-"), dashes))


def _bad_value(parameter: click.Parameter, error: click.BadParameter) -> str:
    """Whatever kind of value it takes."""
    name = max(parameter.opts, key=len) if isinstance(parameter, click.Option) else parameter.human_readable_name
    found = re.match(r"""(['"]?)(.*?)\1 is not """, error.message, re.DOTALL)
    match parameter.type:
        case click.Choice(choices=choices) if found:
            words = [str(choice) for choice in choices]
            return f"{name} takes {_one_of(words)}, not '{found[2]}'{did_you_mean(found[2], words)}"
        case click.IntRange(min=lowest, max=highest) if found:
            bounds = f" from {lowest}" if highest is None else f" from {lowest} to {highest}"
            return f"{name} takes a whole number{bounds if lowest is not None else ''}, not '{found[2]}'"
        case type_ if type_ is click.INT and found:
            return f"{name} takes a whole number, not '{found[2]}'"
        case _:
            return f"{name}: {error.message}"


def _one_of(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
