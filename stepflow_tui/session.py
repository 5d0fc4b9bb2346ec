"""What the screens share: the client, how everything stands, the worker that was started, the last inputs."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from stepflow.client import Client, WorkerProcess
from stepflow.errors import StorageError, WorkflowEngineError
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.config import Config
from stepflow_tui.histories import Histories
from stepflow_tui.keymap import View
from stepflow_tui.presentation.breakpoints import Breakpoints, read_breakpoints
from stepflow_tui.presentation.filters import Filter
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.header import Standing
from stepflow_tui.profiles import Profile
from stepflow_tui.remembering import Kept
from stepflow_tui.step_histories import StepHistories
from stepflow_tui.undoing import Chosen
from stepflow_tui.watching import WatchedFiles

if TYPE_CHECKING:
    from stepflow.client.checks import Simulation
    from stepflow_tui.presentation.fingerprints import Fingerprint
    from stepflow_tui.presentation.timeline_prediction import Prediction, Usual

Place = tuple[View, tuple[str | None, ...]]
"""A view, and of what it is."""
UNFINISHED = frozenset(status for status in RunStatus if not status.is_final and status is not RunStatus.STALLED)


MOST_OF_BODY = 65_536
"""Characters of an input or output that are read before anybody asks for all of it."""

CLOCKS = {"fast": 0.5, "slow": 1.0, "off": None}
"""Seconds between two looks at what moves, by the setting."""


class Session:
    """`start_worker`: one is started where none is alive. `read_only`: nothing is changed, nobody is started."""

    def __init__(
        self,
        client: Client,
        glyphs: Glyphs,
        *,
        start_worker: bool = True,
        read_only: bool = False,
        config: Config | None = None,
        profile: Profile | None = None,
    ) -> None:
        self.client = client
        self.profile = profile
        """By which the storage was named; None: it was not."""
        self.glyphs = glyphs
        self._file = _identity(client.url)
        self.why_off = f"Off: {_why_only_read(client)}"
        """Why nothing can be changed, where it cannot."""
        self.starts_worker = start_worker and not read_only
        self.read_only = read_only
        self.config = config or Config()
        self.configure: Callable[[], None] = lambda: None
        """Make all as the settings say."""
        self.look_at_settings: Callable[[], bool] = lambda: False
        """Do so if they were saved elsewhere."""
        self.profiles: Callable[[], list[Profile]] = list
        """The storages that can be shown instead."""
        self.taken: Callable[[], Awaitable[bool]] = never_said
        """When the terminal has taken all that was drawn; False: it does not say so."""
        self.themes: tuple[str, ...] = ()
        """Those that can be chosen."""
        self.troubles: list[str] = []
        """What is wrong with the settings and the themes, each with the way out."""
        self.changed_keys: dict[str, str] = {}
        """By id, the keys that are not those of the table."""
        self.standing = Standing(self._name, read_only=read_only)
        self.storage_trouble: str | None = None
        self.hear_of_trouble: set[Callable[[], None]] = set()
        """To be told when the storage comes to be in trouble, or is no longer."""
        self.worker_process: WorkerProcess | None = None
        self.histories = Histories(client)
        self.step_histories = StepHistories(client)
        self.past_filters: list[str] = []
        """As they were typed, the newest last."""
        self.kept_above: list[Kept] = []
        """Screens that lay above the dashboard when it was left, to be opened."""
        self.left_as: list[Kept] = []
        """The screens as they stood when they were left for good."""
        self.steps_read: tuple[RunRecord, list[StepRecord]] | None = None
        """What was read last of an execution and its steps, one record per attempt."""
        self.predictions: dict[str, tuple[Prediction, Usual | None]] = {}
        """By id, of executions whose timelines are seen, and what those before them took in all."""
        self.watched: dict[str, RunRecord] = {}
        """By id, executions of which a person wants to hear."""
        self.before: Place | None = None
        """The view that was seen before this one."""
        self.wanted_filter: Filter | None = None
        """With which the screen of executions begins."""
        self.chosen: tuple[Chosen, str | None] | None = None
        """What the screen of executions listed and had marked when it was left, and the id of the selected one."""
        self.wanted_failure: Fingerprint | None = None
        """On which the screen of failures begins."""
        self.retried: set[str] = set()
        """Executions of which all of a group were retried: not to be retried with it again."""
        self.last_inputs: dict[str, str] = {}
        """By template, as they were typed."""
        self.last_variables: dict[str, dict[str, Any]] = {}
        """With them."""
        self.files = WatchedFiles()
        self.drafts: dict[str, str] = {}
        """By template without a file, that of its text as somebody edits it and could not be saved yet."""
        self.simulations: dict[str, tuple[int, Simulation]] = {}
        """By template, the last one, and of which version."""
        self.template_at_hand: str | None = None
        """On which the screen of templates begins."""
        self.shows_simulation = False
        """It begins with the simulation."""

    @property
    def _name(self) -> str:
        """The workspace's, else the database file's, since the header has no room for paths; after the profile's."""
        client = self.client
        name = client.workspace.name if client.workspace is not None else client.url.rpartition("/")[2]
        return name if self.profile is None else f"{self.profile.name}: {name}"

    @cached_property
    def place(self) -> tuple[tuple[str, str], ...]:
        """Options of a command line that lead here from every folder."""
        file, workspace = self.client.database_file, self.client.workspace
        if workspace is None:
            return (("--db", str(file)),)
        try:
            is_its_own = Client.only(None, str(workspace)).database_file == file
        except WorkflowEngineError:
            is_its_own = False  # its file says it no more
        database = () if is_its_own else (("--db", str(file)),)
        return (*database, ("--workspace", str(workspace)))

    def set(self, name: str, value: str) -> None:
        """A setting, for now and for later. `ConfigError`: it cannot be kept."""
        self.config.set(name, value)
        self.configure()

    def look_at_file(self) -> Literal["same", "gone", "other"]:
        """What is where the database was when it was opened."""
        now = _identity(self.client.url)
        if now is None:
            return "gone"
        return "same" if now == self._file else "other"

    def note_trouble(self, trouble: str | None) -> None:
        """With the storage; None: there is none any more."""
        found = self.look_at_file()
        if trouble is not None and found != "same":
            name = self.client.url.rpartition("/")[2]
            gone = "is gone; when it is back it is read by itself"
            trouble = f"{name} {gone if found == 'gone' else 'is another file now; it is read anew'}"
        before, self.storage_trouble = self.storage_trouble, trouble
        if trouble != before:
            for tell in list(self.hear_of_trouble):
                tell()

    async def reconnect(self) -> None:
        """`StorageError`: the database cannot be opened; what was open still is."""
        if self.look_at_file() == "gone":
            raise StorageError("gone")  # opening it would make an empty one
        await self.client.reopen()
        self._file = _identity(self.client.url)

    @property
    def breakpoints(self) -> Breakpoints:
        return read_breakpoints(self.config.table("breakpoints"))[0]

    @property
    def tick_seconds(self) -> float | None:
        """How often what moves is drawn again; None: never. Over a network less often."""
        clock = self.config.setting("clock")
        if clock == "auto":
            clock = "slow" if os.environ.get("SSH_CONNECTION") else "fast"
        return CLOCKS[clock]

    @property
    def live_count(self) -> int:
        return sum(self.standing.counts.get(status, 0) for status in UNFINISHED)

    async def read_counts(self) -> None:
        counts = await self.client.status_counts()
        self.standing = msgspec.structs.replace(self.standing, counts=counts)

    async def ensure_worker(self) -> None:
        """`WorkflowEngineError`: none could be started."""
        if not self.starts_worker:
            return
        try:
            started = await self.client.ensure_worker()
        except OSError as error:
            raise WorkflowEngineError("NO_WORKER", f"No worker can be started: {error}") from error
        if started is not None:
            self.worker_process = started

    async def look_at_workers(self) -> bool:
        """Whether the one that was started is there by now, or none was."""
        alive = [worker for worker in await self.client.workers() if worker.alive]
        trouble = next((f"worker: {worker.trouble}" for worker in alive if worker.trouble), None)
        starting = self.worker_process is not None and self.worker_process.is_alive()
        count = len(alive) or (None if starting else 0)
        self.standing = msgspec.structs.replace(self.standing, workers=count, trouble=trouble)
        return count is not None


async def never_said() -> bool:
    return False


def _why_only_read(client: Client) -> str:
    try:
        why = client.why_only_read
    except StorageError as error:
        why = error.message
    return why or "this screen only reads (--read-only, or so its profile says)"


def _identity(file: str) -> tuple[int, int] | None:
    """Another one for another file of the same name."""
    try:
        found = os.stat(file)  # noqa: PTH116 - it is a string
    except OSError:
        return None
    return found.st_dev, found.st_ino
