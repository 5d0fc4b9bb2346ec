"""A template's text as it is shown: in a pipe as the author wrote it; on a terminal without what that would obey, and
in colours."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from stepflow.cli.session import say
from stepflow.cli.text import paint, safe, use_colour

_COLOURED = 200_000
"""Characters; colouring more keeps people waiting."""

_DIFF_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def say_source(source: str, source_format: str) -> None:
    lines = [_shown(line) for line in source.rstrip().split("\n")]
    if not use_colour(sys.stdout) or len(source) > _COLOURED:
        for line in lines:
            say(line)
        return
    from pygments.token import (  # type: ignore[import-untyped]  # comes with rich, and has no types
        Comment,
        Keyword,
        Name,
        Number,
        String,
    )
    from rich.console import Console
    from rich.style import Style
    from rich.syntax import ANSISyntaxTheme, Syntax

    blue, green, cyan = Style(color="blue"), Style(color="green"), Style(color="cyan")
    theme = ANSISyntaxTheme(
        {Comment: Style(dim=True), Keyword: cyan, Name.Tag: blue, Number: cyan, String: green}
    )  # of the terminal's own colours, which people have chosen to read
    text = "\n".join(lines)
    coloured = Syntax(text, source_format, theme=theme).highlight(text)
    coloured.rstrip()
    Console(file=sys.stdout, force_terminal=True, color_system="standard").print(coloured, soft_wrap=True)


def diff_lines(before: str, after: str, before_name: str, after_name: str) -> Iterable[str]:
    """The unified difference of two texts."""
    from difflib import unified_diff

    for line in unified_diff(_lines(before), _lines(after), before_name, after_name):
        yield line.removesuffix("\n")
        if not line.endswith("\n"):
            yield "\\ No newline at end of file"


def say_diff(lines: Iterable[str]) -> None:
    for number, line in enumerate(lines):
        shown = _shown(line)
        colour = "bold" if number < 2 else _DIFF_COLOURS.get(line[:1])
        say(paint(shown, colour) if colour else shown)


def _lines(text: str) -> list[str]:
    """As editors count them: other characters that could end a line stand within one."""
    *whole, last = text.split("\n")
    return [f"{line}\n" for line in whole] + ([last] if last else [])


def _shown(line: str) -> str:
    return safe(line.removesuffix("\r").expandtabs()) if sys.stdout.isatty() else line
