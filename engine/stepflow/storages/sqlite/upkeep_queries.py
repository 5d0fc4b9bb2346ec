"""The statements of export, import, pruning, health and statistics, by name, each with a sentence."""

from stepflow.model.event import EVENT_CODES, EventType
from stepflow.model.run import AWAITS_SIGNAL
from stepflow.model.statuses import RUN_STATUS_CODES, STEP_STATUS_CODES, RunStatus, StepStatus
from stepflow.storages.sqlite.queries import FINAL, STALLED, body

# Exports

ROOTS = "SELECT num FROM runs WHERE parent IS NULL ORDER BY num"
"""Runs that no other started."""

ROOTS_OF_TEMPLATE = """
SELECT num FROM runs WHERE template = (SELECT num FROM templates WHERE name = ?) AND parent IS NULL ORDER BY num"""
"""The same of one template."""

TREE = """
WITH RECURSIVE tree (num, depth) AS (
  SELECT ?, 0 UNION ALL SELECT r.num, tree.depth + 1 FROM runs r JOIN tree ON r.parent = tree.num)
SELECT num FROM tree ORDER BY depth, num"""
"""A run and all below it, parents first."""

RUN_AND_PARENT = "SELECT num, parent FROM runs WHERE id = ?"
"""On the way to its root."""

RUN_AND_PARENT_BY_NUMBER = "SELECT num, parent FROM runs WHERE num = ?"
"""The same by its number."""


def export_versions(where: str) -> str:
    """Template versions, each with what there is to say of its template, in the order of their making; those that gave
    way unused are left out."""
    return f"""
SELECT v.num, t.name, v.version, v.source, v.source_format, v.flow, v.components, v.base_dir, v.created_at, v.file,
  v.flow_hash, t.description, t.newest, t.created_at, t.updated_at, t.deleted
FROM template_versions v JOIN templates t ON t.num = v.template WHERE {where} AND (v.version > 0 OR NOT v.replaceable)
ORDER BY t.num, v.version"""


EXPORT_RUN = f"""
SELECT r.id, r.template_version, r.status, r.priority, r.created_at, r.started_at, r.finished_at,
  CASE WHEN r.owner IS NULL THEN r.wake_at ELSE 0 END, r.step_count, r.losses, r.cancel_requested, r.output_skipped,
  r.reason, r.error, r.parent,
  (SELECT id FROM runs p WHERE p.num = r.parent), r.retry_of, r.idempotency_key, r.child_group, r.child_item,
  r.start_at, b.input, b.variables, b.metadata, {body("o.output")}
FROM runs r JOIN run_bodies b ON b.run = r.num LEFT JOIN run_outputs o ON o.run = r.num WHERE r.num = ?"""
"""A run with all that is to be kept of it. One that is held is due at once elsewhere, as if its worker had died."""

EXPORT_SIGNALS = "SELECT name, data, at FROM signals WHERE run = ? AND NOT consumed ORDER BY num"
"""Signals that no step has waited for so far."""

EXPORT_CHILD_GROUPS = """
SELECT num, step, attempt, step_count, max_concurrency, total, template_version, spec, tolerated, started, done, failed,
  ended
FROM child_groups WHERE run = ? ORDER BY num"""
"""The children that a run waits for."""

CHILD_GROUP_NUMBERS = """
SELECT DISTINCT child_group FROM runs WHERE parent = ? AND child_group IS NOT NULL
UNION SELECT num FROM child_groups WHERE run = ? ORDER BY 1"""
"""Of all groups of children that a run ever had, in their order."""

EXPORT_EVENTS = """
SELECT seq, run_seq, type, step, attempt, level, at, payload FROM events INDEXED BY events_by_run
WHERE run = ? ORDER BY run_seq"""
"""The log of a run as it is stored, without bodies."""

BLOB_OF_RUN = """
SELECT id, type, data, created_at FROM blobs
WHERE id = ?1 AND EXISTS (SELECT 1 FROM blob_refs WHERE blob = ?1 AND run = ?2)"""
"""A blob that a run refers to."""


# Imports

IMPORT_TEMPLATE = """
INSERT INTO templates (name, description, newest, created_at, updated_at, deleted) VALUES (?, ?, ?, ?, ?, ?)
RETURNING num"""
"""A template that was not there."""

SAME_VERSIONS = """
SELECT num FROM template_versions WHERE template = ? AND flow = ? AND base_dir IS ? AND flow_hash IS NULL
ORDER BY version = ? DESC, version"""
"""Versions with the same flow and folder, the one with the same number first."""

