"""Every statement of the SQLite storage that runs need, by name, each with a sentence. Those of export, import, pruning
and health are in `upkeep_queries`."""

from collections.abc import Sequence

from stepflow.model.event import EVENT_CODES, FINAL_RUN_EVENTS, EventType
from stepflow.model.statuses import RUN_STATUS_CODES, RUN_STATUSES, STEP_STATUS_CODES, RunStatus, StepStatus

FINAL = ", ".join(str(RUN_STATUS_CODES[status]) for status in RunStatus if status.is_final)
_WAITING = ", ".join(
    str(RUN_STATUS_CODES[status]) for status in (RunStatus.WAITING, RunStatus.SLEEPING, RunStatus.AWAITING_RETRY)
)
STALLED = RUN_STATUS_CODES[RunStatus.STALLED]
_PAUSED = RUN_STATUS_CODES[RunStatus.PAUSED]
_QUEUED = RUN_STATUS_CODES[RunStatus.QUEUED]
_SCHEDULED = RUN_STATUS_CODES[RunStatus.SCHEDULED]
_STEP_WAITING = STEP_STATUS_CODES[StepStatus.WAITING]
_STEP_AWAITING_RETRY = STEP_STATUS_CODES[StepStatus.AWAITING_RETRY]

_STEP_COMPLETED = EVENT_CODES[EventType.STEP_COMPLETED]
_STEP_FAILED = EVENT_CODES[EventType.STEP_FAILED]
_STEP_RETRY = EVENT_CODES[EventType.STEP_RETRY]
_RUN_COMPLETED = EVENT_CODES[EventType.RUN_COMPLETED]
_RUN_FAILED = EVENT_CODES[EventType.RUN_FAILED]
_RUN_TIMEOUT = EVENT_CODES[EventType.RUN_TIMEOUT]
_LINES = ", ".join(
    str(EVENT_CODES[kind])
    for kind in (EventType.LOG, EventType.LOG_TRUNCATED, EventType.CHILD_STARTED, *sorted(FINAL_RUN_EVENTS))
)
_LOG = EVENT_CODES[EventType.LOG]
_STEP_ENDS = ", ".join(
    str(EVENT_CODES[kind])
    for kind in (EventType.STEP_COMPLETED, EventType.STEP_FAILED, EventType.STEP_SKIPPED, EventType.STEP_CANCELLED)
)

BLOB_MARK = "@"
"""Before the id of a blob, where a body would stand: no JSON begins so."""


def body(column: str, largest: int | None = None) -> str:
    """Wherever it is kept; `largest` as `bounded` has it."""
    return (
        f"CASE WHEN substr({column}, 1, 1) = '{BLOB_MARK}' "
        f"THEN (SELECT {bounded('data', largest)} FROM blobs WHERE id = substr({column}, 2)) "
        f"ELSE {bounded(column, largest)} END"
    )


def bounded(column: str, largest: int | None) -> str:
    """JSON; of one with more than `largest` characters only its size. It is left out here and not by whoever reads it:
    SQLite takes a text into its memory each time it is named, and that of ours does not shrink again."""
    if largest is None:
        return column
    size = "json_object('$omitted', json_object('size', size))"
    # LIMIT: else it is folded into the query around it, and the length is asked for again and again.
    return (
        f"(SELECT CASE WHEN size > {largest} THEN {size} ELSE {column} END "
        f"FROM (SELECT length({column}) AS size LIMIT 1))"
    )


# The hot path

NEWEST_SEQ = "SELECT coalesce(max(seq), 0) FROM events"
"""Where the log ends; numbers are given inside the write transaction."""

GUARDED_STEP_CHANGE = """
UPDATE runs SET version = version + 1, event_count = event_count + ?, open_steps = ?, losses = ?
WHERE num = ? AND version = ? AND fence = ? AND owner IS ? RETURNING event_count"""
"""A decision that leaves the run's own state as it is: no row means that it is refused."""

GUARDED_RUN_CHANGE = """
UPDATE runs SET version = version + 1, event_count = event_count + ?, open_steps = ?, losses = ?, status = ?,
  started_at = ?, finished_at = ?, wake_at = ?, output_skipped = ?, reason = ?, error = ?,
  owner = CASE WHEN ? THEN NULL ELSE owner END
WHERE num = ? AND version = ? AND fence = ? AND owner IS ? RETURNING event_count, parent, child_group, child_item"""
"""A decision that changes the run itself; lets go of it where it says so."""

WHO_HOLDS = "SELECT owner, fence, version FROM runs WHERE num = ?"
"""Why a decision was refused."""

