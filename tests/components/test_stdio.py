"""Programs that offer components over stdio: what they are told, what they may answer, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepflow import process_groups
from stepflow.components import _stdio_process, _stdio_program, _stdio_protocol
from stepflow.components.registry import Registry, builtin_registry
from stepflow.components.stdio import stdio_components
from stepflow.contracts.component import SkipStep
from stepflow.errors import ComponentError, WorkflowEngineError
from stepflow.model.flow import Flow, RetryPolicy, Step
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from tests.components import programs
from tests.components.recorder import Recorder, wait_until
from tests.support.engine import finish, steps_of


class Hearing(Recorder):
    """Also of events, of which those of the engine are refused."""

    def __init__(self) -> None:
        super().__init__()
        self.metadata = {"team": "blue"}
        self.events: list[tuple[str, Any]] = []

    def emit(self, event_type: str, payload: dict[str, Any] | None = None) -> None:
        if event_type.startswith("run."):
            raise ValueError(f"'{event_type}' is the engine's own")
        self.events.append((event_type, payload))

    @property
    def messages(self) -> list[str]:
        return [message for message, _, _ in self.logs]


class World:
    """The components of a workspace, and what was said to the worker's log."""

    def __init__(self, workspace: Path) -> None:
        self.said: list[str] = []
        components, self.troubles = stdio_components(workspace, self.said.append)
        self.components = {made.path: made for made in components}

    async def call(self, name: str, value: Any = None, context: Hearing | None = None) -> Any:
        return await self.components[f"/py/{name}"].function(value, context or Hearing())

    async def failure(self, name: str, value: Any = None) -> ComponentError:
        with pytest.raises(ComponentError) as caught:
            await self.call(name, value)
        return caught.value

    def has_said(self, part: str) -> bool:
        return any(part in line for line in self.said)


@pytest.fixture
def world(tmp_path: Path) -> World:
    programs.write(tmp_path, programs.GOOD, env={"X": 7})
    world = World(tmp_path)
    assert world.troubles == []
    return world


def is_gone(pid: int) -> bool:
    return not process_groups.is_alive(pid)


# What a program offers


def test_a_program_says_what_it_offers(tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["name"]}
    described = {
        "path": "/py/full",
        "description": "Does it\nin lines",
        "input_schema": schema,
        "output_schema": True,
        "example": {"input": {"name": "x"}},
    }
    programs.write(tmp_path, programs.ready(described, {"path": "/py/bare"}, before="print('Welcome!')"))
    full, bare = World(tmp_path).components.values()
    assert (full.path, full.mode, full.external, full.description) == ("/py/full", "async", True, "Does it")
    assert (full.input_schema, full.output_schema, full.example) == (schema, True, {"input": {"name": "x"}})
    assert bare.description.startswith("Performed by ")
    assert bare.input_schema is None


