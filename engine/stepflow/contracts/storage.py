"""What the engine asks of a storage: synchronous verbs, coarse, each atomic, and durable when it returns.

The verbs on the hot path are values (`CreateRun`, `Claim`, `Commit`, `AppendLogs`) that can also be submitted, to be
told when they are durable; a storage is free to make many of them durable together. Instants are ms since 1970.

A caller may rely on this:
- A decision is committed whole or not at all: events, step rows, run row. It is refused with `LeaseLostError` when
  another holds the run, with `StaleRunError` when the run changed since it was read; then nothing was written.
- `seq` is commit order: a follower that has seen n misses nothing that is committed later.
- Runs of a worker that is gone become claimable through `free_dead_workers`, never by the passing of wall time.
- Any verb may raise `StorageError` (disk full, locked, read-only); the same call may be made again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from stepflow.contracts.component import EndedChild
from stepflow.model.event import WorkflowEvent
from stepflow.model.flow import Flow, Json
from stepflow.model.run import BodyPart, RunRecord, StepRecord, WorkerRecord
from stepflow.model.statuses import RunStatus
from stepflow.model.template import SavedVersion, Template, TemplateVersion

if TYPE_CHECKING:  # a reader makes none of them, and need not wait for the engine's core
    from stepflow.contracts.transfer import ImportedRuns, ImportedTemplate, Line, TemplateLine, WholeRun
    from stepflow.core.decide import Decision
    from stepflow.core.facts import Signalled
    from stepflow.core.transition import RunState, StepState
    from stepflow.model.stats import Stats


class CreateRun(msgspec.Struct, frozen=True):
    """-> the run's id: `id`, or that of the run which has the same idempotency key."""

    id: str
    template_version: int
    """`TemplateVersion.id`."""
    input: str
    """JSON."""
    created_at: int
    step_count: int
    priority: int = 0
    start_at: int | None = None
    """Delayed until then."""
    variables: str | None = None
    metadata: str | None = None
    parent_run_id: str | None = None
    retry_of: str | None = None
    reused: Mapping[int, int] = {}
    """Steps whose outputs are taken over from `retry_of`, each with its place in that run's flow."""
    idempotency_key: str | None = None


class Claim(msgspec.Struct, frozen=True):
    """-> `ClaimedRuns`: runs by priority, then age; from now on held by `worker`.

    `begin` is asked for the first decision about each, which is committed together with the claim. It is called in
    the storage's own thread, must be quick, must not use the storage, and may be called again if the claim is.
    """

    worker: int
    limit: int
    now: int
    without: frozenset[int] = frozenset()
    """Template versions this worker cannot perform."""
    begin: Callable[[StoredRun], Commit | None] = lambda stored: None


class Commit(msgspec.Struct, frozen=True):
    """-> None. `worker` None: nobody may hold the run (the client ends a run without a holder)."""

    run: int
    """Its number."""
    run_id: str
    worker: int | None
    fence: int
    version: int
    """The run's version when the decision was made; this makes it one more."""
    decision: Decision
    open_steps: int


class LogLine(msgspec.Struct, frozen=True):
    run: int
    step: int | None
    attempt: int
    at: int
    type: str
    """`log`, or a component's own event name."""
    level: str
    payload: str
    """JSON."""


class AppendLogs(msgspec.Struct, frozen=True):
    """-> None. Lines of runs that are final by now are dropped: nothing follows a final event."""

    lines: tuple[LogLine, ...]


RunSort = Literal["created", "started", "finished", "duration"]
"""What runs are listed by, the newest or longest first; those that it does not say anything of come last."""

Write = CreateRun | Claim | Commit | AppendLogs
Done = Callable[[Any, BaseException | None], None]


class StoredRun(msgspec.Struct):
    """A run as the engine loads it."""

    number: int
    id: str
    template_version: int
    state: RunState
    steps: dict[int, StepState]
    """The latest attempt of each step that ever moved."""
    input: str
    variables: str | None
    metadata: str | None
    worker: int | None
    fence: int
    version: int
    retry_of: str | None = None
    is_child: bool = False
    depth: int = 0
    """How many runs it is inside of."""
    signals: list[Signalled] = []
    """That no step has waited for so far."""


class Request(msgspec.Struct, frozen=True):
    """What somebody asks of a run that a worker holds."""

    run: int
    version: int
    status: RunStatus
    cancel_requested: bool
    reason: str | None
    signals: tuple[Signalled, ...]
    children_ended: bool
    """Of one of its steps, all."""


