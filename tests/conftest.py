"""Fixtures of the whole suite."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stepflow.storages.sqlite import SQLiteStorage
from tests.support.invariants import check_all_runs

OpenStorage = Callable[..., SQLiteStorage]


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait for processes that they started."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def heard_interrupts() -> None:
    """What a shell starts with `&` is told to ignore them, and so would be all that the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def kept_bytecode(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Where nothing compiled is to be left in the tree, what the tests start would compile all of it anew each time."""
    if sys.dont_write_bytecode:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(tmp_path_factory.getbasetemp().parent / "bytecode")


@pytest.fixture(scope="session", autouse=True)
def nobody_at_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the tests start finds no settings of the one who runs them, and remembers nothing among theirs."""
    home = tmp_path_factory.mktemp("home")
    for name in ("CONFIG", "STATE"):
        os.environ[f"XDG_{name}_HOME"] = str(home / name.lower())


@pytest.fixture
def open_storage(tmp_path: Path) -> Iterator[OpenStorage]:
    """Opens storages on files of this test. At its end the invariants are checked on every run in them."""
    opened: list[SQLiteStorage] = []

    def open_one(name: str = "stepflow.db", **options: object) -> SQLiteStorage:
        storage = SQLiteStorage(tmp_path / name, **{"durability": "normal", **options})  # type: ignore[arg-type]
        opened.append(storage)
        return storage

    yield open_one
    for storage in opened:
        storage.close()
    for url in {storage.url for storage in opened}:
        check = SQLiteStorage(url, durability="normal")
        try:
            check_all_runs(check)
        finally:
            check.close()


@pytest.fixture
def storage(open_storage: OpenStorage) -> SQLiteStorage:
    return open_storage()