def test_what_cannot_be_taken_of_it_is_told(tmp_path: Path) -> None:
    offers = [{"path": "/builtin/mine"}, {"path": 3}, {}, {"path": "/py/x", "input_schema": {"type": "no"}}]
    programs.write(tmp_path, programs.ready(*offers, {"path": "/py/good"}))
    world = World(tmp_path)
    assert list(world.components) == ["/py/good"]
    texts = [trouble.message.partition(": ")[2] for trouble in world.troubles]
    assert texts[0].startswith("component 0 that it offers is not taken: '/builtin/mine' cannot be registered")
    assert texts[1] == "component 1 that it offers is not taken: Expected `str`, got `int` - at `$.path`"
    assert texts[2] == "component 2 that it offers is not taken: Object missing required field `path`"
    assert texts[3].startswith("component '/py/x' is not available: its input_schema is not a JSON Schema")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit('no licence')", "ended with exit code 1 before it was ready; the end of its stderr: no"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was ended by signal 9 before it was ready"),
        ("print('Welcome')", "ended with exit code 0 before it was ready; it wrote a line that is not JSON: Welcome"),
        ("import time; time.sleep(60)", "did not say that it is ready within 0.4 s"),
        ("import os, time; os.close(1); time.sleep(60)", "closed its output before it was ready"),
        ("while True: print('y')", "did not say that it is ready within 0.4 s; it wrote a line that is not JSON: y"),
        (programs.ready(), "it offers no component"),
        ('print(\'{"type": "ready"}\')', "a message that is not understood: Object missing required field"),
    ],
)
def test_a_program_that_does_not_get_ready_is_told_and_stops_nothing(
    tmp_path: Path, program: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow.components._stdio_handshake.EOF_SECONDS", 0.1)
    programs.write(tmp_path, program, start_timeout=0.4 if "time" in program or "while" in program else 10)
    programs.write(tmp_path, programs.ready({"path": "/py/good"}), name="good.py")
    world = World(tmp_path)
    (trouble,) = world.troubles
    assert (trouble.path, trouble.file) == ("components[0]", str(tmp_path / "stepflow.toml"))
    assert said in trouble.message
    assert len(trouble.message) < 1000
    assert list(world.components) == ["/py/good"], "it was asked at the same time, and is not late because of the other"


@pytest.mark.parametrize("stdin_ends_it", [True, False])
def test_a_program_that_was_asked_is_gone_afterwards(
    tmp_path: Path, stdin_ends_it: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EOF_SECONDS", "TERM_SECONDS"):
        monkeypatch.setattr(f"stepflow.components._stdio_handshake.{name}", 5 if stdin_ends_it else 0.05)
    note = "import os; open('pid', 'w').write(str(os.getpid()))\n"
    programs.write(tmp_path, note + (programs.GOOD if stdin_ends_it else programs.STUBBORN))
    world = World(tmp_path)
    assert "/py/pid" in world.components
    assert is_gone(int((tmp_path / "pid").read_text()))
    assert world.said == [], "what it says while it is asked is no news"


# What stepflow.toml says


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[components]]\n", "components[0]: Object missing required field 'command'"),
        ("[[components]]\ncommand = 'node x'\n", "components[0].command: Expected 'array', got 'str'; write a list"),
        ("[[components]]\ncommand = []\n", "components[0].command: it names no program"),
        ("[[components]]\ncommand = ['no-such-program']\n", "components[0].command: there is no program 'no-such-"),
        ("[[components]]\ncommand = ['./no/such']\n", "components[0].command: there is no program './no/such'"),
        ("[[components]]\ncommand = ['sh']\ncmd = 1\n", "components[0].cmd: the key is unknown; did you mean 'cwd'?"),
        ("[[components]]\ncommand = ['sh']\nzzz = 1\n", "components[0].zzz: the key is unknown; it takes command, cwd"),
        ("[[components]]\ncommand = ['sh']\ncwd = 'gone'\n", "components[0].cwd: there is no folder"),
        ("[[components]]\ncommand = ['sh']\nenv = {A = []}\n", "components[0].env[...]: Expected"),
        ("[[components]]\ncommand = ['sh']\nenv = {'A=B' = 1}\n", "components[0].env: 'A=B' cannot be the name"),
        ("[[components]]\ncommand = ['sh', \"a\\u0000b\"]\n", "components[0].command: a program cannot be given a NUL"),
        ("[[components]]\ncommand = ['sh']\nstart_timeout = 'soon'\n", "components[0].start_timeout: 'soon' is not a"),
        ("[[components]]\ncommand = ['sh']\nstart_timeout = 0\n", "components[0].start_timeout: it must be longer"),
        ("[components]\ncommand = ['sh']\n", "components: write it as [[components]]"),
        ("components = [3]\n", "components[0]: write it as [[components]]"),
    ],
)
def test_a_mistake_in_the_configuration_is_told_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "stepflow.toml").write_text(text)
    warnings: list[str] = []
    registry = Registry.for_workspace(tmp_path, warn=warnings.append)
    assert registry.paths == builtin_registry().paths
    (warning,) = warnings
    assert warning.startswith(f"{tmp_path}/stepflow.toml: {said}")


def test_a_configuration_that_cannot_be_read_is_told_and_offers_nothing(tmp_path: Path) -> None:
    (tmp_path / "stepflow.toml").write_text("components = \n")
    components, (trouble,) = stdio_components(tmp_path, print)
    assert not components
    assert trouble.message.startswith("it cannot be read: Invalid value")
    with pytest.raises(WorkflowEngineError, match="Invalid value"):
        Registry.for_workspace(tmp_path, warn=print)


@pytest.mark.parametrize("text", [None, "", 'db = "x.db"\n'])
def test_without_tables_there_is_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "stepflow.toml").write_text(text)
    assert stdio_components(tmp_path, print) == ([], [])


