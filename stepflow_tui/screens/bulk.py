"""What is done with many executions at once: asked for first, by their number where they are many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from stepflow.errors import WorkflowEngineError
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.ending import end
from stepflow_tui.presentation.affected import AFFECTED, STANDING
from stepflow_tui.screens.acting import Acting
from stepflow_tui.widgets.bar import Question

FEW = 5
"""So many are answered for by one key; for more their number is typed."""
AT_ONCE = 50
"""Requests that are made together, and committed together."""
ALL_AT_ONCE = tuple(AFFECTED)
"""Ids of keys that act on all of them."""

Does = Callable[[RunRecord], Awaitable[bool]]
"""With one execution; whether there was anything to do."""


class Bulk(Acting):
    """A subclass has executions marked, or grouped."""

    def cancel_all(self, runs: Sequence[RunRecord], few: int = FEW) -> None:
        """`few`: so many are answered for by one key."""

        async def cancel(run: RunRecord) -> bool:
            return await self.client.cancel(run.id, "cancelled in the terminal UI")

        self._ask_for_all("Cancel", RunStatus.CANCELLED.value, AFFECTED["cancel"](runs), runs, cancel, few)

    def terminate_all(self, runs: Sequence[RunRecord]) -> None:
        """Their number is always typed."""

        async def end_one(run: RunRecord) -> bool:
            return await end(self.client, run.id)

        self._ask_for_all("End", RunStatus.CANCELLED.value, AFFECTED["terminate"](runs), runs, end_one, few=0)

    def retry_all(self, runs: Sequence[RunRecord], few: int = FEW) -> None:
        async def retry(run: RunRecord) -> bool:
            if run.id in self.session.retried:
                return False
            self.session.retried.add(run.id)
            try:
                await self.client.retry(run.id)
            except WorkflowEngineError:
                self.session.retried.discard(run.id)
                raise
            return True

        wanted = [run for run in AFFECTED["retry"](runs) if run.id not in self.session.retried]
        if all(run.retried_as is not None for run in runs):
            which = "It was" if len(runs) == 1 else f"All of the {len(runs):,} were"
            self.note(f"{which} retried already; t y on one alone retries it once more")
            return
        self._ask_for_all("Retry", "retried", wanted, runs, retry, few)

    def pause_all(self, runs: Sequence[RunRecord], few: int = FEW) -> None:
        """Those that go on; where none does, those that are paused go on."""
        wanted = AFFECTED["pause"](runs)
        if any(run.status in STANDING for run in wanted):
            self._ask_for_all("Let go on", "resumed", wanted, runs, lambda run: self.client.resume(run.id), few)
        else:
            self._ask_for_all("Pause", RunStatus.PAUSED.value, wanted, runs, lambda run: self.client.pause(run.id), few)

    def _ask_for_all(
        self,
        what: str,
        done: str,
        wanted: Sequence[RunRecord],
        of: Sequence[RunRecord],
        does: Does,
        few: int,
    ) -> None:
        if not wanted:
            self.note(f"None of the {len(of):,} can be {done}")
            return
        left_out = f" of {len(of):,}" if len(of) > len(wanted) else ""
        many = f"{len(wanted):,}{left_out} execution{'s' if len(of) > 1 else ''}"

        def begin() -> None:
            # It goes on when this screen is left.
            self.app.run_worker(self._do_all(done, wanted, does), group="bulk")

        async def answered(_: str) -> None:
            begin()

        def typed(text: str) -> None:
            if text.replace(",", "") == str(len(wanted)):
                begin()
            else:
                self.note(f"Nothing was {done}")

        if len(wanted) <= few:
            self.ask(Question(f"{what} {many}?", {"y": ("yes", "all of them")}), answered)
        else:
            self.ask_text(f"{what} {many}? Type {len(wanted)}:", typed)

    async def _do_all(self, done: str, runs: Sequence[RunRecord], does: Does) -> None:
        counted, refused = 0, list[str]()
        for begin in range(0, len(runs), AT_ONCE):
            outcomes = await asyncio.gather(*map(does, runs[begin : begin + AT_ONCE]), return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, WorkflowEngineError):
                    refused.append(outcome.message)
                elif isinstance(outcome, BaseException):
                    raise outcome
                else:
                    counted += outcome
            self.say(f"{counted:,} of {len(runs):,} {done} …")
        if refused:
            self.say(f"{counted:,} of {len(runs):,} {done}, {len(refused):,} refused: {refused[0]}", "bad")
        else:
            rest = len(runs) - counted
            self.say(f"{counted:,} {done}{f'; {rest:,} stay as they were' if rest else ''}")
        try:
            await self.session.ensure_worker()
        except WorkflowEngineError as error:
            self.say(error.message, "bad")
