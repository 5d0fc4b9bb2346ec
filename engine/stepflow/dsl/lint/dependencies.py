"""What a step waits for only because of what its input refers to, whatever the values turn out to be."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from stepflow.model.flow import Flow, Json, Step


def certain_references(value: Json) -> Iterator[tuple[str, bool]]:
    """Steps that a canonical value template needs in every case, and whether a default stands in when one was skipped.

    Not those under a choice, which may never be looked at.
    """
    if isinstance(value, list):
        for item in value:
            yield from certain_references(item)
    elif isinstance(value, dict):
        source = value.get("$from")
        if isinstance(source, dict):
            # The status and the error of a step can be read whatever became of it.
            if isinstance(source.get("step"), str) and "part" not in source:
                yield source["step"], _has_default(value)
        elif "$if" in value:
            yield from certain_references(value["$if"])
        elif not any(key.startswith("$") for key in value):
            for item in value.values():
                yield from certain_references(item)


def _has_default(reference: dict[str, Json]) -> bool:
    action = reference.get("$on_skip")
    return action == "use_default" or ("$default" in reference and action != "skip_step")


def implied_dependencies(flow: Flow, index: int) -> frozenset[str]:
    """Steps that step `index` waits for, and fails with, without naming them in `depends_on`."""
    implied = {key for key, _ in certain_references(flow.steps[index].input)}
    if flow.order == "sequential" and index > 0:
        implied.add(flow.steps[index - 1].key)
    return frozenset(implied)


def without_implied_dependencies(flow: Flow) -> Flow:
    """The same flow with every `depends_on` as short as it can be."""

    def shortened(index: int, step: Step) -> Step:
        implied = implied_dependencies(flow, index)
        return msgspec.structs.replace(step, depends_on=tuple(key for key in step.depends_on if key not in implied))

    steps = tuple(shortened(index, step) if step.depends_on else step for index, step in enumerate(flow.steps))
    return msgspec.structs.replace(flow, steps=steps)