async def test_a_program_runs_where_and_as_its_table_says(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    programs.write(tmp_path, programs.GOOD, cwd="place", env={"X": True}, start_timeout="20s")
    output = await World(tmp_path).call("echo")
    assert (output["cwd"], output["X"]) == (str(tmp_path / "place"), "true")


def test_a_taken_path_is_refused(tmp_path: Path) -> None:
    programs.write(tmp_path, programs.ready({"path": "/http/get"}, {"path": "/py/own"}))
    warnings: list[str] = []
    registry = Registry.for_workspace(tmp_path, warn=warnings.append)
    assert [warning.partition(";")[0] for warning in warnings] == [
        f"{tmp_path}/stepflow.toml: components[0]: There is already a component '/http/get'"
    ]
    assert "/py/own" in registry


def test_a_program_may_take_the_place_of_another_component(tmp_path: Path) -> None:
    programs.write(tmp_path, programs.ready({"path": "/http/get", "override": True, "description": "Mine"}))
    warnings: list[str] = []
    assert Registry.for_workspace(tmp_path, warn=warnings.append).get("/http/get").description == "Mine"
    assert warnings == []


# What an attempt is told, and answers


async def test_an_attempt_gets_its_input_and_its_context(world: World, tmp_path: Path) -> None:
    value = {"text": "ä\ud83d\n", "big": 10**30, "none": None}
    output = await world.call("echo", value)
    assert output["input"] == value
    assert output["context"] == {
        "run_id": "exec_1",
        "step_id": "build",
        "attempt": 1,
        "idempotency_key": "exec_1/build",
        "metadata": {"team": "blue"},
    }
    assert (output["cwd"], output["X"]) == (str(tmp_path), "7")


async def test_it_fails_with_a_code_of_its_own_or_skips(world: World) -> None:
    error = await world.failure("fail")
    assert (error.code, error.message, error.details) == ("NO_STOCK", "none left", {"data": {"left": 0}})
    error = await world.failure("bare")
    assert (error.code, error.message) == ("COMPONENT_FAILED", "/py/bare failed")
    with pytest.raises(SkipStep, match="not today"):
        await world.call("skip")


async def test_its_logs_and_events_are_the_steps(world: World) -> None:
    context = Hearing()
    assert await world.call("talk", None, context) is None
    assert context.logs == [
        ("plain", "info", {}),
        ("odd", "warn", {"n": 1, "message_": 2, "level_": 3}),
        ("unknown level", "info", {}),
        ("an event of this step is not recorded: 'run.completed' is the engine's own", "warn", {}),
    ]
    assert context.events == [("baked", {"loaves": 3})]
    assert world.has_said("speaks of 'nobody', which is not being performed")


async def test_its_stderr_is_the_workers_log_and_nothing_else(world: World) -> None:
    context = Hearing()
    assert await world.call("shout", None, context) == "shouted"
    await wait_until(lambda: len(world.said) == 2)
    assert world.said[0].endswith("program.py: good day")
    assert world.said[1].endswith("yyy …")
    assert len(world.said[1]) < 20_000
    assert context.logs == []


async def test_attempts_go_on_at_once_in_one_process(world: World) -> None:
    contexts = [Hearing() for _ in range(5)]
    held = [asyncio.create_task(world.call("hold", None, context)) for context in contexts]
    await wait_until(lambda: all(context.messages == ["held"] for context in contexts))
    assert await world.call("release") == 5
    assert sorted(await asyncio.gather(*held)) == [0, 1, 2, 3, 4]
    assert len({await world.call("pid"), await world.call("pid")}) == 1


async def test_what_is_no_message_is_logged_and_hurts_nobody(world: World) -> None:
    assert await world.call("garbage") == "after all"
    lines = [line.partition(" wrote ")[2] for line in world.said if " wrote " in line]
    assert lines[0] == "a line that is not JSON: Loading…"
    assert lines[1].startswith("a message that is not understood: Expected `object`, got `array`: [1, 2]")
    assert lines[2].startswith("a message that is not understood: Invalid value 'dance'")
    assert lines[3].endswith("xxx…")
    assert len(lines[3]) < 300
    assert len(lines) == 6
    assert world.has_said("answered 'nobody', which waits for no answer")


async def test_an_answer_that_is_not_understood_fails_its_attempt(world: World) -> None:
    assert await world.call("broken", True) == 1, "what it says besides is ignored"
    error = await world.failure("broken", False)
    assert error.code == "INVALID_OUTPUT"
    assert "Expected `object`, got `str` - at `$.error`" in error.message


async def test_values_json_cannot_say_reach_the_check_of_outputs(world: World) -> None:
    nan, big = await world.call("odd")
    assert nan != nan
    assert big == 10**30


async def test_a_huge_answer_fails_its_attempt_and_nothing_else(world: World) -> None:
    assert len(await world.call("long", 9_000_000)) == 9_000_000
    error = await world.failure("long", _stdio_protocol.MAX_MESSAGE_BYTES)
    assert (error.code, error.message) == ("INVALID_OUTPUT", "The answer is larger than 10 MB")
    assert world.has_said("wrote a message of more than 10 MB, which is refused")
    assert await world.call("long", 3) == "xxx"


async def test_a_huge_input_is_refused(world: World) -> None:
    error = await world.failure("echo", "x" * _stdio_protocol.MAX_MESSAGE_BYTES)
    assert error.code == "INVALID_INPUT"
    assert "/py/echo takes 10485760 at most" in error.message


# Its death


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("exit", "ended with exit code 3 before it answered"),
        ("killed", "was ended by signal 9 before it answered"),
        ("close_output", "ended with exit code 0 before it answered"),
        ("close_input", "was ended by signal 15 before it answered"),
    ],
)
async def test_a_process_that_dies_fails_its_attempts_and_is_started_again(
    world: World, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_stdio_process, "EOF_SECONDS", 0.2)
    first = await world.call("pid")
    context = Hearing()
    held = asyncio.create_task(world.call("hold", None, context))
    await wait_until(lambda: context.messages == ["held"])
    error = await world.failure(name)
    assert (error.code, error.message) == ("COMPONENT_CRASHED", f"{world_name(world)} {said}")
    with pytest.raises(ComponentError, match="before it answered") as caught:
        await held
    assert caught.value is not error, "each attempt has its own"
    assert is_gone(first)
    assert await world.call("pid") != first


