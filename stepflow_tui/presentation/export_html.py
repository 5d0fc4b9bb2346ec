"""An execution as a page of its own, to be sent to somebody: what it was, its timeline, its errors, its log.

The page asks the network for nothing and runs nothing; all text of the execution is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from itertools import zip_longest
from typing import Any

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.durations import short, ticks
from stepflow_tui.presentation.glyphs import RUN_GLYPHS, STEP_GLYPHS
from stepflow_tui.presentation.log import event_text
from stepflow_tui.presentation.spans import safe
from stepflow_tui.presentation.timeline_folding import is_upstream_failure

MOST_LINES = 20_000
"""Of the log; what is older is left out, which is said."""
MOST_OF_VALUE = 20_000
"""Characters of an input or output."""
TICKS = 100
"""Cells of the axis, as far as its ticks are concerned."""

_STYLE = """
:root { color-scheme: light dark; --good: #1a7f37; --bad: #c62828; --active: #1f5fbf; --late: #9a6700; --quiet: #6b7280;
  --line: #d0d7de; --back: #ffffff; --text: #1f2328; }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff7b72; --active: #79b8ff; --late: #d9a441;
  --quiet: #9198a1; --line: #3d444d; --back: #0d1117; --text: #e6edf3; } }
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  background: var(--back); color: var(--text); }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
pre, code, .bars, .log { font-family: ui-monospace, monospace; font-size: 12px; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: 6px;
  padding: .5rem .7rem; margin: .3rem 0; max-height: 30rem; overflow: auto; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; color: var(--quiet); }
td, th { padding: .15rem .6rem .15rem 0; vertical-align: top; overflow-wrap: anywhere; }
.good { color: var(--good); } .bad { color: var(--bad); } .active, .wait { color: var(--active); }
.late { color: var(--late); } .quiet, .off, .dim { color: var(--quiet); }
.bars td.name { white-space: nowrap; width: 1%; } .bars td.took { white-space: nowrap; width: 1%; text-align: right; }
.track { position: relative; height: 1.1rem; border-left: 1px solid var(--line); border-right: 1px solid var(--line); }
.track span { position: absolute; top: .15rem; bottom: .15rem; min-width: 2px; background: currentColor;
  border-radius: 2px; }