UPSERT_STEP = """
INSERT INTO steps (run, step, attempt, status, started_at, finished_at, wake_at, reason, error, flags, input, output,
  awaits)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, step, attempt) DO UPDATE SET status = excluded.status, started_at = excluded.started_at,
  finished_at = excluded.finished_at, wake_at = excluded.wake_at, reason = excluded.reason, error = excluded.error,
  flags = excluded.flags, input = coalesce(excluded.input, input), output = excluded.output,
  awaits = excluded.awaits"""
"""An attempt of a step as it is now. Its input was given when it started."""

INSERT_EVENT = """
INSERT INTO events (seq, run, run_seq, type, step, attempt, level, at, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
"""The next events of the log."""

SET_OUTPUT = "INSERT INTO run_outputs (output, run) VALUES (?, ?)"
"""The output of a run that completes."""

ADD_LOG_EVENTS = f"""
UPDATE runs SET event_count = event_count + ? WHERE num = ? AND status NOT IN ({FINAL}) RETURNING event_count"""
"""Numbers for log lines; nothing follows a final event."""


# Claims

CLAIMABLE = """
SELECT num, priority, age FROM runs INDEXED BY runs_claimable WHERE owner IS NULL AND status IN (1, 2)
  AND template_version NOT IN (SELECT value FROM json_each(?)) ORDER BY priority DESC, age, num LIMIT ?"""
"""Queued runs, and running ones whose holder is gone, by priority, then age. Left alone, SQLite sorts all of them."""

DUE = """
SELECT num, priority, age FROM runs WHERE owner IS NULL AND wake_at <= ?
  AND template_version NOT IN (SELECT value FROM json_each(?)) ORDER BY wake_at LIMIT ?"""
"""Waiting and delayed runs whose time has come."""

TAKE = """
UPDATE runs SET owner = ?, fence = fence + 1, version = version + 1, wake_at = NULL WHERE num = ?"""
"""Hold a run."""

LOAD_RUN = """
SELECT r.num, r.id, r.template_version, r.status, r.started_at, r.finished_at, r.error, r.reason, r.cancel_requested,
  r.losses, r.output_skipped, b.input, b.variables, b.metadata, r.owner, r.fence, r.version, r.retry_of,
  r.event_count, r.parent, r.depth
FROM runs r JOIN run_bodies b ON b.run = r.num WHERE r.num = ?"""
"""A run as the engine needs it."""

LOAD_STEPS = """
SELECT step, attempt, status, started_at, finished_at, wake_at, reason, error, flags, awaits FROM steps
WHERE run = ? ORDER BY step, attempt"""
"""Its steps without bodies; the last attempt of each comes last."""

LOAD_OUTPUTS = f"""
SELECT step, {body("output")} FROM steps WHERE run = ? AND step IN (SELECT value FROM json_each(?))
AND output IS NOT NULL ORDER BY step, attempt"""
"""Outputs that a decision asks for."""

NEXT_WAKE = """
SELECT min(wake_at) FROM runs WHERE owner IS NULL AND wake_at IS NOT NULL
  AND template_version NOT IN (SELECT value FROM json_each(?))"""
"""When the next timer of a run without holder is due, of those that may be taken."""


# Runs

RUN_BY_KEY = """
SELECT r.id, b.input FROM runs r JOIN run_bodies b ON b.run = r.num WHERE r.template = ? AND r.idempotency_key = ?"""
"""The run that already has this idempotency key."""

INSERT_RUN = """
INSERT INTO runs (id, template, template_version, status, priority, created_at, wake_at, event_count, step_count,
  open_steps, parent, retry_of, idempotency_key, child_group, child_item, depth, age, start_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?7) RETURNING num"""
"""A new run; it is due when its delay is over."""

PARENT = f"""
SELECT num, id, priority, age, depth, status FROM runs WHERE id = ? AND status NOT IN ({FINAL})"""
"""What a child takes from the run that starts it."""

PARENT_BY_NUMBER = PARENT.replace("id = ?", "num = ?")
"""The same by its number."""

INSERT_RUN_BODY = "INSERT INTO run_bodies (run, input, variables, metadata) VALUES (?, ?, ?, ?)"
"""What it was given."""

COPY_REUSED_STEP = """
INSERT INTO steps (run, step, attempt, status, flags, output)
SELECT ?, ?, 0, ?, 2, output FROM steps
WHERE run = (SELECT num FROM runs WHERE id = ?) AND step = ? AND output IS NOT NULL
ORDER BY attempt DESC LIMIT 1"""
"""A completed step of the run that is retried, with its output: pruning the old run is harmless."""

COPY_BLOB_REFS = """
WITH RECURSIVE tree (num) AS (
  SELECT num FROM runs WHERE id = ?2 UNION ALL SELECT r.num FROM runs r JOIN tree ON r.parent = tree.num)