def world_name(world: World) -> str:
    made = world.components["/py/pid"]
    name: str = made.function.func.__self__._program.name  # type: ignore[attr-defined]
    return name


async def test_what_it_said_before_it_died_counts(world: World) -> None:
    assert await world.call("last_words") == "last"


async def test_what_it_leaves_behind_dies_with_it(world: World) -> None:
    child = await world.call("child")
    assert process_groups.is_alive(child)
    assert (await world.failure("exit")).code == "COMPONENT_CRASHED"
    await wait_until(lambda: is_gone(child))


async def test_a_start_that_fails_fails_all_who_wait_and_is_tried_again(world: World, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys; sys.exit(5)")
    errors = await asyncio.gather(world.failure("pid"), world.failure("echo"))
    assert {(error.code, error.message) for error in errors} == {
        ("COMPONENT_CRASHED", f"{world_name(world)} ended with exit code 5 before it was ready")
    }
    (tmp_path / "program.py").write_text(programs.GOOD)
    assert await world.call("pid") > 0
    (tmp_path / "program.py").unlink()
    assert await world.call("pid") > 0, "the process is kept"


@pytest.mark.full
async def test_a_start_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stdio_process, "EOF_SECONDS", 0.05)
    programs.write(tmp_path, programs.GOOD, start_timeout=3)
    world = World(tmp_path)
    (tmp_path / "program.py").write_text("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    error = await world.failure("pid")
    assert error.message.endswith("did not say that it is ready within 3 s")
    await wait_until(lambda: is_gone(int((tmp_path / "pid").read_text())))


async def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    programs.write(tmp_path, programs.GOOD, cwd="place")
    world = World(tmp_path)
    (tmp_path / "place").rmdir()
    assert "cannot be started: " in (await world.failure("pid")).message


# Cancelling


async def begun(world: World, name: str) -> tuple[asyncio.Task[Any], Hearing]:
    context = Hearing()
    task = asyncio.create_task(world.call(name, None, context))
    await wait_until(lambda: context.messages == ["held"])
    return task, context


async def check_cancelled(task: asyncio.Task[Any]) -> float:
    """Cancel it; how long that took."""
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - started


async def test_a_cancelled_attempt_is_told_and_heard_to_its_end(world: World) -> None:
    task, context = await begun(world, "polite")
    assert await check_cancelled(task) < _stdio_process.CANCEL_SECONDS
    assert context.messages == ["held", "stopping"]
    assert await world.call("release") == 1, "the process goes on"


async def test_one_that_does_not_answer_is_left_and_its_late_answer_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_stdio_process, "CANCEL_SECONDS", 0.1)
    task, _ = await begun(world, "silent")
    assert await check_cancelled(task) >= 0.1
    await wait_until(lambda: world.has_said("cancel exec_1/build/1/"))
    assert await world.call("release") == 1
    assert world.has_said("which waits for no answer")


