"""What saving from a watched file does to a template's versions, and what may be done to such a template by hand."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stepflow.client import Client
from stepflow.contracts.storage import CreateRun, Storage, TemplateText, WatchedFile
from stepflow.errors import StorageError, TemplateNotFoundError, WorkflowEngineError
from stepflow.model.flow import Flow
from stepflow.model.ids import new_run_id
from stepflow.model.template import SavedVersion
from stepflow.storages.sqlite import SQLiteStorage, upkeep_queries
from tests.conftest import OpenStorage
from tests.runtime.test_children import flow_of
from tests.support.engine import until, working
from tests.support.flows import chain
from tests.support.hand import NOW


def text_of(flow: Flow, hash_: str, path: str = "/flows/x.yaml", **changes: object) -> TemplateText:
    text = TemplateText("x", f"# {hash_}", "yaml", flow, None, "/flows", NOW, "x.yaml", WatchedFile(path, hash_))
    return msgspec.structs.replace(text, **changes)


def watched(storage: Storage, flow: Flow, hash_: str, path: str = "/flows/x.yaml", **changes: object) -> SavedVersion:
    (saved,) = storage.save_watched_templates([text_of(flow, hash_, path, **changes)])
    return saved


def run_of(storage: Storage, version: SavedVersion) -> str:
    create = CreateRun(new_run_id(), version.id, "{}", NOW, len(version.flow.steps))
    return str(storage.perform(create))


def versions(storage: Storage) -> list[int]:
    return [version.version for version in storage.template_versions("x")]


def test_a_watched_version_that_nothing_used_gives_way_to_the_next_save(storage: Storage) -> None:
    ids = {watched(storage, chain(n), str(n)).id for n in range(1, 300)}
    assert versions(storage) == [1]
    assert len(ids) == 299, "what was read under one number never becomes another flow"
    assert storage.get_template_version("x").flow == chain(299)
    assert storage.list_templates(9, 0)[0].version == 1


def test_a_version_that_a_run_used_stays(storage: Storage) -> None:
    first = watched(storage, chain(1), "1")
    run_id = run_of(storage, first)
    assert watched(storage, chain(2), "2").version == 2
    assert watched(storage, chain(3), "3").version == 2
    assert versions(storage) == [2, 1]
    assert storage.get_run(run_id).version == 1
    assert storage.template_version_by_id(storage.load_run(run_id).template_version).flow == chain(1)


def test_a_run_that_was_about_to_start_keeps_the_version_that_gave_way(storage: Storage) -> None:
    first = watched(storage, chain(1), "1")
    assert watched(storage, chain(2), "2").version == 1
    run_id = run_of(storage, first)
    assert storage.get_run(run_id).version == 1
    assert storage.get_run(run_id).steps_total == 1
    assert storage.template_version_by_id(first.id).flow == chain(1)
    assert watched(storage, chain(3), "3").version == 2, "two flows were called version 1, so no other is"
    assert storage.template_version_by_id(first.id).flow == chain(1)
    assert versions(storage) == [2, 1]
    assert storage.count_runs_by_version("x") == {1: 1}
    with pytest.raises(TemplateNotFoundError):
        storage.get_template_version("x", -1)


def test_what_gave_way_is_not_exported(storage: SQLiteStorage) -> None:
    for n in (1, 2, 3):
        watched(storage, chain(n), str(n))
    assert [row[2] for row in storage.fetch(upkeep_queries.export_versions("1"))] == [1]


def test_a_run_never_begins_with_a_version_that_is_not_stored(storage: Storage) -> None:
    first = watched(storage, chain(1), "1")
    for n in (2, 3):
        watched(storage, chain(n), str(n))
    with pytest.raises(StorageError, match="its version is gone; start it again"):
        run_of(storage, first)


def test_a_version_that_was_made_by_hand_is_not_replaced(storage: Storage) -> None:
    by_hand = text_of(chain(1), "1", watched=None)
    storage.save_template(by_hand, create=True, update=False)
    assert watched(storage, chain(2), "2").version == 2
    storage.save_template(msgspec.structs.replace(by_hand, flow=chain(3)), create=False, update=True)
    assert versions(storage) == [2, 1], "what is saved by hand takes an unused place too"
    assert watched(storage, chain(4), "4").version == 3


async def test_a_version_that_children_run_stays(open_storage: OpenStorage) -> None:
    storage = open_storage()
    watched(storage, flow_of({"steps": [{"id": "s", "type": "noop"}]}, "x"), "1", name="x")
    parent = {"steps": [{"id": "m", "type": "eval", "input": {"template": "x", "input": {}}}]}
    saved = storage.save_template(
        TemplateText("parent", "", "yaml", flow_of(parent), None, None, NOW), create=True, update=True
    )
    run_id = run_of(storage, saved)
    async with working(storage):
        assert (await until(storage, run_id)).status == "completed"
    assert watched(storage, chain(2), "2").version == 2


def test_what_was_done_by_hand_stays_until_the_file_changes(storage: Storage) -> None:
    watched(storage, chain(1), "1")
    storage.delete_template("x", NOW)
    assert watched(storage, chain(1), "1").change == "nothing"
    assert storage.list_templates(9, 0) == []
    assert watched(storage, chain(2), "2").version == 2
    storage.save_template(text_of(chain(5), "5", watched=None), create=False, update=True)
    assert watched(storage, chain(2), "2").change == "nothing"
    assert storage.get_template_version("x").flow == chain(5)
    assert watched(storage, chain(3), "3").change == "version"


def test_a_file_with_another_name_makes_no_version_and_one_in_another_folder_does(storage: Storage) -> None:
    run_of(storage, watched(storage, chain(1), "1"))
    moved = watched(storage, chain(1), "1", "/flows/y.yaml", file="y.yaml")
    assert (moved.version, moved.file) == (1, "y.yaml")
    assert storage.get_template("x").file == "/flows/y.yaml"
    there = watched(storage, chain(1), "1", "/there/y.yaml", base_dir="/there")
    assert (there.version, there.base_dir) == (2, "/there")
    assert storage.get_template_version("x", 1).base_dir == "/flows"


def test_the_mark_of_a_file_that_is_gone_goes_when_it_is_saved(storage: Storage) -> None:
    watched(storage, chain(1), "1")
    storage.mark_files_gone(["x", "unknown"])
    assert storage.get_template("x").file_gone
    assert [one.file_gone for one in storage.watched_templates()] == [True]
    watched(storage, chain(1), "1")
    assert not storage.get_template("x").file_gone
    assert versions(storage) == [1]


def test_templates_that_were_created_from_a_file_are_known_with_it(storage: Storage) -> None:
    storage.save_template(text_of(chain(1), "1", watched=None, file="sub/x.yaml"), create=True, update=True)
    storage.save_template(text_of(chain(1), "1", watched=None, file=None, name="y"), create=True, update=True)
    (found,) = storage.watched_templates()
    assert (found.name, found.path, found.hash) == ("x", "/flows/x.yaml", None)
    assert storage.get_template("x").file is None


async def test_a_watched_template_is_updated_by_its_own_file_or_by_force(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    other = tmp_path / "other" / "x.yaml"
    other.parent.mkdir()
    one, two = "steps: [{id: a, type: noop}]", "steps: [{id: b, type: noop}]"
    file.write_text(one)
    async with Client(str(tmp_path / "s.db"), durability="normal") as client:
        rounds = Client(str(tmp_path / "s.db"), tmp_path, durability="normal")
        async with rounds as watching:
            watch = watching.watch_workspace()
            assert (await anext(watch)).templates == 1
            await watch.aclose()
        with pytest.raises(WorkflowEngineError, match="change that file") as refused:
            await client.update_template("x", two, file=str(other))
        assert (refused.value.code, str(file) in refused.value.message) == ("TEMPLATE_WATCHED", True)
        with pytest.raises(WorkflowEngineError, match="--force"):
            await client.update_template("x", two)
        assert (await client.update_template("x", two, file=str(file))).flow.steps[0].key == "b"
        assert (await client.update_template("x", one, force=True)).flow.steps[0].key == "a"
        file.unlink()
        assert (await client.update_template("x", two)).flow.steps[0].key == "b", "its file is not there"
