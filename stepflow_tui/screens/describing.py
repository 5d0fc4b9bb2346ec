"""The template at hand in words, and taken away: into the clipboard, or into a file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from stepflow_tui.presentation.commands import command_line
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.screens.exporting import Exporting
from stepflow_tui.widgets.bar import Question


class Describing(Exporting):
    @property
    def the_template(self) -> str:
        raise NotImplementedError

    @property
    def version_at_hand(self) -> int | None:
        """Of the template at hand; None: the newest."""
        return None

    async def action_describe_template(self) -> None:
        await self.guarded(self._describe_template(self.the_template, self.version_at_hand))

    async def _describe_template(self, name: str, number: int | None) -> None:
        from stepflow_tui.panes.overlay import Overlay
        from stepflow_tui.presentation.template_description import describe_template

        template = await self.client.describe_template(name)
        version = await self.client.get_template(name, number)
        await self.session.histories.read([name])
        now, history, only_reads = self.now(), self.session.histories.of(name), self.session.read_only

        def make(width: int) -> list[Line]:
            return describe_template(template, version, history, now, width, only_reads=only_reads)

        await self.query("#overlay").remove()
        await self.mount(Overlay(name, make, self.focused))

    # Copied

    def action_yank_template(self) -> None:
        name, number = self.the_template, self.version_at_hand
        answers = {
            "i": ("name", "name"),
            "c": ("command", "command line"),
            "t": ("trn", "TRN"),
            "f": ("file", "file"),
            "s": ("source", "source"),
        }

        async def yank(what: str) -> None:
            self.act(self._yank_template(name, number, what))

        self.ask(Question(f"Copy of {safe(name)}:", answers), yank)

    async def _yank_template(self, name: str, number: int | None, what: str) -> None:
        template = await self.client.describe_template(name)
        match what:
            case "command":
                version = [] if number is None else ["--version", str(number)]
                text = command_line(["get", name, *version], self.session.place)
            case "trn":
                text = template.trn
            case "file":
                text = template.file or (await self.client.get_template(name, number)).file or ""
            case "source":
                text = (await self.client.get_template(name, number)).source
            case _:
                text = name
        if not text:
            self.note(f"{safe(name)} has no {what}")
            return
        self.note(f"Copied the {what} of {safe(name)} by {self.copy(text)}")

    # Into a file

    def action_export_template(self) -> None:
        name, number = self.the_template, self.version_at_hand
        answers = {"s": ("source", "its source"), "p": ("plan", "its plan as JSON")}

        async def chosen(what: str) -> None:
            self.act(self._propose_file(name, number, what))

        self.ask(Question(f"Export {safe(name)} as", answers), chosen)

    async def _propose_file(self, name: str, number: int | None, what: str) -> None:
        version = await self.client.get_template(name, number)
        ending = version.source_format if what == "source" else "plan.json"
        text = version.source if what == "source" else json.dumps(json.loads(version.flow.to_json()), indent=2)
        self.ask_where(f"{name}.{ending}", lambda: _whole(text))


async def _whole(text: str) -> AsyncIterator[bytes]:
    yield text.encode("utf-8", "replace")
