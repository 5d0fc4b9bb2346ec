"""`stepflow init`"""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from stepflow.cli.completers import folder_paths
from stepflow.cli.session import fail, say
from stepflow.cli.text import paint, safe
from stepflow.location import DEFAULT_DATABASE, WORKSPACE_FILE

_CONFIG = f"""\
# A StepFlow workspace: its templates, its components and its database.
db = "{DEFAULT_DATABASE}"
"""

_TEMPLATE = """\
name: hello
description: Say hello, and look around
steps:
  - id: greet
    type: echo
    input: { text: "hello", from: "$.run.id" }

  - id: look
    type: shell.run
    depends_on: [greet]
    input: { command: [ls] }
    timeout: 30s
    on_error: fail

output:
  said: $.steps.greet.output.text
  files: $.steps.look.output.stdout
"""


@click.command("init")
@click.argument("folder", default=".", shell_complete=folder_paths)
def command(folder: str) -> None:
    """Make a workspace: stepflow.toml, a first template, a folder for components.

    \b
    Example:
      stepflow init my-flows
    """
    root = Path(folder)
    if (root / WORKSPACE_FILE).exists():
        fail(f"{safe(root / WORKSPACE_FILE)} exists already; this is a workspace")
    try:
        (root / "components").mkdir(parents=True, exist_ok=True)
        (root / WORKSPACE_FILE).write_text(_CONFIG, encoding="utf-8")
        state = (root / DEFAULT_DATABASE).parent
        state.mkdir(mode=0o700, exist_ok=True)
        (state / ".gitignore").write_text("*\n", encoding="utf-8")
        template = root / "hello.yaml"
        if not template.exists():
            template.write_text(_TEMPLATE, encoding="utf-8")
    except OSError as error:
        fail(f"{safe(root)}: {error.strerror}")
    say(f"{paint('✓', 'green')} Workspace '{safe(root.resolve().name)}' made")
    # From elsewhere it would be run in another database, without the workspace's components.
    there = "" if root.resolve() == Path.cwd() else f"cd {shlex.quote(folder)} && "
    say(f"  Next: {safe(there)}stepflow run hello.yaml")