INSERT OR IGNORE INTO blob_refs (blob, run) SELECT blob, ?1 FROM blob_refs WHERE run IN (SELECT num FROM tree)"""
"""What the run that is retried refers to, or one below it, its retry may need."""

REQUEST_CANCEL = f"""
UPDATE runs SET cancel_requested = 1, reason = ?, version = version + 1, event_count = event_count + 1,
  wake_at = CASE WHEN owner IS NULL THEN 0 END
WHERE id = ? AND status NOT IN ({FINAL}) AND NOT cancel_requested RETURNING num, event_count"""
"""Ask for a run's end; the version makes its holder look before it decides again. Without a holder it is due at once,
for whoever comes first: the client that asks, or a worker if that client dies."""

PAUSE = f"""
UPDATE runs SET status = {_PAUSED}, version = version + 1, event_count = event_count + 1,
  wake_at = CASE WHEN owner IS NULL THEN
    started_at + (SELECT json_extract(flow, '$.timeout_ms') FROM template_versions WHERE num = template_version) END
WHERE num = ? AND status NOT IN ({_PAUSED}, {STALLED}, {FINAL}) AND NOT cancel_requested RETURNING event_count"""
"""Nothing of it starts any more; the version makes its holder look. Its timeout goes on."""

_IS_DELAYED = "started_at IS NULL AND start_at > :now AND NOT cancel_requested"

RESUME = f"""
UPDATE runs SET version = version + 1, event_count = event_count + 1,
  status = CASE WHEN {_IS_DELAYED} THEN {_SCHEDULED} ELSE {_QUEUED} END,
  wake_at = CASE WHEN {_IS_DELAYED} THEN start_at END,
  losses = CASE status WHEN {STALLED} THEN 0 ELSE losses END,
  reason = CASE WHEN status = {STALLED} AND NOT cancel_requested THEN NULL ELSE reason END
WHERE num = :run RETURNING event_count, status, start_at"""
"""A paused or stalled run is claimable again; one whose delay is not over waits on, unless it is to end."""

OPEN_CHILD_STATUSES = f"SELECT num, status FROM runs WHERE parent = ? AND status NOT IN ({FINAL})"
"""Children of a run that have not ended."""

OPEN_CHILD_NUMBERS = OPEN_CHILD_STATUSES.replace("num, status", "num")
"""Their numbers alone."""

REQUESTS = f"""
SELECT num, version, status, cancel_requested, reason FROM runs WHERE owner = ? AND (cancel_requested
  OR status IN ({_PAUSED}, {_QUEUED})
  OR EXISTS (SELECT 1 FROM signals s WHERE s.run = runs.num AND NOT s.consumed)
  OR EXISTS (SELECT 1 FROM child_groups g WHERE g.run = runs.num AND g.ended))"""
"""The runs that a worker holds and that somebody asks something of."""

SIGNAL = f"""
UPDATE runs SET version = version + 1, event_count = event_count + 1,
  wake_at = CASE WHEN owner IS NULL AND status IN ({_WAITING}) THEN 0 ELSE wake_at END
