"""The components that installed packages offer as entry points."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from stepflow.components.registry import Registry, builtin_registry
from tests.components.recorder import Recorder

HEAD = "from stepflow import component\nfrom stepflow.contracts.component import Component\n"

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """A package `acme` with these entry points and this module, as pip leaves it."""
    site = tmp_path / "site-packages"
    information = site / "acme-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "acme", raising=False)

    def do(entry_points: str, module: str) -> None:
        (information / "entry_points.txt").write_text("[stepflow.components]\n" + textwrap.dedent(entry_points))
        (site / "acme.py").write_text(HEAD + textwrap.dedent(module))

    return do


def loaded() -> tuple[Registry, list[str]]:
    warnings: list[str] = []
    return Registry.for_workspace(None, warn=warnings.append), warnings


def added(registry: Registry) -> list[str]:
    return sorted(set(registry.paths) - set(builtin_registry().paths))


def test_a_function_a_component_a_module_and_lists_of_them(install: Install) -> None:
    install(
        """
        function = acme:load
        made = acme:MADE
        all = acme
        several = acme:SEVERAL
        """,
        """
        @component("/acme/load")
        def load(user_id: str):
            return user_id

        @component("/acme/save")
        def save(value):
            return value

        MADE = Component(path="/acme/made", function=lambda v, c: [v], mode="inline", description="Made")
        OTHER = Component(path="/acme/other", function=lambda v, c: v, mode="inline", description="Other")
        SEVERAL = [save, (OTHER, MADE)]
        """,
    )
    registry, warnings = loaded()
    assert added(registry) == ["/acme/load", "/acme/made", "/acme/other", "/acme/save"]
    assert warnings == [], "what is named twice is the same component"
    assert registry.get("/acme/load").function({"user_id": "u"}, Recorder()) == "u"
    assert registry.get("/acme/made").function(1, Recorder()) == [1]


@pytest.mark.parametrize(
    ("target", "module", "said"),
    [
        ("acme", "1 / 0", "not available: ZeroDivisionError: division by zero"),
        ("acme", "import sys\nsys.exit(3)", "not available: SystemExit: 3"),
        ("acme", "x = 1", "not available: TypeError: module acme has no function marked with @component"),
        ("acme:x", "x = 1", "not available: TypeError: a value of type int is no component; name a component"),
        ("acme:none", "x = 1", "not available: AttributeError: module 'acme' has no attribute 'none'"),
        ("not_there:x", "", "not available: ModuleNotFoundError: No module named 'not_there'"),
        (
            "acme:x",
            "x = Component(path='/builtin/mine', function=print, mode='inline', description='')",
            "not available: ValueError: '/builtin/mine' cannot be registered",
        ),
        (
            "acme:x",
            "x = Component(path='/a/b', function=print, mode='inline', description='', input_schema={'type': 'no'})",
            "component '/a/b' is not available: its input_schema is not a JSON Schema",
        ),
    ],
)
def test_a_broken_one_is_told_and_stops_nothing(install: Install, target: str, module: str, said: str) -> None:
    install(f"x = {target}\n", module)
    registry, (warning,) = loaded()
    assert added(registry) == []
    assert warning.startswith(f"entry point x = {target} of acme: {said}")


def test_a_taken_path_stays_whose_it_is(install: Install, tmp_path: Path) -> None:
    install(
        "x = acme\n",
        """
        @component("/http/get")
        def get(value):
            return value

        @component("/acme/load")
        def load(value):
            return "of the package"
        """,
    )
    (tmp_path / "components").mkdir()
    (tmp_path / "components" / "own.py").write_text(
        HEAD + "@component('/acme/load')\ndef load(value):\n    return 'of the workspace'\n"
    )
    warnings: list[str] = []
    registry = Registry.for_workspace(tmp_path, warn=warnings.append)
    assert [warning.partition(";")[0] for warning in warnings] == [
        f"{tmp_path}/site-packages/acme.py:4: There is already a component '/http/get'",
        f"{tmp_path}/components/own.py:3: There is already a component '/acme/load'",
    ]
    assert registry.get("/http/get").external
    assert registry.get("/acme/load").function(None, Recorder()) == "of the package"
