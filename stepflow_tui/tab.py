"""The process behind a tab of a browser: the screen, drawn down a pipe.

`python -m stepflow_tui.tab JSON`, where the JSON is a `Tab`, is how the server starts it. It ends with the pipe.
"""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from stepflow.errors import WorkflowEngineError
from stepflow_tui.profiles import client_of

COLOURS = "TEXTUAL_COLOR_SYSTEM"


class Tab(msgspec.Struct, frozen=True):
    """What is shown, and how large."""

    url: str | None
    workspace: str | None
    profile: str | None
    read_only: bool
    width: int
    height: int


def main(asked: Tab) -> int:
    # A browser shows all colours; what Textual asks when it is imported is no word to the worker that is started here.
    os.environ[COLOURS] = "truecolor"
    from textual.drivers.web_driver import WebDriver
    from textual.messages import ExitApp

    from stepflow_tui.app import show

    del os.environ[COLOURS]

    class Pipe(WebDriver):
        def run_input_thread(self) -> None:
            super().run_input_thread()
            self._app.post_message(ExitApp())  # the server is gone: nobody will ever see it again

    try:
        client, profile = client_of(asked.url, asked.workspace, asked.profile, read_only=asked.read_only)
        size = (asked.width, asked.height)
        return asyncio.run(show(client, None, read_only=asked.read_only, profile=profile, driver=Pipe, size=size))
    except WorkflowEngineError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(msgspec.json.decode(sys.argv[1], type=Tab)))
