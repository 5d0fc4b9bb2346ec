"""Which files make which templates: looks at files that may have changed, saves what they say, and tells what came of
it. It holds what was seen; the storage holds the rest, so that a rename is known for one after a restart too."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from stepflow.contracts.storage import Storage, TemplateText, WatchedFile, WatchedTemplate
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.dsl.inputs import Takes
from stepflow.dsl.load import MAX_BYTES
from stepflow.dsl.locate import Locator
from stepflow.dsl.validate import ReadFlow, read_flow
from stepflow.errors import DatabaseGoneError, StorageError
from stepflow.model.ids import template_name_of
from stepflow.model.template import SavedVersion
from stepflow.workspace.finding import is_template
from stepflow.workspace.outcomes import Back, Gone, Mended, Outcome, Problem, Renamed, Saved, Trouble, Unchanged

Unsure = Literal["written", "empty", "gone"]
"""Why a file is looked at again: it seems half written, has nothing in it yet, or is not there."""
SAVED_AT_ONCE = 100
"""In one transaction; others that write come in between."""


class _File(msgspec.Struct):
    """A file that makes a template, or was meant to."""

    state: Literal["flow", "broken", "absent"]
    hash: str
    """Of its text."""
    name: str = ""
    """The template that it makes, or made before it broke or went away."""
    says_name: bool = False
    """Itself; else it is named after the file."""
    text: str = ""
    read: ReadFlow | None = None
    """Both until it is saved."""


class WorkspaceFiles:
    """`shown`: a file as people are told of it. Not for two threads at once."""

    def __init__(
        self,
        storage: Storage,
        root: str,
        shown: Callable[[str], str],
        now: Callable[[], int],
        ours: Mapping[str, Takes],
    ) -> None:
        self._storage = storage
        self._root = root
        self._shown = shown
        self._now = now
        self._ours = ours
        self._components = ours
        self._turned_off: Mapping[str, str] = {}
        self._files: dict[str, _File] = {}
        self._inodes: dict[str, int | None] = {}
        """Of all that were looked at, as they were then."""
        self._claims: dict[str, set[str]] = {}
        """Files by the template they make."""
        self._owners: dict[str, str] = {}
        """By template, the one of these files that makes it."""
        self._stored: dict[str, WatchedTemplate] = {}
        self._created_from: dict[str, str] = {}
        """Templates by the file that somebody created them from by hand."""
        self._problems: dict[str, tuple[Diagnostic, ...]] = {}
        self._emptied: set[str] = set()
        """Files with nothing in them that were seen to become so."""
        self._needing_others: set[str] = set()
        """Templates with components that are not ours."""
        self._missing: dict[str, list[str]] | None = None
        """By the hash of what they said, files without a name of their own that are not there: one of a new file's text
        had another name before."""
        self._going: list[str] = []
        """Templates whose file is gone, until the storage knows."""
        self._trouble = ""

    @property
    def template_count(self) -> int:
        return len(self._owners)

    def begin(self) -> set[str]:
        """Learn what the storage knows; the files that it knows. Raises where nothing can be written."""
        self._storage.mark_files_gone(())
        self._stored = {}
        # Those that are gone first: their file may make another template by now.
        for template in sorted(self._storage.watched_templates(), key=lambda template: not template.file_gone):
            if not template.path.startswith(f"{self._root}/"):
                continue
            if template.hash is None:
                self._created_from[template.path] = template.name
                continue
            self._stored[template.name] = template
            self._put(template.path, _File("absent", template.hash, template.name))
            if not template.file_gone:
                self._owners[template.name] = template.path
        return set(self._files)

    def offer(self, components: Mapping[str, Takes], turned_off: Mapping[str, str]) -> set[str]:
        """Beside ours there are these `components` now, of which some may not be used; the files that have to be judged
        again."""
        self._components = {**self._ours, **components}
        are_others_off, self._turned_off = turned_off != self._turned_off, turned_off
        found = set()
        for path, file in self._files.items():
            is_wrong = file.state == "broken" or path in self._problems
            if (are_others_off or is_wrong or file.name in self._needing_others) and file.state != "absent":
                file.hash = ""
                found.add(path)
        return found

    def below(self, folder: str) -> set[str]:
        """The files known in a folder: when it goes, nothing is said of each."""
        return {path for path in self._files if path.startswith(f"{folder}/")}

    def look(
        self, paths: Iterable[str], *, is_last: bool, whole: Collection[str] = ()
    ) -> tuple[list[Outcome], dict[str, Unsure]]:
        """What came of these files; and those of them that have to be looked at again, each with why. `is_last`: that
        was it, they are as they are; so are those of `whole` that were there before."""
        outcomes: list[Outcome] = []
        unsure: dict[str, Unsure] = {}
        names: dict[str, None] = {}
        self._missing = None
        paths = sorted(paths)
        for path in paths:
            before = self._files.get(path)
            if before is not None and before.name:
                names[before.name] = None
            inode = _inode(path)
            # Some systems tell of what is written in place as of what appears.
            is_other = before is not None and before.state != "absent" and inode != self._inodes.get(path)
            is_whole = path in whole and is_other
            self._inodes[path] = inode
            if not self._see(path, outcomes, is_last=is_last or is_whole):
                unsure[path] = "gone" if inode is None else "empty" if path in self._emptied else "written"
            after = self._files.get(path)
            if after is not None and after.name:
                names[after.name] = None
        try:
            self._settle(names, outcomes, is_last=is_last)
            self._trouble = ""
        except DatabaseGoneError:
            raise  # trying again does not help
        except StorageError as error:
            unsure.update(dict.fromkeys(paths, "written"))
            if error.message != self._trouble:
                outcomes.append(Trouble(error.message))
            self._trouble = error.message
        return outcomes, unsure

    # One file

    def _see(self, path: str, outcomes: list[Outcome], *, is_last: bool) -> bool:
        """Take in what a file says by now. False: it may be about to say something else."""
        known = self._files.get(path)
        data = _read(path)
        if data is None or isinstance(data, OSError):
            self._emptied.discard(path)
            return self._miss(path, known, data, outcomes, is_last=is_last)
        digest = hashlib.sha256(data).hexdigest()
        if not data.strip():
            return self._see_empty(path, known, digest, outcomes, is_last=is_last)
        self._emptied.discard(path)
        if known is not None and known.state != "absent" and known.hash == digest:
            return True
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            if known is None and b"steps" not in data:
                return True
            said = Diagnostic("E181", "error", f"It is not UTF-8 text (byte {error.start})", file=self._shown(path))
            return self._break(path, known, digest, (said,), outcomes, is_last=is_last)
        is_owner = known is not None and self._owners.get(known.name) == path
        if not is_owner and not is_template(text, path):
            return self._miss(path, known, None, outcomes, is_last=is_last)
        read = read_flow(text, file=self._shown(path), components=self._components, turned_off=self._turned_off)
        if read.flow is None:
            return self._break(path, known, digest, read.diagnostics, outcomes, is_last=is_last)
        file = _File("flow", digest, read.flow.name, bool(read.flow.name), text, read)
        file.name = file.name or self._name_of(path, known, digest)
        if not file.name:
            said = Diagnostic("E105", "error", "It has no name, and that of the file is none", file=self._shown(path))
            return self._break(path, known, digest, (said,), outcomes, is_last=True)
        self._put(path, file)
        return True

    def _see_empty(
        self, path: str, known: _File | None, digest: str, outcomes: list[Outcome], *, is_last: bool
    ) -> bool:
        """Somebody is about to write it, most often. One that never was a template is none of ours, unless it became
        empty, or came, while somebody looked."""
        if not is_last:
            self._emptied.add(path)
            return False
        if known is None and path not in self._emptied:
            return True
        said = Diagnostic("E181", "error", "It is empty", file=self._shown(path), hint="write its steps, or delete it")
        return self._break(path, known, digest, (said,), outcomes, is_last=True)

    def _miss(
        self, path: str, known: _File | None, error: OSError | None, outcomes: list[Outcome], *, is_last: bool
    ) -> bool:
        """There is no template in it, or it cannot be read."""
        if known is None:
            return True
        if error is not None:
            said = Diagnostic("E181", "error", f"It cannot be read: {error.strerror}", file=self._shown(path))
            return self._break(path, known, known.hash, (said,), outcomes, is_last=is_last)
        known.state = "absent"
        if is_last and not known.name:
            self._drop(path)
        if is_last and self._problems.pop(path, None) is not None:
            outcomes.append(Mended(self._shown(path), gone=_inode(path) is None))
        return is_last

    def _break(
        self,
        path: str,
        known: _File | None,
        digest: str,
        diagnostics: tuple[Diagnostic, ...],
        outcomes: list[Outcome],
        *,
        is_last: bool,
    ) -> bool:
        """It keeps its template, which stays as it was."""
        if not is_last:
            return False
        name, says_name = ("", False) if known is None else (known.name, known.says_name)
        self._put(path, _File("broken", digest, name, says_name))
        self._say(path, diagnostics, outcomes)
        return True

    def _say(self, path: str, diagnostics: tuple[Diagnostic, ...], outcomes: list[Outcome]) -> None:
        """Each problem once."""
        if self._problems.get(path) != diagnostics:
            self._problems[path] = diagnostics
            outcomes.append(Problem(self._shown(path), diagnostics))

    def _name_of(self, path: str, known: _File | None, digest: str) -> str:
        """Of a file that does not say one: that of the template it makes already, under whatever name it did; else its
        own."""
        if known is not None and known.name:
            return known.name
        if self._missing is None:
            self._missing = {}
            for other, file in self._files.items():
                if file.name and not file.says_name and not Path(other).exists():
                    self._missing.setdefault(file.hash, []).append(other)
        before = self._missing.get(digest)
        if before:
            same = next((other for other in before if Path(other).name == Path(path).name), before[0])
            before.remove(same)
            return self._files[same].name
        return self._created_from.get(path) or template_name_of(Path(path).stem)

    def _put(self, path: str, file: _File) -> None:
        self._drop(path)
        self._files[path] = file
        if file.name:
            self._claims.setdefault(file.name, set()).add(path)

    def _drop(self, path: str) -> None:
        file = self._files.pop(path, None)
        if file is not None and file.name:
            self._claims[file.name].discard(path)

    # What follows for templates

    def _settle(self, names: Collection[str], outcomes: list[Outcome], *, is_last: bool) -> None:
        """Say who makes each of these templates, and save what is new."""
        to_save: dict[str, str] = {}
        for name in names:
            owner = self._owner_of(name, is_last=is_last)
            if owner is None:
                if self._owners.pop(name, None) is not None:
                    self._going.append(name)
                continue
            self._owners[name] = owner
            for path in sorted(self._claims[name] - {owner}):
                if self._files[path].state == "flow" and self._files[owner].state != "absent":
                    self._say(path, (self._second(path, self._files[path], owner),), outcomes)
            if self._files[owner].state == "flow":
                to_save[name] = owner
        self._save(to_save, outcomes)
        self._mark_gone(outcomes)

    def _owner_of(self, name: str, *, is_last: bool) -> str | None:
        """The file that made it up to now, while it is there and says so; else the first by path."""
        claims = self._claims.get(name, set())
        present = [path for path in claims if self._is_there(path)]
        owner = self._owners.get(name)
        if owner in present:
            return owner
        if owner in claims and not is_last:
            # It may be back in a moment; unless it has only got another name.
            digest = self._files[owner].hash
            present = [path for path in present if self._files[path].hash == digest]
            if not present:
                return owner
        if present:
            for path in claims - {path for path in claims if self._is_there(path)}:
                self._drop(path)
            return min(present)
        for path in list(claims):
            self._drop(path)
        return None

    def _is_there(self, path: str) -> bool:
        file = self._files[path]
        if file.state != "absent" and not Path(path).exists():
            file.state = "absent"  # what told us of the new name came before what tells us of this
        return file.state != "absent"

    def _second(self, path: str, file: _File, owner: str) -> Diagnostic:
        where: dict[str, Any] = {"file": self._shown(path)}
        if file.says_name and file.read is not None:
            where = Locator(file.text, file.read.source_format, self._shown(path), ())(("name",), None)
        message = f"{self._shown(owner)} makes the template '{file.name}' already"
        return Diagnostic("E180", "error", message, **where, hint="give one of them another `name:`, or delete it")

    def _save(self, to_save: Mapping[str, str], outcomes: list[Outcome]) -> None:
        waiting = []
        for name, path in to_save.items():
            if self._problems.pop(path, None) is not None:
                outcomes.append(Mended(self._shown(path)))
            file, stored = self._files[path], self._stored.get(name)
            if stored is not None and (stored.path, stored.hash, stored.file_gone) == (path, file.hash, False):
                if file.read is not None:
                    outcomes.append(Unchanged(self._shown(path), name, stored.version))
                self._let_go(file)
            else:
                waiting.append((name, path, file))
        for start in range(0, len(waiting), SAVED_AT_ONCE):
            some = waiting[start : start + SAVED_AT_ONCE]
            versions = self._storage.save_watched_templates([self._text_of(*one) for one in some])
            for (name, path, file), version in zip(some, versions, strict=True):
                outcomes.append(self._outcome(name, path, file, version))
                self._stored[name] = WatchedTemplate(name, version.version, path, file.hash, False, False)
                self._let_go(file)

    def _text_of(self, name: str, path: str, file: _File) -> TemplateText:
        read = file.read
        assert read is not None
        assert read.flow is not None
        return TemplateText(
            name=name,
            source=file.text,
            source_format=read.source_format,
            flow=read.flow,
            description=read.flow.description or None,
            base_dir=os.path.dirname(path),  # noqa: PTH120 - reads no disk
            now=self._now(),
            file=self._shown(path),
            watched=WatchedFile(path, file.hash),
        )

    def _outcome(self, name: str, path: str, file: _File, version: SavedVersion) -> Outcome:
        stored = self._stored.get(name)
        shown = self._shown(path)
        if stored is not None and stored.hash == file.hash:
            if stored.path != path:
                return Renamed(shown, self._shown(stored.path), name, version.version)
            return Back(shown, name, version.version)
        if version.change == "nothing":
            return Unchanged(shown, name, version.version)
        assert file.read is not None
        return Saved(shown, name, version.version, version.change, file.read.diagnostics)

    def _let_go(self, file: _File) -> None:
        """Its text is in the storage now."""
        if file.read is not None and file.read.flow is not None:
            needs_others = any(component not in self._ours for component in file.read.flow.components)
            (self._needing_others.add if needs_others else self._needing_others.discard)(file.name)
        file.text, file.read = "", None

    def _mark_gone(self, outcomes: list[Outcome]) -> None:
        known = [self._stored[name] for name in self._going if name in self._stored and name not in self._owners]
        if known:
            self._storage.mark_files_gone([template.name for template in known])
        self._going.clear()
        for template in known:
            self._stored[template.name] = msgspec.structs.replace(template, file_gone=True)
            self._created_from[template.path] = template.name
            if not template.deleted:
                outcomes.append(Gone(self._shown(template.path), template.name))


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - for each file that is looked at
    except OSError:
        return None


def _read(path: str) -> bytes | OSError | None:
    """None: there is no such file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - a pipe of that name would keep us for ever
            return None
        with open(path, "rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return error
