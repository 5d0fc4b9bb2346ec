"""`/data/load` and `/data/process`: records from the workspace's files, and their sums."""

import json
import re
from collections import defaultdict
from pathlib import Path

from stepflow import ComponentError, component

WORKSPACE = Path(__file__).resolve().parents[1]


@component("/data/load")
def load(source: str) -> dict:
    """The records of a source: of the workspace's JSON file with that name."""
    if not re.fullmatch(r"\w+", source):
        raise ComponentError("INVALID_SOURCE", f"'{source}' is not the name of a source")
    file = WORKSPACE / f"{source}.json"
    if not file.is_file():
        raise ComponentError("SOURCE_NOT_FOUND", f"There is no source '{source}'; looked for {file}")
    return {"source": source, "data": json.loads(file.read_text(encoding="utf-8"))}


@component("/data/process")
def process(sources: dict) -> dict:
    """Sums up the amounts of all sources by category; refuses what was checked and found wrong."""
    totals: dict[str, int] = defaultdict(int)
    counts = {}
    for name, source in sources.items():
        records = _records(name, source)
        counts[name] = len(records)
        for record in records:
            totals[record["category"]] += record["amount"]
    return {"records": counts, "totals": dict(sorted(totals.items()))}


def _records(name: str, source: dict) -> list[dict]:
    """The list at the bottom of a file's, a check's or a source's `data`; none where there is no data."""
    if source.get("valid") is False:
        first = source["errors"][0]
        raise ComponentError("INVALID_DATA", f"{name}: {first['path']}: {first['message']}", source["errors"])
    data = source.get("data", [])
    return _records(name, data) if isinstance(data, dict) else data
