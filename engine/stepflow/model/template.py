"""A template and its versions, as the client hands them out."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from stepflow.model.flow import Flow
from stepflow.model.ids import template_trn


class TemplateVersion(msgspec.Struct, frozen=True):
    """One version of a template; what a run is pinned to."""

    id: int
    """Of this version in its storage."""
    name: str
    version: int
    """1, 2, … within the template."""
    source: str
    """The text as the author wrote it."""
    source_format: Literal["yaml", "json"]
    flow: Flow
    base_dir: str | None
    """The folder the text was read from; `/builtin/load_file` reads relative to it."""
    created_at: datetime
    file: str | None = None
    """The text's file, as it was named."""


class SavedVersion(TemplateVersion, frozen=True):
    """The newest version as saving leaves it."""

    change: Literal["version", "text", "nothing"] = "version"
    """It is a new one; or it stays, its flow being the same, and only its text or the description is another; or all is
    as it was."""


class Template(msgspec.Struct, frozen=True):
    name: str
    description: str
    version: int
    """The newest version's number."""
    created_at: datetime
    updated_at: datetime
    file: str | None = None
    """The whole path of the file in a watched folder that makes it."""
    file_gone: bool = False
    """That file is not there any more."""

    @property
    def trn(self) -> str:
        return template_trn(self.name)