WHERE id = ? AND status NOT IN ({FINAL}) RETURNING num, event_count"""
"""A run gets a signal; one that waits is due at once."""

INSERT_SIGNAL = "INSERT INTO signals (run, name, data, at) VALUES (?, ?, ?, ?)"
"""What it says."""

PENDING_SIGNALS = "SELECT num, name, data FROM signals WHERE run = ? AND NOT consumed ORDER BY num"
"""Signals that no step has waited for so far."""

CONSUME_SIGNAL = "UPDATE signals SET consumed = 1 WHERE num = ?"
"""A step waited for it."""


# Children

INSERT_GROUP_OF_CHILDREN = """
INSERT INTO child_groups (run, step, attempt, template_version, kind, step_count, max_concurrency, tolerated, total,
  started, spec) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING num"""
"""A step begins to wait for children."""

INSERT_CHILD_INPUT = "INSERT INTO child_inputs (child_group, item, input) VALUES (?, ?, ?)"
"""The input of a child that is started later."""

TAKE_CHILD_INPUT = "DELETE FROM child_inputs WHERE child_group = ? AND item = ? RETURNING input"
"""It is started now."""

CHILD_DONE = """
UPDATE child_groups SET done = done + 1, failed = failed + ? WHERE num = ?
RETURNING num, run, template_version, kind, step_count, total, started, done, failed, tolerated"""
"""A child has ended."""

CHILD_STARTED = "UPDATE child_groups SET started = started + 1 WHERE num = ?"
"""The next child was started."""

GROUP_ENDED = "UPDATE child_groups SET ended = 1 WHERE num = ?"
"""All that were to start have ended."""

WAKE_PARENT = f"""
UPDATE runs SET wake_at = 0 WHERE num = ? AND owner IS NULL AND status NOT IN ({FINAL}, {STALLED}, {_PAUSED})"""
"""Its children have ended. A stalled or paused run stays so."""

WAKE_IF_CHILDREN_ENDED = f"""
UPDATE runs SET wake_at = 0 WHERE num = ? AND status NOT IN ({STALLED}, {_PAUSED})
  AND EXISTS (SELECT 1 FROM child_groups WHERE run = runs.num AND ended)"""
"""A run is let go of in the moment when its children have ended."""

ENDED_GROUPS = "SELECT num, run, step, attempt, spec FROM child_groups WHERE run = ? AND ended ORDER BY num"
"""Groups whose parent has not heard of their end."""

CHILDREN_OF_GROUP = f"""
SELECT r.id, r.status, r.error, r.reason, r.output_skipped, {body("o.output")}
FROM runs r LEFT JOIN run_outputs o ON o.run = r.num WHERE r.parent = ? AND r.child_group = ? ORDER BY r.child_item"""
"""How the children of a group ended, in their order."""

DELETE_GROUP_OF_CHILDREN = "DELETE FROM child_groups WHERE num = ?"
"""Its step has heard of its end."""

GROUPS_OF_STEP = "SELECT num FROM child_groups WHERE run = ? AND step = ?"
"""The children that a step waits for."""

DELETE_CHILD_INPUTS = "DELETE FROM child_inputs WHERE child_group = ?"
"""None of them is started any more."""

GROUPS_OF_RUN = "SELECT num FROM child_groups WHERE run = ?"
"""All children that steps of a run wait for."""

OPEN_CHILDREN = f"""
SELECT id FROM runs WHERE parent = ?1 AND (?2 IS NULL OR child_group = ?2) AND status NOT IN ({FINAL})"""
"""Children of a run, or of one group, that have not ended."""


# Blobs

INSERT_BLOB = "INSERT INTO blobs (id, type, data, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
"""Content is kept once."""

INSERT_BLOB_REF = "INSERT INTO blob_refs (blob, run) VALUES (?, ?) ON CONFLICT DO NOTHING"
"""A run refers to it."""

HAS_BLOBS = "SELECT EXISTS (SELECT 1 FROM blobs)"
"""Most databases have none."""

REFER_TO_BLOB = "INSERT OR IGNORE INTO blob_refs (blob, run) SELECT id, ? FROM blobs WHERE id = ?"
"""The same of what may be no blob."""

GET_BLOB = "SELECT data FROM blobs WHERE id = ?"
"""Its data."""

RUN_STATUS = "SELECT num, status, cancel_requested FROM runs WHERE id = ?"
"""A run's number and status, and whether somebody asked for its end."""

RUN_IDS_LIKE = "SELECT id FROM runs WHERE id >= ? AND id < ? ORDER BY id LIMIT 2"
"""Runs whose id begins so; two are enough to know that it is not unique."""

RUN_IDS_ENDING = """
SELECT id FROM (SELECT id FROM runs ORDER BY num DESC LIMIT 10000) WHERE substr(id, -length(?1)) = ?1 LIMIT 2"""
"""Recent runs whose id ends so: what the screens show of an id."""

_RUN_COLUMNS = """
r.num, r.id, t.name, abs(v.version), r.status, r.created_at, r.started_at, r.finished_at, r.wake_at, r.error, r.reason,
r.cancel_requested, r.output_skipped, r.priority, r.retry_of, r.step_count, r.open_steps,
(SELECT id FROM workers WHERE num = r.owner), (SELECT id FROM runs p WHERE p.num = r.parent)"""

_RUN_TABLES = """
runs r JOIN template_versions v ON v.num = r.template_version JOIN templates t ON t.num = r.template"""


def get_run(largest: int | None = None) -> str:
    """A run as its reader gets it, with bodies."""
    return f"""
SELECT {_RUN_COLUMNS}, {bounded("b.input", largest)}, {body("o.output", largest)}, b.metadata, v.num FROM {_RUN_TABLES}
JOIN run_bodies b ON b.run = r.num
LEFT JOIN run_outputs o ON o.run = r.num WHERE r.id = ?"""


RUN_BODY = {
    "input": "SELECT CAST(input AS BLOB) FROM run_bodies WHERE run = ?",
    "output": "SELECT CAST(output AS BLOB) FROM run_outputs WHERE run = ?",
}
"""A body of a run as it stands there, as bytes: where it is a blob, its mark and id."""