class EndedChildren(msgspec.Struct, frozen=True):
    """A group of children that have all ended, in their order; those never started are not among them."""

    group: int
    step: int
    attempt: int
    spec: Json
    children: tuple[EndedChild, ...]


class ClaimedRuns(msgspec.Struct):
    runs: list[StoredRun]
    next_wake: int | None
    """When the next waiting run that nobody holds is due."""


class ProcessGroup(msgspec.Struct, frozen=True):
    """A process group a step started; whoever takes the run over kills it first."""

    run: int
    step: int
    attempt: int
    host: str
    boot_id: str
    group: int
    start_time: int


class WorkerIdentity(msgspec.Struct, frozen=True):
    id: str
    pid: int
    host: str
    boot_id: str
    started_at: int
    slots: int
    background: bool
    offers: tuple[str, ...]
    """Paths of its components: readers are told why a run that needs others stays queued."""


class WatchedFile(msgspec.Struct, frozen=True):
    path: str
    """Its whole path."""
    hash: str
    """Of its text."""


class WatchedTemplate(msgspec.Struct, frozen=True):
    """A template with the file that made it."""

    name: str
    version: int
    path: str
    """Its whole path."""
    hash: str | None
    """Of the text that was seen last; None: it was not watched so far."""
    file_gone: bool
    deleted: bool


class TemplateText(msgspec.Struct, frozen=True):
    """A template version to be saved."""

    name: str
    source: str
    source_format: str
    flow: Flow
    description: str | None
    base_dir: str | None
    now: int
    file: str | None = None
    watched: WatchedFile | None = None
    """The file in a watched folder that it comes from: it is the template's from now on. Where its text is the one that
    was seen last, whatever was done to the template since stays."""


class PruneRule(msgspec.Struct, frozen=True):
    """Which root runs are to go, with all below them."""

    finished_before: int
    keep: int = 0
    """The newest runs of each template, which stay whatever their age."""
    template: str | None = None
    statuses: tuple[RunStatus, ...] = tuple(status for status in RunStatus if status.is_final)


class PruneForecast(msgspec.Struct, frozen=True):
    by_template: dict[str, int]
    """Root runs."""
    runs: int
    """With all children."""
    events: int


class Pruned(msgspec.Struct, frozen=True):
    """What one transaction has deleted."""

    roots: int
    runs: int
    """Roots among them."""
    events: int


class Listener(Protocol):
    """Tells one follower that something was committed, in whichever process."""

    def fileno(self) -> int | None:
        """A descriptor that becomes readable at once after most commits of others; None where there is none."""

    def drain(self) -> bool:
        """Empty the descriptor; whether there was anything in it."""

    def changed(self) -> bool:
        """Whether anything was committed by another connection since the last call: cheap, to be polled each
        `poll_seconds` as the safety net."""

    poll_seconds: float

    def close(self) -> None: ...


