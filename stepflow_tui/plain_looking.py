"""The words that look: lists, an execution and its steps, its log, values and errors, what can be run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from stepflow.client import Client
from stepflow.dsl.diagnostics import did_you_mean
from stepflow.model.event import FINAL_RUN_EVENTS
from stepflow.model.run import RunRecord
from stepflow_tui.listing import Listing
from stepflow_tui.plain_talking import Lines, Talking, say
from stepflow_tui.presentation.filters import FilterError, parse_filter
from stepflow_tui.presentation.plain import (
    error_sentences,
    event_sentence,
    run_sentence,
    step_sentence,
    value_sentence,
)
from stepflow_tui.presentation.spans import safe
from stepflow_tui.presentation.timeline_folding import is_upstream_failure

PAGE = 10
LOG_PAGE = 20
LARGEST = 64 * 1024
"""Characters of an output that are read of each step."""


class Looking(Talking):
    def __init__(self, client: Client, lines: Lines) -> None:
        super().__init__(client, lines)
        self._listing = Listing(client)
        self._older: Callable[[], Awaitable[None]] | None = None
        """Says what comes after the last that was listed; None: nothing does."""
        self._was_asked = ""

    # Executions

    async def _list(self, _: str) -> None:
        self._listing = listing = Listing(self._client)
        listing.choose(filter=parse_filter(self._was_asked))
        await listing.refresh()
        self._listed, self._older = [], None
        if not listing.total:
            say("Nothing has run yet. templates lists what can be run.")
        elif listing.filter.terms:
            found = "No" if not listing.runs and not listing.has_more else listing.matching
            of = "matches" if found in ("No", 1) else "match"
            count = "" if found is None else f"{found} of {_executions(listing.total)} {of} "
            say(f"{count or 'Those that match '}{safe(listing.filter.text)}, newest first. filter alone lists all.")
        else:
            say(f"{_executions(listing.total)}, newest first.")
        await self._say_page()

    async def _say_page(self) -> None:
        first, listing = len(self._listed), self._listing
        if len(listing.runs) < first + PAGE and listing.has_more:
            await listing.more()
        now = datetime.now(UTC)
        for run in listing.runs[first : first + PAGE]:
            self._listed.append(run)
            say(f"{len(self._listed)}. {run_sentence(run, now)}")
        self._older = self._say_page if listing.has_more or len(listing.runs) > len(self._listed) else None
        if self._older is not None and len(self._listed) < first + PAGE:
            say(f"Looked at {_executions(listing.looked_at)}; more looks further.")
        elif self._older is not None:
            say("more lists older ones.")

    async def _filter(self, words: str) -> None:
        try:
            parse_filter(words)
        except FilterError as error:
            say(f"Error: {safe(error.message)}")
            return
        self._was_asked = words
        await self._list("")

    async def _more(self, _: str) -> None:
        if self._older is None:
            say("There are no older ones.")
        else:
            await self._older()

    # An execution

    async def _open_run(self, wanted: str) -> None:
        if not wanted:
            say("Which one? Give its number in the list, or its id.")
            return
        run = await self._chosen(wanted)
        if run is not None:
            self._open = run
            await self._steps("")

    async def _steps(self, wanted: str) -> None:
        run = await self._chosen(wanted)
        if run is None:
            return
        if self._open is not None and run.id == self._open.id:
            self._open, self._said_seq = run, run.last_seq
        steps = await self._client.get_steps(run.id, bodies=False)
        now = datetime.now(UTC)
        say(f"{run_sentence(run, now)}. {len(steps)} step{'' if len(steps) == 1 else 's'}.")
        for step in steps:
            say(f"  {step_sentence(step, now)}")

    async def _log(self, step: str) -> None:
        run = await self._opened()
        if run is None or (step and not await self._has_step(run, step)):
            return
        say(f"The log of {safe(step or run.template)}, the last lines:")
        await self._say_log(run, step or None, None)

    async def _say_log(self, run: RunRecord, step: str | None, before: int | None) -> None:
        events = await self._client.get_events(
            run.id, before_seq=before, limit=LOG_PAGE, newest=True, step=step, bodies=False
        )
        for event in events:
            say(event_sentence(event, with_run=False))
        if len(events) < LOG_PAGE:
            self._older = None
            say("That is where it begins.")
            return

        async def older() -> None:
            await self._say_log(run, step, events[0].seq)

        self._older = older
        say("more says what came before.")

    async def _values(self, key: str) -> None:
        run = await self._opened()
        if run is None or (key and not await self._has_step(run, key)):
            return
        if not key:
            run = await self._client.get_run(run.id, largest=LARGEST)
            say(value_sentence("input", run.input))
            if run.output is not None and not run.output_skipped:
                say(value_sentence("output", run.output))
            say("values STEP says those of a step.")
            return
        (step,) = await self._client.get_steps(run.id, step=key, largest=LARGEST)
        say(value_sentence("input", step.input))
        say(value_sentence("output", step.output))

    async def _has_step(self, run: RunRecord, key: str) -> bool:
        keys = [step.key for step in await self._client.get_steps(run.id, bodies=False)]
        if key in keys:
            return True
        say(f"There is no step '{safe(key)}'{safe(did_you_mean(key, keys)) or '; steps lists them'}")
        return False

    async def _error(self, wanted: str) -> None:
        run = await self._chosen(wanted)
        if run is None:
            return
        steps = await self._client.get_steps(run.id, bodies=False)
        failed = [step for step in steps if step.error is not None and not is_upstream_failure(step)]
        for step in failed:
            assert step.error is not None
            say(step_sentence(step, datetime.now(UTC)))
            for sentence in error_sentences(step.error):
                say(f"  {sentence}")
        caused = run.error is not None and (run.error.get("details") or {}).get("step_key")
        if run.error is not None and not (caused and failed):
            for sentence in error_sentences(run.error):
                say(sentence)
        elif not failed:
            say(f"{run_sentence(run, datetime.now(UTC))}. It has no error.")

    # As it happens

    async def _follow(self, _: str) -> None:
        run = self._open
        if run is not None and run.status.is_final and run.last_seq <= self._said_seq:
            say(f"{run_sentence(run, datetime.now(UTC))}. It has ended.")
            return
        seq = await self._client.last_seq() if run is None else self._said_seq
        say(f"Following {safe(run.template) if run is not None else 'all executions'}. Enter ends it.")
        following = asyncio.create_task(self._say_events(seq, run))
        asking = asyncio.create_task(self._lines.next(""))
        await asyncio.wait([following, asking], return_when=asyncio.FIRST_COMPLETED)
        if asking.done() and asking.result() is None and run is not None:
            await following  # nobody is there to end it: it ends with the execution
        for task in (following, asking):
            task.cancel()
        await asyncio.gather(following, asking, return_exceptions=True)
        if following.done() and not following.cancelled() and following.exception() is not None:
            raise following.exception() or AssertionError
        if run is not None:
            self._open = await self._client.get_run(run.id, bodies=False)
            self._said_seq = self._open.last_seq
        say("Not following any more.")
        if asking.done() and not asking.cancelled() and asking.result():
            await self._answer_to(asking.result() or "")

    async def _answer_to(self, line: str) -> None:
        """A line that ended something, and asks for something else."""
        raise NotImplementedError

    async def _say_events(self, seq: int, run: RunRecord | None) -> None:
        async for events in self._client.follow_batches(seq, None if run is None else run.id):
            for event in events:
                say(event_sentence(event, with_run=run is None))
            if run is not None and any(event.event_type in FINAL_RUN_EVENTS for event in events):
                return

    async def _close(self, _: str) -> None:
        self._open = None
        say("No execution is open.")

    # What can be run

    async def _templates(self, _: str) -> None:
        templates = sorted(await self._client.list_templates(1000), key=lambda template: template.name)
        if not templates:
            say("There are no templates yet: stepflow create NAME --dsl FILE")
        for template in templates:
            said = f", {safe(template.description)}" if template.description else ""
            say(f"{safe(template.name)}, version {template.version}{said}")


def _executions(count: int) -> str:
    return f"{count} execution{'' if count == 1 else 's'}"
