"""Commands run in this process, in a folder of their own without a database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stepflow.cli.main import group

Call = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user stands; `STEPFLOW_DB` names a file in it that is not there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPFLOW_DB", str(tmp_path / "x.db"))
    monkeypatch.setenv("STEPFLOW_DURABILITY", "normal")
    return tmp_path


@pytest.fixture
def call(folder: Path) -> Call:
    """Calls `stepflow …`. What is no exit is a defect, and raised."""

    def do(*arguments: str, **options: object) -> Result:
        done = CliRunner().invoke(group, arguments, **options)  # type: ignore[arg-type]  # click's own options
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return do
