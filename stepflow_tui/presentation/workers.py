"""A worker as a line: who it is, how much it holds, how it is."""

from __future__ import annotations

from datetime import datetime

from stepflow.model.run import WorkerRecord
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, fit_name, safe
from stepflow_tui.presentation.timeline_bars import EIGHTHS

SLOTS_WIDTH = 12


def worker_row(worker: WorkerRecord, width: int, now: datetime, glyphs: Glyphs) -> Line:
    name = max(8, min(22, width // 3))
    if not worker.alive:
        sign, style = ("x" if glyphs.ascii_only else "✗"), "bad"
    elif worker.trouble is not None:
        sign, style = "!", "bad"
    else:
        sign, style = ("*" if glyphs.ascii_only else "●"), "good"
    line: Line = [(f"{sign} ", style), (fit_name(safe(worker.id), name), "" if worker.alive else "dim"), (" ", "")]
    line += [(slots_bar(worker.held_runs, worker.slots, SLOTS_WIDTH, glyphs), style if worker.alive else "dim")]
    line += [(f" {worker.held_runs}/{worker.slots}".ljust(9), "")]
    up = short((now - worker.started_at).total_seconds())
    line += [(f"{f'up {up}' if worker.alive else 'dead':<10}", "" if worker.alive else "bad")]
    if worker.trouble is not None:
        line.append((safe(worker.trouble), "bad"))
    else:
        background = " background" if worker.background else ""
        line.append((f"pid {worker.pid} on {safe(worker.host)}{background}", "dim"))
    return line


def slots_bar(held: int, slots: int, cells: int, glyphs: Glyphs) -> str:
    share = held / max(1, slots)
    if glyphs.ascii_only:
        return ("#" * round(cells * share)).ljust(cells, ".")
    eighths = min(cells * 8, max(1 if held else 0, round(cells * 8 * share)))
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(cells, "░")
