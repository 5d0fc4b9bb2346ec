"""Inputs run through the checks, and what fails made small and said so that it can be had again."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator

import msgspec

from tests.fuzz.checks import Hang, check
from tests.fuzz.inputs import Input, make_input

MOST_TRIES = 1500
"""Of making a failure small."""
MOST_TRIES_OF_A_HANG = 10


class Failure(msgspec.Struct, frozen=True):
    what: str
    """The same for inputs that fail alike."""
    seed: int
    index: int
    input: Input
    trace: str

    def __str__(self) -> str:
        return (
            f"{self.what}\n{self.trace}\n{self.input.kind}, made small: {self.input.text!r}\n"
            f"again: python -m tests.fuzz --seed {self.seed} --only {self.index}\n"
        )


def run(seed: int, indexes: Iterable[int]) -> Iterator[Failure | None]:
    """One answer for each input; None: all holds."""
    for index in indexes:
        one = make_input(seed, index)
        failed = _fails(one)
        yield None if failed is None else Failure(failed[0], seed, index, _small(one, failed[0]), failed[1])


def _fails(one: Input) -> tuple[str, str] | None:
    """What is wrong, and its trace."""
    try:
        check(one)
    except (Exception, Hang) as error:  # noqa: BLE001 - whatever it is, it is what we look for
        what = f"{type(error).__name__}"
        if type(error).__module__.startswith("tests."):
            return f"{what}: {error}" if not isinstance(error, Hang) else what, _end_of(traceback.format_exc())
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "stepflow" in frame.filename]
        where = f" in {ours[-1].filename.rpartition('stepflow/')[2]}:{ours[-1].name}" if ours else ""
        return what + where, _end_of(traceback.format_exc())
    return None


def _end_of(trace: str) -> str:
    return trace if len(trace) < 3000 else f"{trace[:500]}\n…\n{trace[-2500:]}"


def _small(one: Input, what: str) -> Input:
    """Greedily without whatever is not needed to fail alike."""
    tries = MOST_TRIES_OF_A_HANG if what == "Hang" else MOST_TRIES
    text, size = one.text, max(1, len(one.text) // 2)
    while size and tries > 0:
        at = 0
        while at < len(text) and tries > 0:
            tries -= 1
            shorter = Input(one.kind, text[:at] + text[at + size :])
            failed = _fails(shorter)
            if failed is not None and failed[0] == what:
                text = shorter.text
            else:
                at += size
        size //= 2
    return Input(one.kind, text)
