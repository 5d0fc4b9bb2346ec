"""The command line that does the same thing as a key, on the execution and the template at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from shlex import quote

import msgspec

from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus


class AtHand(msgspec.Struct, frozen=True):
    """What a key would act on."""

    run: RunRecord | None = None
    template: str | None = None
    version: int | None = None
    step: str | None = None
    last_input: str | None = None
    """Of the template, as it was typed."""


def words_of(key: str, at: AtHand) -> list[str] | None:
    """The verb and its arguments, for the id of a key; None: there is no such command, or nothing is at hand."""
    if key in _OF_RUNS:
        return None if at.run is None else _OF_RUNS[key](at.run, at)
    return _of_template(key, at)


def _pause(run: RunRecord, at: AtHand) -> list[str]:
    return ["resume" if run.status in (RunStatus.PAUSED, RunStatus.STALLED) else "pause", run.id]


def _retry_from(run: RunRecord, at: AtHand) -> list[str] | None:
    verb = "retry" if run.status.may_be_retried else "fork"
    return None if at.step is None else [verb, run.id, "--from", at.step]


_OF_RUNS: Mapping[str, Callable[[RunRecord, AtHand], list[str] | None]] = {
    "cancel": lambda run, at: ["cancel", run.id],
    "terminate": lambda run, at: ["cancel", run.id],
    "retry": lambda run, at: ["retry", run.id],
    "retry_from": _retry_from,
    "pause": _pause,
    "export": lambda run, at: ["export", run.id, "--output", f"{run.template}.jsonl"],
    "yank": lambda run, at: ["execution", run.id],
    "describe": lambda run, at: ["execution", run.id],
    "open": lambda run, at: ["open", run.id],
    "open_run": lambda run, at: ["open", run.id],
    "open_log": lambda run, at: ["logs", run.id],
    "log": lambda run, at: ["logs", run.id],
    "watch": lambda run, at: ["stream", run.id],
}


def _of_template(key: str, at: AtHand) -> list[str] | None:
    if at.template is None:
        return None
    version = [] if at.version is None else ["--version", str(at.version)]
    given = [] if at.last_input is None else ["--input", at.last_input]
    match key:
        case "run":
            return ["run", at.template, *given, *version]
        case "simulate":
            return ["simulate", at.template, *given, *version]
        case "history":
            return ["executions", "--template", at.template]
        case "diff":
            return ["diff", at.template]
        case _:
            return None


def command_line(words: Sequence[str], place: Sequence[tuple[str, str]]) -> str:
    """As it is pasted into a shell; `place`: options that say on which database, in which workspace."""
    options = [one for option in place for one in option]
    return " ".join(quote(word) for word in ["stepflow", *options, *words])
