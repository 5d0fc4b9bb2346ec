"""Completion in bash, zsh and fish: the scripts that ask us at each TAB, and the answers.

The questions are click's protocol. For bash and fish the scripts are our own: click's has bash expand what is offered
as a pattern and take `--status=x` for three words, and cuts at commas in fish.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

_BASH = """\
%(complete_func)s() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            plain,*) COMPREPLY+=("${line#plain,}") ;;
            file,*) compopt -o default 2>/dev/null ;;
            dir,*) compopt -o dirnames 2>/dev/null ;;
        esac
    done < <(COMP_LINE=$COMP_LINE COMP_POINT=$COMP_POINT %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s 2>/dev/null || complete -F %(complete_func)s %(prog_name)s
"""

_FISH = """\
function %(complete_func)s
    set -l words (commandline -cp)
    set -l word (commandline -t)
    for line in (env %(complete_var)s=fish_complete COMP_WORDS="$words" COMP_CWORD="$word" %(prog_name)s 2>/dev/null)
        set -l answer (string split -m1 , -- $line)
        switch $answer[1]
            case plain
                echo $answer[2]
            case file
                __fish_complete_path $word
            case dir
                __fish_complete_directories $word
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class Bash(BashComplete):
    source_template = _BASH

    def source(self) -> str:
        # click looks which bash it finds; which one will run this, it cannot know.
        return ShellComplete.source(self)

    def get_completion_args(self) -> tuple[list[str], str]:
        """From the line up to the cursor: bash's own words are torn at `=` and `:`."""
        before = os.fsencode(os.environ["COMP_LINE"])[: int(os.environ["COMP_POINT"])]
        _, *words = split_arg_string(os.fsdecode(before))
        return (words, "") if before.endswith(b" ") or not words else (words[:-1], words[-1])

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """What the shell would obey in a word is quoted."""
        return f"{item.type},{_quoted(item.value)}"


class _WholeWords(ShellComplete):
    """These shells replace the word under the cursor, in `--status=x` with its option."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        found = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if equals and option.startswith("-"):
            for item in found:
                item.value = f"{option}={item.value}"
        return found


class Zsh(_WholeWords, ZshComplete):
    def format_completion(self, item: CompletionItem[str]) -> str:
        """Three lines; the script would pass over an empty one."""
        return super().format_completion(CompletionItem(item.value or "_", item.type, item.help))


class Fish(_WholeWords, FishComplete):
    source_template = _FISH


SHELLS: Mapping[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}
VARIABLES = {"stepflow": "_STEPFLOW_COMPLETE", "aio": "_AIO_COMPLETE"}


def _quoted(word: str) -> str:
    return "".join(c if c.isalnum() or c in "-_./:=,@%+" else f"\\{c}" for c in word)


def script(shell: str, program: str, command: click.Command) -> str:
    return SHELLS[shell](command, {}, program, VARIABLES[program]).source()


def answer(program: str, command: click.Command) -> None:
    """Print what the shell asks for, if it asks, and end. It never fails, and nothing is said but the answer."""
    shell, _, instruction = os.environ.get(VARIABLES[program], "").partition("_")
    if shell not in SHELLS:
        return
    if instruction == "source":  # as other programs that use click are asked for their scripts
        click.echo(script(shell, program, command))
        sys.exit(0)
    with contextlib.suppress(Exception), open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        asked = SHELLS[shell](command, {}, program, VARIABLES[program])
        asked.ctx_args["obj"] = asked.get_completion_args()[0]  # for completers: all words before the cursor
        click.echo(asked.complete().encode("utf-8", "surrogateescape"))
    sys.exit(0)
