"""Editing a template in the person's own editor: its file, or a copy of its text that becomes the next version."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeGuard

from textual.app import App

from stepflow.errors import WorkflowEngineError
from stepflow.model.template import TemplateVersion
from stepflow_tui.editor import EditorError, edit
from stepflow_tui.session import Session


class Editing:
    """For one press of the key. `say` tells of the outcome, in a style; `changed`: what is shown may be another."""

    def __init__(
        self, app: App[int], session: Session, say: Callable[[str, str], None], changed: Callable[[], None]
    ) -> None:
        self._app = app
        self._session = session
        self._client = session.client
        self._say = say
        self._changed = changed

    async def edit_template(self, name: str, line: int) -> None:
        """`EditorError`; `WorkflowEngineError` where what was written cannot be saved: the file stays as it is."""
        try:
            await self._edit(name, line)
        except OSError as error:
            raise _unreadable(error) from error

    async def edit_file(self, file: str, line: int, name: str | None) -> None:
        """What is watched is saved by the one who watches; all else here, as the next version of `name`. Raises as
        `edit_template`."""
        try:
            await self._edit_file(file, line, name)
        except OSError as error:
            raise _unreadable(error) from error

    async def _edit(self, name: str, line: int) -> None:
        template = await self._client.describe_template(name)
        if not template.file_gone and _is_file(template.file):
            await self._edit_file(template.file, line, name)
            return
        version = await self._client.get_template(name)
        file = _own_file(version)
        if file is not None:
            await self._edit_file(file, line, name)
        else:
            await self._edit_copy(version, line)

    async def _edit_file(self, file: str, line: int, name: str | None) -> None:
        before = _read(file)
        edit(self._app, file, line)
        after = _read(file)
        if after == before:
            self._say("Nothing was changed", "title")
        elif name is not None and not _is_watched(self._session, file):
            saved = await self._client.update_template(name, _checked(after), file=file)
            self._say(f"Saved {saved.name} v{saved.version}", "good")

    async def _edit_copy(self, version: TemplateVersion, line: int) -> None:
        """What cannot be saved stays, and is opened again the next time."""
        drafts = self._session.drafts
        draft = drafts.get(version.name)
        if not _is_file(draft):
            draft = await asyncio.to_thread(_copy, version)
        try:
            edit(self._app, draft, line)
            text = _read(draft)
            if text == version.source:
                self._say("Nothing was changed", "title")
            else:
                text = _checked(text)
                saved = await self._client.update_template(version.name, text, base_dir=version.base_dir, force=True)
                self._say(f"Saved {saved.name} v{saved.version}", "good")
        except WorkflowEngineError as error:
            if _read(draft) == version.source:
                _remove(draft)
                raise
            drafts[version.name] = draft
            self._changed()
            why = error.message if isinstance(error, EditorError) else "Not saved"
            self._say(f"{why}; e opens it again ({draft})", "bad")
            return
        drafts.pop(version.name, None)
        _remove(draft)
        self._changed()


def _own_file(version: TemplateVersion) -> str | None:
    """The file that it was made from by hand, while it says the same."""
    if version.file is None:
        return None
    file = os.path.join(version.base_dir or "", Path(version.file).name)  # noqa: PTH118 - its folder, its name
    return file if _is_file(file) and _read(file) == version.source else None


def _is_file(file: str | None) -> TypeGuard[str]:
    return file is not None and Path(file).is_file()


def _remove(file: str) -> None:
    Path(file).unlink(missing_ok=True)


def _copy(version: TemplateVersion) -> str:
    handle, path = tempfile.mkstemp(prefix=f"{version.name}-", suffix=f".{version.source_format}")
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as opened:
        opened.write(version.source)
    return path


def _is_watched(session: Session, file: str) -> bool:
    workspace = session.client.workspace
    if workspace is None or not session.files.is_watched:
        return False
    return os.path.realpath(file).startswith(f"{os.path.realpath(workspace)}/")


def _read(file: str) -> str:
    """Bytes that are no UTF-8 can still be compared."""
    with open(file, encoding="utf-8", errors="surrogateescape", newline="") as opened:
        return opened.read()


def _checked(text: str) -> str:
    """`EditorError`: there are bytes in it that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise EditorError(f"Not saved: it is not UTF-8 text (character {error.start}); save it as UTF-8") from None
    return text


def _unreadable(error: OSError) -> EditorError:
    return EditorError(f"{error.filename or 'The file'} cannot be read: {error.strerror or error}")
