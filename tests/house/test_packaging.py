"""What a user installs: a wheel and an editable checkout, both run away from the source, without a network."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.house import tree

BUILD_INPUT = ["engine", "stepflow_tui", "themes", "examples", "pyproject.toml", "README.md", "LICENSE", ".gitignore"]

# Where a wheel holds what stands elsewhere in the checkout.
PLACES = {"engine/stepflow/": "stepflow/", "themes/": "stepflow_tui/themes/", "examples/demo/": "stepflow/examples/"}

ASK = """
import pathlib, stepflow, stepflow_tui
print(pathlib.Path(stepflow.__file__).resolve())
print(pathlib.Path(stepflow_tui.__file__).resolve())
"""


def run(*command: object, cwd: Path | None = None, timeout: int = 90) -> str:
    """Run a command as a stranger would: nothing of this test's environment points at the checkout."""
    ours = ("PYTHON", "VIRTUAL_ENV", "COV")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copied_tree(target: Path) -> Path:
    target.mkdir(parents=True)
    left_by_tools = shutil.ignore_patterns("__pycache__", "*_cache", ".venv", "out")
    for entry in BUILD_INPUT:
        source = tree.ROOT / entry
        if source.is_dir():
            shutil.copytree(source, target / entry, ignore=left_by_tools)
        else:
            shutil.copy2(source, target / entry)
    return target


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once, also where several test processes ask for it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "wheel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = shared / "wheel"
        if not built.exists():
            source = copied_tree(shared / "wheel-source")
            (source / "examples" / "demo" / "out").mkdir()
            (source / "examples" / "demo" / "out" / "left-over.txt").write_text("of a run in the checkout")
            pip = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index"]
            run(*pip, "-q", "-w", shared / "wheel.part", source)
            (shared / "wheel.part").rename(built)
    return next(built.glob("stepflow_tui-*.whl"))


def new_environment(place: Path) -> Path:
    """An empty environment that sees our dependencies (not our own packages: a .pth behind a .pth is not followed)."""
    venv.create(place, with_pip=False, symlinks=True)
    site = place / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin"


def install(binaries: Path, *what: object) -> None:
    pip = [sys.executable, "-m", "pip", "--python", binaries / "python", "install", "-q", "--no-index", "--no-deps"]
    run(*pip, "--no-build-isolation", "--no-warn-script-location", "--ignore-installed", *what)


def expected_in_wheel() -> set[str]:
    sources = [tree.ENGINE, tree.SCREENS, tree.ROOT / "themes", tree.ROOT / "examples" / "demo"]
    names = {tree.name(path) for path in tree.files(*sources)}
    for source, place in PLACES.items():
        names = {place + name.removeprefix(source) if name.startswith(source) else name for name in names}
    return names


def test_the_wheel_holds_the_engine_the_screens_the_themes_and_the_demo_and_nothing_else(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == expected_in_wheel()
    assert any(name.endswith(".tcss") for name in held)
    assert any(name.startswith("stepflow_tui/themes/") for name in held)
    assert {"stepflow/examples/demo.json", "stepflow/py.typed", "stepflow_tui/py.typed"} <= held


def test_the_wheel_names_its_scripts_its_screen_and_its_licence(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    information = {Path(name).name: archive.read(name).decode() for name in archive.namelist() if ".dist-info/" in name}
    assert "Apache License" in information["LICENSE"]
    assert "License-Expression: Apache-2.0" in information["METADATA"]
    for line in ("stepflow = stepflow.cli.main:stepflow", "aio = stepflow.cli.main:aio", "[stepflow.screens]"):
        assert line in information["entry_points.txt"]


@pytest.mark.full
def test_an_installed_wheel_runs_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    binaries = new_environment(tmp_path / "env")
    install(binaries, wheel)
    away = tmp_path / "away"
    away.mkdir()
    for module in run(binaries / "python", "-c", ASK, cwd=away).splitlines():
        assert Path(module).is_relative_to(tmp_path / "env"), module
    check_programs(binaries, away)


@pytest.mark.full
def test_an_editable_checkout_runs_from_elsewhere_and_copies_nothing(tmp_path: Path) -> None:
    source = copied_tree(tmp_path / "checkout")
    binaries = new_environment(tmp_path / "env")
    install(binaries, "-e", source)
    away = tmp_path / "away"
    away.mkdir()
    for module in run(binaries / "python", "-c", ASK, cwd=away).splitlines():
        assert Path(module).is_relative_to(source), module
    copies = [
        path.name for path in (tmp_path / "env").glob("lib/*/site-packages/stepflow*") if path.suffix != ".dist-info"
    ]
    assert copies == []
    check_programs(binaries, away)


def check_programs(binaries: Path, away: Path) -> None:
    assert "0.1.0" in run(binaries / "stepflow", "--version", cwd=away)
    assert "0.1.0" in run(binaries / "aio", "wf", "--version", cwd=away)
    assert "Usage" in run(binaries / "stepflow", "demo", "--help", cwd=away)
