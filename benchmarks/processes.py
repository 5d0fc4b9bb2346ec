"""Our commands as processes, as a user has them."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def stepflow(database: Path) -> list[str]:
    return [str(Path(sys.executable).with_name("stepflow")), "--db", str(database)]


def environment(folder: Path) -> dict[str, str]:
    """As a user has it, whose Python keeps what it compiled: ours is kept in `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "STEPFLOW_"))}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
