"""The saves that are measured are heard of and stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import saving


async def test_each_save_is_measured(tmp_path: Path) -> None:
    for measure in (saving.bare, saving.ours):
        folder = tmp_path / measure.__name__
        folder.mkdir()
        times, many = await measure(folder, 2, 3)
        assert len(times) == 2
        assert min(*times, many) > 0


@pytest.mark.full
def test_each_wrong_save_is_measured_until_it_is_seen(tmp_path: Path) -> None:
    for save in (saving._save, saving._write):
        folder = tmp_path / save.__name__
        folder.mkdir()
        times = saving.shown(folder, 2, save)
        assert len(times) == 2
        assert min(times) > 0