FREE_VERSION = """
SELECT CASE WHEN EXISTS (SELECT 1 FROM template_versions WHERE template = :template AND version = :wanted)
  THEN (SELECT max(version) + 1 FROM template_versions WHERE template = :template) ELSE :wanted END"""
"""The number of a version that is added: the one it has where it comes from, else the next."""

IMPORT_VERSION = """
INSERT INTO template_versions (template, version, source, source_format, flow, components, base_dir, created_at,
  flow_hash, file) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING num"""
"""A version that was not there."""

TEMPLATE_OF_VERSION = "SELECT template FROM template_versions WHERE num = ?"
"""What it is a version of."""

IMPORT_RUN = """
INSERT INTO runs (id, template, template_version, status, priority, created_at, started_at, finished_at, wake_at,
  event_count, step_count, open_steps, losses, cancel_requested, output_skipped, reason, error, parent, retry_of,
  idempotency_key, child_group, child_item, depth, age, start_at)
VALUES (:id, :template, :template_version, :status, :priority, :created_at, :started_at, :finished_at, :wake_at,
  :event_count, :step_count, :open_steps, :losses, :cancel_requested, :output_skipped, :reason, :error, :parent,
  :retry_of, :idempotency_key, :child_group, :child_item, :depth, :age, :start_at) RETURNING num"""
"""A run as it is elsewhere; nobody holds it here."""

SET_GROUP_OF_CHILDREN = "UPDATE child_groups SET done = ?, failed = ?, ended = ? WHERE num = ?"
"""How far the children are."""


# Pruning

_NEWEST_RUN = "(SELECT max(num) FROM runs)"
_OF_RUNS = "(SELECT value FROM json_each(?))"


def prunable(*, by_template: bool) -> str:
    """Root runs that ended long ago, in the order of their numbers."""
    template = "AND template = :template" if by_template else ""
    return f"""
SELECT num, template FROM runs WHERE num > :after AND num < {_NEWEST_RUN} AND parent IS NULL
  AND status IN (SELECT value FROM json_each(:statuses)) AND finished_at < :before {template}
ORDER BY num LIMIT :limit"""


NTH_NEWEST_ROOT = """
SELECT num FROM runs WHERE template = ? AND parent IS NULL ORDER BY num DESC LIMIT 1 OFFSET ?"""
"""Where the newest runs of a template begin."""

_BELOW = "SELECT r.num, tree.root, tree.depth + 1 FROM runs r JOIN tree ON r.parent = tree.num"

PRUNABLE_TREES = f"""
WITH RECURSIVE tree (num, root, depth) AS (SELECT value, value, 0 FROM json_each(?) UNION ALL {_BELOW})
SELECT tree.root, (SELECT t.name FROM runs root JOIN templates t ON t.num = root.template WHERE root.num = tree.root),
  count(*), sum(r.event_count), sum(r.status NOT IN ({FINAL}) OR r.num = {_NEWEST_RUN})
FROM tree JOIN runs r ON r.num = tree.num GROUP BY tree.root ORDER BY tree.root"""
"""How much there is below each root, and how many runs there must stay."""

PRUNABLE_TREE = f"""
WITH RECURSIVE tree (num, root, depth) AS (SELECT ?, 0, 0 UNION ALL {_BELOW})
SELECT r.num, r.event_count + 2 * r.step_count + 4, tree.depth = 0 FROM tree JOIN runs r ON r.num = tree.num
ORDER BY tree.depth DESC, r.num"""
"""A root and all below it, with about how many rows each has, children first."""

SIGNALS_OF_RUNS = f"SELECT run, num FROM signals WHERE run IN {_OF_RUNS}"
"""All that these runs ever heard."""

BLOBS_OF_RUNS = f"SELECT run, blob FROM blob_refs WHERE run IN {_OF_RUNS}"
"""All that these runs refer to."""

DELETE_MARKS = f"DELETE FROM events WHERE run IS NULL AND type = {EVENT_CODES[EventType.CURSOR_SKIPPED]}"
"""The mark that comes says more."""

OLDEST_WHOLE_SEQ = f"""
SELECT coalesce(max(seq), 0) FROM events WHERE run IS NULL AND type = {EVENT_CODES[EventType.CURSOR_SKIPPED]}"""
"""From here on nothing was pruned."""

