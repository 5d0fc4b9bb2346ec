"""What goes wrong while a run is decided is said with the place in the author's text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepflow.client import Client
from stepflow.storages.sqlite import SQLiteStorage
from tests.support.engine import until, working

TEXT = """\
# $.input.n < 'x' stands here, and is not meant
name: places
steps:
  - id: first
    type: echo
    parameters: { n: $.input.n, text: "it is ${{ $.input.n < 'x' }}" }
"""
STEP = "name: places\nsteps:\n  - id: first\n    type: echo\n"


async def error_of(storage: SQLiteStorage, text: str, folder: Path) -> dict[str, Any]:
    async with Client(storage.url) as client:
        await client.save_template(None, text, file=str(folder / "flow.yaml"))
        run_id = await client.start_run("places", {"n": 1})
        async with working(storage):
            run = await until(storage, run_id)
    assert run.error is not None
    details: dict[str, Any] = run.error["details"]
    return details


async def test_an_expression_fails_at_its_own_place_and_under_the_key_the_author_wrote(
    storage: SQLiteStorage, tmp_path: Path
) -> None:
    details = await error_of(storage, TEXT, tmp_path)
    assert details["expression"] == "$.input.n < 'x'"
    assert details["file"] == str(tmp_path / "flow.yaml")
    assert (details["line"], details["column"]) == (6, 50)
    assert details["path"] == "steps[0].parameters.text"


@pytest.mark.parametrize(
    ("text", "line", "column", "path"),
    [
        (STEP + "    input:\n      deep: [1, $.input.gone]\n", 6, 17, "steps[0].input.deep[1]"),
        (STEP + "    input: { $from: { workflow: input }, path: gone }\n", 5, 5, "steps[0].input"),
        (STEP + "    input: {}\noutput:\n  x: $.steps.first.output.gone\n", 7, 6, "output.x"),
        (STEP + "    when: 1 < 'x'\n", 5, 11, "steps[0].when"),
        (STEP + "    skip: |-\n      true and\n      1 < 'x'\n", 6, 7, "steps[0].skip"),
        ("name: places\nsteps:\n  first: {type: echo, input: $.input.gone}\n", 3, 30, "steps.first.input"),
        (STEP + "    input: { a: { $coalesce: [null, $.input.gone] } }\n", 5, 37, "steps[0].input.a.$coalesce[1]"),
        (
            '{"name": "places", "steps": [{"id": "a", "type": "echo", "input": "$.input.gone"}]}',
            1,
            67,
            "steps[0].input",
        ),
    ],
)
async def test_a_value_fails_at_its_place(
    storage: SQLiteStorage, tmp_path: Path, text: str, line: int, column: int, path: str
) -> None:
    details = await error_of(storage, text, tmp_path)
    assert (details["line"], details["column"], details["path"]) == (line, column, path)


async def test_in_a_flow_written_out_inside_another_only_the_path_is_known(
    storage: SQLiteStorage, tmp_path: Path
) -> None:
    inner = "{ workflow: { steps: [{ id: in, type: echo, input: $.input.gone }] }, unwrap: true, input: {} }"
    await error_of(storage, STEP.replace("echo", "eval") + f"    input: {inner}\n", tmp_path)
    async with Client(storage.url) as client:
        (child,) = [run for run in (await client.list_runs(children=True)).items if run.parent_run_id]
        error = (await client.get_run(child.id)).error
    assert error is not None
    assert error["details"]["path"] == "steps[0].input"
    assert "line" not in error["details"]
