"""`/builtin/load_file`: a file's content as a value, from the template's folder or the workspace and nowhere else."""

from __future__ import annotations

import csv
import io
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepflow.components._failure import failure
from stepflow.components._json import parse_json
from stepflow.components._places import home, roots
from stepflow.contracts.component import Component, ComponentContext
from stepflow.model.flow import Json

MAX_BYTES = 100 * 1024 * 1024

FORMAT_BY_SUFFIX = {".json": "json", ".yaml": "yaml", ".yml": "yaml", ".csv": "csv"}
"""Everything else is text."""


def load_file(value: dict[str, Any], context: ComponentContext) -> dict[str, Any]:
    file = _allowed(value["path"], context)
    content = _read(file, value["path"])
    format_name = value.get("format") or FORMAT_BY_SUFFIX.get(file.suffix.lower(), "text")
    try:
        data = READERS[format_name](content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise failure("FILE_INVALID", f"{file} is not text in UTF-8 (byte {error.start})") from None
    except (ValueError, csv.Error) as error:
        raise failure("FILE_INVALID", f"{file} is not {format_name.upper()}: {error}") from None
    metadata = {"resolved_path": str(file), "size_bytes": len(content), "format": format_name}
    return {"data": data, "metadata": metadata}


def _allowed(path: str, context: ComponentContext) -> Path:
    """The file that is meant, symlinks resolved, if it lies where steps may read."""
    if "\0" in path:
        raise failure("INVALID_INPUT", "path: a path holds no NUL character")
    folder = home(context)
    if folder is None:
        raise failure(
            "FILE_NOT_ALLOWED",
            f"'{path}' cannot be read: this template was not read from a folder, and the worker has no workspace",
        )
    try:
        file = (folder / path).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise failure("FILE_NOT_READABLE", f"'{path}' cannot be read: {error}") from None
    if not any(file.is_relative_to(root) for root in roots(context)):
        allowed = " and ".join(str(root) for root in roots(context))
        raise failure("FILE_NOT_ALLOWED", f"'{path}' is outside of what steps may read: {allowed}")
    return file


def _read(file: Path, path: str) -> bytes:
    try:
        status = file.stat()
        if stat.S_ISDIR(status.st_mode):
            raise failure("FILE_INVALID", f"'{path}' is a folder: {file}")
        if not stat.S_ISREG(status.st_mode):
            raise failure("FILE_INVALID", f"'{path}' is not a file with a content: {file}")
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)  # it may grow while it is read
    except (FileNotFoundError, NotADirectoryError):
        raise failure("FILE_NOT_FOUND", f"There is no file '{path}'; looked for {file}") from None
    except OSError as error:
        raise failure("FILE_NOT_READABLE", f"'{path}' cannot be read: {error.strerror or error} ({file})") from None
    if len(content) > MAX_BYTES:
        raise failure("FILE_TOO_LARGE", f"'{path}' is larger than {MAX_BYTES // 1024 // 1024} MB ({file})")
    return content


def _yaml(text: str) -> Json:
    """As templates are read: 1.2's core scalars, no tags, and a limit to what aliases multiply."""
    from stepflow.dsl.load import load

    document = load(text, "yaml")
    for diagnostic in document.diagnostics:
        where = f" in line {diagnostic.line}, column {diagnostic.column}" if diagnostic.line else ""
        raise ValueError(f"{diagnostic.message}{where}")
    return document.data


def _csv(text: str) -> list[dict[str, str]]:
    """A list of objects, one for each line below the header; all values are strings."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    names = reader.fieldnames or []
    if len(set(names)) < len(names):
        raise ValueError(f"two columns are named '{Counter(names).most_common(1)[0][0]}'")
    rows = []
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(f"line {reader.line_num} has not as many values as the header has names")
        rows.append(row)
    return rows


READERS: dict[str, Callable[[str], Json]] = {"json": parse_json, "yaml": _yaml, "text": str, "csv": _csv}

COMPONENTS: tuple[Component, ...] = (
    Component(
        path="/builtin/load_file",
        function=load_file,
        mode="sync",
        description="Reads a JSON, YAML, CSV or text file from the template's folder or the workspace",
        input_schema={
            "type": "object",
            "required": ["path"],
            "additionalProperties": False,
            "properties": {
                "path": {"type": "string", "minLength": 1},
                "format": {"enum": [*READERS, None], "description": "without it: by the name's extension, else text"},
            },
        },
        output_schema={
            "type": "object",
            "required": ["data", "metadata"],
            "properties": {
                "data": True,
                "metadata": {
                    "type": "object",
                    "required": ["resolved_path", "size_bytes", "format"],
                    "properties": {
                        "resolved_path": {"type": "string"},
                        "size_bytes": {"type": "integer"},
                        "format": {"enum": list(READERS)},
                    },
                },
            },
        },
        example={
            "input": {"path": "data/orders.json"},
            "output": {
                "data": [{"id": "ORD-1001"}],
                "metadata": {"resolved_path": "/shop/data/orders.json", "size_bytes": 22, "format": "json"},
            },
        },
    ),
)
