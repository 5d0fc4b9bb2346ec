"""Every statement of the SQLite storage, by name, each with a sentence."""

from stepflow.model.event import EVENT_CODES, EventType
from stepflow.model.statuses import RUN_STATUS_CODES, RunStatus

_FINAL = ", ".join(str(RUN_STATUS_CODES[status]) for status in RunStatus if status.is_final)
_WAITING = ", ".join(
    str(RUN_STATUS_CODES[status]) for status in (RunStatus.WAITING, RunStatus.SLEEPING, RunStatus.AWAITING_RETRY)
)
_STALLED = RUN_STATUS_CODES[RunStatus.STALLED]

_STEP_COMPLETED = EVENT_CODES[EventType.STEP_COMPLETED]
_STEP_FAILED = EVENT_CODES[EventType.STEP_FAILED]
_STEP_RETRY = EVENT_CODES[EventType.STEP_RETRY]
_RUN_COMPLETED = EVENT_CODES[EventType.RUN_COMPLETED]
_RUN_FAILED = EVENT_CODES[EventType.RUN_FAILED]
_RUN_TIMEOUT = EVENT_CODES[EventType.RUN_TIMEOUT]

BLOB_MARK = "@"
"""Before the id of a blob, where a body would stand: no JSON begins so."""


def _body(column: str) -> str:
    return (
        f"CASE WHEN substr({column}, 1, 1) = '{BLOB_MARK}' "
        f"THEN (SELECT data FROM blobs WHERE id = substr({column}, 2)) ELSE {column} END"
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
UPDATE runs SET event_count = event_count + ? WHERE num = ? AND status NOT IN ({_FINAL}) RETURNING event_count"""
"""Numbers for log lines; nothing follows a final event."""

# Claims

CLAIMABLE = """
SELECT num, priority, age FROM runs WHERE owner IS NULL AND status IN (1, 2)
  AND template_version NOT IN (SELECT value FROM json_each(?)) ORDER BY priority DESC, age, num LIMIT ?"""
"""Queued runs, and running ones whose holder is gone, by priority, then age. Words the index `runs_claimable`."""

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
SELECT step, {_body("output")} FROM steps WHERE run = ? AND step IN (SELECT value FROM json_each(?))
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
SELECT num, id, priority, age, depth FROM runs WHERE id = ? AND status NOT IN ({_FINAL})"""
"""What a child takes from the run that starts it."""

PARENT_BY_NUMBER = PARENT.replace("id = ?", "num = ?")
"""The same by its number."""

INSERT_RUN_BODY = "INSERT INTO run_bodies (run, input, variables, metadata) VALUES (?, ?, ?, ?)"
"""What it was given."""

COPY_REUSED_STEPS = """
INSERT INTO steps (run, step, attempt, status, flags, output)
SELECT ?, step, 0, ?, 2, output FROM steps
WHERE run = (SELECT num FROM runs WHERE id = ?) AND step = ? AND output IS NOT NULL
ORDER BY attempt DESC LIMIT 1"""
"""A completed step of the run that is retried, with its output: pruning the old run is harmless."""

COPY_BLOB_REFS = """
INSERT OR IGNORE INTO blob_refs (blob, run) SELECT blob, ? FROM blob_refs
WHERE run = (SELECT num FROM runs WHERE id = ?)"""
"""What the run that is retried refers to, its retry may need."""

REQUEST_CANCEL = f"""
UPDATE runs SET cancel_requested = 1, reason = ?, version = version + 1, event_count = event_count + 1,
  wake_at = CASE WHEN owner IS NULL THEN 0 END
WHERE id = ? AND status NOT IN ({_FINAL}) AND NOT cancel_requested RETURNING num, event_count"""
"""Ask for a run's end; the version makes its holder look before it decides again. Without a holder it is due at once,
for whoever comes first: the client that asks, or a worker if that client dies."""

REQUESTS = """
SELECT num, version, cancel_requested, reason FROM runs WHERE owner = ? AND (cancel_requested
  OR EXISTS (SELECT 1 FROM signals s WHERE s.run = runs.num AND NOT s.consumed)
  OR EXISTS (SELECT 1 FROM child_groups g WHERE g.run = runs.num AND g.ended))"""
"""The runs that a worker holds and that somebody asks something of."""

SIGNAL = f"""
UPDATE runs SET version = version + 1, event_count = event_count + 1,
  wake_at = CASE WHEN owner IS NULL AND status IN ({_WAITING}) THEN 0 ELSE wake_at END
WHERE id = ? AND status NOT IN ({_FINAL}) RETURNING num, event_count"""
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
UPDATE runs SET wake_at = 0 WHERE num = ? AND owner IS NULL AND status NOT IN ({_FINAL}, {_STALLED})"""
"""Its children have ended. A stalled run stays so."""

WAKE_IF_CHILDREN_ENDED = f"""
UPDATE runs SET wake_at = 0 WHERE num = ? AND status <> {_STALLED}
  AND EXISTS (SELECT 1 FROM child_groups WHERE run = runs.num AND ended)"""
"""A run is let go of in the moment when its children have ended."""

ENDED_GROUPS = "SELECT num, run, step, attempt, spec FROM child_groups WHERE run = ? AND ended ORDER BY num"
"""Groups whose parent has not heard of their end."""

CHILDREN_OF_GROUP = f"""
SELECT r.id, r.status, r.error, r.reason, r.output_skipped, {_body("o.output")}
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
SELECT id FROM runs WHERE parent = ?1 AND (?2 IS NULL OR child_group = ?2) AND status NOT IN ({_FINAL})"""
"""Children of a run, or of one group, that have not ended."""

# Blobs

INSERT_BLOB = "INSERT INTO blobs (id, type, data, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
"""Content is kept once."""

INSERT_BLOB_REF = "INSERT INTO blob_refs (blob, run) VALUES (?, ?) ON CONFLICT DO NOTHING"
"""A run refers to it."""

GET_BLOB = "SELECT data FROM blobs WHERE id = ?"
"""Its data."""

RUN_STATUS = "SELECT num, status FROM runs WHERE id = ?"
"""A run's number and status."""

RUN_IDS_LIKE = "SELECT id FROM runs WHERE id >= ? AND id < ? ORDER BY id LIMIT 2"
"""Runs whose id begins so; two are enough to know that it is not unique."""

RUN_IDS_ENDING = """
SELECT id FROM (SELECT id FROM runs ORDER BY num DESC LIMIT 10000) WHERE substr(id, -length(?1)) = ?1 LIMIT 2"""
"""Recent runs whose id ends so: what the screens show of an id."""

_RUN_COLUMNS = """
r.num, r.id, t.name, v.version, r.status, r.created_at, r.started_at, r.finished_at, r.wake_at, r.error, r.reason,
r.cancel_requested, r.output_skipped, r.priority, r.retry_of, r.step_count, r.open_steps,
(SELECT id FROM workers WHERE num = r.owner), (SELECT id FROM runs p WHERE p.num = r.parent)"""

_RUN_TABLES = """
runs r JOIN template_versions v ON v.num = r.template_version JOIN templates t ON t.num = r.template"""

GET_RUN = f"""
SELECT {_RUN_COLUMNS}, b.input, {_body("o.output")}, b.metadata, v.num FROM {_RUN_TABLES}
JOIN run_bodies b ON b.run = r.num
LEFT JOIN run_outputs o ON o.run = r.num WHERE r.id = ?"""
"""A run as its reader gets it, with bodies."""


def list_runs(*, by_status: int, by_template: bool, children: bool) -> str:
    """Newest first from a key on, without bodies. `by_status`: how many statuses are asked for."""
    where = ["r.num < ?"]
    if by_status:
        where.append(f"r.status IN ({', '.join('?' * by_status)})")
    if by_template:
        where.append("r.template = (SELECT num FROM templates WHERE name = ?)")
    if not children:
        where.append("r.parent IS NULL")
    # Several statuses are walked by number: filtering is cheaper than sorting what an index would give.
    index = "INDEXED BY runs_by_status" if by_status == 1 and not by_template else ""
    tables = _RUN_TABLES.replace("runs r ", f"runs r {index} ", 1)
    return f"SELECT {_RUN_COLUMNS} FROM {tables} WHERE {' AND '.join(where)} ORDER BY r.num DESC LIMIT ?"


def count_runs(*, by_status: int, by_template: bool) -> str:
    """How many runs there are of these statuses and this template, children left out."""
    where = ["parent IS NULL"]
    if by_status:
        where.append(f"status IN ({', '.join('?' * by_status)})")
    if by_template:
        where.append("template = (SELECT num FROM templates WHERE name = ?)")
    return f"SELECT count(*) FROM runs WHERE {' AND '.join(where)}"


STATUS_COUNTS = "SELECT status, count(*) FROM runs GROUP BY status"
"""How many runs there are of each status, from the index alone."""

UNFINISHED = f"""
SELECT EXISTS (SELECT 1 FROM runs WHERE status IN ({
    ", ".join(
        str(code) for status, code in RUN_STATUS_CODES.items() if not RunStatus(status).is_final and code != _STALLED
    )
}) AND template_version NOT IN (SELECT value FROM json_each(?)))"""
"""Whether there is anything left to do, but of these versions."""

RUN_FLOW = """
SELECT r.num, r.status, r.finished_at, v.num FROM runs r JOIN template_versions v ON v.num = r.template_version
WHERE r.id = ?"""
"""The flow version a run is pinned to."""

RECORD_STEPS = """
SELECT step, attempt, status, started_at, finished_at, wake_at, reason, error, flags, awaits FROM steps
WHERE run = ? ORDER BY step, attempt"""
"""The attempts of a run's steps."""

RECORD_STEPS_WITH_BODIES = RECORD_STEPS.replace("awaits FROM", f"awaits, input, {_body('output')} FROM")
"""The same with inputs and outputs."""

# The log


def events(*, of_run: bool, newest: bool, before: bool) -> str:
    """A page of the log, with the bodies that stand on step and run rows."""
    where = ["e.run = ?"] if of_run else []
    where.append("e.seq > ?")
    if before:
        where.append("e.seq < ?")
    index = "INDEXED BY events_by_run" if of_run else "NOT INDEXED"
    order = "e.run_seq" if of_run else "e.seq"
    direction = " DESC" if newest else ""
    return f"""
SELECT e.seq, e.run, e.run_seq, e.type, e.step, e.attempt, e.level, e.at, e.payload,
  CASE e.type WHEN {_STEP_COMPLETED} THEN {_body("s.output")} WHEN {_RUN_COMPLETED} THEN {_body("o.output")} END,
  CASE WHEN e.type IN ({_STEP_FAILED}, {_STEP_RETRY}) THEN s.error
    WHEN e.type IN ({_RUN_FAILED}, {_RUN_TIMEOUT}) THEN r.error END
FROM events e {index}
LEFT JOIN steps s ON s.run = e.run AND s.step = e.step AND s.attempt = e.attempt
LEFT JOIN runs r ON r.num = e.run AND e.step IS NULL
LEFT JOIN run_outputs o ON o.run = e.run AND e.type = {_RUN_COMPLETED}
WHERE {" AND ".join(where)} ORDER BY {order}{direction} LIMIT ?"""


RUN_NAMES = """
SELECT r.num, r.id, t.name, r.template_version, r.started_at, r.finished_at FROM runs r
JOIN templates t ON t.num = r.template WHERE r.num IN (SELECT value FROM json_each(?))"""
"""Ids and templates of the runs that a page of the log is about."""

# Templates

TEMPLATE_BY_NAME = """
SELECT num, name, description, newest, created_at, updated_at FROM templates WHERE name = ? AND NOT deleted"""
"""A template that is not deleted."""

TEMPLATE_ROW = "SELECT num, deleted, newest FROM templates WHERE name = ?"
"""A template's row, deleted or not."""

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
SELECT num, name, description, newest, created_at, updated_at FROM templates WHERE NOT deleted
ORDER BY updated_at DESC, num DESC LIMIT ? OFFSET ?"""
"""Newest change first."""

TEMPLATE_NAMES = "SELECT name FROM templates WHERE NOT deleted"
"""For did-you-mean."""

COUNT_TEMPLATES = "SELECT count(*) FROM templates WHERE NOT deleted"
"""How many there are."""

INSERT_VERSION = """
INSERT INTO template_versions (template, version, source, source_format, flow, components, base_dir, created_at,
  flow_hash, file) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING num"""
"""A new version."""

UPDATE_TEXT = "UPDATE template_versions SET source = ?, source_format = ?, file = ? WHERE num = ?"
"""Other words for the same flow."""

_VERSION = """
SELECT v.num, t.name, v.version, v.source, v.source_format, v.flow, v.base_dir, v.created_at,
  v.file
FROM template_versions v JOIN templates t ON t.num = v.template"""

NEWEST_VERSION = f"{_VERSION} WHERE t.name = ? AND NOT t.deleted AND v.version = t.newest"
"""What a new run takes."""

VERSION_BY_NUMBER = f"{_VERSION} WHERE t.name = ? AND v.version = ?"
"""A certain version, of a deleted template too."""

VERSION_BY_NUM = f"{_VERSION} WHERE v.num = ?"
"""The version that a run refers to."""

VERSION_BY_FLOW = f"{_VERSION} WHERE v.template = ? AND v.flow_hash = ?"
"""The version of a hidden template that says the same."""

ALL_VERSIONS = f"{_VERSION} WHERE t.name = ? ORDER BY v.version DESC"
"""Newest first."""

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