class Storage(Protocol):
    url: str

    def close(self) -> None:
        """Finish what was submitted, then let go of everything."""

    def submit(self, writes: Sequence[tuple[Write, Done]]) -> None:
        """Queue `writes`, in their order, and return at once. Each `done(result, error)` is called from the storage's
        own thread, once, when its write is durable or refused; it must not block."""

    def perform(self, what: Write) -> Any:
        """One write, waiting for it."""

    def listen(self, *, for_workers: bool = False) -> Listener:
        """`for_workers`: woken only by runs to claim and by requests, not by every event."""

    # Templates

    def save_template(self, text: TemplateText, *, create: bool, update: bool) -> SavedVersion:
        """The new version; where its flow is the same, the newest one, which has this text from now on. A newest
        version that a watched file made and nothing has used gives way to it, and it takes that number. `create` and
        `update` say what is allowed: `TemplateExistsError`, `TemplateNotFoundError` otherwise."""

    def save_watched_templates(self, texts: Sequence[TemplateText]) -> list[SavedVersion]:
        """All of them in one transaction, created or updated; in their order."""

    def watched_templates(self) -> list[WatchedTemplate]:
        """Of all that a file made, deleted ones too where the file was watched."""

    def mark_files_gone(self, names: Sequence[str]) -> None:
        """The files of these templates are not there any more. Saving from a file takes the mark away."""

    def save_inline_template(self, text: TemplateText, components: Sequence[str]) -> TemplateVersion:
        """A version for a flow that is written inside another or comes from a value: not listed, and stored once.
        `components`: what a worker must offer to take its runs."""

    def delete_template(self, name: str, now: int) -> None:
        """Hide it. Versions stay for the runs that refer to them."""

    def get_template(self, name: str) -> Template: ...

    def get_template_version(self, name: str, version: int | None = None) -> TemplateVersion: ...

    def template_version_by_id(self, number: int) -> TemplateVersion: ...

    def template_versions(self, name: str, limit: int | None = None) -> list[TemplateVersion]:
        """Newest first; of a deleted template too."""

    def count_runs_by_version(self, name: str) -> dict[int, int]:
        """How many runs, children too, each version of a template has; versions without any are left out."""

    def list_templates(self, limit: int, offset: int) -> list[Template]: ...

    def count_templates(self) -> int: ...

    # Runs, for readers

    def find_run(self, ref: str) -> str:
        """The id of the one run whose id begins so, else of the one recent run whose id ends so (as the screens show
        it); `RunNotFoundError` says when there are several."""

    def get_run(self, run_id: str, *, bodies: bool = True, largest: int | None = None) -> RunRecord:
        """`largest` as `get_steps` has it, for the input too."""

    def runs_by_id(self, run_ids: Collection[str]) -> list[RunRecord]:
        """Without bodies, in any order; those that are not stored are left out."""

    def list_runs(
        self,
        limit: int,
        cursor: str | None,
        statuses: Collection[RunStatus] | None,
        template: str | None,
        children: bool,
        *,
        since: int | None = None,
        parent: str | None = None,
        sort: RunSort = "created",
        reverse: bool = False,
    ) -> tuple[list[RunRecord], str | None]:
        """Newest first, and the cursor of the next page. Page 10,000 costs what page 1 costs, unless they are sorted by
        something else than when they were created: then each page reads all that match. `since`: created then or later;
        `parent`: the id of the run that started them."""

    def count_runs(
        self,
        statuses: Collection[RunStatus] | None,
        template: str | None,
        *,
        children: bool = False,
        since: int | None = None,
        parent: str | None = None,
    ) -> int: ...

    def status_counts(self, *, children: bool = False) -> dict[RunStatus, int]:
        """Of root runs; with `children` of all."""

    def get_steps(
        self, run_id: str, *, bodies: bool, attempts: bool, step: str | None = None, largest: int | None = None
    ) -> list[StepRecord]:
        """`step`: of this one alone; none where the flow has no such step. `largest`: of an output with more
        characters only its size is told, as `{"$omitted": {"size": 10485760}}`."""

    def get_body(self, run_id: str, part: BodyPart, *, step: str | None = None, attempt: int = 1) -> bytes | None:
        """The JSON of an input or an output, of the run or of an attempt of a step, as `get_run` and `get_steps` would
        give it; None: there is none."""

    def get_events(
        self,
        run_id: str | None,
        *,
        after_seq: int,
        before_seq: int | None,
        limit: int,
        newest: bool,
        lines: bool = False,
        step: str | None = None,
        level: str | None = None,
        bodies: bool = True,
        largest: int | None = None,
    ) -> list[WorkflowEvent]:
        """`lines`: only what steps said (log lines, components' own events), the starts of children, and ends. `step`:
        about this one of `run_id` alone; `level`: of this one and graver ones. Without `bodies` results are None;
        `largest` as `get_steps` has it."""

    def search_log(self, needles: Sequence[str], before_seq: int, look_at: int) -> tuple[list[WorkflowEvent], int]:
        """Log lines and ends of steps without bodies, the newest first, among so many events before `before_seq`; and
        where those begin. All in whose words, or in whose step's key, each needle is, whatever the case of its letters,
        are among them: the caller judges."""

    def last_seq(self) -> int: ...

    def oldest_whole_seq(self) -> int:
        """From this event on nothing was pruned; 0: nothing ever was."""

    # Runs, for the engine

    def load_run(self, run_id: str) -> StoredRun: ...

    def load_outputs(self, run: int, steps: Collection[int]) -> dict[int, str]:
        """JSON of the outputs of completed steps."""

    def request_cancel(self, run_id: str, reason: str | None, now: int) -> bool:
        """Write the request; its holder sees it at once. False: the run is final."""

    def requests(self, worker: int) -> list[Request]:
        """Of the runs that `worker` holds, those that somebody asks something of."""

    def signal(self, run_id: str, name: str, data: str, now: int) -> None:
        """Give a run a signal with JSON `data`; its holder sees it at once. `WorkflowEngineError` INVALID_STATE: the
        run is final."""

    def pause(self, run_id: str, now: int) -> bool:
        """From now on nothing of it or of its children starts; its holder sees it at once, and what runs ends. False:
        it is paused. `WorkflowEngineError` INVALID_STATE: it cannot be."""

    def resume(self, run_id: str, now: int) -> bool:
        """Make a paused or stalled run, and its paused children, claimable again, or scheduled as it was. False: it is
        neither. `WorkflowEngineError` INVALID_STATE: it has ended."""

    def ended_children(self, run: int) -> list[EndedChildren]:
        """Groups of children whose step has not heard of their end."""

    def open_children(self, run_id: str) -> list[str]:
        """Ids of the run's children that have not ended."""

    # Blobs

    def put_blob(self, run: int, text: str, blob_type: str, now: int) -> str:
        """Keep compact JSON for `run`; its id is the sha256 of its UTF-8."""

    def get_blob(self, blob_id: str) -> str | None: ...

    # Workers

    def register_worker(self, identity: WorkerIdentity, lease_until: float) -> int:
        """Its number. Until `remove_worker` (or death) others see it alive."""

    def heartbeat(self, worker: int, lease_until: float, trouble: str | None) -> bool:
        """Extend its lease, ahead of everything that waits; False: it was declared dead and its runs were freed."""

    def remove_worker(self, worker: int) -> None: ...

    def free_dead_workers(self, now_monotonic: float, boot_id: str, *, but: int | None = None) -> int:
        """Make the runs of dead and hung workers claimable; the number of runs freed."""

    def offered(self) -> set[str]:
        """Paths of the components that living workers have."""

    def stall_unoffered(self, offers: Collection[str], before: int, now: int) -> int:
        """Stall queued runs that need what is not among `offers` and to which nothing has happened since `before`; how
        many of them."""

    def free_run(self, run: int, worker: int) -> None:
        """Make one run that `worker` holds claimable again."""

    def workers(self) -> list[WorkerRecord]: ...

    def any_worker_alive(self) -> bool: ...

    def unfinished_runs(self, without: Collection[int] = ()) -> bool:
        """Whether any run is neither final nor stalled; those of the template versions `without` do not count."""

    def become_background_worker(self) -> bool:
        """Take the place of this database's one background worker, for the life of this storage."""

    def record_process_group(self, worker: int, group: ProcessGroup) -> None: ...

    def forget_process_group(self, group: ProcessGroup) -> None: ...

    def process_groups(self, runs: Iterable[int]) -> Sequence[ProcessGroup]:
        """Groups that earlier holders of these runs started and nobody has ended."""

    def is_worker(self, worker_id: str, pid: int) -> bool:
        """Whether process `pid` of this host is that worker, alive."""

    def runs_held_by(self, worker_id: str) -> list[str]:
        """Ids of the runs that a worker holds."""

    def stats(self, since: int, now: int, template: str | None) -> Stats:
        """Of runs made since then, of the newest where there are many. `TemplateNotFoundError`."""

    # Upkeep

    def export(self, run_ids: Sequence[str] | None, template: str | None) -> Iterator[Line]:
        """All that is stored, or these runs, each with the whole it is part of, or those of a template: of one moment,
        however long it takes to read, and without what sensitive steps gave. To be closed."""

    def import_template(self, lines: Sequence[TemplateLine], taken: set[int], now: int) -> ImportedTemplate:
        """Versions of one template, judged by the caller. What is stored is never changed by it; `taken`: ids of
        versions that others of the same file are already, grown by this."""

    def import_runs(
        self, runs: Sequence[WholeRun], versions: Mapping[tuple[str, int], int], resume: bool, now: int
    ) -> ImportedRuns:
        """A root run and all below it, judged by the caller, or nothing: it is stored already. Runs that have not ended
        are paused unless `resume`. `versions`: ids by the name and the number that the runs say.
        `ImportRefusedError`: one of them is stored elsewhere."""

    def forecast_prune(self, rule: PruneRule) -> PruneForecast:
        """What `prune` would delete. `TemplateNotFoundError`."""

    def prune(self, rule: PruneRule, now: int) -> Iterator[Pruned]:
        """Delete ended root runs with all below them, each run whole, a few at a time: others commit between. Runs of
        which anything has not ended stay, and so does the newest run. Followers that have not come so far are told."""

    def prune_blobs(self, before: int) -> Iterator[int]:
        """Delete blobs made before then that no run refers to, a few at a time."""

    def prune_inline_templates(self) -> int:
        """Delete flows without a template of their own that no run uses; none while a worker lives."""

    def free_bytes(self) -> int:
        """In the file, and used by nothing."""

    def vacuum(self) -> int:
        """Give them back to the disk; how many. `WorkflowEngineError` WORKERS_ALIVE: it would hold them up."""

    def statistics(self) -> Mapping[str, int]:
        """`runs`, `steps`, `events`, `bytes`."""
