"""Draws the state charts of engine/ARCHITECTURE.md from the tables of moves in stepflow/model/statuses.py.

`python tools/charts.py` rewrites the charts in place; a test compares them with the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from stepflow.model.statuses import RUN_MOVES, STEP_MOVES, RunStatus, StepStatus

Status = TypeVar("Status", bound=StrEnum)

PAGE = Path(__file__).resolve().parents[1] / "engine" / "ARCHITECTURE.md"


def charts() -> dict[str, str]:
    """The name of each chart on the page -> its mermaid block."""
    return {
        "run": _chart(RUN_MOVES, [RunStatus.SCHEDULED, RunStatus.QUEUED]),
        "step": _chart(STEP_MOVES, [StepStatus.PENDING]),
    }


def _chart(moves: Mapping[Status, frozenset[Status]], first: list[Status]) -> str:
    """A mermaid block. Endings that (nearly) every status can come to would hide the rest: they are told below it."""
    living = [status for status in moves if moves[status]]
    sources = {after: [before for before in living if after in moves[before]] for after in moves}
    told = [after for after in moves if not moves[after] and len(sources[after]) >= len(living) - 1]

    lines = ["```mermaid", "stateDiagram-v2", "    direction LR"]
    lines += [f"    [*] --> {status}" for status in first]
    lines += [
        f"    {before} --> {after}"
        for before in living
        for after in moves
        if after in moves[before] and after not in told
    ]
    lines += ["```", ""]
    for after in told:
        missing = [f"`{status}`" for status in living if status not in sources[after]]
        lines.append(f"- `{after}`: from every status that is not final" + (f" but {missing[0]}" if missing else ""))
    return "\n".join([*lines, ""])


def rewritten(page: str) -> str:
    """`page` with each chart between its markers replaced by the one the tables give."""
    for name, chart in charts().items():
        begin, end = f"<!-- chart: {name} -->\n", f"<!-- end: {name} -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise SystemExit(f"{PAGE} has no place for the chart '{name}': {begin.strip()} … {end}")
        page = f"{before}{begin}{chart}{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{PAGE.name}: {', '.join(charts())}")
