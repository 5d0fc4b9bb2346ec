"""What an export says, line by line: one JSON object each, with its `type`. Instants have milliseconds; bodies are the
JSON that is stored, so that nothing is lost by reading them.

First comes `Head`, then the versions of a template before the first run that needs them, a run with its steps, events
and blobs, its children behind it, and at the end `Tail`: without it the file was cut.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from stepflow.model.statuses import RunStatus, StepStatus

FORMAT = 1
"""Of the lines; another release may write another."""

NOTHING = Raw()
"""Where there is no body: null is one."""

Instant = Annotated[datetime, Meta(tz=True)]
Version = Annotated[int, Meta(ge=-(2**53), le=2**53)]
"""One that gave way to another is negative."""
Count = Annotated[int, Meta(ge=0, le=2**53)]
Rank = Annotated[int, Meta(ge=1, le=2**53)]


class Line(msgspec.Struct, tag_field="type", omit_defaults=True, forbid_unknown_fields=True):
    pass


class Head(Line, tag="export"):
    format: int
    stepflow: str
    """The release that wrote it."""
    exported_at: Instant


class Tail(Line, tag="end"):
    runs: Count


class TemplateLine(Line, tag="template"):
    """A version of a template."""

    name: str
    version: Version
    flow: Raw
    components: list[str]
    source: str
    source_format: Literal["yaml", "json"]
    created_at: Instant
    template_created_at: Instant
    template_updated_at: Instant
    description: str = ""
    base_dir: str | None = None
    file: str | None = None
    newest: bool = False
    deleted: bool = False
    inline: bool = False
    """Of a flow that is written inside another, or comes from a value."""


class ChildGroup(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Children a step waits for, and how far they are."""

    number: Rank
    """1, 2, … within the run; its children say it too."""
    step_key: str
    attempt: Count
    template: str
    version: Version
    step_count: Count
    max_concurrency: Annotated[int, Meta(ge=1, le=2**53)]
    total: Count
    spec: Raw
    tolerated_failures: Count | None = None
    started: Count = 0
    done: Count = 0
    failed: Count = 0
    ended: bool = False
    inputs: dict[str, Raw] = {}
    """Of the children that have not been started, by their place."""


class PendingSignal(msgspec.Struct, forbid_unknown_fields=True):
    """That no step has waited for so far."""

    name: str
    at: Instant
    data: Raw


class RunLine(Line, tag="run"):
    id: str
    template: str
    version: Version
    status: RunStatus
    created_at: Instant
    step_count: Count
    input: Raw
    started_at: Instant | None = None
    finished_at: Instant | None = None
    start_at: Instant | None = None
    wake_at: Instant | None = None
    priority: Annotated[int, Meta(ge=-(2**53), le=2**53)] = 0
    variables: Raw = NOTHING
    """Secret ones as references, never as values."""
    metadata: Raw = NOTHING
    output: Raw = NOTHING
    withheld: bool = False
    """What sensitive steps gave is not in `output`."""
    output_skipped: bool = False
    error: Raw = NOTHING
    reason: str | None = None
    cancel_requested: bool = False
    losses: Count = 0
    parent_run_id: str | None = None
    child_group: Rank | None = None
    child_item: Count | None = None
    retry_of: str | None = None
    idempotency_key: str | None = None
    signals: list[PendingSignal] = []
    child_groups: list[ChildGroup] = []


class StepLine(Line, tag="step"):
    """An attempt of a step; steps that never moved have none."""

    run_id: str
    key: str
    attempt: Count
    status: StepStatus
    started_at: Instant | None = None
    finished_at: Instant | None = None
    wake_at: Instant | None = None
    reason: str | None = None
    awaits: str | None = None
    error: Raw = NOTHING
    recovered: bool = False
    reused: bool = False
    input: Raw = NOTHING
    output: Raw = NOTHING
    withheld: bool = False
    """The step is sensitive: its output stayed where it was."""


class EventLine(Line, tag="event"):
    """Outputs and errors are not repeated here: they stand on the step or the run."""

    seq: Count
    run_id: str
    run_seq: Count
    event_type: str
    level: str
    timestamp: Instant
    step_key: str | None = None
    attempt: Count = 0
    payload: Raw = NOTHING


class BlobLine(Line, tag="blob"):
    """Data that the run refers to."""

    run_id: str
    id: str
    blob_type: str
    created_at: Instant
    data: Raw


AnyLine = Head | TemplateLine | RunLine | StepLine | EventLine | BlobLine | Tail


class WholeRun(msgspec.Struct):
    """A run with all that belongs to it."""

    run: RunLine
    line: int
    """Where it stands in the file."""
    steps: list[StepLine] = []
    events: list[EventLine] = []
    blobs: list[BlobLine] = []


class ImportedTemplate(msgspec.Struct, frozen=True):
    name: str
    numbers: dict[int, int]
    """`TemplateVersion.id` here, of each version."""
    versions: dict[int, int]
    """What each version that was added is called here."""
    newest: int


class ImportedRuns(msgspec.Struct, frozen=True):
    """A root run and its children."""

    id: str
    count: int
    """0: they are stored already."""
    paused: bool = False
    lost_key: str | None = None
    """The idempotency key that another run has here."""


class NotImported(msgspec.Struct, frozen=True):
    """A root run that has not ended, and cannot go on without what sensitive steps gave."""

    id: str
