"""Which paths components may have."""

from __future__ import annotations

import re

RESERVED = ("/builtin/", "/builtins/")
_PATH = re.compile(r"(/[A-Za-z0-9][A-Za-z0-9._-]*){2,}")


def canonical(path: str) -> str:
    """`/builtins/x` is `/builtin/x`."""
    return "/builtin/" + path.removeprefix("/builtins/") if path.startswith("/builtins/") else path


def check_path(path: str) -> None:
    """`ValueError` unless users may register a component under `path`."""
    if path.startswith(RESERVED):
        raise ValueError(f"'{path}' cannot be registered: /builtin/… is StepFlow's own; use a path like /user/load")
    if not _PATH.fullmatch(path):
        raise ValueError(f"'{path}' is not the path of a component; write it like /user/load")