DELETE_EVENTS_OF_RUNS = f"DELETE FROM events WHERE run IN {_OF_RUNS}"
"""The log of runs that go."""

DELETE_OF_RUNS = (
    DELETE_EVENTS_OF_RUNS,
    f"DELETE FROM child_inputs WHERE child_group IN (SELECT num FROM child_groups WHERE run IN {_OF_RUNS})",
    *(
        f"DELETE FROM {table} WHERE run IN {_OF_RUNS}"
        for table in ("child_groups", "process_groups", "steps", "run_outputs", "run_bodies")
    ),
)
"""Everything that belongs to them."""

DELETE_RUNS = f"DELETE FROM runs WHERE num IN {_OF_RUNS}"
"""And they themselves."""

REFS_OF_NO_RUN = "SELECT blob, run FROM blob_refs WHERE run NOT IN (SELECT num FROM runs)"
"""Made by a step that did not end in time."""

DELETE_REF_OF_NO_RUN = "DELETE FROM blob_refs WHERE blob = ? AND run = ?"
"""One of them."""

UNUSED_BLOBS = "SELECT id FROM blobs WHERE NOT EXISTS (SELECT 1 FROM blob_refs WHERE blob = blobs.id)"
"""Nobody refers to them; without their data, which would be read to know when they were made."""

DELETE_BLOBS = f"""
DELETE FROM blobs WHERE id IN {_OF_RUNS} AND created_at < ?
  AND NOT EXISTS (SELECT 1 FROM blob_refs WHERE blob = blobs.id)"""
"""Those that still nobody refers to, and old enough."""

_UNUSED_VERSION = """
flow_hash IS NOT NULL AND num < (SELECT max(num) FROM template_versions)
  AND num NOT IN (SELECT template_version FROM runs) AND num NOT IN (SELECT template_version FROM child_groups)"""

UNUSED_INLINE_VERSIONS = f"SELECT num FROM template_versions WHERE {_UNUSED_VERSION}"
"""Flows without a template of their own that no run uses."""

DELETE_INLINE_VERSIONS = f"DELETE FROM template_versions WHERE num IN {_OF_RUNS} AND {_UNUSED_VERSION}"
"""Those that still nobody uses."""

DELETE_EMPTY_TEMPLATES = """
DELETE FROM templates WHERE deleted AND num < (SELECT max(num) FROM templates)
  AND NOT EXISTS (SELECT 1 FROM template_versions v WHERE v.template = templates.num)"""
"""Hidden templates whose flows are gone."""

FREE_BYTES = """
SELECT (SELECT freelist_count FROM pragma_freelist_count()) * (SELECT page_size FROM pragma_page_size())"""
"""Room in the file that nothing uses."""


# Health

QUEUED_BY_VERSION = f"""
SELECT t.name, v.components, q.many, q.since FROM (
  SELECT template_version, count(*) AS many, min(created_at) AS since FROM (
    SELECT template_version, created_at FROM runs
    WHERE status = {RUN_STATUS_CODES[RunStatus.QUEUED]} AND owner IS NULL ORDER BY num LIMIT ?)
  GROUP BY template_version) q
JOIN template_versions v ON v.num = q.template_version JOIN templates t ON t.num = v.template ORDER BY q.since"""
"""The oldest queued runs, how many of each version and since when; and what they need."""

STALLED_RUNS = f"SELECT id, reason FROM runs WHERE status = {STALLED} ORDER BY num DESC LIMIT ?"
"""Runs that only a person can help, newest first."""

RUNS_OF_WORKER = "SELECT id FROM runs WHERE owner = (SELECT num FROM workers WHERE id = ?)"
"""What it holds."""

HELD = "SELECT owner, count(*), min(id) FROM runs WHERE owner IS NOT NULL GROUP BY owner"
"""How many runs each worker holds, registered or not."""

LEFT_RUNNING = f"""
SELECT id FROM runs WHERE status = {RUN_STATUS_CODES[RunStatus.RUNNING]} AND owner IS NULL LIMIT ?"""
"""Runs that were running when their worker died."""

CANCELLING = f"""
SELECT id, owner, (SELECT max(at) FROM events
    WHERE run = r.num AND type = {EVENT_CODES[EventType.RUN_CANCEL_REQUESTED]})
  FROM runs r WHERE owner IS NOT NULL AND cancel_requested
UNION ALL SELECT id, owner, (SELECT max(at) FROM events
    WHERE run = r.num AND type = {EVENT_CODES[EventType.RUN_CANCEL_REQUESTED]})
  FROM runs r WHERE owner IS NULL AND wake_at = 0 AND cancel_requested AND status NOT IN ({FINAL})
LIMIT ?"""
"""Runs that are to end and have not. Without a holder they are due at once."""

