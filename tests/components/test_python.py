"""`/python/call`, with real files beside the template."""

from __future__ import annotations

import asyncio
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepflow.components import _imports, python
from stepflow.components.registry import builtin_registry, check_input
from stepflow.contracts.component import SkipStep
from stepflow.errors import ComponentError
from tests.components.performing import perform
from tests.components.recorder import Recorder, wait_until


@pytest.fixture(autouse=True)
def _nothing_stays_imported() -> Iterator[None]:
    path, modules = sys.path[:], dict(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]
    _imports._modules.clear()
    _imports._known_folders.clear()
    python._functions.clear()


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text), encoding="utf-8")


def call(context: Recorder, function: str, *args: Any, **kwargs: Any) -> Any:
    return perform("/python/call", {"function": function, "args": list(args), "kwargs": kwargs}, context)


def failure_of(context: Recorder, function: str, *args: Any, **kwargs: Any) -> ComponentError:
    with pytest.raises(ComponentError) as caught:
        call(context, function, *args, **kwargs)
    return caught.value


def test_a_function_beside_the_template_is_called(context: Recorder, tmp_path: Path) -> None:
    write(tmp_path / "orders.py", "def total(lines, *, rate=1):\n    return {'sum': sum(lines) * rate}\n")
    assert call(context, "orders:total", [1, 2], rate=10) == {"sum": 30}


def test_a_function_of_the_workspace_or_of_python_is_called(tmp_path: Path) -> None:
    write(tmp_path / "shop" / "tools.py", "from shop import rate\ndef double(x):\n    return x * rate.RATE\n")
    write(tmp_path / "shop" / "rate.py", "RATE = 2\n")
    context = Recorder(base_dir=tmp_path / "templates", workspace=tmp_path)
    assert call(context, "shop.tools:double", 4) == 8
    assert call(Recorder(), "statistics:median", [3, 1, 2]) == 2
    assert call(Recorder(), "json.decoder:JSONDecoder.__name__.upper") == "JSONDECODER"


def test_two_folders_may_have_files_of_one_name(tmp_path: Path) -> None:
    contexts = {}
    for who in ("a", "b"):
        write(tmp_path / who / "tasks.py", "import names\ndef who():\n    return names.WHO\n")
        write(tmp_path / who / "names.py", f"WHO = '{who}'\n")
        contexts[who] = Recorder(base_dir=tmp_path / who)
    for _ in range(2):
        for who, context in contexts.items():
            assert call(context, "tasks:who") == who


def test_the_folder_a_program_was_started_in_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("here", "there"):
        write(tmp_path / folder / "tasks.py", f"def who():\n    return '{folder}'\n")
    write(tmp_path / "here" / "only.py", "def who():\n    return 'only'\n")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.syspath_prepend(str(tmp_path / "here"))
    there = Recorder(base_dir=tmp_path / "there")
    assert call(there, "tasks:who") == "there"
    assert call(there, "only:who") == "only"