.track i { position: absolute; font-style: normal; color: var(--quiet); white-space: nowrap; }
.log td { padding: 0 .8rem 0 0; white-space: pre-wrap; } .log td.at { white-space: nowrap; }
"""


def run_page(
    run: RunRecord,
    attempts: Sequence[StepRecord],
    events: Sequence[WorkflowEvent],
    now: datetime,
    *,
    left_out: int = 0,
) -> str:
    """`run` and `attempts` of its steps with inputs and outputs, `events` the last of the log but `left_out` older
    ones; what has not ended lasts until `now`."""
    steps = list({one.key: one for one in attempts}.values())
    name = f"{run.template} {run.id}"
    body = [
        f"<h1>{_run_sign(run.status)} {_text(run.template)} <small>v{run.version}</small></h1>",
        _about(run, steps, now),
        *_errors(run, steps),
        "<h2>Timeline</h2>",
        _timeline(run, attempts, now),
        "<h2>Values</h2>",
        *(_value(title, value) for title, value in (("Input", run.input), ("Output", run.output)) if value is not None),
        *_values_of_steps(steps),
        "<h2>Log</h2>",
        *([f"<p class=quiet>{left_out:,} older events are left out</p>"] if left_out else []),
        _log(events),
        f"<p class=quiet>As of {_moment(now)}, by StepFlow</p>",
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(name)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _text(text: object) -> str:
    return escape(safe(text))


def _lines(text: str) -> str:
    """Text of several lines."""
    return "\n".join(_text(line) for line in text.split("\n"))


def _moment(moment: datetime) -> str:
    return escape(moment.isoformat(sep=" ", timespec="milliseconds"))


def _run_sign(status: RunStatus) -> str:
    sign, _, style = RUN_GLYPHS[status]
    return f'<span class="{style}" title="{status.value}">{sign}</span>'


def _step_sign(status: StepStatus) -> str:
    sign, _, style = STEP_GLYPHS[status]
    return f'<span class="{style}" title="{status.value}">{sign}</span>'


def _about(run: RunRecord, steps: Sequence[StepRecord], now: datetime) -> str:
    facts: list[tuple[str, str]] = [
        ("status", run.status.value),
        ("id", run.id),
        ("asked for", _moment(run.created_at)),
    ]
    if run.started_at is not None:
        took = ((run.finished_at or now) - run.started_at).total_seconds()
        facts += [("started", _moment(run.started_at)), ("took" if run.finished_at else "for", short(took))]
    for label, value in (
        ("because", run.reason),
        ("started by", run.parent_run_id),
        ("retry of", run.retry_of),
        ("worker", run.worker),
    ):
        if value:
            facts.append((label, value))
    facts += [(f"metadata {name}", str(value)) for name, value in run.metadata.items()]
    facts.append(("steps", f"{run.steps_done:,} of {len(steps):,} done"))
    rows = "".join(f"<tr><th>{_text(label)}</th><td>{_text(value)}</td></tr>" for label, value in facts)
    return f"<table>{rows}</table>"


def _errors(run: RunRecord, steps: Sequence[StepRecord]) -> Iterator[str]:
    failed = [step for step in steps if step.error is not None and not is_upstream_failure(step)]
    if run.error is None and not failed:
        return
    yield "<h2>Errors</h2>"
    if run.error is not None:
        yield f'<p class="bad">{_said(run.error)}</p>'
    for step in failed:
        assert step.error is not None
        yield f"<h3>{_step_sign(step.status)} {_text(step.key)}</h3><p>{_said(step.error)}</p>"
        details = step.error.get("details") or {}
        for label, value in details.items():
            told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            if "\n" in told:
                yield f"<p class=quiet>{_text(label)}</p><pre>{_lines(told)}</pre>"
            else:
                yield f"<p><span class=quiet>{_text(label)}</span> {_text(told)}</p>"


def _said(error: dict[str, Any]) -> str:
    return f"<code>{_text(error.get('code', ''))}</code> {_lines(str(error.get('message', '')))}"


def _timeline(run: RunRecord, attempts: Sequence[StepRecord], now: datetime) -> str:
    begin = run.started_at or run.created_at
    end = run.finished_at or now
    seconds = max((end - begin).total_seconds(), 0.001)

    def share(moment: datetime) -> float:
        return max(0.0, min(100.0, (moment - begin).total_seconds() / seconds * 100))

    marks = "".join(f'<i style="left:{at}%">{escape(said)}</i>' for at, said in ticks(seconds, TICKS, 12))
    rows = [f'<tr><td class="name"></td><td><div class="track">{marks}</div></td><td></td></tr>']
    by_key: dict[str, list[StepRecord]] = {}
    for one in attempts:
        by_key.setdefault(one.key, []).append(one)
    for key, tried in by_key.items():
        bars, took = [], 0.0
        for one, after in zip_longest(tried, tried[1:]):
            if one.started_at is None:
                continue
            until = one.finished_at or (after.started_at if after is not None else None) or end
            took += max(0.0, (until - one.started_at).total_seconds())
            left = share(one.started_at)
            style = STEP_GLYPHS[one.status][2]
            title = f"{safe(one.key)} attempt {one.attempt} {one.status.value}"
            bars.append(
                f'<span class="{style}" title="{escape(title)}" '
                f'style="left:{left:.3f}%;width:{share(until) - left:.3f}%"></span>'
            )
        said = short(took) if bars else ""
        rows.append(
            f'<tr><td class="name">{_step_sign(tried[-1].status)} {_text(key)}</td>'
            f'<td><div class="track">{"".join(bars)}</div></td><td class="took">{said}</td></tr>'
        )
    return f'<table class="bars">{"".join(rows)}</table>'


def _value(title: str, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    cut = "" if len(text) <= MOST_OF_VALUE else f"\n… {len(text) - MOST_OF_VALUE:,} more characters"
    return f"<details open><summary>{_text(title)}</summary><pre>{_lines(text[:MOST_OF_VALUE] + cut)}</pre></details>"


def _values_of_steps(steps: Sequence[StepRecord]) -> Iterator[str]:
    for step in steps:
        given = {name: value for name, value in (("input", step.input), ("output", step.output)) if value is not None}
        if given:
            yield _value(step.key, given).replace("<details open>", "<details>", 1)


def _log(events: Sequence[WorkflowEvent]) -> str:
    styles = {"error": "bad", "warn": "late", "debug": "dim"}
    rows = "".join(
        f'<tr class="{styles.get(event.level, "")}"><td class="at quiet">{_moment(event.timestamp)}</td>'
        f"<td>{_text(event.step_key or '')}</td><td>{_text(event.event_type)}</td>"
        f"<td>{escape(event_text(event))}</td></tr>"
        for event in events
    )
    return f'<table class="log">{rows}</table>'
