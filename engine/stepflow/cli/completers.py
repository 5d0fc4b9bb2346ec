"""What may stand where the cursor is when somebody presses TAB: templates, executions, steps, statuses …

Each is asked in a process of its own, so they import little. They only look: no database is made or brought up to date
for it. Whatever goes wrong, there is nothing to offer, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from stepflow.contracts.storage import Storage

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]

_RECENT = 30
"""Executions that are offered; of more, whoever types goes on typing."""
_MOST = 500
"""Templates."""


def _completer(find: Callable[[click.Context, str], Iterable[tuple[str, str]]]) -> Completer:
    """`find` gives words and what they are; of them those that go on with what is there."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        try:
            found = [(word, what) for word, what in find(context, incomplete) if word.startswith(incomplete)]
        except Exception:  # noqa: BLE001 - a message would stand in the middle of what is being typed
            return []
        return [CompletionItem(word, help=_help(what)) for word, what in found if word.isprintable()]

    return complete


def _help(what: str) -> str | None:
    return " ".join(what.split()) or None


@contextmanager
def _storage(context: click.Context) -> Iterator[Storage | None]:
    from stepflow.location import find_database, find_workspace, open_to_look

    # What the command line said before the verb; nothing was called that would have kept it.
    before: click.Context | None = context.parent
    while before is not None and "db" not in before.params:
        before = before.parent
    given = {} if before is None else before.params
    storage = open_to_look(find_database(given.get("db"), find_workspace(given.get("workspace"))))
    try:
        yield storage
    finally:
        if storage is not None:
            storage.close()


def _templates(context: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    with _storage(context) as storage:
        listed = [] if storage is None else storage.list_templates(_MOST, 0)
    return [(one.name, one.description or f"version {one.version}") for one in listed]


def _runs(context: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    with _storage(context) as storage:
        listed = [] if storage is None else storage.list_runs(_RECENT, None, None, None, False)[0]
    return [(run.id, f"{run.template} {run.status.value}") for run in listed]


def _versions(context: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    run, name = _first(context, "run_id"), _first(context, "template", "name", "first")
    with _storage(context) as storage:
        if storage is None:
            return []
        if run is not None:
            name = storage.get_run(storage.find_run(run)).template
        listed = storage.template_versions(name or "", _RECENT)
    return [(str(one.version), f"{one.created_at.astimezone():%Y-%m-%d %H:%M}") for one in listed]


def _steps(context: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    """Of the execution, or of the template or its file, that the command line names."""
    run, template = _first(context, "run_id"), _first(context, "template")
    if template is not None and template.endswith((".yaml", ".yml", ".json")):
        return _steps_in(template)
    with _storage(context) as storage:
        if storage is None:
            return []
        if run is not None:
            steps = storage.get_steps(storage.find_run(run), bodies=False, attempts=False)
            return [(step.key, step.status.value) for step in steps]
        flow = storage.get_template_version(template or "").flow
    return [(step.key, step.component) for step in flow.steps]


def _steps_in(file: str) -> list[tuple[str, str]]:
    from pathlib import Path

    from stepflow.dsl.validate import read_flow

    flow = read_flow(Path(file).read_text(encoding="utf-8"), file=file).flow
    return [] if flow is None else [(step.key, step.component) for step in flow.steps]


def _signals(context: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    from stepflow.model.run import awaited_signal

    with _storage(context) as storage:
        if storage is None:
            return []
        run = storage.find_run(_first(context, "run_id") or "")
        steps = storage.get_steps(run, bodies=False, attempts=False)
    return [(name, f"step {step.key}") for step in steps if (name := awaited_signal(step.awaits)) is not None]


def _workers(context: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    with _storage(context) as storage:
        listed = [] if storage is None else storage.workers()
    return [(worker.id, f"{worker.host} {worker.pid}") for worker in listed]


def _components(context: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    """Ours: the workspace's own would be run to be found."""
    from stepflow.components.registry import builtin_registry

    return [(component.path, component.description) for component in builtin_registry()]


def _statuses(context: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    """Several stand with commas between them."""
    from stepflow.model.statuses import RunStatus

    before = incomplete[: incomplete.rfind(",") + 1]
    return [(before + status.value, "") for status in RunStatus]


def _profiles(context: click.Context, incomplete: str) -> Iterable[tuple[str, str]]:
    """As the screen knows them."""
    from importlib.metadata import entry_points

    offered: Callable[[], list[tuple[str, str]]] = entry_points(group="stepflow.screens")["profiles"].load()
    return offered()


def _first(context: click.Context, *names: str) -> str | None:
    """The first value that the command line gives one of these parameters."""
    params = _params(context)
    given = next((value for name in names if (value := params.get(name))), None)
    return None if given is None else str(given[0] if isinstance(given, tuple) else given)


def _params(context: click.Context) -> dict[str, Any]:
    """What the command line says so far. click reads nothing of it where its last word is an option without a value, so
    it is asked again without that word; the words are kept in the `obj` of the first context."""
    words: list[str] = context.find_root().obj or []
    if not words or not words[-1].startswith("-") or context.info_name not in words:
        return context.params
    rest = words[words.index(context.info_name) + 1 : -1]
    return context.command.make_context(context.info_name, rest, parent=context.parent, resilient_parsing=True).params


def file_paths(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The shell knows them."""
    return [CompletionItem(incomplete, type="file")]


def folder_paths(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    return [CompletionItem(incomplete, type="dir")]


def _or_files(complete: Completer) -> Completer:
    # The shell's own come first: bash would forget what stands before them.
    return lambda *asked: [*file_paths(*asked), *complete(*asked)]


templates = _completer(_templates)
runs = _completer(_runs)
versions = _completer(_versions)
steps = _completer(_steps)
signals = _completer(_signals)
workers = _completer(_workers)
components = _completer(_components)
statuses = _completer(_statuses)
profiles = _completer(_profiles)
templates_or_files = _or_files(templates)
versions_or_files = _or_files(versions)


def templates_or_runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    return [*templates(context, parameter, incomplete), *runs(context, parameter, incomplete)]


def others_like_first(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """After a template its versions, after an execution another."""
    return (
        versions_or_files(context, parameter, incomplete)
        if _is_template(context)
        else runs(context, parameter, incomplete)
    )


def _is_template(context: click.Context) -> bool:
    return any(item.value == _first(context, "first") for item in templates(context, click.Argument(["x"]), ""))
