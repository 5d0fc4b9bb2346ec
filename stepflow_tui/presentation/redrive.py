"""What a retry keeps and what it performs again, in as many words as there is room for; as what it was retried."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from stepflow.model.run import RunRecord
from stepflow_tui.presentation.spans import fit_name, safe

LONGEST_NAME = 24


def retried_words(run: RunRecord) -> str:
    """`as exec_…: completed`; empty: it was not."""
    return "" if run.retried_as is None else f"as {run.retried_as.id}: {run.retried_as.status.value.replace('_', ' ')}"


def kept_and_run(kept: Sequence[str], performed: Sequence[str], width: int) -> str:
    """`keeps fetch, clean · runs load, report`; the last names are left out first, and counted."""
    parts = [("keeps", list(kept)), ("runs", list(performed))]
    most = max(len(kept), len(performed))
    for shown in range(most, -1, -1):
        text = " · ".join(f"{verb} {_named(names, shown)}" for verb, names in parts)
        if cell_len(text) <= width:
            return text
    return f"{len(kept)} kept, {len(performed)} run"


def _named(keys: Sequence[str], most: int) -> str:
    if not keys:
        return "nothing"
    names = [_short(key) for key in keys[:most]]
    rest = len(keys) - len(names)
    if not names:
        return f"{rest} step{'s' if rest > 1 else ''}"
    return ", ".join(names) + (f" +{rest}" if rest else "")


def _short(key: str) -> str:
    name = safe(key)
    return name if cell_len(name) <= LONGEST_NAME else fit_name(name, LONGEST_NAME)