def test_the_folder_a_program_was_started_in_may_be_deleted(
    context: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    write(tmp_path / "orders.py", "def total(lines):\n    return sum(lines)\n")
    assert call(context, "orders:total", [1, 2]) == 3


def test_a_function_may_import_while_it_runs(context: Recorder, tmp_path: Path) -> None:
    write(tmp_path / "late.py", "def f():\n    import beside\n    return beside.VALUE\n")
    write(tmp_path / "beside.py", "VALUE = 5\n")
    assert call(context, "late:f") == 5


def test_a_module_is_imported_once(context: Recorder, tmp_path: Path) -> None:
    write(
        tmp_path / "counted.py",
        "calls = []\ndef f():\n    calls.append(1)\n    return len(calls)\ndef g():\n    return f()\n",
    )
    assert [call(context, "counted:f"), call(context, "counted:f"), call(context, "counted:g")] == [1, 2, 3]


def test_a_stray_file_cannot_replace_a_module_of_python(context: Recorder, tmp_path: Path) -> None:
    write(tmp_path / "json.py", "raise RuntimeError('shadowed')\n")
    write(tmp_path / "user.py", "import json\ndef f():\n    return json.dumps(1)\n")
    assert call(context, "user:f") == "1"
    error = failure_of(context, "json:dumps", 1)
    assert error.code == "FUNCTION_NOT_FOUND"
    assert f"'json' in {tmp_path} is hidden by the module of that name" in error.message


def test_a_missing_module_says_where_it_was_looked_for(context: Recorder, tmp_path: Path) -> None:
    error = failure_of(context, "no_such_module:f")
    assert error.code == "FUNCTION_NOT_FOUND"
    assert error.message == f"There is no module 'no_such_module' for no_such_module:f; looked in {tmp_path}"
    write(tmp_path / "no_such_module.py", "def f():\n    return 'now'\n")
    assert call(context, "no_such_module:f") == "now"


def test_a_missing_function_gets_a_suggestion(context: Recorder, tmp_path: Path) -> None:
    write(tmp_path / "orders.py", "def validate():\n    pass\nLIMIT = 3\n")
    assert (
        failure_of(context, "orders:valdate").message == "There is no 'valdate' in 'orders'; did you mean 'validate'?"
    )
    assert failure_of(context, "orders:LIMIT").message == "orders:LIMIT is a int, not a function"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\nimport nothing_like_it\n", "ModuleNotFoundError: No module named 'nothing_like_it' ({file}:2)"),
        ("def f(:\n", "SyntaxError: "),
        ("\n1 / 0\n", "ZeroDivisionError: division by zero ({file}:2)"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3 ({file}:2)"),
    ],
)
def test_a_module_that_fails_says_where(context: Recorder, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    error = failure_of(context, "broken:f")
    assert error.code == "IMPORT_FAILED"
    assert message.format(file=file) in error.message
    assert str(file) in error.message


def test_wrong_arguments_are_the_authors_mistake(context: Recorder, tmp_path: Path) -> None:
    write(tmp_path / "orders.py", "def total(lines, rate=1):\n    return 1\n")
    error = failure_of(context, "orders:total", 1, rat=2)
    assert error.code == "INVALID_INPUT"
    assert error.message == "orders:total(lines, rate=1): got an unexpected keyword argument 'rat'"


@pytest.mark.parametrize("expression", ["object()", "float('nan')", "{1, 2}", "b'x'"])
def test_a_result_that_is_not_json_is_said_to_be_so(context: Recorder, tmp_path: Path, expression: str) -> None:
    write(tmp_path / "odd.py", f"def f():\n    return {expression}\n")
    if expression in ("{1, 2}", "b'x'"):
        # What msgspec knows a JSON form of is taken: a set is a list, bytes are base64.
        assert call(context, "odd:f") in ([1, 2], "eA==")
        return
    error = failure_of(context, "odd:f")
    assert error.code == "INVALID_OUTPUT"
    assert error.message.startswith("What odd:f returned is not JSON: ")


def test_a_result_is_what_later_readers_see(context: Recorder, tmp_path: Path) -> None:
    write(
        tmp_path / "rows.py",
        """
        from dataclasses import dataclass

        @dataclass
        class Row:
            n: int

        def f():
            return {"rows": (Row(1), Row(2)), 3: None}
    """,
    )
    assert call(context, "rows:f") == {"rows": [{"n": 1}, {"n": 2}], "3": None}


def test_exceptions_of_the_function_come_through(context: Recorder, tmp_path: Path) -> None:
    write(
        tmp_path / "raises.py",
        """
        import sys
        from stepflow.contracts.component import SkipStep
        from stepflow.errors import ComponentError

        def value(): raise ValueError("no such order")
        def ours(): raise ComponentError("BUSY", "later", {"n": 1})
        def skip(): raise SkipStep("not today")
        def leave(): sys.exit(4)
    """,
    )
    with pytest.raises(ValueError, match="no such order"):
        call(context, "raises:value")
    with pytest.raises(SkipStep):
        call(context, "raises:skip")
    assert failure_of(context, "raises:ours").to_record()["code"] == "BUSY"
    assert failure_of(context, "raises:leave").message == "raises:leave called sys.exit(4)"


def test_a_coroutine_function_is_run_to_its_end(context: Recorder, tmp_path: Path) -> None:
    write(tmp_path / "slow.py", "import asyncio\nasync def f(x):\n    await asyncio.sleep(0.01)\n    return x\n")
    assert call(context, "slow:f", 3) == 3


async def test_a_coroutine_function_ends_when_the_attempt_is_stopped(context: Recorder, tmp_path: Path) -> None:
    write(
        tmp_path / "slow.py",
        """
        import asyncio
        from pathlib import Path

        async def f(folder):
            Path(folder, "begun").touch()
            try:
                await asyncio.sleep(60)
            finally:
                Path(folder, "cleaned").touch()
    """,
    )
    task = asyncio.create_task(asyncio.to_thread(failure_of, context, "slow:f", str(tmp_path)))
    await wait_until((tmp_path / "begun").exists)
    context.cancelled.set()
    assert (await task).message == "The function was stopped before it ended"
    assert (tmp_path / "cleaned").exists()


def test_two_threads_that_import_at_once_get_their_own(tmp_path: Path) -> None:
    results: dict[int, Any] = {}

    def work(number: int) -> None:
        results[number] = call(Recorder(base_dir=tmp_path / str(number)), "mod:f")

    for number in range(8):
        write(tmp_path / str(number) / "mod.py", f"import time\ntime.sleep(0.01)\ndef f():\n    return {number}\n")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: number for number in range(8)}


@pytest.mark.parametrize("name", ["orders", "orders:", ":f", "a/b:f", "orders:f()"])
def test_a_function_is_named_by_module_and_name(name: str) -> None:
    with pytest.raises(ComponentError) as caught:
        check_input(builtin_registry().get("/python/call"), {"function": name})
    assert caught.value.code == "INVALID_INPUT"