OVERDUE = "SELECT id, wake_at FROM runs WHERE owner IS NULL AND wake_at BETWEEN 1 AND ? ORDER BY wake_at LIMIT ?"
"""Runs that were due then and were not taken."""

LONG_WAITS = f"""
SELECT r.id, s.awaits, s.started_at FROM runs r JOIN steps s ON s.run = r.num
WHERE r.status = {RUN_STATUS_CODES[RunStatus.WAITING]} AND s.status = {STEP_STATUS_CODES[StepStatus.WAITING]}
  AND s.awaits GLOB '{AWAITS_SIGNAL}*' AND s.started_at < ? ORDER BY s.started_at LIMIT ?"""
"""Steps that have waited for a signal since before then."""

ALL_GROUPS = """
SELECT g.leader, g.start_time, g.host, g.boot_id, r.id, r.status, r.owner FROM process_groups g
JOIN runs r ON r.num = g.run LIMIT ?"""
"""Process groups that are written down, with the runs that started them."""

NEWEST_AT = "SELECT at FROM events ORDER BY seq DESC LIMIT 1"
"""When the newest event was."""

STRAYS = (
    ("runs without a template", "SELECT count(*) FROM runs WHERE template_version NOT IN (SELECT num FROM "
     "template_versions)"),
    ("inputs without a run", "SELECT count(*) FROM run_bodies WHERE run NOT IN (SELECT num FROM runs)"),
    ("runs without an input", "SELECT count(*) FROM runs WHERE num NOT IN (SELECT run FROM run_bodies)"),
    ("outputs without a run", "SELECT count(*) FROM run_outputs WHERE run NOT IN (SELECT num FROM runs)"),
    ("steps without a run", "SELECT count(*) FROM steps WHERE run NOT IN (SELECT num FROM runs)"),
    ("events without a run", "SELECT count(*) FROM events WHERE run IS NOT NULL AND run NOT IN (SELECT num FROM runs)"),
)  # fmt: skip
"""Rows that refer to what is not there; each reads a whole table."""


# Statistics

_RECENT = """
SELECT t.name, r.status, r.created_at, r.start_at, r.started_at, r.finished_at, json_extract(r.error, '$.code')
FROM (SELECT * FROM runs {where} ORDER BY num DESC LIMIT ?) r JOIN templates t ON t.num = r.template
WHERE r.parent IS NULL AND r.created_at >= ? ORDER BY r.num DESC LIMIT ?"""

RECENT_RUNS = _RECENT.format(where="")
"""The newest runs, without children and bodies."""

RECENT_RUNS_OF_TEMPLATE = _RECENT.format(where="WHERE template = ?")
"""Those of one template."""

ROWS_OF_TABLE = {
    table: f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT ?)"
    for table in ("runs", "steps", "events", "signals", "blobs", "templates", "template_versions")
}
"""How many rows there are, as far as is counted."""

BYTES_OF_TABLES = """
SELECT m.tbl_name, sum(d.pgsize) FROM dbstat d JOIN sqlite_master m ON m.name = d.name WHERE d.aggregate
GROUP BY m.tbl_name"""
"""What each table takes with its indexes; reads every page's head."""

FILE_SIZE = """
SELECT (SELECT page_count FROM pragma_page_count()), (SELECT page_size FROM pragma_page_size())"""
"""Pages, and bytes of one."""


# Stalls

QUEUED_UNTOUCHED = f"""
SELECT r.num, v.components FROM (
  SELECT num, template_version FROM runs WHERE status = {RUN_STATUS_CODES[RunStatus.QUEUED]} AND owner IS NULL
    AND NOT cancel_requested AND created_at < ? ORDER BY num LIMIT ?) r
JOIN template_versions v ON v.num = r.template_version
WHERE (SELECT at FROM events WHERE run = r.num ORDER BY run_seq DESC LIMIT 1) < ?"""
"""The oldest queued runs, of those whose newest event is before then; and what they need."""

STALL = f"""
UPDATE runs SET status = {STALLED}, reason = ?, version = version + 1, event_count = event_count + 1, wake_at = NULL
WHERE num = ? RETURNING event_count"""
"""It waits for a person; nothing wakes it."""
