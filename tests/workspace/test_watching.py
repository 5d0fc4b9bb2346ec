"""What saving, renaming, deleting and breaking files does to templates, as a watched workspace tells it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from stepflow.client import Client
from stepflow.client.workspace import (
    Back,
    Components,
    Gone,
    Mended,
    Polling,
    Problem,
    Renamed,
    Saved,
    Trouble,
    Unchanged,
)
from stepflow.errors import StorageError, WorkflowEngineError
from stepflow.storages.sqlite import write
from stepflow.workspace import changes
from stepflow.workspace import watching as workspace_watching
from tests.support.engine import until, working
from tests.workspace.conftest import Watched, flow_text, watching


@pytest.mark.parametrize("save", [Watched.save, Watched.write])
async def test_a_saved_file_is_a_version_at_once(folder: Path, save: Callable[..., None]) -> None:
    async with watching(folder) as watched:
        watched.write("x.yaml", flow_text("a"))
        first = await watched.round()
        assert (first.is_first, first.templates) == (True, 1)
        assert first.outcomes == (Components((), (), True), Saved("x.yaml", "x", 1, "version"))
        save(watched, "x.yaml", flow_text("b"))
        assert await watched.comes(Saved) == Saved("x.yaml", "x", 1, "version")
        save(watched, "x.yaml", "# why\n" + flow_text("b"))
        assert await watched.comes(Saved) == Saved("x.yaml", "x", 1, "text")
        found = await watched.client.get_template("x")
        assert (found.flow.steps[0].key, found.base_dir, found.file) == ("b", str(folder), "x.yaml")
        watched.save("flows/new.json", '{"name": "Another one", "steps": []}')
        assert (await watched.comes(Problem)).file == "flows/new.json"
        watched.save("flows/new.json", '{"name": "Another one", "steps": [{"id": "a", "type": "noop"}]}')
        assert await watched.comes(Saved) == Saved("flows/new.json", "another-one", 1, "version")


async def test_a_run_in_flight_keeps_its_version(folder: Path) -> None:
    waits = "steps:\n  - {id: ask, type: wait_event, input: {name: go}}\n  - {id: %s, type: noop, depends_on: [ask]}\n"
    async with watching(folder) as watched:
        watched.write("x.yaml", waits % "old")
        await watched.round()
        storage = watched.client._open_storage
        async with working(storage):
            run_id = await watched.client.start_run("x")
            await until(storage, run_id, "waiting")
            watched.save("x.yaml", waits % "new")
            assert (await watched.comes(Saved)).version == 2
            watched.save("x.yaml", waits % "newer")
            assert (await watched.comes(Saved)).version == 2
            await watched.client.signal(run_id, "go")
            run = await until(storage, run_id)
            assert (run.status, run.version) == ("completed", 1)
            assert [step.key for step in await watched.client.get_steps(run_id)] == ["ask", "old"]
            assert await watched.versions("x") == [2, 1]


async def test_a_problem_is_told_once_with_its_place_and_so_is_that_it_is_mended(folder: Path) -> None:
    async with watching(folder) as watched:
        watched.write("x.yaml", flow_text("a"))
        await watched.round()
        watched.save("x.yaml", "steps:\n  - {id: a, typ: noop}\n")
        problem = await watched.comes(Problem)
        assert [one.place for one in problem.diagnostics] == ["x.yaml:2:5", "x.yaml:2:13"]
        assert (await watched.client.get_template("x")).flow.steps[0].component == "/builtin/noop"
        os.utime("x.yaml")
        watched.save("y.yaml", flow_text("a"))
        assert await watched.until(lambda one: not isinstance(one, Saved | Unchanged) or one.file == "y.yaml") == Saved(
            "y.yaml", "y", 1, "version"
        )
        watched.save("x.yaml", flow_text("a"))
        assert await watched.comes(Mended) == Mended("x.yaml")
        assert await watched.versions("x") == [1]


async def test_a_half_written_file_is_no_problem_and_an_empty_one_is_not_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_watching, "HALF_WRITTEN_SECONDS", 60.0)
    async with watching(folder) as watched:
        watched.write("x.yaml", flow_text("a"))
        await watched.round()
        with open("x.yaml", "w") as file:
            file.flush()
            for part in ("steps:\n  - {id: b,", " type: no"):
                file.write(part)
                file.flush()
                watched.save("mark.yaml", flow_text(f"m{len(part)}"))
                await watched.comes(Saved, "mark.yaml")  # a round has gone by, and it was looked at
            file.write("op}\n")
        assert (await watched.comes(Saved, "x.yaml")).version == 1
        watched.write("x.yaml", "")
        watched.save("mark.yaml", flow_text("m"))
        await watched.comes(Saved, "mark.yaml")
        watched.save("x.yaml", flow_text("c"))
        await watched.comes(Saved, "x.yaml")
        assert not [one for one in watched.seen if isinstance(one, Problem | Gone | Mended)]


async def test_a_file_that_stays_empty_is_a_problem_until_it_is_written_or_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_watching, "EMPTY_SECONDS", 0.05)
    (folder / "x.yaml").write_text(flow_text("a"))
    (folder / "others.yaml").touch()
    async with watching(folder) as watched:
        assert [one for one in (await watched.round()).outcomes if isinstance(one, Problem)] == []
        watched.write("x.yaml", "")
        problem = await watched.comes(Problem, "x.yaml")
        assert [one.message for one in problem.diagnostics] == ["It is empty"]
        assert (await watched.client.get_template("x")).version == 1
        watched.write("new.yaml", "\n")
        await watched.comes(Problem, "new.yaml")
        os.unlink("new.yaml")
        assert await watched.comes(Mended) == Mended("new.yaml", gone=True)
        watched.write("x.yaml", flow_text("b"))
        assert await watched.comes(Mended) == Mended("x.yaml")
        assert not (await watched.client.describe_template("x")).file_gone
    (folder / "x.yaml").write_text("")
    async with watching(folder) as watched:
        assert isinstance((await watched.round()).outcomes[1], Problem)


async def test_a_file_that_goes_leaves_its_template_marked_until_it_is_back(folder: Path) -> None:
    async with watching(folder) as watched:
        watched.write("x.yaml", flow_text("a"))
        await watched.round()
        os.unlink("x.yaml")
        assert await watched.comes(Gone) == Gone("x.yaml", "x")
        assert (await watched.client.describe_template("x")).file_gone
        watched.save("x.yaml", flow_text("a"))
        assert await watched.comes(Back) == Back("x.yaml", "x", 1)
        assert not (await watched.client.describe_template("x")).file_gone


@pytest.mark.parametrize("text", ["stpes:\n  - {id: a, type: noop}\n", "\tname: x\n", "name: [\n"])
async def test_a_file_that_made_a_template_and_has_no_steps_is_a_problem_and_not_gone(folder: Path, text: str) -> None:
    (folder / "x.yaml").write_text(flow_text("a"))
    async with watching(folder) as watched:
        await watched.round()
        watched.save("x.yaml", text)
        assert (await watched.comes(Problem)).file == "x.yaml"
        assert not (await watched.client.describe_template("x")).file_gone
    async with watching(folder) as watched:
        assert isinstance((await watched.round()).outcomes[1], Problem)
        watched.save("x.yaml", flow_text("b"))
        assert (await watched.round()).outcomes == (Mended("x.yaml"), Saved("x.yaml", "x", 1, "version"))


async def test_a_wrong_file_that_takes_the_place_of_another_is_a_problem_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_watching, "HALF_WRITTEN_SECONDS", 60.0)
    async with watching(folder) as watched:
        watched.write("x.yaml", flow_text("a"))
        await watched.round()
        watched.save("x.yaml", "steps:\n  - {id: b,")
        assert (await watched.comes(Problem)).file == "x.yaml"
        watched.save("x.yaml", flow_text("a"))
        await watched.comes(Mended, "x.yaml")
        # One that goes away and is written anew is as one that is written in place.
        os.rename("x.yaml", "x.yaml~")
        watched.write("x.yaml", "steps:\n  - {id: b,")
        watched.save("mark.yaml", flow_text("m"))
        await watched.comes(Saved, "mark.yaml")
        watched.write("x.yaml", flow_text("b"))
        await watched.comes(Saved, "x.yaml")
        assert len([one for one in watched.seen if isinstance(one, Problem)]) == 1


async def test_a_file_that_stays_half_written_is_a_problem_until_it_is_whole(folder: Path) -> None:
    async with watching(folder) as watched:
        watched.write("x.yaml", flow_text("a"))
        await watched.round()
        with open("x.yaml", "w") as file:
            file.write("steps:\n  - {id: b,")
            file.flush()
            assert (await watched.comes(Problem)).file == "x.yaml"
            assert (await watched.client.get_template("x")).flow.steps[0].key == "a"
            file.write(" type: noop}\n")
        assert await watched.comes(Mended) == Mended("x.yaml")
        assert (await watched.client.get_template("x")).flow.steps[0].key == "b"


async def test_a_file_that_is_taken_away_and_put_back_is_not_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace_watching, "GONE_SECONDS", 60.0)
    async with watching(folder) as watched:
        watched.write("x.yaml", flow_text("a"))
        await watched.round()
        for step in ("b", "c", "d"):
            os.rename("x.yaml", "x.yaml~")
            watched.save("mark.yaml", flow_text(step))
            await watched.comes(Saved, "mark.yaml")
            watched.write("x.yaml", flow_text(step))
            await watched.comes(Saved, "x.yaml")
        assert not [one for one in watched.seen if isinstance(one, Gone | Back | Renamed)]


@pytest.mark.parametrize("name", ["", "named"])
async def test_a_renamed_file_makes_no_version(folder: Path, name: str) -> None:
    template = name or "x"
    async with watching(folder) as watched:
        watched.write("x.yaml", flow_text("a", name))
        await watched.round()
        await watched.client.start_run(template)
        os.rename("x.yaml", "y.yaml")
        assert await watched.comes(Renamed) == Renamed("y.yaml", "x.yaml", template, 1)
        watched.save("y.yaml", flow_text("b", name))
        assert await watched.comes(Saved) == Saved("y.yaml", template, 2, "version")
    os.rename("y.yaml", "z.yaml")
    async with watching(folder) as watched:
        first = await watched.round()
        assert first.outcomes[1:] == (Renamed("z.yaml", "y.yaml", template, 2),), "also while nobody watched"
        assert [one.name for one in await watched.client.list_templates()] == [template]


async def test_of_files_that_say_the_same_each_keeps_its_template(folder: Path) -> None:
    async with watching(folder) as watched:
        for name in "abc":
            watched.write(f"flows/{name}.yaml", flow_text())
        await watched.round()
        os.rename("flows", "moved")
        renamed = [one for one in (await watched.round()).outcomes if isinstance(one, Renamed)]
        while len(renamed) < 3:
            renamed += [one for one in (await watched.round()).outcomes if isinstance(one, Renamed)]
        assert {(one.file, one.before, one.template) for one in renamed} == {
            (f"moved/{name}.yaml", f"flows/{name}.yaml", name) for name in "abc"
        }
        os.rename("moved/a.yaml", "moved/d.yaml")
        shutil.copy("moved/d.yaml", "moved/e.yaml")
        templates: set[str] = set()
        while not templates >= {"a", "e"}:
            templates |= {one.template for one in (await watched.round()).outcomes if isinstance(one, Renamed | Saved)}
        assert templates == {"a", "e"}


async def test_another_name_in_the_file_is_another_template(folder: Path) -> None:
    async with watching(folder) as watched:
        watched.write("x.yaml", flow_text("a", "one"))
        await watched.round()
        watched.save("x.yaml", flow_text("a", "two"))
        outcomes = (await watched.round()).outcomes
        assert outcomes == (Saved("x.yaml", "two", 1, "version"), Gone("x.yaml", "one"))
        watched.save("x.yaml", flow_text("a", "one"))
        assert (await watched.round()).outcomes == (Back("x.yaml", "one", 1), Gone("x.yaml", "two"))


async def test_of_two_files_with_one_name_the_second_is_a_problem_until_one_gives_way(folder: Path) -> None:
    async with watching(folder) as watched:
        watched.write("b.yaml", flow_text("b", "x"))
        watched.write("a.yaml", flow_text("a", "x"))
        first = await watched.round()
        problem = next(one for one in first.outcomes if isinstance(one, Problem))
        assert (problem.file, problem.diagnostics[0].place) == ("b.yaml", "b.yaml:1:7"), (
            "the first is the first by path"
        )
        assert problem.diagnostics[0].message == "a.yaml makes the template 'x' already"
        watched.save("0.yaml", flow_text("0", "x"))
        assert (await watched.comes(Problem)).file == "0.yaml", "a new file does not take it from the one that has it"
        watched.save("0.yaml", flow_text("0", "y"))
        assert (await watched.round()).outcomes == (Mended("0.yaml"), Saved("0.yaml", "y", 1, "version"))
        os.unlink("a.yaml")
        assert await watched.comes(Mended) == Mended("b.yaml")
        assert (await watched.client.get_template("x")).flow.steps[0].key == "b"
        assert not (await watched.client.describe_template("x")).file_gone
    watched.write("a.yaml", flow_text("a", "x"))
    async with watching(folder) as watched:
        first = await watched.round()
        assert [one.file for one in first.outcomes if isinstance(one, Problem)] == ["a.yaml"], "that is remembered"


async def test_a_deleted_template_is_back_when_its_file_changes(folder: Path) -> None:
    async with watching(folder) as watched:
        watched.write("x.yaml", flow_text("a"))
        await watched.round()
        await watched.client.delete_template("x")
    async with watching(folder) as watched:
        await watched.round()
        assert await watched.client.list_templates() == []
        watched.save("x.yaml", flow_text("b"))
        assert await watched.comes(Saved) == Saved("x.yaml", "x", 2, "version")
        assert len(await watched.client.list_templates()) == 1


async def test_a_template_that_was_created_from_the_file_keeps_its_name(folder: Path) -> None:
    (folder / "order-workflow.yaml").write_text(flow_text("a"))
    async with watching(folder) as watched:
        await watched.client.create_template("order-flow", flow_text("a"), file="order-workflow.yaml")
        assert (await watched.round()).outcomes[1:] == (Unchanged("order-workflow.yaml", "order-flow", 1),)
        watched.save("order-workflow.yaml", flow_text("b"))
        assert await watched.comes(Saved) == Saved("order-workflow.yaml", "order-flow", 2, "version")


@pytest.mark.full
async def test_a_thousand_files_at_once_lose_none(folder: Path) -> None:
    async with watching(folder) as watched:
        for n in range(1000):
            watched.write(f"flows/{n % 10}/t{n}.yaml", flow_text("a", f"t{n}"))
        first = await watched.round()
        assert (first.templates, len(first.outcomes)) == (1000, 1001)
        for n in range(1000):
            watched.save(f"flows/{n % 10}/t{n}.yaml", flow_text("b", f"t{n}"))
        saved: set[str] = set()
        while len(saved) < 1000:
            saved |= {one.template for one in (await watched.round()).outcomes if isinstance(one, Saved)}
        assert {one.version for one in await watched.client.list_templates(2000)} == {1}
        os.rename("flows", "moved")
        moved: set[str] = set()
        while len(moved) < 1000:
            moved |= {one.template for one in (await watched.round()).outcomes if isinstance(one, Renamed)}
        shutil.rmtree("moved")
        gone: set[str] = set()
        while len(gone) < 1000:
            gone |= {one.template for one in (await watched.round()).outcomes if isinstance(one, Gone)}
        assert all(one.file_gone for one in await watched.client.list_templates(2000))
    async with watching(folder) as watched:
        assert len((await watched.round()).outcomes) == 1, "what is known to be gone is not told again"


async def test_a_folder_that_comes_with_its_files_is_seen(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    async with watching(folder / "elsewhere") as watched:
        await watched.round()
        for n in range(20):
            watched.write(f"new{n}/deep/er/x.yaml", flow_text("a", f"n{n}"))
        saved: set[str] = set()
        while len(saved) < 20:
            saved |= {one.template for one in (await watched.round()).outcomes if isinstance(one, Saved)}
        assert await watched.client.count_templates() == 20


async def test_files_that_are_no_templates_are_left_alone(folder: Path) -> None:
    async with watching(folder) as watched:
        watched.write("ci.yaml", "jobs:\n  a:\n    steps: [1]\n")
        watched.write(".hidden/x.yaml", flow_text())
        watched.write("node_modules/x.yaml", flow_text())
        os.mkfifo("pipe.yaml")
        (folder / "dangling.yaml").symlink_to("nowhere")
        (folder / "folder.yaml").mkdir()
        assert (await watched.round()).outcomes[1:] == ()
        watched.save("ci.yaml", "jobs: [\n")
        watched.save("node_modules/x.yaml", flow_text("b"))
        watched.save("x.yaml", flow_text("a"))
        assert (await watched.round()).outcomes == (Saved("x.yaml", "x", 1, "version"),)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"steps: \xff", "It is not UTF-8 text (byte 7)"),
        (b"steps: []\n" + b"#" * (11 << 20), "The text is larger than 10 MB"),
        (b"steps: 5", ""),
        (b"name: \x1b[31m\nsteps:\n  - {id: a, type: noop}\n", ""),
    ],
    ids=["not text", "too long", "no steps", "control characters"],
)
async def test_what_cannot_be_a_template_is_a_problem(folder: Path, content: bytes, says: str) -> None:
    (folder / "x.yaml").write_bytes(content)
    async with watching(folder) as watched:
        problem = (await watched.round()).outcomes[1]
        assert isinstance(problem, Problem)
        assert problem.diagnostics[0].message.startswith(says)
        watched.save("x.yaml", flow_text())
        assert (await watched.round()).outcomes == (Mended("x.yaml"), Saved("x.yaml", "x", 1, "version"))


async def test_changed_python_is_imported_in_a_process_of_its_own(folder: Path) -> None:
    code = "from stepflow import component\n@component('/user/%s', input_schema={'required': ['n']})\ndef f(_): ...\n"
    uses = "steps:\n  - {id: a, component: /user/two, input: {%s: 1}}\n"
    async with watching(folder) as watched:
        watched.write("components/own.py", code % "one")
        watched.write("x.yaml", uses % "m")
        first = await watched.round()
        assert first.outcomes[0] == Components(("/user/one",), (), True)
        assert isinstance(first.outcomes[1], Saved)
        assert [one.code for one in first.outcomes[1].diagnostics] == ["W151"]
        watched.save("components/own.py", code % "two")
        changed = (await watched.round()).outcomes
        assert changed[0] == Components(("/user/two",), (), False)
        assert isinstance(changed[1], Problem), "its input is judged by what the component takes now"
        watched.save("x.yaml", uses % "n")
        await watched.comes(Mended)
        watched.save("components/own.py", "import helping\n" + code % "two")
        (trouble,) = (await watched.comes(Components)).troubles
        assert (trouble.message.partition(": ")[2], trouble.line) == (
            "ModuleNotFoundError: No module named 'helping'",
            1,
        )
        watched.save("helping.py", "print('on stdout')\n")
        assert await watched.comes(Components) == Components(("/user/two",), (), False), "any Python may be imported"
        watched.save("components/own.py", "import os\nos._exit(3)\n")
        (trouble,) = (await watched.comes(Components)).troubles
        assert trouble.message == "The components are not known: a process that imported it ended with 3"


async def test_what_stepflow_toml_turns_off_is_a_problem_until_it_is_on_again(folder: Path) -> None:
    async with watching(folder) as watched:
        watched.write("x.yaml", "steps:\n  - {id: a, type: shell.run, input: {command: [ls]}}\n")
        assert (await watched.round()).templates == 1
        watched.write("stepflow.toml", "shell = false\n")
        problem = await watched.comes(Problem)
        assert [(one.message, one.hint) for one in problem.diagnostics] == [
            ("Component '/shell/run' is turned off in this workspace", "stepflow.toml says shell = false")
        ]
        watched.write("stepflow.toml", "shell = true\n")
        assert await watched.comes(Mended) == Mended("x.yaml")


async def test_python_that_is_the_same_is_not_looked_at_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "LOOK_SECONDS", 0.01)
    async with watching(folder) as watched:
        watched.write("own.py", "")
        await watched.round()
        (folder / "own.py").chmod(0o600)
        for step in "bcdefg":
            watched.save("x.yaml", flow_text(step))
            await watched.comes(Saved)
        watched.save("own.py", "#")
        await watched.comes(Components)
        for step in "bcdefg":
            watched.save("x.yaml", flow_text(step))
            await watched.comes(Saved)
        os.unlink("own.py")
        await watched.comes(Components)
        assert [one.is_first for one in watched.seen if isinstance(one, Components)] == [True, False, False]


async def test_an_import_that_takes_long_keeps_nothing_waiting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_watching, "FIRST_OFFERS_SECONDS", 0.01)
    own = "import time\nfrom pathlib import Path\nwhile not Path('go').exists():\n    time.sleep(0.01)\n"
    async with watching(folder) as watched:
        watched.write("components/own.py", own)
        watched.write("x.yaml", flow_text())
        assert (await watched.round()).outcomes == (Saved("x.yaml", "x", 1, "version"),)
        watched.write("go", "")
        assert await watched.comes(Components) == Components((), (), True)


async def test_trouble_with_the_storage_loses_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    monkeypatch.setattr(workspace_watching, "RETRY_SECONDS", 0.01)
    save = write.save_watched_templates
    fails = [True]

    def fail_first(*arguments: Any, **options: Any) -> Any:
        if fails:
            raise sqlite3.OperationalError("disk I/O error")
        return save(*arguments, **options)

    async with watching(folder) as watched:
        await watched.round()
        monkeypatch.setattr(write, "save_watched_templates", fail_first)
        watched.save("x.yaml", flow_text())
        assert "disk I/O error" in (await watched.comes(Trouble)).message
        fails.clear()
        assert await watched.comes(Saved) == Saved("x.yaml", "x", 1, "version")


async def test_where_the_system_tells_of_nothing_the_files_are_looked_at(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*arguments: object, **options: object) -> Any:
        raise OSError("OS file watch limit reached.")

    monkeypatch.setattr(changes, "awatch", none_left)
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.01)
    async with watching(folder) as watched:
        assert (await watched.round()).outcomes[0] == Polling("OS file watch limit reached.")
        watched.save("x.yaml", flow_text())
        assert await watched.comes(Saved) == Saved("x.yaml", "x", 1, "version")
        os.unlink("x.yaml")
        assert await watched.comes(Gone) == Gone("x.yaml", "x")


async def test_what_the_system_did_not_tell_of_is_found_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*arguments: object, **options: object) -> Any:
        import asyncio

        await asyncio.Event().wait()
        yield set()

    monkeypatch.setattr(changes, "awatch", silent)
    monkeypatch.setattr(changes, "LOOK_SECONDS", 0.01)
    async with watching(folder) as watched:
        await watched.round()
        watched.save("x.yaml", flow_text())
        assert await watched.comes(Saved) == Saved("x.yaml", "x", 1, "version")


async def test_a_database_that_cannot_be_written_is_said_at_once(folder: Path) -> None:
    (folder / "x.yaml").write_text(flow_text("a"))
    async with watching(folder) as watched:
        await watched.round()
    async with (
        Client(str(folder / ".stepflow.db"), folder, read_only=True) as client,
        aclosing(client.watch_workspace()) as rounds,
    ):
        with pytest.raises(StorageError, match="is open for reading only"):
            await anext(rounds)


async def test_without_a_workspace_there_is_nothing_to_watch(folder: Path) -> None:
    async with Client(str(folder / "x.db"), durability="normal") as client:
        with pytest.raises(WorkflowEngineError, match="stepflow init"):
            await anext(client.watch_workspace())
