"""Whatever is written: loading, lint, expressions and simulation do not raise, hang, leak or reach outside.

A sample from a fixed seed here; `python -m tests.fuzz` takes others, for as long as it is told to.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import growth, run
from tests.fuzz.checks import Hang, Violation, limited, watched
from tests.fuzz.inputs import Input, make_input

SEED = 20_260
PARTS = 4
INPUTS = 750
"""Of each part."""


@pytest.mark.parametrize("part", range(PARTS))
def test_no_input_makes_it_raise_hang_leak_or_reach_outside(part: int) -> None:
    print(f"seed {SEED}")
    indexes = range(part * INPUTS, (part + 1) * INPUTS)
    failures = [failure for failure in run.run(SEED, indexes) if failure is not None]
    assert not failures, "\n\n".join(map(str, failures))


@pytest.mark.parametrize("shape", growth.TEMPLATES)
def test_reading_a_template_takes_no_more_calls_than_it_is_longer(shape: str) -> None:
    assert growth.growth(growth.calls, growth.read, growth.TEMPLATES[shape], 200) <= growth.MOST


@pytest.mark.parametrize("shape", growth.EXPRESSIONS)
def test_an_expression_takes_no_more_calls_than_it_is_longer(shape: str) -> None:
    assert growth.growth(growth.calls, growth.evaluate, growth.EXPRESSIONS[shape], 200) <= growth.MOST


@pytest.mark.full
@pytest.mark.parametrize("shape", growth.TEMPLATES)
def test_judging_a_template_takes_no_more_time_than_it_is_longer(shape: str) -> None:
    assert growth.growth(growth.seconds, growth.lint, growth.TEMPLATES[shape], 400) <= growth.MOST


def test_the_same_seed_gives_the_same_inputs() -> None:
    script = "from tests.fuzz.inputs import make_input; print([make_input(3, i) for i in range(40)])"
    other = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert other.stdout.rstrip("\n") == repr([make_input(3, index) for index in range(40)])
    assert {make_input(3, index).kind for index in range(200)} == {"template", "expression", "path", "duration"}


# What the fuzzer would see


def test_what_runs_on_and_on_is_stopped() -> None:
    with pytest.raises(Hang), limited(0.05):
        for _ in itertools.count():
            pass


def test_what_reaches_outside_is_seen(tmp_path: Path) -> None:
    with pytest.raises(Violation, match="nothing outside is touched: open"), watched():
        (tmp_path / "written").write_text("")
    with pytest.raises(Violation, match=r"subprocess\.Popen"), watched():
        subprocess.run(["true"], check=True)


def test_a_failure_is_made_small_and_says_how_to_have_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(one: Input) -> None:
        if one.kind == "template" and one.text.count("e") > 2:
            raise KeyError(one.text)

    monkeypatch.setattr(run, "check", check)
    failure = next(one for one in run.run(SEED, itertools.count()) if one is not None)
    assert (failure.what, failure.input.text) == ("KeyError", "eee")
    assert f"--seed {SEED} --only {failure.index}" in str(failure)