async def test_a_cancel_while_it_starts_leaves_the_start_to_the_others(world: World) -> None:
    first = asyncio.create_task(world.call("pid"))
    await asyncio.sleep(0)
    second = asyncio.create_task(world.call("pid"))
    await asyncio.sleep(0)
    await check_cancelled(first)
    assert await second > 0


async def test_a_cancelled_attempt_of_a_process_that_dies_is_cancelled(world: World) -> None:
    task, _ = await begun(world, "silent")
    task.cancel()
    assert (await world.failure("exit")).code == "COMPONENT_CRASHED"
    with pytest.raises(asyncio.CancelledError):
        await task


# Its end with the worker


def test_it_ends_with_the_loop(world: World) -> None:
    async def work() -> tuple[int, int]:
        return await world.call("pid"), await world.call("child")

    for _ in range(2):  # it starts again in another loop
        process, child = asyncio.run(work())
        assert is_gone(process)
        assert _stdio_program._living == set()
        asyncio.run(wait_until(lambda child=child: is_gone(child)))  # type: ignore[misc] # binds the loop's value


def test_one_that_heeds_nothing_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EOF_SECONDS", "TERM_SECONDS"):
        monkeypatch.setattr(f"stepflow.components._stdio_process.{name}", 0.05)
        monkeypatch.setattr(f"stepflow.components._stdio_handshake.{name}", 0.05)
    programs.write(tmp_path, programs.STUBBORN)
    assert is_gone(asyncio.run(World(tmp_path).call("pid")))


WORKER = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.components.test_stdio import World

world = World(Path(sys.argv[1]))
loop = asyncio.new_event_loop()
print(loop.run_until_complete(world.call("pid")), flush=True)
"""


@pytest.mark.full
@pytest.mark.parametrize(
    ("program", "end"),
    [
        (programs.GOOD, "os.kill(os.getpid(), signal.SIGKILL)"),  # it reads the end of its stdin
        (programs.STUBBORN, "sys.exit()"),  # killed at exit, though the loop was not ended in order
    ],
)
def test_it_does_not_outlive_the_worker(tmp_path: Path, program: str, end: str) -> None:
    programs.write(tmp_path, program)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(WORKER) + end, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == (-signal.SIGKILL if "SIGKILL" in end else 0), done.stderr
    asyncio.run(wait_until(lambda: is_gone(int(done.stdout))))


async def test_no_descriptor_stays_open(world: World) -> None:
    await world.call("pid")
    await world.failure("exit")
    fds: Callable[[], int] = lambda: len(os.listdir("/proc/self/fd"))  # noqa: E731 - asked again and again
    await wait_until(lambda: not _stdio_program._living)
    before = fds()
    for _ in range(3):
        await world.call("child")
        await world.failure("exit")
    await wait_until(lambda: fds() <= before)


# In a run


def flow(*names: str, **more: Any) -> Flow:
    """One step after the other."""
    retry = RetryPolicy(strategy="fixed", max_attempts=2, base_delay_ms=1)
    before = {name: names[:number][-1:] for number, name in enumerate(names)}
    return Flow(
        tuple(Step(key=name, component=f"/py/{name}", retry=retry, depends_on=before[name], **more) for name in names)
    )


def registry_of(world: World) -> Registry:
    registry = builtin_registry()
    for made in world.components.values():
        registry.register(made)
    return registry


async def test_a_crash_is_retried_as_the_step_says(world: World, storage: SQLiteStorage, tmp_path: Path) -> None:
    once = "os._exit(3) if not os.path.exists('flag') and not open('flag', 'w').close() else answer(id, 'again')"
    (tmp_path / "program.py").write_text(programs.GOOD.replace("os._exit(3)", once))
    run = await finish(storage, flow("exit", "echo"), registry=registry_of(world))
    assert run.status is RunStatus.COMPLETED
    steps = steps_of(storage, run.id)
    assert {key: step.attempt for key, step in steps.items()} == {"exit": 2, "echo": 1}
    assert steps["exit"].output == "again"


async def test_a_timeout_cancels_it(world: World, storage: SQLiteStorage) -> None:
    run = await finish(storage, flow("polite", timeout_ms=200), registry=registry_of(world))
    assert run.status is RunStatus.FAILED
    error = steps_of(storage, run.id)["polite"].error
    assert error is not None
    assert error["code"] == "STEP_TIMEOUT"
    await wait_until(lambda: world.has_said(f"cancel {run.id}/polite/1/"))