STEP_BODY = {
    "input": "SELECT CAST(input AS BLOB) FROM steps WHERE run = ? AND step = ? AND attempt = ?",
    "output": "SELECT CAST(output AS BLOB) FROM steps WHERE run = ? AND step = ? AND attempt = ?",
}
"""The same of an attempt."""

BLOB_BODY = "SELECT CAST(data AS BLOB) FROM blobs WHERE id = ?"
"""A blob as bytes, asked for by itself: behind `body`, SQLite would take it into its memory three times."""

GET_RUN_WITHOUT_BODIES = f"SELECT {_RUN_COLUMNS} FROM {_RUN_TABLES} WHERE r.id = ?"
"""The same without."""


RUNS_BY_ID = f"SELECT {_RUN_COLUMNS} FROM {_RUN_TABLES} WHERE r.id IN (SELECT value FROM json_each(?))"
"""Certain runs as a list has them."""


RUN_VALUES = {
    "started": "r.started_at",
    "finished": "r.finished_at",
    "duration": "r.finished_at - r.started_at",
}
"""What executions are sorted by, if not by their numbers."""

FAR = 1 << 62
"""Beyond every number and instant."""


def list_runs(
    codes: Sequence[int], *, by_template: bool, children: bool, by_parent: bool, since: bool, sort: str, reverse: bool
) -> str:
    """A page from a key on, without bodies: `:number`, where sorted by a value `:value` too. `codes`: of the statuses
    that are asked for. What has no value comes last."""
    where = _of_runs(by_template=by_template, children=children, by_parent=by_parent, since=since)
    beyond, direction = (">", "ASC") if reverse else ("<", "DESC")
    own = _BY_PARENT if by_parent else ""
    if sort == "created":
        # Of two lower bounds SQLite begins at one: from the oldest on at `since`, which the plus leaves alone.
        where.insert(0, f"{'+' if reverse and since else ''}r.num {beyond} :number")
        order = f"r.num {direction}"
        # Of several statuses each is walked by its index, and the few that each gives are put in order.
        arms = [
            f"SELECT * FROM (SELECT r.num AS n FROM runs r {_index(code, by_template, by_parent)} "
            f"WHERE {' AND '.join([*where, f'r.status = {code}'])} ORDER BY {order} LIMIT :limit)"
            for code in codes
        ] or [f"SELECT r.num AS n FROM runs r {own} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT :limit"]
        numbers = " UNION ALL ".join(arms)
    else:
        value = f"coalesce({RUN_VALUES[sort]}, {FAR if reverse else -FAR})"
        where.append(f"({value}, r.num) {beyond} (:value, :number)")
        where += _with_status(codes)
        order = f"{value} {direction}, r.num {direction}"
        numbers = f"SELECT r.num AS n FROM runs r {own} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT :limit"
    return f"SELECT {_RUN_COLUMNS} FROM ({numbers}) JOIN {_RUN_TABLES} WHERE r.num = n ORDER BY {order} LIMIT :limit"


_IS_ROOT = "r.parent IS NULL"
_BY_PARENT = "INDEXED BY runs_by_parent"
"""Left alone, SQLite walks the children of all that have the status that is asked for."""


def _index(code: int, by_template: bool, by_parent: bool) -> str:
    """Runs that have not ended are few, whatever their template."""
    if by_parent:
        return _BY_PARENT
    is_rare = not RUN_STATUSES[code].is_final
    return "INDEXED BY runs_by_status" if is_rare or not by_template else "INDEXED BY runs_by_template"


def _of_runs(*, by_template: bool, children: bool, by_parent: bool, since: bool) -> list[str]:
    where = []
    if by_template:
        where.append("r.template = (SELECT num FROM templates WHERE name = :template)")
    if by_parent:
        where.append("r.parent = (SELECT num FROM runs WHERE id = :parent)")
    elif not children:
        where.append(_IS_ROOT)
    if since:
        # Ids begin with the time: their index says where to stop. The plus keeps SQLite from walking the numbers.
        where.append("r.num >= (SELECT min(+num) FROM runs WHERE id >= :first_id) AND r.created_at >= :since")
    return where


def _with_status(codes: Sequence[int]) -> list[str]:
    return [f"r.status IN ({', '.join(map(str, codes))})"] if codes else []


def count_runs(codes: Sequence[int], *, by_template: bool, children: bool, by_parent: bool, since: bool) -> str:
    """How many there are of what `list_runs` lists."""
    where = _of_runs(by_template=by_template, children=children, by_parent=by_parent, since=since)
    if not codes and where == [_IS_ROOT]:
        # Two indexes know; else each of a million rows is looked at.
        return "SELECT (SELECT count(*) FROM runs) - (SELECT count(*) FROM runs WHERE parent IS NOT NULL)"
    own = _BY_PARENT if by_parent else ""
    return f"SELECT count(*) FROM runs r {own} WHERE {' AND '.join([*where, *_with_status(codes)]) or 'true'}"


