"""A scope with a step of each kind, for values and expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepflow.model.statuses import StepStatus

STEPS = {"done": 0, "skipped": 1, "failed": 2, "null": 3, "file": 4}
OUTPUTS: dict[int, Any] = {
    0: {"a": {"b": [10, 20, {"c d": "x"}]}, "a.b": "literal", "0": "zero", "n": 3, "text": "abc", "list": [1, 2.5]},
    3: None,
    4: {"data": {"inner": 1}, "metadata": {}},
}
STATUSES = {1: StepStatus.SKIPPED, 2: StepStatus.FAILED}
ERRORS = {2: {"code": "BROKEN", "message": "it broke"}}


class World:
    def __init__(self, input: Any = None, *, at_hand: bool = True) -> None:  # noqa: A002 - the word of the language
        self.input = {"x": 1} if input is None else input
        self.variables: Mapping[str, Any] = {"v": {"deep": True}}
        self.run = {"id": "exec_1"}
        self.now = 1_700_000_000_000
        self.values = OUTPUTS if at_hand else {}
        self.warnings: list[str] = []

    def status_of(self, step: int) -> StepStatus:
        return STATUSES.get(step, StepStatus.COMPLETED)

    def output_of(self, step: int) -> Any:
        return OUTPUTS[step]

    def error_of(self, step: int) -> dict[str, Any] | None:
        return ERRORS.get(step)

    def warn(self, message: str) -> None:
        self.warnings.append(message)
