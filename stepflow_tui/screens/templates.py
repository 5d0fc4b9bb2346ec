"""The templates: the text of the selected one, its problems, versions, what differs, and what it would do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType

from stepflow.dsl.diagnostics import Diagnostic
from stepflow.errors import TemplateNotFoundError
from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow.model.template import TemplateVersion
from stepflow_tui.keymap import Key, bindings
from stepflow_tui.panes.source import Source
from stepflow_tui.panes.template_list import MOST, TemplateList
from stepflow_tui.panes.template_tabs import Problems, Simulated, SourceDiff, Tab, Versions
from stepflow_tui.presentation.problems import problems_note
from stepflow_tui.presentation.source import LEVELS
from stepflow_tui.presentation.spans import safe
from stepflow_tui.presentation.templates import LAST_RUNS, Entry
from stepflow_tui.presentation.versions import diff_of, version_rows, without_flow
from stepflow_tui.remembering import Kept
from stepflow_tui.screens.acting import Acting
from stepflow_tui.session import Session
from stepflow_tui.watching import first_error
from stepflow_tui.widgets.bar import Bar
from stepflow_tui.widgets.lines import LineView
from stepflow_tui.widgets.still import StillHorizontal, StillVertical

if TYPE_CHECKING:
    from stepflow_tui.screens.dashboard import Dashboard

MOST_VERSIONS = 100
MOST_TEXT = 4_000_000
"""Characters of all versions that are read at once; two are read in any case."""
MOST_OF_FILE = 10 * 1024 * 1024
"""Characters of a file that are read: no template may have more."""
MOST_CHECKED = 256 * 1024
"""Characters of a text that is checked unasked: more take seconds, in which keys wait."""
NEVER_SAVED = "There are no versions: the file never was a template"
LEAST_FOR_TABS = 46
"""Cells that the names of all tabs take."""
AGE_SECONDS = 1.0
"""How often it is told how long ago something was saved, for as long as that is told."""


class TemplatesView(Acting):
    view = "templates"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("templates")]
    CSS_PATH = "templates.tcss"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._version: TemplateVersion | None = None
        """The newest of the selected one, as far as it was read."""
        self._made_from: str | None = None
        """The whole path of the file from which somebody saved it by hand."""
        self._looked: dict[str, tuple[int, Sequence[Diagnostic] | None]] = {}
        """By template, the hash of the text that was looked at and what is wrong with it; None: it is too large to be
        checked unasked."""
        self._is_checking = False
        """On request."""
        self._stale: set[str] = set()
        """Templates with executions that stand otherwise than the list says."""
        self._at_problem: int | None = None
        self._compares_with_file = False
        self._is_zoomed = False
        self._going_to: LineView | None = None
        """The pane that has the keys as soon as it is there."""

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        with StillHorizontal(id="body"):
            yield TemplateList(self.glyphs, self.session.files)
            with StillVertical(id="detail"):
                yield Source(self.glyphs)
                for tab in (Problems, Versions, SourceDiff, Simulated):
                    yield tab(self.glyphs)
        yield Bar(id="footer")

    def kept(self) -> Kept:
        zoomed = self.pane.id if self._is_zoomed else None
        return msgspec.structs.replace(super().kept(), cursor=self.template_at_hand, zoomed=zoomed)

    def begin_as(self, kept: Kept) -> None:
        self.session.template_at_hand = kept.cursor
        self._is_zoomed = kept.zoomed is not None

    # Panes

    @property
    def entries(self) -> TemplateList:
        return self.query_one(TemplateList)

    @property
    def source(self) -> Source:
        return self.query_one(Source)

    @property
    def problems(self) -> Problems:
        return self.query_one(Problems)

    @property
    def versions(self) -> Versions:
        return self.query_one(Versions)

    @property
    def tab(self) -> Tab:
        """The one that is shown."""
        return self.query_one("Tab.shown", Tab)

    @property
    def _panes(self) -> Sequence[LineView]:
        return (self.entries, self.source, self.tab)

    @property
    def pane(self) -> LineView:
        """The one that has the keys."""
        return next((one for one in self._panes if one.has_class("current")), self.entries)

    # Beginning, reading

    async def on_mount(self) -> None:
        shown = Simulated if self.session.shows_simulation else Problems
        self.session.shows_simulation = False
        self.query_one(shown).add_class("shown")
        self.go_to_pane(self.tab if shown is Simulated else self.entries)
        self.set_clock()
        await self.guarded(self._load(self.session.template_at_hand))

    async def _load(self, begin_on: str | None = None) -> None:
        self.entries.freshness.begin()
        templates = await self.client.list_templates(MOST)
        self.entries.freshness.end()
        self.entries.show(templates)
        if begin_on is not None:
            self.entries.select(begin_on)
        self._show_entry()

    async def reload(self) -> None:
        await self._load()

    @work(group="load", exclusive=True)
    async def _reload(self) -> None:
        await self.guarded(self._load())

    @work(group="entry", exclusive=True)
    async def _show_entry(self) -> None:
        try:
            await self.guarded(self._read_entry())
        except TemplateNotFoundError:
            self._reload()

    async def _read_entry(self) -> None:
        entry = self.entries.selected
        if entry is None:
            self._version = None
            self.source.show(None, "Source", "")
            self.problems.show(())
            self._say_tabs()
            return
        version = None if entry.template is None else await self.client.get_template(entry.name)
        if version is not None:
            self.session.template_at_hand = entry.name
        is_other = self._version is None or version is None or self._version.id != version.id
        self._version = None if version is None else without_flow(version)
        self._made_from = None if entry.file is not None or version is None else _made_from(version)
        title, text = await self._text_of(entry, version)
        if is_other or text != self.source.text:
            self._at_problem = None
        self.source.show(entry.place or entry.key, title, text)
        self.versions.newest = version.version if version is not None else None
        simulation = self.session.simulations.get(entry.name)
        if simulation is None:
            self.query_one(Simulated).show(None, "")
        else:
            self.query_one(Simulated).show(simulation[1], f"of v{simulation[0]}")
        self._say_tabs()
        await self._read_tab()
        await self._read_problems(entry, text)
        self._look_around()

    async def _text_of(self, entry: Entry, version: TemplateVersion | None) -> tuple[str, str]:
        """A title and the text: what is being edited, if that is not what was saved last."""
        keeps = "" if version is None else f" · v{version.version} works on"
        draft = self.session.drafts.get(entry.name)
        if entry.is_broken and entry.file is not None:
            return f"{Path(entry.file).name} · not saved{keeps}", await asyncio.to_thread(_read, entry.file)
        if draft is not None and version is not None:
            return f"your edit · not saved{keeps}", await asyncio.to_thread(_read, draft)
        assert version is not None
        name = safe(Path(version.file).name) if version.file else safe(version.name)
        return f"{name} · v{version.version}", version.source

    async def _read_problems(self, entry: Entry, text: str, *, is_asked: bool = False) -> None:
        problems = await self._problems_of(entry, text, is_asked=is_asked)
        self.source.mark(problems)
        if self._looked[entry.name][1] is None:
            self.problems.show(problems, f"V checks it; for {_size(text)} that takes some seconds")
        else:
            self.problems.show(problems)
        self._say_tabs()

    async def _problems_of(self, entry: Entry, text: str, *, is_asked: bool = False) -> Sequence[Diagnostic]:
        told = self.session.files.problem_of(entry.file)
        looked = self._looked.get(entry.name)
        if looked is None or looked[0] != hash(text) or (is_asked and looked[1] is None):
            is_checked = is_asked or len(text) <= MOST_CHECKED
            found = (await self.client.lint(text, entry.file)).diagnostics if is_checked else None
            looked = self._looked[entry.name] = hash(text), found
        said = {(one.code, one.line, one.column) for one in told}
        problems = [*told, *(one for one in looked[1] or () if (one.code, one.line, one.column) not in said)]
        problems.sort(key=lambda one: (list(LEVELS).index(one.level), one.line))
        self.entries.problems[entry.name] = problems
        self.entries.refresh()
        return problems

    async def _read_tab(self) -> None:
        """What is only read when it is seen."""
        version = self._version
        if version is None:
            self.versions.show((), {}, NEVER_SAVED)
            self.query_one(SourceDiff).show("", (), NEVER_SAVED)
        elif isinstance(self.tab, Versions | SourceDiff):
            if not self.versions.rows or self.versions.rows[0].version.id != version.id:
                await self._read_versions(version)
            if isinstance(self.tab, SourceDiff):
                await self._read_diff()
            self._say_tabs()

    async def _read_versions(self, newest: TemplateVersion) -> None:
        most = max(2, min(MOST_VERSIONS, MOST_TEXT // max(1, len(newest.source))))
        versions = await self.client.template_versions(newest.name, most)
        runs = await self.client.count_runs_by_version(newest.name)
        rows = await asyncio.to_thread(version_rows, versions)
        if self._version is not None and self._version.id == newest.id:
            self.versions.show(rows, runs)

    async def _read_diff(self) -> None:
        selected, entry = self.versions.selected, self.entries.selected
        if selected is None or entry is None:
            return
        shown = f"v{selected.version}"
        if self._compares_with_file:
            file = entry.file or self.session.drafts.get(entry.name) or self._made_from
            if file is None or not os.path.isfile(file):  # noqa: ASYNC240, PTH113 - one look
                self.query_one(SourceDiff).show("", (), f"{safe(entry.name)} has no file; D: the version before")
                return
            before, after, title = selected.source, await asyncio.to_thread(_read, file), f"{shown} → the file"
            empty = f"The file says what {shown} says"
        else:
            one = self.versions.before(selected.version)
            if one is None:
                self.query_one(SourceDiff).show("", (), f"{shown} has none before it; D: the file")
                return
            before, after, title = one.source, selected.source, f"v{one.version} → {shown}"
            empty = f"v{one.version} and {shown} have the same text"
        lines = await asyncio.to_thread(diff_of, before, after)
        self.query_one(SourceDiff).show(title, lines, empty)

    @work(group="look", exclusive=True)
    async def _look_around(self) -> None:
        """The last executions, and what is wrong, of the templates that are seen."""
        await self.guarded(self._read_around())

    async def _read_around(self) -> None:
        for entry in self.entries.seen:
            if entry.template is None:
                continue
            if entry.name in self._stale or entry.name not in self.entries.runs:
                self._stale.discard(entry.name)
                page = await self.client.list_runs(LAST_RUNS, template=entry.name)
                statuses = [run.status for run in page.items]
                if self.entries.runs.get(entry.name) != statuses:
                    self.entries.runs[entry.name] = statuses
                    self.entries.refresh()
        for entry in self.entries.seen:
            if entry.template is not None and entry.name not in self._looked and not entry.is_broken:
                await self._problems_of(entry, (await self.client.get_template(entry.name)).source)

    # What arrives

    def events_arrived(self, events: list[WorkflowEvent]) -> None:
        wanted = False
        for event in events:
            if event.event_type == EventType.TEMPLATE_SAVED:
                wanted = True
                self._looked.pop(str(event.payload.get("name")), None)
            elif event.event_type.startswith("run."):
                self._stale.add(event.kind)
        if wanted:
            self.miss()
            self._reload()
        elif self._stale:
            self._look_around()

    def files_changed(self) -> None:
        self.miss()
        self._reload()
        self.set_clock()

    # What moves: how long ago something was saved

    @property
    def moves(self) -> bool:
        return self.entries.has_fresh

    @property
    def tick_seconds(self) -> float | None:
        return None if super().tick_seconds is None else AGE_SECONDS

    def tick(self) -> None:
        self.entries.refresh()

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        if message.view is self.entries:
            self._show_entry()
        elif message.view is self.problems:
            self._say_tabs()

    # Moving

    def on_resize(self, event: events.Resize) -> None:
        self._set_single()
        self.call_after_refresh(self._say_tabs)

    def _set_single(self) -> None:
        """Whether one pane has all the room."""
        width, height = self.size
        self.set_class(self._is_zoomed or width < 60 or height < 14, "-single")

    def go_to_pane(self, pane: LineView) -> None:
        """Show it, and give it the keys."""
        for one in self.query(".current"):
            one.remove_class("current")
        pane.add_class("current")
        self.set_class(pane is self.entries, "-at-list")
        if pane.region.height > 0 and not self.has_class("-single"):
            self._going_to = None
            self.set_focus(pane)  # at once: what is typed next is for it
            return
        if self.focused is not pane:
            self.set_focus(None)  # what is hidden while it has the focus would take it away once more, later
        self._going_to = pane
        self.call_after_refresh(self._arrive)

    def _arrive(self) -> None:
        pane, self._going_to = self._going_to, None
        if pane is not None:
            pane.focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A click went to another pane."""
        widget = event.widget
        if self._going_to is not None or widget is not self.focused or widget is self.pane:
            return
        if isinstance(widget, LineView) and widget in self._panes:
            self.go_to_pane(widget)

    def focus_main(self) -> None:
        self.pane.focus()

    def action_next_pane(self) -> None:
        self._to_pane(1)

    def action_previous_pane(self) -> None:
        self._to_pane(-1)

    def _to_pane(self, by: int) -> None:
        panes = self._panes
        self.go_to_pane(panes[(panes.index(self.pane) + by) % len(panes)])

    def action_zoom(self) -> None:
        self._is_zoomed = not self._is_zoomed
        self._set_single()

    async def action_back(self) -> None:
        if self._is_zoomed:
            self.action_zoom()
        elif self.pane is not self.entries:
            self.go_to_pane(self.entries)
        else:
            await super().action_back()

    async def action_open(self) -> None:
        problem = self.problems.selected
        if self.pane is self.problems and problem is not None and problem.line:
            self.source.go_to(problem.line)
            self.go_to_pane(self.source)
        elif self.pane is self.versions:
            self._compares_with_file = False
            await self._to_tab(self.query_one(SourceDiff))
        elif self.pane is self.entries:
            self.go_to_pane(self.source)

    @work(group="validate")
    async def action_validate(self) -> None:
        entry = self.entries.selected
        if self._is_checking:
            self.note("It is being checked; that takes some seconds")
        elif entry is not None:
            self._is_checking = True
            try:
                await self.guarded(self._validate(entry))
            finally:
                self._is_checking = False

    async def _validate(self, entry: Entry) -> None:
        """Its file as it is now, saved or not; else its text. What is wrong with it is shown."""
        await self._to_tab(self.problems)
        await self._read_entry()
        text = self.source.text
        file = entry.file or self._made_from
        if file is not None and os.path.isfile(file):  # noqa: ASYNC240, PTH113 - one look
            text = await asyncio.to_thread(_read, file)
        is_saved = self._version is not None and text == self._version.source
        if text != self.source.text:
            self.source.show(entry.place or entry.key, f"{safe(Path(file or '').name)} · not saved", text)
        if len(text) > MOST_CHECKED:
            self.note(f"Checking {_size(text)}; that takes some seconds")
        self._looked.pop(entry.name, None)
        await self._read_problems(entry, text, is_asked=True)
        said, style = problems_note(entry.name, self.problems.problems)
        if file is not None and not is_saved and not self.session.files.is_watched:
            way = "w watches it" if entry.file else f"stepflow update {entry.name} --dsl {Path(file).name}"
            said, style = f"{said} · not saved, for nobody watches: {way}", "late" if style == "good" else style
        self.note(said, style)

    def action_watch_files(self) -> None:
        """The dashboard does it, for all screens."""
        dashboard = self._dashboard
        dashboard.set_watching(not dashboard.watches_files)
        if dashboard.watches_files:
            self.note("Templates are saved whenever their files change")
        else:
            self.note("Files are not watched: what changes in them is saved when w watches them again", "late")

    def action_problem(self, by: int) -> None:
        problems = self.problems.problems
        at = self._at_problem
        to = (0 if by > 0 else len(problems) - 1) if at is None else at + by
        if not 0 <= to < len(problems):
            self.note("No problem" if not problems else "No other problem")
            return
        self._at_problem = to
        self.problems.go_to(to)
        self.source.go_to(problems[to].line or 1)

    # Tabs

    async def action_tab(self, by: int) -> None:
        tabs = list(self.query(Tab))
        await self._to_tab(tabs[(tabs.index(self.tab) + by) % len(tabs)])

    async def action_diff(self) -> None:
        diff = self.query_one(SourceDiff)
        self._compares_with_file = self.tab is diff and not self._compares_with_file
        await self._to_tab(diff)

    async def _to_tab(self, tab: Tab) -> None:
        before = self.tab
        had_keys = self.pane is before
        before.remove_class("shown")
        tab.add_class("shown")
        if had_keys or self.has_class("-single"):
            self.go_to_pane(tab)
        self.call_after_refresh(self._say_tabs)
        await self.guarded(self._read_tab())

    def _say_tabs(self) -> None:
        shown = self.tab
        tabs = list(self.query(Tab))
        title = "  ".join(f"\\[{one.label}]" if one is shown else one.label for one in tabs)
        if 0 < shown.size.width < LEAST_FOR_TABS:
            title = f"\\[{shown.label}] {tabs.index(shown) + 1}/{len(tabs)}"
        if shown.border_title != title:
            shown.border_title = title
        hint = shown.hint.replace("[", "\\[")
        if shown.border_subtitle != hint:
            shown.border_subtitle = hint

    # What is at hand

    async def show_template(self, name: str) -> None:
        self.entries.select(name)

    @property
    def run_at_hand(self) -> RunRecord | None:
        return None

    @property
    def template_at_hand(self) -> str | None:
        entry = self.entries.selected
        return None if entry is None or entry.template is None else entry.name

    @property
    def version_at_hand(self) -> int | None:
        selected = self.versions.selected
        return selected.version if selected is not None and self.pane is self.versions else None

    @property
    def line_at_hand(self) -> int:
        return self.source.line

    def why_not(self, key: Key) -> str | None:
        if key.id == "edit" and self._file_alone is not None and not self.session.read_only:
            return None
        if key.id == "validate" and self.entries.selected is None:
            return "There is no template to check"
        if key.id == "watch_files" and self.client.workspace is None:
            return "There is no workspace whose files could be watched; stepflow init makes one"
        if key.id == "watch_files" and self.session.read_only:
            return self.session.why_off
        return super().why_not(key)

    def without_template(self, key: str) -> str:
        problems = self.session.files.problem_of(self._file_alone)
        if not problems:
            return super().without_template(key)
        first = first_error(problems)
        place = f"{first.line}:{first.column} " if first.line else ""
        return f"{Path(self._file_alone or '').name} is not saved: {place}{first.message}"

    @property
    def _file_alone(self) -> str | None:
        """That of an entry that never was a template."""
        entry = self.entries.selected
        return None if entry is None or entry.template is not None else entry.file

    def action_edit(self) -> None:
        file = self._file_alone
        if file is None:
            super().action_edit()
        else:
            self.act(self.editing().edit_file(file, self.line_at_hand, None))

    async def show_run(self, run_id: str) -> None:
        """It shows in the list; its steps are on the dashboard."""
        await self._dashboard.show_run(run_id)

    @property
    def _dashboard(self) -> Dashboard:
        from stepflow_tui.screens.dashboard import Dashboard

        beneath = self.app.screen_stack[0]
        assert isinstance(beneath, Dashboard)
        return beneath

    async def show_simulation(self, name: str) -> None:
        await self._to_tab(self.query_one(Simulated))
        self.go_to_pane(self.tab)
        self._show_entry()


def _made_from(version: TemplateVersion) -> str | None:
    """Its folder, its name."""
    if version.file is None or version.base_dir is None:
        return None
    return os.path.join(version.base_dir, Path(version.file).name)  # noqa: PTH118 - as it is compared


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace", newline="") as opened:
            return opened.read(MOST_OF_FILE)
    except OSError as error:
        return f"# {error.strerror}"


def _size(text: str) -> str:
    return f"{len(text) / 1e6:.1f} MB"
