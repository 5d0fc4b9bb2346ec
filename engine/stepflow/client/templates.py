"""Templates and their versions."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from stepflow.client.connection import Connection
from stepflow.contracts.storage import TemplateText
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.errors import DSLValidationError, WorkflowEngineError
from stepflow.model import jsontext
from stepflow.model.flow import Flow
from stepflow.model.ids import is_template_name, template_name_of
from stepflow.model.template import SavedVersion, Template, TemplateVersion

if TYPE_CHECKING:
    from stepflow.workbench import Workbench


class SavedTemplate(SavedVersion, frozen=True):
    """The newest version as saving leaves it, and what there is to say of it."""

    diagnostics: tuple[Diagnostic, ...] = ()
    """Warnings and notes; errors refuse it."""


class Templates(Connection):
    async def create_template(
        self,
        name: str | None,
        dsl: str | Mapping[str, Any],
        description: str | None = None,
        base_dir: str | None = None,
        file: str | None = None,
    ) -> SavedTemplate:
        """Version 1 of a new template; `name` None: the name it gives itself. `DSLValidationError`,
        `TemplateExistsError`."""
        return await self._save(name, dsl, description, base_dir, file, create=True, update=False)

    async def update_template(
        self,
        name: str,
        dsl: str | Mapping[str, Any],
        description: str | None = None,
        base_dir: str | None = None,
        file: str | None = None,
        *,
        force: bool = False,
    ) -> SavedTemplate:
        """The next version; the present one where the flow is the same. What another file in a watched folder makes is
        only updated by `force`, until that file changes."""
        _check_name(name)
        if not force:
            await self._refuse_watched(name, file)
        return await self._save(name, dsl, description, base_dir, file, create=False, update=True)

    async def _refuse_watched(self, name: str, file: str | None) -> None:
        template = await self.describe_template(name)
        if template.file is None or not os.path.isfile(template.file):  # noqa: ASYNC240, PTH113 - one look
            return
        if file is None or os.path.realpath(file) != os.path.realpath(template.file):  # noqa: ASYNC240 - one look
            raise WorkflowEngineError(
                "TEMPLATE_WATCHED",
                f"Template '{name}' is made by {template.file}, which `stepflow dev` watches: change that file\n"
                "To update the template all the same, until the file changes: --force",
            )

    async def save_template(
        self,
        name: str | None,
        dsl: str | Mapping[str, Any],
        description: str | None = None,
        base_dir: str | None = None,
        file: str | None = None,
    ) -> SavedTemplate:
        """Create or update."""
        return await self._save(name, dsl, description, base_dir, file, create=True, update=True)

    async def _save(
        self,
        name: str | None,
        dsl: str | Mapping[str, Any],
        description: str | None,
        base_dir: str | None,
        file: str | None,
        *,
        create: bool,
        update: bool,
    ) -> SavedTemplate:
        if base_dir is None and file is not None:
            base_dir = os.path.dirname(os.path.abspath(file))  # noqa: ASYNC240, PTH100, PTH120 - reads no disk
        if name is not None:
            _check_name(name)
        troubles: list[str] = []
        workbench = await self.workbench(troubles.append)
        read = await self._open_bridge.call(workbench.validate, dsl, file)
        if read.flow is None:
            raise DSLValidationError(read.diagnostics)
        text = TemplateText(
            name=name or read.flow.name or _name_of_file(file),
            source=dsl if isinstance(dsl, str) else jsontext.encode(dsl),
            source_format=read.source_format,
            flow=read.flow,
            description=description or read.flow.description or None,
            base_dir=base_dir,
            now=self._clock.now(),
            file=file,
        )
        saved = await self._open_bridge.call(self._open_storage.save_template, text, create=create, update=update)
        said = (*_other_name(saved, dsl), *read.diagnostics, *(Diagnostic("W152", "warning", one) for one in troubles))
        return SavedTemplate(**msgspec.structs.asdict(saved), diagnostics=said)

    async def delete_template(self, name: str) -> None:
        """Hide it; its executions and versions stay."""
        await self._open_bridge.call(self._open_storage.delete_template, name, self._clock.now())

    async def get_template(self, name: str, version: int | None = None) -> TemplateVersion:
        """A version with its source and flow; the newest by default."""
        return await self._open_bridge.call(self._open_storage.get_template_version, name, version)

    async def describe_template(self, name: str) -> Template:
        return await self._open_bridge.call(self._open_storage.get_template, name)

    async def list_templates(self, limit: int = 50, offset: int = 0) -> list[Template]:
        """Newest change first."""
        return await self._open_bridge.call(self._open_storage.list_templates, limit, offset)

    async def count_templates(self) -> int:
        return await self._open_bridge.call(self._open_storage.count_templates)

    async def template_versions(self, name: str, limit: int | None = None) -> list[TemplateVersion]:
        """Newest first; of a deleted template too."""
        return await self._open_bridge.call(self._open_storage.template_versions, name, limit)

    async def count_runs_by_version(self, name: str) -> dict[int, int]:
        """How many executions, children too, each version has; versions without any are left out."""
        return await self._open_bridge.call(self._open_storage.count_runs_by_version, name)

    async def workbench(self, warn: Callable[[str], None] = lambda trouble: None) -> Workbench:
        """Validates, lints, simulates and tests, knowing the templates of this storage and the workspace's
        components; `warn` is told of those that cannot be had."""
        from stepflow.workbench import Workbench

        storage = self._open_storage

        def find_template(name: str) -> Flow:
            return storage.get_template_version(name).flow

        return await self._open_bridge.call(Workbench, self.workspace, warn, find_template)


def _check_name(name: str) -> None:
    if not is_template_name(name):
        like = template_name_of(name)
        hint = f"; use '{like}'" if like else ""
        message = f"'{name}' cannot be a template's name: lowercase letters, digits, . _ and - can{hint}"
        raise WorkflowEngineError("INVALID_NAME", message)


def _name_of_file(file: str | None) -> str:
    name = template_name_of(Path(file).stem) if file else ""
    if not name:
        raise WorkflowEngineError("INVALID_NAME", "The template has no name; give it one, or write `name:` in it")
    return name


def _other_name(saved: TemplateVersion, dsl: str | Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    """That the name it is saved under is not the one it gives itself."""
    own = saved.flow.name
    if own in ("", saved.name):
        return ()
    from stepflow.dsl.locate import Locator

    where = Locator(dsl if isinstance(dsl, str) else "", saved.source_format, saved.file, ())(("name",), None)
    message = f"It is saved as '{saved.name}', and calls itself '{own}'"
    return (Diagnostic("W106", "warning", message, **where, hint="give both the same name, or leave `name:` out"),)