STATUS_COUNTS = "SELECT status, count(*) FROM runs GROUP BY status"
"""How many runs there are of each status, from the index alone."""

ROOT_STATUS_COUNTS = """
SELECT status, sum(n) FROM (SELECT status, count(*) AS n FROM runs GROUP BY status
  UNION ALL SELECT status, -count(*) FROM runs INDEXED BY runs_children_by_status WHERE parent IS NOT NULL
  GROUP BY status) GROUP BY status HAVING sum(n) > 0"""
"""The same of root runs: all but the children. Two indexes know; else each of a million rows is looked at."""

STEPS_THAT_WAIT = f"""
SELECT r.id, r.template_version, s.step, s.status, s.awaits, s.error,
  CASE WHEN substr(s.input, 1, 1) = '{{' THEN json_extract(s.input, '$.message') END, g.total, g.done, g.failed
FROM runs r CROSS JOIN steps s ON s.run = r.num
LEFT JOIN child_groups g ON g.run = s.run AND g.step = s.step AND g.attempt = s.attempt
WHERE r.id IN (SELECT value FROM json_each(?)) AND s.status IN ({_STEP_WAITING}, {_STEP_AWAITING_RETRY})
  AND NOT EXISTS (SELECT 1 FROM steps later WHERE later.run = s.run AND later.step = s.step
    AND later.attempt > s.attempt)
ORDER BY r.num, s.step"""
"""What certain runs wait for: a signal and what is said of it, children, another try after an error. An attempt that
another one followed stays as it was."""

RETRIES = "SELECT retry_of, id, status FROM runs WHERE retry_of IN (SELECT value FROM json_each(?)) ORDER BY num"
"""Of certain runs, the newest last."""

UNFINISHED = f"""
SELECT EXISTS (SELECT 1 FROM runs WHERE status IN ({
    ", ".join(
        str(code) for status, code in RUN_STATUS_CODES.items() if not RunStatus(status).is_final and code != STALLED
    )
}) AND template_version NOT IN (SELECT value FROM json_each(?))
  AND (status <> {_PAUSED} OR owner IS NOT NULL OR wake_at IS NOT NULL))"""
"""Whether there is anything left to do, but of these versions. A paused run has only its timeout to come."""

RUN_FLOW = """
SELECT r.num, r.status, r.finished_at, v.num FROM runs r JOIN template_versions v ON v.num = r.template_version
WHERE r.id = ?"""
"""The flow version a run is pinned to."""

RECORD_STEPS = """
SELECT step, attempt, status, started_at, finished_at, wake_at, reason, error, flags, awaits FROM steps
WHERE run = ? ORDER BY step, attempt"""
"""The attempts of a run's steps."""

RECORD_ONE_STEP = RECORD_STEPS.replace("run = ?", "run = ? AND step = ?")
"""The attempts of one."""


def with_bodies(steps: str, largest: int | None = None) -> str:
    """The same with inputs and outputs."""
    return steps.replace("awaits FROM", f"awaits, input, {body('output', largest)} FROM")


# The log


def events(
    *,
    of_run: bool,
    newest: bool,
    before: bool,
    lines: bool,
    of_step: bool = False,
    by_level: bool = False,
    bodies: bool = True,
    largest: int | None = None,
) -> str:
    """A page of the log, with the bodies that stand on step and run rows. `lines`: only what steps said, the starts of
    children, and ends."""
    where = ["e.run = ?"] if of_run else []
    if lines:
        where.append(f"(e.type IN ({_LINES}) OR typeof(e.type) = 'text')")
    if of_step:
        where.append("e.step = ?")
    if by_level:
        where.append("e.level >= ?")
    where.append("e.seq > ?")
    if before:
        where.append("e.seq < ?")
    index = "INDEXED BY events_by_run" if of_run else "NOT INDEXED"
    order = "e.run_seq" if of_run else "e.seq"
    direction = " DESC" if newest else ""
    results = f"""
  CASE e.type WHEN {_STEP_COMPLETED} THEN {body("s.output", largest)}
    WHEN {_RUN_COMPLETED} THEN {body("o.output", largest)} END"""
    return f"""
SELECT e.seq, e.run, e.run_seq, e.type, e.step, e.attempt, e.level, e.at, e.payload,
  {results if bodies else "NULL"},
  CASE WHEN e.type IN ({_STEP_FAILED}, {_STEP_RETRY}) THEN s.error
    WHEN e.type IN ({_RUN_FAILED}, {_RUN_TIMEOUT}) THEN r.error END
FROM events e {index}
LEFT JOIN steps s ON s.run = e.run AND s.step = e.step AND s.attempt = e.attempt
LEFT JOIN runs r ON r.num = e.run AND e.step IS NULL
LEFT JOIN run_outputs o ON o.run = e.run AND e.type = {_RUN_COMPLETED}
WHERE {" AND ".join(where)} ORDER BY {order}{direction} LIMIT ?"""


