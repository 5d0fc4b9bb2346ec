"""Lines that are longer than the room there is, broken."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from stepflow_tui.presentation.spans import Line, safe

INDENT = "  "


def wrap_line(line: Line, width: int) -> list[Line]:
    """In lines of at most `width` cells, those that follow indented."""
    if width <= len(INDENT) + 1:
        return [line]
    wrapped: list[Line] = [[]]
    room = width
    for text, style in line:
        rest = text
        while cell_len(rest) > room:
            head = _head(rest, room)
            if head:
                wrapped[-1].append((head, style))
            rest = rest[len(head) :]
            wrapped.append([(INDENT, "")])
            room = width - len(INDENT)
        if rest:
            wrapped[-1].append((rest, style))
            room -= cell_len(rest)
    return wrapped


def _head(text: str, room: int) -> str:
    """What of it fits whole: a wide character at the edge goes to the next line."""
    if room <= 0:
        return ""
    head = set_cell_size(text, room)
    return head if text.startswith(head) else head[:-1]


def wrap_text(text: str, width: int, style: str) -> list[Line]:
    """One line or more of `width` cells, broken between words where there are any."""
    lines: list[Line] = []
    rest = safe(text).rstrip()
    while cell_len(rest) > width > 1:
        head = _head(rest, width)
        space = head.rfind(" ")
        cut = space if space > width // 2 else len(head)
        lines.append([(rest[:cut], style)])
        rest = rest[cut:].lstrip(" ")
    return [*lines, [(rest, style)]]
