"""The command line that does the same thing as a key, on what is at hand: executions, a template, a worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from shlex import quote
from typing import Any

import msgspec

from stepflow.model.run import RunRecord
from stepflow_tui.presentation.affected import AFFECTED, STANDING


class AtHand(msgspec.Struct, frozen=True):
    """What a key would act on."""

    run: RunRecord | None = None
    template: str | None = None
    version: int | None = None
    step: str | None = None
    last_input: str | None = None
    """Of the template, as it was typed."""
    marked: tuple[RunRecord, ...] = ()
    """Executions that keys act on together, in place of the one."""
    last_completed: str | None = None
    """The id of the execution of its template that the one at hand is compared with."""
    worker: str | None = None
    """Its id."""
    last_variables: Mapping[str, Any] = {}
    """Of the template, given with its last input."""


MOST_TOGETHER = 5
"""Executions for which there is one command line."""


def all_words_of(key: str, at: AtHand) -> list[list[str]]:
    """What is to be done one after the other, for the id of a key; empty: there is no such command, or nothing is at
    hand, or too many are marked."""
    if at.marked and (key in AFFECTED or key == "yank"):
        runs = AFFECTED.get(key, list)(at.marked)
        of_each = [_OF_RUNS[key](run, at) for run in runs] if len(runs) <= MOST_TOGETHER else []
        return [words for words in of_each if words is not None]
    words = words_of(key, at)
    return [] if words is None else [words]


def words_of(key: str, at: AtHand) -> list[str] | None:
    """The verb and its arguments; None: there is no such command, or nothing is at hand."""
    if key in _OF_RUNS:
        return None if at.run is None else _OF_RUNS[key](at.run, at)
    if key in ("drain", "yank_worker"):
        return None if at.worker is None else ["workers", "stop", at.worker]
    if key == "describe_worker":
        return None if at.worker is None else ["workers"]
    return _of_template(key, at)


def _pause(run: RunRecord, at: AtHand) -> list[str]:
    return ["resume" if run.status in STANDING else "pause", run.id]


def _answer(run: RunRecord, at: AtHand) -> list[str] | None:
    waiting = [one for one in run.awaits if one.signal is not None]
    awaited = next((one for one in waiting if one.step == at.step), next(iter(waiting), None))
    if awaited is None or awaited.signal is None:
        return None
    return ["signal", run.id, awaited.signal, "--data", '{"approved": true}' if awaited.message else "{}"]


def _diff(run: RunRecord, at: AtHand) -> list[str] | None:
    if at.marked:
        return ["diff", *sorted(one.id for one in at.marked)] if len(at.marked) == 2 else None
    return None if at.last_completed in (None, run.id) else ["diff", str(at.last_completed), run.id]


def _retry_from(run: RunRecord, at: AtHand) -> list[str] | None:
    if at.step is None:
        return None
    given = [] if run.input is None else ["--input", json.dumps(run.input, ensure_ascii=False)]
    return ["retry" if run.status.may_be_retried else "fork", run.id, "--from", at.step, *given]


_OF_RUNS: Mapping[str, Callable[[RunRecord, AtHand], list[str] | None]] = {
    "cancel": lambda run, at: ["cancel", run.id],
    "terminate": lambda run, at: ["cancel", run.id],
    "retry": lambda run, at: ["retry", run.id],
    "retry_from": _retry_from,
    "pause": _pause,
    "answer": _answer,
    "diff_runs": _diff,
    "diff_marked": _diff,
    "export": lambda run, at: ["export", run.id, "--output", f"{run.template}.jsonl"],
    "yank": lambda run, at: ["execution", run.id],
    "describe": lambda run, at: ["execution", run.id],
    "open": lambda run, at: ["open", run.id],
    "open_run": lambda run, at: ["open", run.id],
    "inspect": lambda run, at: ["execution", run.id, "--json"],
    "open_values": lambda run, at: ["execution", run.id, "--json"],
    "open_log": lambda run, at: ["logs", run.id],
    "log": lambda run, at: ["logs", run.id],
    "watch": lambda run, at: ["stream", run.id],
}


def _of_template(key: str, at: AtHand) -> list[str] | None:
    if at.template is None:
        return None
    version = [] if at.version is None else ["--version", str(at.version)]
    given = [] if at.last_input is None else ["--input", at.last_input]
    for name, value in at.last_variables.items():
        given += ["--var", f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"]
    match key:
        case "run":
            return ["run", at.template, *given, *version]
        case "simulate":
            return ["simulate", at.template, *given, *version]
        case "history":
            return ["executions", "--template", at.template]
        case "diff":
            return ["diff", at.template]
        case "yank_template" | "describe_template":
            return ["get", at.template, *version]
        case _:
            return None


def command_line(words: Sequence[str], place: Sequence[tuple[str, str]]) -> str:
    """As it is pasted into a shell; `place`: options that say on which database, in which workspace."""
    options = [one for option in place for one in option]
    return " ".join(quote(word) for word in ["stepflow", *options, *words])


def command_lines(several: Sequence[Sequence[str]], place: Sequence[tuple[str, str]]) -> str | None:
    """One after the other; None: there is none."""
    return " && ".join(command_line(words, place) for words in several) or None
