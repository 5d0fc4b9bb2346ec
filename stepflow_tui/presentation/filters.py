"""The filter language: `status:failed,running template:etl* dur:>5m since:24h err~503 id:abcd`, and words.

A word is looked for in what there is to read: of an execution its template and its error. `-` before a term means that
it must not hold; a value in quotes may have spaces. The storage is asked for what it can tell, the rest is judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

import msgspec

from stepflow.dsl.diagnostics import did_you_mean
from stepflow.model.ids import RUN_PREFIX, run_id_prefix
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RUN_ALIASES, RunStatus
from stepflow.model.times import parse_duration
from stepflow_tui.presentation.executions import CANCELLING, WORDS
from stepflow_tui.presentation.spans import safe

Field = Literal["status", "template", "dur", "since", "err", "step", "id", "word"]

_FIELDS: dict[str, Field] = {
    "status": "status",
    "template": "template",
    "tmpl": "template",
    "dur": "dur",
    "since": "since",
    "err": "err",
    "step": "step",
    "id": "id",
}
FIELDS: dict[str, str] = {
    "status:": "failed, running …",
    "template:": "its name, * for any letters",
    "dur:>": "took longer, < shorter",
    "since:": "24h, 7d, a day",
    "err~": "in its error",
    "step:": "the step that failed",
    "id:": "beginning or end",
}
"""As completion offers them, and what they take."""

_TERM = re.compile(r"(?P<not>-?)(?:(?P<field>[A-Za-z_]+)(?P<sign>[:~]))?")
_MAY_BE_CANCELLING = frozenset(status for status in RunStatus if not status.is_final)
_ABOUT_RUNS = ("status", "template", "dur", "id")
_INSIDE_RUNS = ("word", "err", "step")


class FilterError(Exception):
    """What is wrong with a filter, and the way out."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        """From 0."""


class Term(msgspec.Struct, frozen=True):
    field: Field
    value: str
    negated: bool = False
    contains: bool = False
    """`~`: the value is somewhere in it."""
    statuses: frozenset[RunStatus] = frozenset()
    cancelling: bool = False
    """Of `status`: also those that are asked to end."""
    longer: bool = True
    """Of `dur`: `>`, not `<`."""
    span: timedelta | None = None
    """Of `dur`, and of `since` where it says how long ago."""
    moment: datetime | None = None
    """Of `since` where it says when."""

    def since(self, now: datetime) -> datetime:
        return self.moment if self.moment is not None else now - (self.span or timedelta())

    @property
    def names(self) -> list[str]:
        return [name for name in self.value.split(",") if name]

    def holds_of(self, run: RunRecord, now: datetime) -> bool:
        return self._is_true_of(run, now) is not self.negated

    def _is_true_of(self, run: RunRecord, now: datetime) -> bool:
        match self.field:
            case "status":
                return run.status in self.statuses or (self.cancelling and run.cancel_requested)
            case "template":
                return self.fits_name(run.template)
            case "dur":
                return self._fits_duration(run, now)
            case "since":
                return run.created_at >= self.since(now)
            case "err":
                return _has(error_words(run), self.value)
            case "step":
                return run.error is not None and self.fits_name(step_of(run.error))
            case "id":
                return self._fits_id(run.id)
            case "word":
                return _has(run.template, self.value) or _has(error_words(run), self.value)

    def fits_name(self, name: str) -> bool:
        if self.contains:
            return _has(name, self.value)
        return any(_pattern(one).fullmatch(name) is not None for one in self.names)

    def _fits_duration(self, run: RunRecord, now: datetime) -> bool:
        if run.started_at is None or self.span is None:
            return False
        took = (run.finished_at or now) - run.started_at
        return took > self.span if self.longer else took < self.span

    def _fits_id(self, run_id: str) -> bool:
        wanted = run_id_prefix(self.value).removeprefix(RUN_PREFIX).lower()
        own = run_id.removeprefix(RUN_PREFIX)
        return wanted in own if self.contains else own.startswith(wanted) or own.endswith(wanted)


class Asked(msgspec.Struct, frozen=True):
    """What a storage is asked for: every execution that matches is among what it gives."""

    statuses: tuple[RunStatus, ...] | None = None
    """None: any; empty: no execution can match."""
    template: str | None = None
    since: datetime | None = None


class Filter(msgspec.Struct, frozen=True):
    """All terms have to hold."""

    text: str = ""
    terms: tuple[Term, ...] = ()

    def asked(self, now: datetime) -> Asked:
        statuses: frozenset[RunStatus] | None = None
        template = since = None
        for term in self.terms:
            if term.field == "status":
                before = frozenset(RunStatus) if statuses is None else statuses
                may_be = term.statuses | _MAY_BE_CANCELLING if term.cancelling else term.statuses
                statuses = before - term.statuses if term.negated else before & may_be
            elif term.field == "since" and not term.negated:
                moment = term.since(now)
                since = moment if since is None else max(since, moment)
            elif template is None and _names_one(term):
                template = term.names[0]
        return Asked(None if statuses is None else tuple(one for one in RunStatus if one in statuses), template, since)

    @property
    def is_known_to_storage(self) -> bool:
        """Nothing is left to be judged: all that the storage gives matches."""
        templates = [term for term in self.terms if term.field == "template"]
        return len(templates) <= 1 and all(
            (term.field == "status" and not term.cancelling)
            or (term.field == "since" and not term.negated)
            or _names_one(term)
            for term in self.terms
        )

    def matches(self, run: RunRecord, now: datetime) -> bool:
        return all(term.holds_of(run, now) for term in self.terms)

    # What is found inside executions

    @property
    def looks_inside(self) -> bool:
        """It is about more than executions themselves."""
        return any(term.field in _INSIDE_RUNS for term in self.terms)

    @property
    def inside(self) -> Filter:
        """What it says of the execution in which something is found."""
        return Filter(self.text, tuple(term for term in self.terms if term.field in _ABOUT_RUNS))

    def is_in_time(self, moment: datetime, now: datetime) -> bool:
        """What `since` says, of what is found itself."""
        return all((moment >= term.since(now)) is not term.negated for term in self.terms if term.field == "since")

    @property
    def needles(self) -> list[str]:
        """Texts that have to be in whatever is found."""
        return [term.value for term in self.terms if term.field in ("word", "err") and not term.negated]

    def matches_step(self, key: str, error: str) -> bool:
        return self._matches_inside(key, lambda term: _has(error, term.value), in_key=True)

    def matches_line(self, key: str, message: str) -> bool:
        return self._matches_inside(key, lambda term: _has(message, term.value), in_key=False)

    def _matches_inside(self, key: str, reads: Callable[[Term], bool], *, in_key: bool) -> bool:
        for term in self.terms:
            if term.field == "step":
                found = bool(key) and term.fits_name(key)
            elif term.field == "err":
                found = reads(term)
            elif term.field == "word":
                found = reads(term) or (in_key and _has(key, term.value))
            else:
                continue
            if found is term.negated:
                return False
        return True


def error_words(run: RunRecord) -> str:
    """What is said of why it stands as it does: `load HTTP_STATUS HTTP 503`"""
    if run.error is None:
        return run.reason or ""
    return f"{step_of(run.error)} {run.error.get('code') or ''} {run.error.get('message') or ''}"


def step_of(error: dict[str, object]) -> str:
    """The key of the step that an execution failed by; empty: none."""
    details = error.get("details")
    return str(details.get("step_key") or "") if isinstance(details, dict) else ""


def _has(text: str, value: str) -> bool:
    return value.lower() in text.lower()


def _names_one(term: Term) -> bool:
    is_name = term.field == "template" and not term.negated and not term.contains
    return is_name and len(term.names) == 1 and not set("*?") & set(term.value)


@lru_cache(maxsize=256)
def _pattern(name: str) -> re.Pattern[str]:
    """`*` is any text, `?` any letter; everything else is itself."""
    return re.compile("".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in name), re.DOTALL)


# Reading


def parse_filter(text: str) -> Filter:
    """`FilterError`."""
    terms: list[Term] = []
    at = 0
    while True:
        at += len(text) - at - len(text[at:].lstrip())
        if at >= len(text):
            return Filter(text.strip(), tuple(terms))
        term, at = _read_term(text, at)
        terms.append(term)


def filter_of_template(name: str) -> Filter:
    """Executions of this one alone."""
    return parse_filter(f'template:"{name}"' if " " in name else f"template:{name}")


def _read_term(text: str, at: int) -> tuple[Term, int]:
    found = _TERM.match(text, at)
    assert found is not None  # it matches the empty text
    value, end = _read_value(text, found.end())
    name, negated = found["field"], bool(found["not"])
    if name is None:
        if not value:
            what = "'-' needs what must not be there, as in -nightly" if negated else "The quotes have nothing in them"
            raise FilterError(what, at)
        return Term("word", value, negated), end
    field = _FIELDS.get(name.lower())
    if field is None:
        hint = did_you_mean(name.lower(), _FIELDS) or f'; to look for the text, write "{safe(text[at:end])}"'
        raise FilterError(f"There is no field '{safe(name)}'{hint}", found.start("field"))
    if not value:
        raise FilterError(f"{field} needs a value: {_EXAMPLES[field]}", end)
    return _make(field, value, found["sign"], negated, found.end()), end


def _read_value(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] in ('"', "'"):
        end = text.find(text[at], at + 1)
        if end < 0:
            raise FilterError(f"The quote {text[at]} is not closed", at)
        if end + 1 < len(text) and not text[end + 1].isspace():
            raise FilterError("After a closing quote comes a space", end + 1)
        return text[at + 1 : end], end + 1
    end = at
    while end < len(text) and not text[end].isspace():
        end += 1
    return text[at:end], end


_EXAMPLES: dict[Field, str] = {
    "status": f"status:{RunStatus.FAILED},{RunStatus.RUNNING}",
    "template": "template:order-flow or template:etl*",
    "dur": "dur:>5m or dur:<10s",
    "since": "since:24h or since:2025-01-20",
    "err": 'err~503 or err~"connection refused"',
    "step": "step:load or step:load*",
    "id": "id:a07c",
}


def _make(field: Field, value: str, sign: str, negated: bool, column: int) -> Term:
    contains = sign == "~"
    if contains and field in ("status", "dur", "since"):
        raise FilterError(f"{field} takes ':', not '~': {_EXAMPLES[field]}", column - 1)
    if field in ("template", "step") and not contains and not value.strip(","):
        raise FilterError(f"{field} needs a value: {_EXAMPLES[field]}", column)
    try:
        match field:
            case "status":
                statuses, cancelling = _statuses(value)
                return Term(field, value, negated, statuses=statuses, cancelling=cancelling)
            case "dur":
                longer, span = _comparison(value)
                return Term(field, value, negated, longer=longer, span=span)
            case "since":
                ago, moment = _when(value)
                return Term(field, value, negated, span=ago, moment=moment)
            case _:
                return Term(field, value, negated, contains)
    except ValueError as error:
        raise FilterError(str(error), column) from None


def _statuses(value: str) -> tuple[frozenset[RunStatus], bool]:
    """And whether those are meant too that are asked to end."""
    names = value.lower().split(",")
    return frozenset(_status(name) for name in names if name != CANCELLING), CANCELLING in names


_OF_ROWS = {words.replace(" ", "_"): status for status, words in WORDS.items()} | {"run": RunStatus.RUNNING}


def _status(name: str) -> RunStatus:
    """By its own word, or by that of a row."""
    word = name.replace(" ", "_").replace("-", "_")
    try:
        return _OF_ROWS.get(word) or RunStatus(word)
    except ValueError:
        known = [status.value for status in RunStatus]
        hint = did_you_mean(word, [*known, *_OF_ROWS, *RUN_ALIASES]) or f"; use one of {', '.join(known)}"
        raise ValueError(f"There is no status '{safe(name)}'{hint}") from None


def _comparison(value: str) -> tuple[bool, timedelta]:
    if value[0] not in "<>":
        raise ValueError(f"dur needs > or <: {_EXAMPLES['dur']}")
    return value[0] == ">", timedelta(milliseconds=parse_duration(value[1:].removeprefix("=")))


def _when(value: str) -> tuple[timedelta | None, datetime | None]:
    """How long ago, or a time of the local clock."""
    try:
        return timedelta(milliseconds=parse_duration(value)), None
    except ValueError:
        pass  # then it is a time, or neither
    try:
        return None, datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"'{safe(value)}' is no time: {_EXAMPLES['since']}") from None


# Completing


def completions(text: str, templates: Sequence[str], steps: Sequence[str] = ()) -> tuple[int, list[str]]:
    """What the end of `text` may become: where it begins, and the candidates to stand from there, whatever the case of
    its letters. `steps`: their keys."""
    begin = max((text.rfind(space) for space in " \t"), default=-1) + 1
    if text[begin : begin + 1] == "-":
        begin += 1
    found = _TERM.match(text, begin)
    assert found is not None  # it matches the empty text
    if found["field"] is None:
        word = text[begin:]
        return begin, [field for field in FIELDS if field.startswith(word.lower())]
    begin = found.end()
    field = _FIELDS.get(found["field"].lower())
    if field in ("status", "template", "step"):
        begin = max(begin, text.rfind(",") + 1)
    statuses = [status.value for status in RunStatus]
    known = {"status": statuses, "template": templates, "step": steps, **_SPANS}.get(field or "", ())
    word = text[begin:]
    return begin, [
        one for one in known if one.lower().startswith(word.lower()) and one != word and not set(one) & set(" \t\"'")
    ]


_SPANS = {"dur": (">10s", ">1m", ">5m", ">1h"), "since": ("1h", "24h", "7d")}
