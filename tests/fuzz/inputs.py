"""The input with a number: the same for the same seed and the same tree, so that a failure can be had again."""

from __future__ import annotations

from random import Random
from typing import Literal

import msgspec

from tests.fuzz import corpus
from tests.fuzz.expressions import ATTEMPTS, write_expression, write_path
from tests.fuzz.mutations import mutate
from tests.fuzz.templates import write_template

Kind = Literal["template", "expression", "path", "duration"]


class Input(msgspec.Struct, frozen=True):
    kind: Kind
    text: str


def make_input(seed: int, index: int) -> Input:
    random = Random(f"{seed}/{index}")
    roll = random.random()
    if roll < 0.15:
        return Input("template", write_template(random))
    if roll < 0.25:
        return Input("template", mutate(random, write_template(random), corpus.templates()))
    if roll < 0.5:
        return Input("template", mutate(random, random.choice(corpus.templates()), corpus.templates()))
    if roll < 0.75:
        return Input("expression", write_expression(random))
    if roll < 0.9:
        others = (*corpus.expressions(), *ATTEMPTS)
        return Input("expression", mutate(random, random.choice(others), others))
    if roll < 0.96:
        return Input("path", write_path(random))
    return Input(
        "duration", mutate(random, random.choice(("250ms", "1h30m", "2 d", "1.5h", "30")), ("9" * 400, "1w2w", "٣"))
    )
