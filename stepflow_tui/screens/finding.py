"""Finding words in the pane that has the keys: where they stand they are shown, `n` and `N` go from place to place."""

from __future__ import annotations

from textual import work

from stepflow_tui.screens.commanding import Commanding
from stepflow_tui.widgets.bar import Bar
from stepflow_tui.widgets.find import Find
from stepflow_tui.widgets.lines import LineView


class Finding(Commanding):
    _seeks_in: LineView | None = None
    """The pane that words are asked for."""

    @property
    def found_in(self) -> LineView | None:
        """The pane that is looked through."""
        focused = self.focused
        return focused if isinstance(focused, LineView) and not isinstance(focused, Bar) else None

    async def has_more_to_look_through(self, view: LineView) -> bool:
        """Whether more of it was read, above what there was."""
        return False

    async def action_find(self) -> None:
        if self.query(Find):
            return
        self._seeks_in = self.found_in
        if self._seeks_in is None:
            self.note("No list is at hand to look through: tab goes to one")
            return
        field = Find(self._seeks_in.sought)
        await self.mount(field)
        self.set_focus(field)  # at once: what is typed next is no key of the screen

    async def on_find_asked(self, message: Find.Asked) -> None:
        view, self._seeks_in = self._seeks_in, None
        await self.query(Find).remove()
        if view is None or not view.is_mounted:
            self.focus_main()
            return
        view.focus()
        view.seek(message.text or "")
        if message.text:
            self._go_to_found(view, 0)

    def action_match(self, by: int) -> None:
        view = self.found_in
        if view is None or not (view.sought or view.marked_rows):
            self.note("Nothing is looked for here; / asks for it")
        else:
            self._go_to_found(view, by)

    @work(group="find", exclusive=True)
    async def _go_to_found(self, view: LineView, by: int) -> None:
        """`by` 0: to the first one from the cursor on."""
        if not view.sought:
            view.go_to_mark(by)
            return
        words, is_found = view.sought, await view.next_found(by)
        while not is_found and await self.has_more_to_look_through(view):
            if view.sought != words:
                return
            is_found = await view.next_found(by)
        if not is_found:
            self.note(f"Nothing has '{words}'")
