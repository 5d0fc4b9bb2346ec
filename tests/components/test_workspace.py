"""The components that a workspace brings in `components/*.py`."""

from __future__ import annotations

import asyncio
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepflow.components import _imports
from stepflow.components.decorator import component, component_of
from stepflow.components.workspace import load_components
from tests.components.recorder import Recorder

HEAD = "from stepflow.components.decorator import component\n"


@pytest.fixture(autouse=True)
def _nothing_stays_imported() -> Iterator[None]:
    path, modules = sys.path[:], dict(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    _imports._modules.clear()
    _imports._known_folders.clear()


def write(workspace: Path, name: str, text: str) -> Path:
    file = workspace / "components" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(HEAD + textwrap.dedent(text))
    return file


def call(made: Any, value: Any, context: Recorder) -> Any:
    result = made.function(value, context)
    return asyncio.run(_awaited(result)) if inspect.iscoroutine(result) else result


async def _awaited(result: Any) -> Any:
    return await result


def test_functions_with_and_without_context_sync_and_async(tmp_path: Path) -> None:
    write(
        tmp_path,
        "all.py",
        '''
        @component("/user/a")
        def a(value):
            """Doubles it.

            And more."""
            return value * 2

        @component("/user/b", description="said", input_schema={"type": "integer"}, example={"input": 1, "output": 1})
        def b(value, ctx):
            return [value, ctx.run_id]

        @component("/user/c", output_schema={"type": "integer"})
        async def c(value):
            return value + 1

        @component("/user/d")
        async def d_with_context(value, ctx):
            return ctx.step_id
    ''',
    )
    components, troubles = load_components(tmp_path)
    assert troubles == []
    assert [(made.path, made.mode, made.description) for made in components] == [
        ("/user/a", "sync", "Doubles it."),
        ("/user/b", "sync", "said"),
        ("/user/c", "async", "c"),
        ("/user/d", "async", "d with context"),
    ]
    context = Recorder()
    assert [call(made, 3, context) for made in components] == [6, [3, "exec_1"], 4, "build"]
    assert components[1].input_schema == {"type": "integer"}
    assert components[1].example == {"input": 1, "output": 1}
    assert components[2].output_schema == {"type": "integer"}


def test_a_marked_function_stays_a_function() -> None:
    @component("/user/x")
    def double(value: int) -> int:
        return value * 2

    assert double(4) == 8
    found = component_of(double)
    assert found is not None
    assert found.path == "/user/x"
    assert component_of(component) is None


def test_files_are_taken_in_order_and_helpers_left_out(tmp_path: Path) -> None:
    imports = "from components._shared import FACTOR\nimport beside\nTIMES = []\n"
    body = "    TIMES.append(v)\n    return FACTOR * beside.N * len(TIMES)\n"
    write(tmp_path, "b.py", f"{imports}@component('/user/b')\ndef b(v):\n{body}")
    write(tmp_path, "a.py", "from components.b import b\n@component('/user/a')\ndef a(v):\n    return b(v)\n")
    write(tmp_path, "_shared.py", "FACTOR = 3\n@component('/user/hidden')\ndef hidden(v):\n    return v\n")
    (tmp_path / "beside.py").write_text("N = 2\n")
    components, troubles = load_components(tmp_path)
    assert troubles == []
    assert [made.path for made in components] == ["/user/a", "/user/b"]
    assert [call(made, 1, Recorder()) for made in components] == [6, 12], "there is one TIMES"


def test_two_workspaces_do_not_mix(tmp_path: Path) -> None:
    for who in ("one", "two"):
        (tmp_path / who).mkdir()
        write(
            tmp_path / who, "same.py", f"import helper\n@component('/user/{who}')\ndef f(v):\n    return helper.WHO\n"
        )
        (tmp_path / who / "helper.py").write_text(f"WHO = '{who}'\n")
    for who in ("one", "two"):
        components, troubles = load_components(tmp_path / who)
        assert troubles == []
        assert [(made.path, call(made, None, Recorder())) for made in components] == [(f"/user/{who}", who)]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("import not_there\n", 2, "ModuleNotFoundError: No module named 'not_there'"),
        ("def f(:\n", 2, "SyntaxError: "),
        ("\nimport sys\nsys.exit(2)\n", 4, "SystemExit: 2"),
        (
            "@component('/builtin/mine')\ndef f(v):\n    return v\n",
            2,
            "ValueError: '/builtin/mine' cannot be registered",
        ),
        ("@component('mine')\ndef f(v):\n    return v\n", 2, "ValueError: 'mine' is not the path of a component"),
        (
            "@component('/user/f')\ndef f(*values):\n    return 1\n",
            2,
            "TypeError: f() must take (input) or (input, ctx)",
        ),
        (
            "@component('/user/f')\ndef f(a, b, c):\n    return 1\n",
            2,
            "TypeError: f() must take (input) or (input, ctx)",
        ),
    ],
)
def test_a_file_that_fails_is_named_with_its_line_and_stops_no_other(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    bad = write(tmp_path, "bad.py", text)
    write(tmp_path, "good.py", "@component('/user/good')\ndef f(v):\n    return v\n")
    components, troubles = load_components(tmp_path)
    assert [made.path for made in components] == ["/user/good"]
    (trouble,) = troubles
    assert (trouble.file, trouble.line) == (str(bad), line)
    assert said in trouble.message
    assert "components.bad" not in sys.modules


def test_a_broken_schema_takes_one_component_and_leaves_the_others(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "f.py",
        """
        @component("/user/f", input_schema={"type": "nonsense"})
        def f(v):
            return v
        @component("/user/g")
        def g(v):
            return v
    """,
    )
    components, (trouble,) = load_components(tmp_path)
    assert [made.path for made in components] == ["/user/g"]
    assert trouble.place == f"{file}:3:1"
    assert trouble.message.startswith("component '/user/f' is not available: its input_schema is not a JSON Schema: ")


def test_a_second_parameter_with_a_default_is_no_context(tmp_path: Path) -> None:
    write(tmp_path, "f.py", "@component('/user/f')\ndef f(value, factor=3):\n    return value * factor\n")
    components, _ = load_components(tmp_path)
    assert call(components[0], 2, Recorder()) == 6


def test_a_workspace_without_components_has_none(tmp_path: Path) -> None:
    assert load_components(tmp_path) == ([], [])