def log_lines(needles: int) -> str:
    """What steps said between two numbers, the newest first, where it has each of so many needles in lower case."""
    has = "".join(" AND instr(lower(e.payload), ?)" for _ in range(needles))
    return f"""
SELECT e.seq, e.run, e.run_seq, e.type, e.step, e.attempt, e.level, e.at, e.payload, NULL, NULL
FROM events e NOT INDEXED WHERE e.seq >= ? AND e.seq < ? AND e.type = {_LOG}{has} ORDER BY e.seq DESC"""


STEP_ENDS = f"""
SELECT e.seq, e.run, e.run_seq, e.type, e.step, e.attempt, e.level, e.at, e.payload, NULL, s.error, r.template_version
FROM events e NOT INDEXED JOIN runs r ON r.num = e.run
LEFT JOIN steps s ON s.run = e.run AND s.step = e.step AND s.attempt = e.attempt
WHERE e.seq >= ? AND e.seq < ? AND e.type IN ({_STEP_ENDS}) ORDER BY e.seq DESC"""
"""The ends of steps between two numbers, the newest first, without what they gave."""


RUN_NAMES = """
SELECT r.num, r.id, t.name, r.template_version, r.started_at, r.finished_at FROM runs r
JOIN templates t ON t.num = r.template WHERE r.num IN (SELECT value FROM json_each(?))"""
"""Ids and templates of the runs that a page of the log is about."""


# Templates

TEMPLATE_BY_NAME = """
SELECT num, name, description, newest, created_at, updated_at, watched_file, file_gone FROM templates
WHERE name = ? AND NOT deleted"""
"""A template that is not deleted."""

TEMPLATE_ROW = """
SELECT num, deleted, max(newest, coalesce((SELECT max(version) FROM template_versions v WHERE v.template = t.num), 0))
FROM templates t WHERE name = ?"""
"""A template's row, deleted or not, and its last number: an import adds versions that are not its newest."""

INSERT_TEMPLATE = """
INSERT INTO templates (name, description, newest, created_at, updated_at) VALUES (?, ?, 0, ?, ?) RETURNING num"""
"""A new template, without versions yet."""

UPDATE_TEMPLATE = """
UPDATE templates SET newest = ?, description = coalesce(?, description), updated_at = ?, deleted = 0 WHERE num = ?"""
"""A template whose newest version changed; back if it was deleted."""

SET_NEWEST = "UPDATE templates SET newest = ? WHERE num = ?"
"""Another version of a hidden template."""

HIDE_TEMPLATE = "UPDATE templates SET deleted = 1, updated_at = ? WHERE name = ? AND NOT deleted RETURNING num"
"""Delete, for those who look."""

LIST_TEMPLATES = """
SELECT num, name, description, newest, created_at, updated_at, watched_file, file_gone FROM templates
WHERE NOT deleted
ORDER BY updated_at DESC, num DESC LIMIT ? OFFSET ?"""
"""Newest change first."""

TEMPLATE_NAMES = "SELECT name FROM templates WHERE NOT deleted"
"""For did-you-mean."""

COUNT_TEMPLATES = "SELECT count(*) FROM templates WHERE NOT deleted"
"""How many there are."""

INSERT_VERSION = """
INSERT INTO template_versions (template, version, source, source_format, flow, components, base_dir, created_at,
  flow_hash, file, replaceable) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING num"""
"""A new version."""

DROP_REPLACED = "DELETE FROM template_versions WHERE template = ? AND version = -? AND replaceable"
"""The version that gave way the last time, if nothing has used it up to now."""

REPLACE_VERSION = """
UPDATE template_versions SET version = -version WHERE template = ?1 AND version = ?2 AND replaceable
  AND NOT EXISTS (SELECT 1 FROM template_versions WHERE template = ?1 AND version = -?2) RETURNING num"""
"""It gives way. Its row stays for whoever has read it and is about to start a run with it."""

USE_VERSION = "UPDATE template_versions SET replaceable = 0 WHERE num = ? AND replaceable"
"""A run is pinned to it."""

SEEN_HASH = "SELECT watched_hash FROM templates WHERE num = ?"
"""Of the text of its file that was seen last."""

WATCH_FILE = "UPDATE templates SET watched_file = ?, watched_hash = ?, file_gone = 0 WHERE num = ?"
"""The file that makes a template."""

