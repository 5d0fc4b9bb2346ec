"""The benchmarks run: what is measured with them is judged by people, on a quiet machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import language, raw
from stepflow.dsl.validate import read_flow


@pytest.mark.parametrize("per_commit", [1, 5])
def test_the_raw_bound_writes_rows_like_ours(tmp_path: Path, per_commit: int) -> None:
    assert raw.steps_per_second(tmp_path, per_commit=per_commit, seconds=0.01) > 0
    assert raw.commit_ms(tmp_path, count=2) > 0


def test_the_template_that_is_read_is_one_of_as_many_steps() -> None:
    flow = read_flow(language.template(20)).flow
    assert flow is not None
    assert len(flow.steps) == 20


def test_the_flow_that_is_simulated_completes() -> None:
    assert language.simulation_seconds(20) > 0
