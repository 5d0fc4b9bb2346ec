"""Flows that steps start child runs of: written out in a value, or templates by their name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from stepflow.contracts.component import FlowVersion, check_depth
from stepflow.contracts.storage import TemplateText
from stepflow.dsl.validate import read_flow
from stepflow.errors import ComponentError, DSLValidationError
from stepflow.model import jsontext
from stepflow.model.flow import Json
from stepflow.model.times import now_ms
from stepflow.runtime.bridge import Bridge

KEPT = 200
"""Flows that were read lately and need not be read again."""


class InlineFlows:
    def __init__(self, bridge: Bridge, offers: Callable[[str], bool]) -> None:
        self._bridge = bridge
        self._offers = offers
        self._kept: OrderedDict[tuple[str, str | None, str], FlowVersion] = OrderedDict()

    async def resolve(
        self, workflow: Json, template: str | None, *, name: str, base_dir: str | None, depth: int
    ) -> FlowVersion:
        """`name`: of the hidden template that a flow without one belongs to. `ComponentError`, `DSLValidationError`,
        `TemplateNotFoundError`."""
        check_depth(depth)
        storage = self._bridge.storage
        if template is not None:
            version = await self._bridge.call(storage.get_template_version, template)
            return FlowVersion(version.id, version.name, len(version.flow.steps))
        source = workflow if isinstance(workflow, str) else jsontext.encode(workflow)
        key = (name, base_dir, source)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = await self._save(name, base_dir, workflow, source)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found

    async def _save(self, name: str, base_dir: str | None, workflow: Json, source: str) -> FlowVersion:
        if not isinstance(workflow, str | dict):
            raise ComponentError("INVALID_INPUT", "A workflow is a mapping with 'steps', or the text of one")
        read = read_flow(workflow)
        if read.flow is None:
            raise DSLValidationError(read.diagnostics)
        text = TemplateText(
            name=name,
            source=source,
            source_format=read.source_format,
            flow=read.flow,
            description=None,
            base_dir=base_dir,
            now=now_ms(),
        )
        # What nobody offers fails the step that runs it, where its on_error covers it.
        components = [component for component in read.flow.components if self._offers(component)]
        version = await self._bridge.call(self._bridge.storage.save_inline_template, text, components)
        return FlowVersion(version.id, version.name, len(read.flow.steps))