MARK_FILE_GONE = "UPDATE templates SET file_gone = 1 WHERE name = ?"
"""It is not there any more."""

WATCHED_TEMPLATES = """
SELECT t.name, t.newest, t.watched_file, t.watched_hash, t.file_gone, t.deleted, v.base_dir, v.file
FROM templates t JOIN template_versions v ON v.template = t.num AND v.version = t.newest
WHERE t.watched_file IS NOT NULL OR (v.file IS NOT NULL AND v.base_dir IS NOT NULL AND NOT t.deleted) ORDER BY t.name"""
"""Templates that files made, and which files."""

UPDATE_TEXT = "UPDATE template_versions SET source = ?, source_format = ?, file = ? WHERE num = ?"
"""Other words for the same flow."""

_VERSION = """
SELECT v.num, t.name, abs(v.version), v.source, v.source_format, v.flow, v.base_dir, v.created_at,
  v.file
FROM template_versions v JOIN templates t ON t.num = v.template"""

NEWEST_VERSION = f"{_VERSION} WHERE t.name = ? AND NOT t.deleted AND v.version = t.newest"
"""What a new run takes."""

VERSION_BY_NUMBER = f"{_VERSION} WHERE t.name = ? AND v.version = ? AND v.version > 0"
"""A certain version, of a deleted template too."""

VERSION_BY_NUM = f"{_VERSION} WHERE v.num = ?"
"""The version that a run refers to."""

VERSION_BY_FLOW = f"{_VERSION} WHERE v.template = ? AND v.flow_hash = ?"
"""The version of a hidden template that says the same."""

ALL_VERSIONS = f"{_VERSION} WHERE t.name = ? AND v.version > 0 ORDER BY v.version DESC LIMIT ?"
"""Newest first."""

COUNT_RUNS_BY_VERSION = """
SELECT abs(v.version), count(*) FROM runs r JOIN template_versions v ON v.num = r.template_version
WHERE r.template = (SELECT num FROM templates WHERE name = ?) GROUP BY abs(v.version)"""
"""How many runs each version of a template has."""


# Workers

INSERT_WORKER = """
INSERT INTO workers (id, pid, host, boot_id, started_at, lease_until, slots, background, offers)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING num"""
"""A worker that begins."""

HEARTBEAT = "UPDATE workers SET lease_until = ?, trouble = ? WHERE num = ? RETURNING num"
"""It lives."""

OFFERS = "SELECT id, host, offers FROM workers"
"""What the registered workers have."""

NEEDS = """
SELECT r.id, v.components FROM runs r JOIN template_versions v ON v.num = r.template_version
WHERE r.id IN (SELECT value FROM json_each(?))"""
"""What runs need."""

DELETE_WORKER = "DELETE FROM workers WHERE num = ?"
"""It has ended."""

ALL_WORKERS = """
SELECT num, id, pid, host, boot_id, started_at, lease_until, slots, background, trouble,
  (SELECT count(*) FROM runs WHERE owner = workers.num) FROM workers ORDER BY num"""
"""Who is registered, alive or not."""

_FREE = "UPDATE runs SET owner = NULL, fence = fence + 1, version = version + 1, wake_at = 0"
# Due at once, whatever its status says: a run may lose its worker between its claim and its first decision.

FREE_RUNS = f"{_FREE} WHERE owner = ?"
"""A dead worker's runs; its late commits carry an old fence."""

FREE_RUN = f"{_FREE} WHERE num = ? AND owner = ?"
"""One run that its holder cannot go on with."""

ORPHANS = "SELECT count(*) FROM runs WHERE owner IS NOT NULL AND owner NOT IN (SELECT num FROM workers)"
"""Runs held by a worker that is not registered any more."""

FREE_ORPHANS = f"{_FREE} WHERE owner IS NOT NULL AND owner NOT IN (SELECT num FROM workers)"
"""Make them claimable."""

INSERT_GROUP = """
INSERT OR REPLACE INTO process_groups (run, step, attempt, host, boot_id, leader, start_time)
VALUES (?, ?, ?, ?, ?, ?, ?)"""
"""A process group before it does anything."""

DELETE_GROUP = "DELETE FROM process_groups WHERE run = ? AND step = ? AND attempt = ? AND leader = ?"
"""It is gone."""

GROUPS_OF_RUNS = """
SELECT run, step, attempt, host, boot_id, leader, start_time FROM process_groups
WHERE run IN (SELECT value FROM json_each(?))"""
"""What earlier holders left running."""

STATISTICS = """
SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM steps), (SELECT count(*) FROM events),
  (SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size())"""
"""How much there is."""
