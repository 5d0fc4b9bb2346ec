"""Figures as the table of README.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    what: str
    value: float
    unit: str
    wanted: str
    reached: bool
    raw: float | None = None
    """What it cannot do without, measured in the same session, in the same unit."""


def write(figures: list[Figure], machine: str, date: str) -> str:
    lines = [
        "# What was measured",
        "",
        "`python -m benchmarks` measures all of it again and writes this page; `--only engine`, `--only language`,",
        "`--only commands`, `--only saving` or `--only screen` prints a part. Durability `full` (an fsync a commit),",
        "no-op steps, ten a run, one worker process; medians of three. The language is measured in processor time.",
        "Commands are processes on a database with a million executions and five million events that is in the page",
        "cache; medians of 25.",
        "The raw bound of the engine is the same rows written by a bare sqlite3 loop with the same batching (for",
        "latencies: the commits that the path cannot do without), measured in the same session on the same disk. That",
        "of the language is PyYAML's reader in C on the same text, without any check, or a dict look-up; that of the",
        "commands is `python -c pass`; that of a save is the bare watcher, told of the same rename; that of the screen",
        "is ten lines of Textual in the same pseudo-terminal (120x40), beside the same work. A key counts until the",
        "frame is whole that shows what it did; memory is the most that any of these screens had.",
        "",
        f"Machine: {machine}. Measured {date}.",
        "",
        "| what | measured | wanted | reached | raw bound | ratio to it |",
        "| --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for figure in figures:
        raw = "" if figure.raw is None else f"{_number(figure.raw)} {figure.unit}"
        ratio = "" if figure.raw is None else f"{figure.value / figure.raw:.2f}"
        reached = "yes" if figure.reached else "**no**"
        lines.append(
            f"| {figure.what} | {_number(figure.value)} {figure.unit} | {figure.wanted} | {reached} | {raw} | {ratio} |"
        )
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"
