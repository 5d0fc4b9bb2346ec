"""What an execution gave, for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepflow.cli.text import json_text, safe
from stepflow.model.statuses import StepStatus

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.model.run import RunRecord


async def result_text(client: Client, run: RunRecord) -> str:
    """JSON; of a result that is skipped, because of which step."""
    if not run.output_skipped:
        return json_text(run.output)
    from stepflow.core.graph import build_graph

    flow = (await client.get_template(run.template, run.version)).flow
    steps = await client.get_steps(run.id, bodies=False)
    asked = build_graph(flow).output_steps
    skipped = next((step.key for step in steps if step.index in asked and step.status is StepStatus.SKIPPED), None)
    return "null (skipped)" if skipped is None else f"null (skipped: step '{safe(skipped)}' was skipped)"
