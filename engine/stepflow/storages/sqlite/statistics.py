"""Counts, durations and sizes, bounded whatever there is: of the newest runs, of tables as far as they are counted."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from stepflow.errors import StorageError
from stepflow.model.stats import Stats, TemplateStats, percentile_ms
from stepflow.model.statuses import RUN_STATUSES, RunStatus
from stepflow.model.times import to_datetime
from stepflow.storages.sqlite import rows, upkeep_queries
from stepflow.storages.sqlite.read import Reader

MOST_RUNS = 20_000
MOST_LOOKED_AT = 200_000
"""Rows that may be passed over to find so many root runs: most may be children."""
MOST_ROWS = 2_000_000
"""Of a table are counted."""
MOST_PAGES = 65_536
"""Of a file whose tables are measured: that reads each page."""
HOUR_MS = 3_600_000


def gather(reader: Reader, since: int, now: int, template: str | None) -> Stats:
    """Of runs that were made since then."""
    if template is None:
        found = reader.fetch(upkeep_queries.RECENT_RUNS, (MOST_LOOKED_AT, since, MOST_RUNS + 1))
    else:
        number = reader.template_number(template)
        found = reader.fetch(upkeep_queries.RECENT_RUNS_OF_TEMPLATE, (number, MOST_LOOKED_AT, since, MOST_RUNS + 1))
    runs = found[:MOST_RUNS]
    statuses = Counter(RUN_STATUSES[run[1]] for run in runs)
    waits = [run[4] - (run[3] or run[2]) for run in runs if run[4] is not None]
    oldest = runs[-1][2] if runs else None
    is_whole = len(found) <= MOST_RUNS
    begin = since if is_whole or oldest is None else oldest
    ended = sum(count for status, count in statuses.items() if status.is_final)
    pages, page_bytes = reader.fetch(upkeep_queries.FILE_SIZE)[0]
    return Stats(
        since=to_datetime(since),
        until=to_datetime(now),
        count=len(runs),
        is_whole=is_whole,
        oldest=None if oldest is None else to_datetime(oldest),
        statuses={status.value: statuses[status] for status in RunStatus if statuses[status]},
        templates=tuple(_by_template(runs)),
        failures=dict(_failures(runs)),
        per_hour=ended / max((now - begin) / HOUR_MS, 1 / HOUR_MS),
        wait_median_ms=percentile_ms(waits, 0.5),
        wait_p95_ms=percentile_ms(waits, 0.95),
        rows={table: _count(reader, sql) for table, sql in upkeep_queries.ROWS_OF_TABLE.items()},
        counted_to=MOST_ROWS,
        bytes=_bytes(reader) if pages <= MOST_PAGES else {},
        file_bytes=pages * page_bytes,
    )


def _by_template(runs: Iterable[rows.Row]) -> Iterable[TemplateStats]:
    by_name: dict[str, list[rows.Row]] = {}
    for run in runs:
        by_name.setdefault(run[0], []).append(run)
    for name, own in sorted(by_name.items(), key=lambda item: (-len(item[1]), item[0])):
        completed = [run for run in own if RUN_STATUSES[run[1]] is RunStatus.COMPLETED]
        durations = [run[5] - run[4] for run in completed if run[4] is not None]
        yield TemplateStats(
            name=name,
            count=len(own),
            completed=len(completed),
            ended=sum(RUN_STATUSES[run[1]].is_final for run in own),
            last_run=_newest(own),
            median_ms=percentile_ms(durations, 0.5),
            p95_ms=percentile_ms(durations, 0.95),
        )


def _newest(runs: Iterable[rows.Row]) -> datetime:
    return to_datetime(max(run[2] for run in runs))


def _failures(runs: Iterable[rows.Row]) -> list[tuple[str, int]]:
    ended_badly = (RunStatus.FAILED, RunStatus.TIMED_OUT)
    codes = Counter(
        str(run[6] or RUN_STATUSES[run[1]].value.upper()) for run in runs if RUN_STATUSES[run[1]] in ended_badly
    )
    return codes.most_common()


def _count(reader: Reader, sql: str) -> int | None:
    count = int(reader.fetch(sql, (MOST_ROWS + 1,))[0][0])
    return count if count <= MOST_ROWS else None


def _bytes(reader: Reader) -> dict[str, int]:
    """Empty where this SQLite was built without `dbstat`."""
    try:
        return dict(sorted(reader.fetch(upkeep_queries.BYTES_OF_TABLES), key=lambda row: -row[1]))
    except StorageError as error:
        if isinstance(error.__cause__, sqlite3.OperationalError):
            return {}
        raise
