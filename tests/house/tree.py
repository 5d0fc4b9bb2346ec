"""The files of the checkout, as the tidiness tests look at them: what we wrote, not what tools left beside it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "engine" / "stepflow"
SCREENS = ROOT / "stepflow_tui"

_LEFT_BY_TOOLS = re.compile(
    r"^(\.git|\.venv|.*_cache|__pycache__|\.hypothesis|dist|build|.*\.egg-info|\.stepflow|out)$"
)
_TEXT = {
    "",
    ".py",
    ".md",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
    ".json",
    ".csv",
    ".sh",
    ".css",
    ".html",
    ".js",
    ".tcss",
    ".svg",
    ".sql",
    ".typed",
    ".ambr",
    ".raw",
    ".cfg",
    ".ini",
}


def files(*folders: Path) -> Iterator[Path]:
    """Every text file under `folders` (default: the whole checkout), sorted."""
    for folder in folders or (ROOT,):
        for path in sorted(folder.iterdir()):
            if _LEFT_BY_TOOLS.match(path.name) or path.is_symlink():
                continue
            if path.is_dir():
                yield from files(path)
            elif path.suffix in _TEXT:
                yield path


def modules(*folders: Path) -> Iterator[Path]:
    return (path for path in files(*folders) if path.suffix == ".py")


def name(path: Path) -> str:
    """As a failure shows it: the path from the root."""
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def docstrings(tree: ast.Module) -> set[int]:
    """Ids of the nodes that are documentation: docstrings, and the strings below a field that describe it."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def slots(tree: ast.Module) -> set[int]:
    """Ids of the strings that name attributes in `__slots__`."""
    return {
        id(word)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__slots__" for target in node.targets)
        for word in ast.walk(node.value)
    }
