"""Template versions made ready to perform, and which of them this worker can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stepflow.contracts.outcomes import CheckOutput
from stepflow.core.graph import Graph, build_graph
from stepflow.dsl.locate import Locator
from stepflow.dsl.schemas import output_check
from stepflow.dsl.starting import check_start
from stepflow.errors import InvalidInputError
from stepflow.model.flow import Json
from stepflow.model.template import TemplateVersion
from stepflow.runtime.bridge import Bridge


class LoadedTemplate:
    def __init__(self, version: TemplateVersion) -> None:
        flow = version.flow
        self.base_dir = version.base_dir
        self.output_checks: dict[int, CheckOutput] = {
            index: output_check(step.output_schema, hidden=step.sensitive)
            for index, step in enumerate(flow.steps)
            if step.output_schema is not None
        }
        self.name = version.name
        self.secrets = flow.secrets
        output_problem = None if flow.output_schema is None else output_check(flow.output_schema)

        # A flow written out inside another has a text that nobody wrote.
        source = "" if "/" in version.name else version.source
        locate = Locator(source, version.source_format, version.file, tuple(step.key for step in flow.steps))
        self.graph: Graph = build_graph(
            flow, output_problem=output_problem, step_problems=self.output_checks, locate=locate
        )

    def input_problem(self, value: Json, variables: Mapping[str, Json]) -> str | None:
        """Why a child cannot begin with this."""
        try:
            check_start(self.graph.flow, value, variables)
        except InvalidInputError as error:
            return error.message
        return None

    def metadata_of(self, step: int) -> dict[str, Any]:
        """The flow's with the step's over it."""
        flow = self.graph.flow
        return {**flow.metadata, **flow.steps[step].metadata}


class LoadedTemplates:
    """A version never changes, so it is loaded once."""

    def __init__(self, bridge: Bridge, offers: Callable[[str], bool], say: Callable[[str], None]) -> None:
        self._bridge = bridge
        self.offers = offers
        self._say = say
        self._loaded: dict[int, LoadedTemplate | None] = {}
        self.not_offered: frozenset[int] = frozenset()
        """Versions that need a component this worker does not have."""

    def at_hand(self, number: int) -> LoadedTemplate | None:
        """If it was loaded before. From any thread."""
        return self._loaded.get(number)

    async def load(self, number: int) -> LoadedTemplate | None:
        """None: a component of it is not offered here."""
        template = self._loaded.get(number)
        if template is None and number not in self.not_offered:
            version = await self._bridge.call(self._bridge.storage.template_version_by_id, number)
            # A flow without a template of its own needs what the storage says, which the claim has judged.
            inline = "/" in version.name
            if inline or all(self.offers(component) for component in version.flow.components):
                template = self._loaded[number] = self._made_ready(version)
            if template is None:
                self.not_offered |= {number}
        return template

    def _made_ready(self, version: TemplateVersion) -> LoadedTemplate | None:
        try:
            return LoadedTemplate(version)
        except Exception as error:  # noqa: BLE001 - one template that a release cannot read must not end its worker
            self._say(f"template '{version.name}' version {version.version} cannot be performed here: {error}")
            return None
