"""A setting as a line, and how a theme looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from stepflow_tui.presentation.glyphs import RUN_GLYPHS, Glyphs
from stepflow_tui.presentation.spans import Line, fit, fit_name, safe

if TYPE_CHECKING:
    from stepflow_tui.profiles import Profile

NAME_WIDTH = 11
VALUE_WIDTH = 25


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
    Setting("preset", "Keys", {"default": "as ? lists them", "vim": "h and l go from pane to pane; M log, Q history"}),
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
    Setting(
        "notify",
        "Notices",
        {
            "auto": "of watched ones: the bell, and the terminal's own",
            "bell": "of watched ones: the bell alone",
            "off": "of watched ones: a line here alone",
        },
    ),
    Setting(
        "restore",
        "Begin",
        {"on": "where it was left: view, filter, cursor", "off": "on the newest execution"},
    ),
)


def setting_row(
    setting: Setting, value: str, width: int, winner: str | None, glyphs: Glyphs, came_to: str = "", says: str = ""
) -> Line:
    """`winner`: the variable of the environment that decides instead; `came_to`: what `auto` is here and now; `says`:
    in place of what the table means by the value."""
    before, after = ("<", ">") if glyphs.ascii_only else ("‹", "›")
    line: Line = [(fit(f" {setting.title}", NAME_WIDTH), "title")]
    chosen = f"{before} {safe(value)}{f': {came_to}' if value == 'auto' and came_to else ''} {after}"
    room = max(0, width - NAME_WIDTH)
    line.append((fit(chosen, min(VALUE_WIDTH, room)), "" if winner else "active"))
    if room > VALUE_WIDTH + 10:
        if winner:
            line.append((f"{winner} is set and wins over the file", "late"))
        else:
            line.append((says or setting.means.get(value, setting.means.get("*", "")), "dim"))
    return line


def themes_say(count: int, own: int, is_own: bool, colours: str) -> str:
    """`own` of `count` are the person's; `colours`: how many the terminal shows."""
    said = ["yours"] if is_own else []
    said += [f"{count - own} of ours", *([f"{own} of yours"] if own else []), colours]
    return " · ".join(said)


def profile_lines(profiles: Sequence[Profile], shown: str, width: int) -> list[Line]:
    """What each leads to; none: how there come to be some. `shown`: the name of the one that is."""
    if not profiles:
        return []
    lines: list[Line] = [[(" Profiles", "title"), ("  : and a name shows another", "dim")]]
    for one in profiles:
        style = "active" if one.name == shown else "dim" if one.trouble is not None else ""
        line: Line = [(fit(f"   {safe(one.name) or '-'}", NAME_WIDTH), style), (" ", "")]
        says = f"{'read-only  ' if one.read_only else ''}{'it is shown' if one.name == shown else ''}"
        says = says if one.trouble is None else "cannot be opened, as said above"
        place = safe(one.place)
        line.append((fit_name(place, max(8, width - NAME_WIDTH - 1 - len(says) - 2)), style))
        lines.append([*line, ("  ", ""), (says, "dim")])
    return [*lines, []]


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
