"""What of a run's output is shown no more than the sensitive steps that it comes from."""

from __future__ import annotations

import msgspec

from stepflow.model.flow import Flow, Json


class HiddenOutput(msgspec.Struct, frozen=True):
    whole: bool = False
    keys: frozenset[str] = frozenset()
    """Of the output, where it is an object."""


NOTHING_HIDDEN = HiddenOutput()


def hidden_output(flow: Flow) -> HiddenOutput:
    sensitive = {step.key for step in flow.steps if step.sensitive}
    if not sensitive:
        return NOTHING_HIDDEN
    if not flow.has_output:
        return HiddenOutput(keys=frozenset(sensitive))
    from stepflow.core.values import compile_value  # few templates have a secret, and most readers compile nothing

    index_of = {step.key: index for index, step in enumerate(flow.steps)}
    indexes = {index_of[key] for key in sensitive}

    def comes_from_one(raw: Json) -> bool:
        return not indexes.isdisjoint(compile_value(raw, index_of).steps)

    if isinstance(flow.output, dict) and not any(key.startswith("$") for key in flow.output):
        return HiddenOutput(keys=frozenset(key for key, raw in flow.output.items() if comes_from_one(raw)))
    return HiddenOutput(whole=comes_from_one(flow.output))
