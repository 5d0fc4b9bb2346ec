"""The folders a step may look into: the one its template was read from, and the workspace."""

from __future__ import annotations

from pathlib import Path

from stepflow.contracts.component import ComponentContext


def roots(context: ComponentContext) -> list[Path]:
    """Both, symlinks resolved, the template's own first."""
    named = [folder for folder in (context.base_dir, context.workspace) if folder]
    return list(dict.fromkeys(Path(folder).resolve() for folder in named))


def home(context: ComponentContext) -> Path | None:
    """What relative paths are relative to; None: the step has no folder at all."""
    return next(iter(roots(context)), None)
