"""The tables, and the migrations that make them. Imported only when a file has to be made or brought up to date.

Inside, runs are integers (half the bytes a step); text ids are kept once, at the border. Bodies stand apart from the
rows that change often. `PRAGMA user_version` is the number of migrations applied.
"""

from __future__ import annotations

import sqlite3

from sqlite_utils import Database, Migrations

migrations = Migrations("stepflow")


@migrations()
def m001_first(db: Database) -> None:
    for statement in _FIRST.split(";\n"):
        if statement.strip():
            db.execute(statement)
    db.execute("PRAGMA user_version = 1")


@migrations()
def m002_children_signals_blobs(db: Database) -> None:
    for statement in _SECOND.split(";\n"):
        if statement.strip():
            db.execute(statement)
    db.execute("PRAGMA user_version = 2")


@migrations()
def m003_delays_watched_files(db: Database) -> None:
    for statement in _THIRD.split(";\n"):
        if statement.strip():
            db.execute(statement)
    db.execute("PRAGMA user_version = 3")


@migrations()
def m004_statuses_of_children(db: Database) -> None:
    db.execute(_FOURTH)
    db.execute("PRAGMA user_version = 4")


@migrations()
def m005_retries(db: Database) -> None:
    db.execute(_FIFTH)
    db.execute("PRAGMA user_version = 5")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file up to date. The caller holds the turnstile, so that of several processes one migrates."""
    migrations.apply(Database(connection, execute_plugins=False))


_FIRST = """
CREATE TABLE templates (
  num INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  newest INTEGER NOT NULL,           -- version number
  created_at INTEGER NOT NULL,       -- all instants: ms since 1970, UTC
  updated_at INTEGER NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE template_versions (
  num INTEGER PRIMARY KEY,
  template INTEGER NOT NULL REFERENCES templates,
  version INTEGER NOT NULL,
  source TEXT NOT NULL,              -- as the author wrote it
  source_format TEXT NOT NULL,
  flow TEXT NOT NULL,                -- its canonical form, JSON
  components TEXT NOT NULL,          -- JSON list: what a worker must offer
  base_dir TEXT,
  created_at INTEGER NOT NULL,
  UNIQUE (template, version)
);
CREATE TABLE runs (
  num INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  template INTEGER NOT NULL,
  template_version INTEGER NOT NULL,
  status INTEGER NOT NULL,           -- model.statuses.RUN_STATUS_CODES
  priority INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  wake_at INTEGER,                   -- when a run without a holder is due
  owner INTEGER,                     -- workers.num
  fence INTEGER NOT NULL DEFAULT 0,  -- one more at each claim
  version INTEGER NOT NULL DEFAULT 0,-- one more at each decision or request
  event_count INTEGER NOT NULL DEFAULT 0,
  step_count INTEGER NOT NULL,
  open_steps INTEGER NOT NULL,
  losses INTEGER NOT NULL DEFAULT 0,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  output_skipped INTEGER NOT NULL DEFAULT 0,
  reason TEXT,
  error TEXT,
  parent INTEGER,
  retry_of TEXT,
  idempotency_key TEXT
);
CREATE INDEX runs_claimable ON runs (priority DESC, num) WHERE owner IS NULL AND status IN (1, 2);
CREATE INDEX runs_due ON runs (wake_at) WHERE owner IS NULL AND wake_at IS NOT NULL;
CREATE INDEX runs_held ON runs (owner) WHERE owner IS NOT NULL;
CREATE INDEX runs_by_status ON runs (status, num);
CREATE INDEX runs_by_template ON runs (template, num);
CREATE UNIQUE INDEX runs_idempotency ON runs (template, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE TABLE run_bodies (
  run INTEGER PRIMARY KEY,
  input TEXT NOT NULL,
  variables TEXT,
  metadata TEXT
);
CREATE TABLE run_outputs (           -- apart: writing one must not write a large input again
  run INTEGER PRIMARY KEY,
  output TEXT NOT NULL
);
CREATE TABLE steps (
  run INTEGER NOT NULL,
  step INTEGER NOT NULL,             -- index into the flow
  attempt INTEGER NOT NULL,
  status INTEGER NOT NULL,           -- model.statuses.STEP_STATUS_CODES
  started_at INTEGER,
  finished_at INTEGER,
  wake_at INTEGER,
  reason TEXT,
  error TEXT,
  flags INTEGER NOT NULL DEFAULT 0,  -- 1 recovered, 2 reused
  input TEXT,
  output TEXT,
  PRIMARY KEY (run, step, attempt)
) WITHOUT ROWID;
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,           -- in the order of commits
  run INTEGER,
  run_seq INTEGER,
  type,                              -- model.event.EVENT_CODES, or a component's own name
  step INTEGER,
  attempt INTEGER,
  level INTEGER NOT NULL,            -- index into model.event.LEVELS
  at INTEGER NOT NULL,
  payload TEXT                       -- JSON without the bodies, which stand on steps and runs
);
CREATE INDEX events_by_run ON events (run, run_seq);
CREATE TABLE workers (
  num INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  pid INTEGER NOT NULL,
  host TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  lease_until REAL NOT NULL,         -- monotonic seconds of that boot
  slots INTEGER NOT NULL,
  background INTEGER NOT NULL,
  offers TEXT NOT NULL,              -- JSON list of component paths
  trouble TEXT
);
CREATE TABLE process_groups (
  run INTEGER NOT NULL,
  step INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  host TEXT NOT NULL,
  boot_id TEXT NOT NULL,
  leader INTEGER NOT NULL,
  start_time INTEGER NOT NULL,
  PRIMARY KEY (run, step, attempt, leader)
) WITHOUT ROWID;
"""

_SECOND = """
-- of the step of `parent` that waits for it
ALTER TABLE runs ADD COLUMN child_group INTEGER;
-- its place in the group, from 0
ALTER TABLE runs ADD COLUMN child_item INTEGER;
ALTER TABLE runs ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
-- when its root run was created
ALTER TABLE runs ADD COLUMN age INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET age = created_at;
DROP INDEX runs_claimable;
CREATE INDEX runs_claimable ON runs (priority DESC, age, num) WHERE owner IS NULL AND status IN (1, 2);
CREATE INDEX runs_by_parent ON runs (parent, num) WHERE parent IS NOT NULL;
ALTER TABLE steps ADD COLUMN awaits TEXT;
-- of a flow without a template of its own
ALTER TABLE template_versions ADD COLUMN flow_hash TEXT;
-- the text's file, as it was named
ALTER TABLE template_versions ADD COLUMN file TEXT;
CREATE INDEX template_versions_by_hash ON template_versions (template, flow_hash) WHERE flow_hash IS NOT NULL;
CREATE TABLE child_groups (          -- the children a step waits for, and how far they are
  num INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: runs refer to it for ever
  run INTEGER NOT NULL,
  step INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  template_version INTEGER NOT NULL,
  kind TEXT NOT NULL,
  step_count INTEGER NOT NULL,
  max_concurrency INTEGER NOT NULL,
  tolerated INTEGER,                 -- failures after which no other child is started
  total INTEGER NOT NULL,
  started INTEGER NOT NULL DEFAULT 0,
  done INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  ended INTEGER NOT NULL DEFAULT 0,  -- all that were to start have ended; the parent has to hear of it
  spec TEXT NOT NULL                 -- JSON: what the component needs to make its output of theirs
);
CREATE INDEX child_groups_of_run ON child_groups (run, step);
CREATE TABLE child_inputs (          -- of children that have not been started yet
  child_group INTEGER NOT NULL,
  item INTEGER NOT NULL,
  input TEXT NOT NULL,
  PRIMARY KEY (child_group, item)
) WITHOUT ROWID;
CREATE TABLE signals (
  num INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  name TEXT NOT NULL,
  data TEXT NOT NULL,
  at INTEGER NOT NULL,
  consumed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX signals_pending ON signals (run, num) WHERE NOT consumed;
CREATE TABLE blobs (
  id TEXT PRIMARY KEY,               -- sha256 of the data
  type TEXT NOT NULL,
  data TEXT NOT NULL,                -- compact JSON
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE blob_refs (
  blob TEXT NOT NULL,
  run INTEGER NOT NULL,
  PRIMARY KEY (blob, run)
) WITHOUT ROWID;
"""

_THIRD = """
-- until when it is delayed
ALTER TABLE runs ADD COLUMN start_at INTEGER;
-- scheduled
UPDATE runs SET start_at = wake_at WHERE status = 0;
-- the file in a watched folder that makes it, its whole path
ALTER TABLE templates ADD COLUMN watched_file TEXT;
-- of that file's text, as it was seen last
ALTER TABLE templates ADD COLUMN watched_hash TEXT;
ALTER TABLE templates ADD COLUMN file_gone INTEGER NOT NULL DEFAULT 0;
-- a watched file made it, and nothing has used it; once it has given way, its version is negative
ALTER TABLE template_versions ADD COLUMN replaceable INTEGER NOT NULL DEFAULT 0;
CREATE INDEX blob_refs_by_run ON blob_refs (run);
"""

# Of children alone, and of retries alone: what other runs write stays as little as it was.
_FOURTH = "CREATE INDEX runs_children_by_status ON runs (status) WHERE parent IS NOT NULL"
_FIFTH = "CREATE INDEX runs_by_retried ON runs (retry_of) WHERE retry_of IS NOT NULL"
