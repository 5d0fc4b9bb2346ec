"""StepFlow: durable workflows on one machine, live in a terminal.

The names a program may use; each is imported when it is first asked for, so that commands start at once.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Client": "stepflow.client",
    "ComponentError": "stepflow.errors",
    "RunStatus": "stepflow.model.statuses",
    "SkipStep": "stepflow.contracts.component",
    "SleepUntil": "stepflow.contracts.component",
    "StepStatus": "stepflow.model.statuses",
    "WorkflowEngineError": "stepflow.errors",
    "component": "stepflow.components.decorator",
    "generate_id": "stepflow.model.ids",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'stepflow' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
