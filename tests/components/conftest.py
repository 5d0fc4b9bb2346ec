from __future__ import annotations

from pathlib import Path

import pytest

from tests.components.recorder import Recorder


@pytest.fixture
def context(tmp_path: Path) -> Recorder:
    """Of a step whose template was read from `tmp_path`."""
    return Recorder(base_dir=tmp_path)
