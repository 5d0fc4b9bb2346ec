"""What differs between two versions of a template, in words."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from stepflow.cli.text import paint, safe
from stepflow.model.changes import FlowChanges
from stepflow.model.flow import Flow

_NAMED = 3
"""Steps in a line of a list."""


def changes_text(changes: FlowChanges) -> str:
    """On one line: `added pack; changed charge (input, retry); timeout`."""
    changed = [f"{key} ({', '.join(what)})" for key, what in changes.changed.items()]
    parts = [
        f"{word} {_some(names)}"
        for word, names in (("added", changes.added), ("removed", changes.removed), ("changed", changed))
        if names
    ]
    if changes.reordered:
        parts.append("steps in another order")
    if changes.settings:
        parts.append(", ".join(changes.settings))
    return "; ".join(parts) or "nothing in its flow"


def _some(names: Collection[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(list(names)[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def changes_lines(changes: FlowChanges, before: Flow, after: Flow) -> list[str]:
    """A line for each step: `+ pack (/builtin/echo)`, `~ charge: input, retry`."""
    old = {step.key: step.component for step in before.steps}
    new = {step.key: step.component for step in after.steps}
    lines = [paint(f"  - {safe(key)} ({safe(old[key])})", "red") for key in changes.removed]
    lines += [paint(f"  + {safe(key)} ({safe(new[key])})", "green") for key in changes.added]
    for key, what in changes.changed.items():
        moved = f" ({safe(old[key])} → {safe(new[key])})" if old[key] != new[key] else ""
        lines.append(paint(f"  ~ {safe(key)}: {', '.join(what)}{moved}", "yellow"))
    if changes.reordered:
        lines.append(paint("  ~ steps in another order", "yellow"))
    lines += [paint(f"  ~ {setting}", "yellow") for setting in changes.settings]
    return lines


def changes_json(changes: FlowChanges) -> dict[str, Any]:
    return msgspec.structs.asdict(changes)
