"""What a workspace's Python and programs offer, found out in a process of its own: the one that asks never imports a
file that people are writing. `python -m stepflow.workspace.offers WORKSPACE` prints it as JSON."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from stepflow.components.registry import Registry, builtin_registry
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.errors import WorkflowEngineError
from stepflow.model.flow import Json
from stepflow.settings import read_settings

LONGEST_SECONDS = 60.0
_WAY_OUT = "correct it and save it"


class Offered(msgspec.Struct, frozen=True):
    """As much of a component as templates are judged by."""

    input_schema: Json


class Offers(msgspec.Struct, frozen=True):
    components: Mapping[str, Offered] = {}
    """By path: the workspace's, and those of installed packages."""
    own: tuple[str, ...] = ()
    """Paths of the workspace's."""
    turned_off: Mapping[str, str] = {}
    """Paths that may not be used in it, each with the way out."""
    troubles: tuple[Diagnostic, ...] = ()


async def find_offers(workspace: Path) -> Offers:
    """Ask for them anew. Never raises for what stands in the workspace."""
    process = await asyncio.create_subprocess_exec(
        # -P: a folder named like ours, where the user stands, must not be imported. -B: nothing is written beside.
        *(sys.executable, "-P", "-B", "-m", __name__, str(workspace)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            out, said = await process.communicate()
    except TimeoutError:
        return _unknown(workspace, f"importing it takes longer than {LONGEST_SECONDS:.0f} s")
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        ended = (
            f"ended with {process.returncode}" if process.returncode > 0 else f"died of signal {-process.returncode}"
        )
        return _unknown(workspace, f"a process that imported it {ended}{': ' if last else ''}{last}")
    return msgspec.json.decode(out, type=Offers)


def _unknown(workspace: Path, why: str) -> Offers:
    trouble = Diagnostic("COMPONENT_FILE", "error", f"The components are not known: {why}", file=str(workspace))
    return Offers(troubles=(trouble,))


def _offers(workspace: Path) -> Offers:
    from stepflow.components.stdio import stdio_components
    from stepflow.components.workspace import load_components

    registry = Registry.for_workspace(None, warn=lambda trouble: None)
    troubles: list[Diagnostic] = []
    own: list[str] = []
    for components, found in (load_components(workspace), stdio_components(workspace, lambda line: None)):
        troubles += [msgspec.structs.replace(trouble, hint=_WAY_OUT) for trouble in found]
        for component in components:
            try:
                registry.register(component)
            except ValueError as error:
                troubles.append(Diagnostic("COMPONENT_FILE", "error", str(error), file=component.origin or None))
            else:
                own.append(component.path)
    ours = builtin_registry().by_path
    known = {path: Offered(one.input_schema) for path, one in registry.by_path.items() if one is not ours.get(path)}
    return Offers(known, tuple(sorted(own)), _turned_off(workspace, registry.by_path), tuple(troubles))


def _turned_off(workspace: Path, components: Iterable[str]) -> dict[str, str]:
    try:
        return read_settings(workspace).turned_off(components)
    except WorkflowEngineError:
        return {}  # why it cannot be read is among the troubles of its programs


def main(arguments: list[str]) -> None:
    answer = os.dup(1)
    os.dup2(2, 1)  # what the files print while they are imported is no answer
    found = msgspec.json.encode(_offers(Path(arguments[0])))
    with os.fdopen(answer, "wb") as out:
        out.write(found)
    sys.stderr.flush()
    os._exit(0)  # past threads that an import began


if __name__ == "__main__":
    main(sys.argv[1:])
