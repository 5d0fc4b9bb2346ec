"""`/workflow/classifier`: writes the workflow that a request needs."""

from stepflow import ComponentError, component

SUM = {
    "name": "sum",
    "steps": [{"id": "add", "component": "/builtin/echo", "input": "${{ sum($.input.numbers) }}"}],
    "output": {"total": "$.steps.add.output"},
}
SHOUT = {
    "name": "shout",
    "steps": [{"id": "raise", "component": "/builtin/echo", "input": "${{ upper($.input.text) }}"}],
    "output": {"said": "$.steps.raise.output"},
}


@component("/workflow/classifier")
def classifier(value: dict) -> dict:
    """The workflow for numbers, or the one for a text."""
    request = value["request"]
    if "numbers" in request:
        return {"type": "sum", "workflow_definition": SUM}
    if "text" in request:
        return {"type": "shout", "workflow_definition": SHOUT}
    raise ComponentError("UNKNOWN_REQUEST", "A request has numbers or a text")
