"""What differs between two flows, by the names of the language: steps that came, went or changed, and the flow's own
keys."""

from __future__ import annotations

import msgspec

from stepflow.model.flow import Flow

Folder = str | None


class FlowChanges(msgspec.Struct, frozen=True):
    added: tuple[str, ...] = ()
    """Keys of steps, in the order of the flow."""
    removed: tuple[str, ...] = ()
    changed: dict[str, tuple[str, ...]] = {}
    """Step key -> what of it differs: `input`, `retry` …"""
    reordered: bool = False
    """The steps that both have stand in another order."""
    settings: tuple[str, ...] = ()
    """What differs beside the steps: `input_schema`, `timeout` …; `folder`: where files are looked for."""

    def __bool__(self) -> bool:
        return self != FlowChanges()


def compare_flows(before: Flow, after: Flow, before_folder: Folder = None, after_folder: Folder = None) -> FlowChanges:
    old = {step.key: step for step in before.steps}
    new = {step.key: step for step in after.steps}
    settings = [one for one in _differing(before, after) if one != "steps"]
    if before_folder != after_folder:
        settings.append("folder")
    return FlowChanges(
        added=tuple(key for key in new if key not in old),
        removed=tuple(key for key in old if key not in new),
        changed={key: _differing(old[key], step) for key, step in new.items() if key in old and old[key] != step},
        reordered=[key for key in old if key in new] != [key for key in new if key in old],
        settings=tuple(settings),
    )


def _differing(before: msgspec.Struct, after: msgspec.Struct) -> tuple[str, ...]:
    """The fields that differ, as authors write them; each once."""
    fields = (field for field in before.__struct_fields__ if getattr(before, field) != getattr(after, field))
    return tuple(dict.fromkeys(field.removesuffix("_ms").removeprefix("has_") for field in fields))
