"""Blobs: data that is kept once under its hash and handed around by its id."""

from __future__ import annotations

from typing import Any

from stepflow.contracts.component import Component, ComponentContext

_BLOB_ID = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "sha256 of the data's compact JSON"}


async def put_blob(value: dict[str, Any], context: ComponentContext) -> dict[str, Any]:
    return {"blob_id": await context.put_blob(value["data"], value.get("blob_type") or "data")}


async def get_blob(value: dict[str, Any], context: ComponentContext) -> dict[str, Any]:
    return {"data": await context.get_blob(value["blob_id"])}


COMPONENTS: tuple[Component, ...] = (
    Component(
        path="/builtin/put_blob",
        function=put_blob,
        mode="async",
        description="Keeps data under the hash of its content",
        input_schema={
            "type": "object",
            "required": ["data"],
            "additionalProperties": False,
            "properties": {"data": True, "blob_type": {"type": ["string", "null"], "description": "a label"}},
        },
        output_schema={"type": "object", "required": ["blob_id"], "properties": {"blob_id": _BLOB_ID}},
        example={
            "input": {"data": {"a": 1}},
            "output": {"blob_id": "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"},
        },
    ),
    Component(
        path="/builtin/get_blob",
        function=get_blob,
        mode="async",
        description="Gives the data of a blob",
        input_schema={
            "type": "object",
            "required": ["blob_id"],
            "additionalProperties": False,
            "properties": {"blob_id": _BLOB_ID},
        },
        output_schema={"type": "object", "required": ["data"], "properties": {"data": True}},
        example={
            "input": {"blob_id": "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"},
            "output": {"data": {"a": 1}},
        },
    ),
)
