"""A setting as a line, and how a theme looks."""

from __future__ import annotations

import msgspec

from stepflow_tui.presentation.glyphs import RUN_GLYPHS, Glyphs
from stepflow_tui.presentation.spans import Line, fit, safe

NAME_WIDTH = 11
VALUE_WIDTH = 22


class Setting(msgspec.Struct, frozen=True):
    name: str
    title: str
    means: dict[str, str]
    """What each value means; `*`: any other."""


SETTINGS = (
    Setting("theme", "Theme", {"*": "colours, changed at once"}),
    Setting(
        "glyphs",
        "Signs",
        {
            "auto": "as the terminal's encoding allows",
            "unicode": "with bars and arrows",
            "ascii": "letters and plain signs only",
        },
    ),
    Setting(
        "clock",
        "Clock",
        {
            "auto": "drawn twice a second, once over SSH",
            "fast": "what moves is drawn twice a second",
            "slow": "what moves is drawn once a second",
            "off": "bars stand still; events still arrive",
        },
    ),
    Setting("preset", "Keys", {"default": "as ? lists them", "vim": "h and l go from pane to pane, M is the log"}),
    Setting(
        "confirm",
        "Confirm",
        {"key": "cancel, pause, drain ask for y", "typed": "cancel, pause, drain ask for yes, typed"},
    ),
    Setting(
        "clipboard",
        "Clipboard",
        {
            "auto": "what there is: tmux, a tool; enter tests it",
            "tmux": "tmux's buffer; enter tests it",
            "osc52": "the terminal's own escape; enter tests it",
            "native": "wl-copy, xclip or pbcopy; enter tests it",
        },
    ),
)


def setting_row(setting: Setting, value: str, width: int, winner: str | None, glyphs: Glyphs) -> Line:
    """`winner`: the variable of the environment that decides instead."""
    before, after = ("<", ">") if glyphs.ascii_only else ("‹", "›")
    line: Line = [(fit(f" {setting.title}", NAME_WIDTH), "title")]
    chosen = f"{before} {safe(value)} {after}"
    room = max(0, width - NAME_WIDTH)
    line.append((fit(chosen, min(VALUE_WIDTH, room)), "" if winner else "active"))
    if room > VALUE_WIDTH + 10:
        if winner:
            line.append((f"{winner} is set and wins over the file", "late"))
        else:
            line.append((setting.means.get(value, setting.means.get("*", "")), "dim"))
    return line


def preview_lines(glyphs: Glyphs) -> list[Line]:
    """Every status in its colour and its reverse, and text of every kind."""
    lines: list[Line] = [[("", "")]]
    statuses = list(RUN_GLYPHS)
    half = (len(statuses) + 1) // 2
    for left, right in zip(statuses[:half], [*statuses[half:], None][:half], strict=True):
        line: Line = []
        for status in (left, right):
            if status is not None:
                glyph, style = glyphs.run(status)
                line += [(f"  {glyph} {status.value:<15}", style), (f" {glyph} ", f"{style}-reverse"), ("    ", "")]
        lines.append(line)
    lines += [
        [],
        [
            ("  Text, ", ""),
            ("a title, ", "title"),
            ("a key, ", "active"),
            ("quiet text, ", "dim"),
            ("a warning", "late"),
        ],
    ]
    return lines
