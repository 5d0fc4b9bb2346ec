"""`stepflow completion`"""

from __future__ import annotations

import os
from pathlib import PurePath

import click

from stepflow.cli.session import note, say

_INSTALL = {
    "bash": "stepflow completion bash >> ~/.bashrc",
    "zsh": "stepflow completion zsh >> ~/.zshrc",
    "fish": "stepflow completion fish > ~/.config/fish/conf.d/stepflow.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(_INSTALL)), required=False)
def command(shell: str | None) -> None:
    """Print the script with which a shell completes commands, options, templates, executions and more at TAB.

    Without SHELL: that of SHELL in the environment. It completes `stepflow` and `aio wf`.

    \b
    Examples:
      stepflow completion bash >> ~/.bashrc
      stepflow completion zsh >> ~/.zshrc
      stepflow completion fish > ~/.config/fish/conf.d/stepflow.fish
    """
    from stepflow.cli.main import group
    from stepflow.cli.shells import VARIABLES, script

    name = shell or PurePath(os.environ.get("SHELL", "")).name
    if name not in _INSTALL:
        raise click.UsageError("Say for which shell: stepflow completion bash, zsh or fish")
    for program in VARIABLES:
        say(script(name, program, group))
    note(f"To install it: {_INSTALL[name]}\nThen open a new shell")
