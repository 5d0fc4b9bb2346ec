"""The registry, the checks of inputs, and what holds for every component of ours."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from stepflow.components import decorator
from stepflow.components.registry import Registry, builtin_registry, check_input
from stepflow.contracts.component import Component, SleepUntil
from stepflow.errors import ComponentError, ComponentNotFoundError
from tests.components.recorder import Recorder

OURS = list(builtin_registry())


def made(path: str, **more: Any) -> Component:
    return Component(path=path, function=lambda value, context: value, mode="inline", description="", **more)


# Finding and adding


def test_every_family_is_there() -> None:
    paths = builtin_registry().paths
    assert len(paths) == len(OURS) == len(set(paths))
    assert {path.split("/")[1] for path in paths} == {"builtin", "http", "shell", "python", "data"}
    assert list(paths) == sorted(paths)


def test_builtins_is_builtin() -> None:
    registry = builtin_registry()
    assert registry.get("/builtins/echo") is registry.get("/builtin/echo")
    assert "/builtins/echo" in registry
    assert "/builtins/none" not in registry


@pytest.mark.parametrize(
    ("path", "hint"),
    [("/builtin/ecko", "'/builtin/echo'"), ("/htp/get", "'/http/get'"), ("/builtins/slep", "/builtin/sleep")],
)
def test_an_unknown_component_gets_a_suggestion(path: str, hint: str) -> None:
    with pytest.raises(ComponentNotFoundError, match=r"^Unknown component '.*'; did you mean") as caught:
        builtin_registry().get(path)
    assert hint in caught.value.message


def test_users_register_their_own() -> None:
    registry = builtin_registry()
    mine = made("/user/load")
    registry.register(mine)
    assert registry.get("/user/load") is mine
    assert "/user/load" not in builtin_registry()


def test_a_taken_path_needs_override() -> None:
    registry = builtin_registry()
    mine = made("/http/get")
    with pytest.raises(ValueError, match="override=True"):
        registry.register(mine)
    registry.register(mine, override=True)
    assert registry.get("/http/get") is mine


@pytest.mark.parametrize(
    "path", ["/builtin/mine", "/builtins/mine", "user/load", "/user", "/user/", "/user//x", "/a b/c", ""]
)
def test_some_paths_are_nobodys(path: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be registered|is not the path"):
        builtin_registry().register(made(path), override=True)


# Inputs


def test_a_violation_says_where_and_what() -> None:
    component = made("/user/x", input_schema={"properties": {"a": {"items": {"type": "string"}}}, "required": ["b"]})
    check_input(component, {"a": ["x"], "b": 1})
    with pytest.raises(ComponentError) as caught:
        check_input(component, {"a": ["x", 1]})
    assert caught.value.code == "INVALID_INPUT"
    assert caught.value.message == 'Input of /user/x: "b" is a required property; a[1]: 1 is not of type "string"'
    assert caught.value.details["errors"][1] == {"path": "a[1]", "message": '1 is not of type "string"'}


def test_a_violation_of_a_thousand_items_is_told_in_a_few() -> None:
    component = made("/user/x", input_schema={"items": {"type": "string"}})
    with pytest.raises(ComponentError, match=r"; and 995 more$") as caught:
        check_input(component, list(range(1000)))
    assert len(caught.value.message) < 500


def test_two_components_of_one_path_keep_their_own_schemas() -> None:
    check_input(made("/user/x", input_schema={"type": "string"}), "text")
    with pytest.raises(ComponentError):
        check_input(made("/user/x", input_schema={"type": "integer"}), "text")


def test_an_input_schema_that_is_none_is_said_to_be_so() -> None:
    with pytest.raises(ComponentError, match="The input schema of /user/x is not a JSON Schema"):
        check_input(made("/user/x", input_schema={"type": "nonsense"}), 1)


def test_a_check_costs_next_to_nothing() -> None:
    """At most 2 µs for a step that does nothing; the best of some rounds, because the machine is shared."""
    noop, fail = builtin_registry().get("/builtin/noop"), builtin_registry().get("/builtin/fail")
    for component, value in ((noop, {"a": 1}), (fail, {"message": "x"})):
        check_input(component, value)
        rounds = []
        for _ in range(20):
            started = time.perf_counter()
            for _ in range(1000):
                check_input(component, value)
            rounds.append((time.perf_counter() - started) / 1000)
        assert min(rounds) < 2e-6


# What holds for each of ours


@pytest.mark.parametrize("component", OURS, ids=lambda component: component.path)
def test_each_component_says_what_it_is_and_shows_an_example(component: Component) -> None:
    assert 10 < len(component.description) < 110
    assert "\n" not in component.description
    assert component.description[0].isupper()
    assert not component.description.endswith(".")
    assert inspect.iscoroutinefunction(getattr(component.function, "func", component.function)) == (
        component.mode == "async"
    )
    is_echo = component.path in ("/builtin/echo", "/builtin/set", "/builtin/noop")
    assert (component.input_schema is True) == is_echo
    check_input(component, component.example["input"])
    assert component.output_schema is not None
    if component.output_schema is not False:  # it never succeeds
        jsonschema_rs.validate(component.output_schema, component.example["output"])


@pytest.mark.parametrize("component", [c for c in OURS if c.input_schema is not True], ids=lambda c: c.path)
def test_each_component_refuses_what_it_does_not_know(component: Component) -> None:
    if component.path == "/data/merge":  # its keys are names
        return
    with pytest.raises(ComponentError, match="'no_such_key' was unexpected"):
        check_input(component, {**component.example["input"], "no_such_key": 1})


@pytest.mark.parametrize(
    "path", ["/builtin/echo", "/builtin/log", "/data/merge", "/data/validate", "/python/call", "/shell/run"]
)
def test_the_example_is_what_really_happens(path: str, tmp_path: Path) -> None:
    component = builtin_registry().get(path)
    output = component.function(component.example["input"], Recorder(base_dir=tmp_path))
    if inspect.iscoroutine(output):
        output = asyncio.run(_awaited(output))
    assert output == component.example["output"]


async def _awaited(output: Any) -> Any:
    return await output


def test_the_example_of_sleep_sleeps() -> None:
    component = builtin_registry().get("/builtin/sleep")
    assert component.function(component.example["input"], Recorder()) == SleepUntil(1_000_000 + 5_400_000)


def test_the_list_of_components_is_cheap_to_import() -> None:
    heavy = ["asyncio", "httpx", "yaml", "jsonschema_rs", "subprocess", "importlib.metadata"]
    program = (
        "import sys, stepflow.contracts.component; before = set(sys.modules);"
        "from stepflow.components.registry import builtin_registry; assert '/http/get' in builtin_registry();"
        f"print(*sorted(set({heavy!r}) & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


# A workspace's registry


def test_a_workspaces_registry_has_both_and_warns_of_trouble(tmp_path: Path) -> None:
    folder = tmp_path / "components"
    folder.mkdir()
    (folder / "good.py").write_text(
        "from stepflow.components.decorator import component\n"
        "@component('/user/good')\ndef good(value):\n    return value\n"
        "@component('/http/get')\ndef taken(value):\n    return value\n"
    )
    (folder / "bad.py").write_text("1 / 0\n")
    warnings: list[str] = []
    registry = Registry.for_workspace(tmp_path, warn=warnings.append)
    assert "/user/good" in registry
    assert registry.get("/http/get").external
    said, taken = warnings
    assert said == f"{folder}/bad.py:1:1: components of bad.py are not available: ZeroDivisionError: division by zero"
    assert "There is already a component '/http/get'" in taken


def test_an_override_takes_the_place_of_one_that_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "components"
    folder.mkdir()
    (folder / "own.py").write_text(
        "from stepflow import component\n"
        "@component('/http/get', override=True)\ndef mine(value):\n    return 'mine'\n"
        "@component('/http/post')\ndef forgotten(value):\n    return value\n"
    )
    warnings: list[str] = []
    registry = Registry.for_workspace(tmp_path, warn=warnings.append)
    assert registry.get("/http/get").function(None, Recorder()) == "mine"
    assert registry.get("/http/post").external
    assert warnings == [f"{folder}/own.py:5: There is already a component '/http/post'; override=True takes its place"]


def test_no_override_takes_what_is_stepflows_own() -> None:
    with pytest.raises(ValueError, match="cannot be registered"):
        decorator.component("/builtin/echo", override=True)


def test_without_a_workspace_there_are_ours() -> None:
    assert Registry.for_workspace(None, warn=print).paths == builtin_registry().paths
