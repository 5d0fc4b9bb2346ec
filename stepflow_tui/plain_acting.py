"""The words that change something, or try it out. Each change asks first, and names what it is about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stepflow.model.ids import RUN_PREFIX
from stepflow.model.run import RunRecord, awaited_signal
from stepflow_tui.ending import PATIENCE, end
from stepflow_tui.plain_looking import Looking
from stepflow_tui.plain_talking import named, say
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.plain import simulation_sentences
from stepflow_tui.presentation.spans import safe

MOST_NAMED = 5
"""Steps that a question names."""
MOST_REPEATED = 200
"""Characters of a value in a question."""


class _WrongJsonError(Exception):
    """Says what is wrong."""


class Acting(Looking):
    # Starting

    async def _run(self, rest: str) -> None:
        given = await self._template_and_values("run", rest)
        if given is None:
            return
        name, value, variables = given
        if await self._agreed(f"Run {safe(name)} with {_shown(value)}?", "Not run."):
            await self._begun(await self._client.start_run(name, value, variables=variables), "Started")

    async def _simulate(self, rest: str) -> None:
        given = await self._template_and_values("simulate", rest)
        if given is not None:
            name, value, variables = given
            for sentence in simulation_sentences(await self._client.simulate(name, value, variables=variables)):
                say(sentence)

    async def _template_and_values(self, word: str, rest: str) -> tuple[str, Any, dict[str, Any] | None] | None:
        """None: something is missing or wrong, which was said."""
        name, _, text = rest.partition(" ")
        if not name:
            say(f"Which template? templates lists them; then: {word} NAME JSON")
            return None
        await self._client.get_template(name)
        try:
            values = _read(text)
        except _WrongJsonError as error:
            say(f'The input is not JSON: {error}. Write it like {word} {safe(name)} {{"n": 1}}')
            return None
        if len(values) > 2 or (len(values) == 2 and not isinstance(values[1], dict)):
            say(f'After the input come its variables at most, like {word} {safe(name)} {{"n": 1}} {{"region": "eu"}}')
            return None
        return name, values[0] if values else {}, values[1] if len(values) == 2 else None

    async def _retry(self, wanted: str) -> None:
        run = await self._chosen(wanted)
        if run is None:
            return
        if not run.status.may_be_retried:
            way_out = "run it again with run" if run.status.is_final else "it has not ended"
            say(f"{named(run)}, is {_word(run)}: {way_out}.")
            return
        plan = await self._client.plan_redrive(run.id)
        does = f"It keeps {_listed(plan.reused)}, and runs {_listed(plan.performed)}."
        if await self._agreed(f"Retry {named(run)}? {does}", "Not retried."):
            await self._begun(await self._client.retry(run.id), "Retried")

    async def _begun(self, run_id: str, what: str) -> None:
        self._open = await self._client.get_run(run_id, bodies=False)
        self._said_seq = 0
        await self._client.ensure_worker()
        say(f"{what} as {run_id}. It is open; follow says what happens.")

    # Ending and holding

    async def _cancel(self, wanted: str) -> None:
        run = await self._living(wanted, "cancel")
        if run is None or not await self._agreed(f"Cancel {named(run)}?", "Not cancelled."):
            return
        if await self._client.cancel(run.id, "cancelled in the terminal UI"):
            say("Cancelling.")
        else:
            say("It had ended already.")

    async def _terminate(self, wanted: str) -> None:
        run = await self._living(wanted, "terminate")
        if run is None:
            return
        sign = short_id(run.id)
        say(f"End {named(run)}, also if its worker is hung? Type {sign}.")
        typed = ((await self._lines.next("")) or "").strip()
        if typed not in (sign, run.id, run.id.removeprefix(RUN_PREFIX)):
            say(f"That is not {sign}; it goes on.")
            return
        say("Ending it.")
        if not await end(self._client, run.id):
            say("It had ended already.")
            return
        now = await self._client.get_run(run.id, bodies=False)
        left = f"Its worker lives and has not ended it after {PATIENCE.seconds} seconds: stepflow workers stop --now"
        say(f"It is {_word(now)}." if now.status.is_final else left)

    async def _pause(self, wanted: str) -> None:
        run = await self._living(wanted, "pause")
        if run is not None and await self._agreed(f"Pause {named(run)}? Nothing more of it starts.", "Not paused."):
            await self._client.pause(run.id)
            say("Paused. resume lets it go on.")

    async def _resume(self, wanted: str) -> None:
        run = await self._living(wanted, "resume")
        if run is not None and await self._agreed(f"Let {named(run)}, go on?", "Left as it is."):
            does = await self._client.resume(run.id)
            await self._client.ensure_worker()
            say("It goes on." if does else f"It was {_word(run)}, and not paused.")

    async def _living(self, wanted: str, word: str) -> RunRecord | None:
        run = await self._chosen(wanted)
        if run is not None and run.status.is_final:
            say(f"{named(run)}, is {_word(run)}; there is nothing to {word}.")
            return None
        return run

    # Answering

    async def _answer(self, text: str) -> None:
        run = await self._living("", "answer")
        if run is None:
            return
        waiting = {
            step.key: signal
            for step in await self._client.get_steps(run.id, bodies=False)
            if (signal := awaited_signal(step.awaits)) is not None
        }
        if not waiting:
            say(f"{named(run)}, waits for no answer. signal NAME JSON gives it one for later.")
            return
        key, _, rest = text.partition(" ")
        if key in waiting:
            text = rest
        else:
            key = next(iter(waiting))
        asked = next((f"{safe(one.message)} " for one in run.awaits if one.step == key and one.message), "")
        if not text.strip():
            say(f'{safe(key)} waits for {safe(waiting[key])}. {asked}Answer it like answer {{"approved": true}}')
            for other in list(waiting)[1:]:
                say(f"{safe(other)} waits for {safe(waiting[other])}: answer {safe(other)} JSON")
            return
        await self._give(run, waiting[key], text, f"{asked}Answer {safe(key)} of {named(run)},")

    async def _signal(self, rest: str) -> None:
        name, _, text = rest.partition(" ")
        run = await self._living("", "signal")
        if run is None:
            return
        if not name:
            say("Which signal? Write it like signal NAME JSON")
            return
        await self._give(run, name, text, f"Give {safe(name)} to {named(run)},")

    async def _give(self, run: RunRecord, name: str, text: str, question: str) -> None:
        try:
            values = _read(text)
            if len(values) > 1:
                raise _WrongJsonError("more than one value")
        except _WrongJsonError as error:
            say(f'It is not JSON: {error}. Write it like {{"approved": true}}')
            return
        value = values[0] if values else None
        if await self._agreed(f"{question} with {_shown(value)}?", "Nothing was given."):
            is_awaited = await self._client.signal(run.id, name, value)
            await self._client.ensure_worker()
            say("Given; it goes on." if is_awaited else "Given; it is kept until a step waits for it.")


def _read(text: str) -> list[Any]:
    """The JSON values that stand in it, one after the other."""
    values = []
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        try:
            value, end = decoder.raw_decode(rest)
        except json.JSONDecodeError as error:
            raise _WrongJsonError(f"{error.msg}, column {error.colno}") from None
        except (RecursionError, ValueError):
            raise _WrongJsonError("it is nested too deeply, or a number has too many digits") from None
        values.append(value)
        rest = rest[end:].lstrip()
    return values


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return safe(text if len(text) <= MOST_REPEATED else f"{text[:MOST_REPEATED]}, and more")


def _listed(keys: Sequence[str]) -> str:
    if not keys:
        return "nothing"
    more = len(keys) - MOST_NAMED
    return ", ".join(map(safe, keys[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _word(run: RunRecord) -> str:
    return run.status.value.replace("_", " ")
