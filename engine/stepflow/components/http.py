"""`/http/…`: one request, its answer as a value."""

from __future__ import annotations

import base64
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from stepflow.components._failure import failure, invalid_input
from stepflow.components._json import parse_json
from stepflow.contracts.component import Component, ComponentContext
from stepflow.model import jsontext
from stepflow.model.flow import Json
from stepflow.model.times import parse_duration

if TYPE_CHECKING:
    from stepflow.components._http_client import Answer

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
DEFAULT_TIMEOUT = "30s"
DEFAULT_MAX_BYTES = 10 * 1024 * 1024
MESSAGE_CHARACTERS = 200


async def request(value: dict[str, Any], context: ComponentContext, method: str | None = None) -> dict[str, Any]:
    import asyncio
    import importlib

    if "httpx" not in sys.modules:
        # In a thread, because it takes a tenth of a second that the worker's loop does not have.
        await asyncio.to_thread(importlib.import_module, "httpx")
    from stepflow.components import _http_client

    headers = {name.lower(): _text(text) for name, text in (value.get("headers") or {}).items() if text is not None}
    asked = _http_client.Request(
        method=method or value.get("method") or "GET",
        url=value["url"],
        query=_pairs(value.get("query") or {}),
        headers=headers,
        content=_content(value, headers),
        timeout_seconds=_timeout_seconds(value.get("timeout") or DEFAULT_TIMEOUT),
        max_bytes=value.get("max_bytes") or DEFAULT_MAX_BYTES,
        final_statuses=_expected(value.get("expect")),
    )
    answer = await _http_client.send(asked)
    if not (answer.status in asked.final_statuses if asked.final_statuses else 200 <= answer.status < 300):
        raise _status_failure(asked.target, answer, is_quoted=not context.sensitive)
    body = _body(asked.target, answer)
    return {"status": answer.status, "headers": answer.headers, **body, "elapsed_ms": answer.elapsed_ms}


def _content(value: dict[str, Any], headers: dict[str, str]) -> bytes | None:
    """The body that is sent; gives it a content type unless the author did."""
    if value.get("json") is not None:
        if value.get("body") is not None:
            raise invalid_input("json and body exclude each other")
        headers.setdefault("content-type", "application/json")
        return jsontext.encode(value["json"]).encode()
    if value.get("body") is not None:
        headers.setdefault("content-type", "text/plain; charset=utf-8")
        return str(value["body"]).encode("utf-8", "surrogatepass")
    return None


def _pairs(query: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, _text(one))
        for name, several in query.items()
        for one in (several if isinstance(several, list) else [several])
        if one is not None
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _timeout_seconds(text: Any) -> float:
    try:
        seconds = parse_duration(str(text)) / 1000
    except ValueError as error:
        raise invalid_input(f"timeout: {error}") from None
    if seconds <= 0:
        raise invalid_input("timeout: it must be longer than nothing")
    return seconds


def _expected(expect: Any) -> frozenset[int]:
    """Empty: any 2xx."""
    if expect is None:
        return frozenset()
    return frozenset(expect if isinstance(expect, list) else [expect])


def _status_failure(target: str, answer: Answer, is_quoted: bool) -> Exception:
    said = " ".join(answer.content.decode("utf-8", "replace").split()) if is_quoted else ""
    if len(said) > MESSAGE_CHARACTERS:
        said = said[:MESSAGE_CHARACTERS] + "…"
    status = f"{answer.status} {answer.reason}".strip()
    return failure("HTTP_STATUS", f"{target} answered {status}{': ' if said else ''}{said}", status=answer.status)


def _body(target: str, answer: Answer) -> dict[str, Any]:
    """JSON by its content type, else text, else base64; null where there is none."""
    if not answer.content:
        return {"body": None}
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        text = answer.content.decode(answer.encoding)
    except (UnicodeDecodeError, LookupError):
        return {"body": base64.b64encode(answer.content).decode("ascii"), "body_encoding": "base64"}
    if kind == "application/json" or kind.endswith("+json"):
        return {"body": _parsed(target, text, answer.status)}
    return {"body": text}


def _parsed(target: str, text: str, status: int) -> Json:
    try:
        return parse_json(text)
    except ValueError as error:
        raise failure("HTTP_ERROR", f"{target} answered with broken JSON: {error}", status=status) from None


SCALAR: Json = {"type": ["string", "number", "boolean", "null"]}

PROPERTIES: dict[str, Json] = {
    "url": {"type": "string", "minLength": 1},
    "headers": {"type": ["object", "null"], "additionalProperties": SCALAR},
    "query": {
        "type": ["object", "null"],
        "additionalProperties": {"anyOf": [SCALAR, {"type": "array", "items": SCALAR}]},
    },
    "json": True,
    "body": {"type": ["string", "null"]},
    "timeout": {"type": ["string", "number", "null"], "description": f"for everything; {DEFAULT_TIMEOUT} if not given"},
    "expect": {
        "type": ["integer", "array", "null"],
        "items": {"type": "integer"},
        "description": "the statuses that are fine; any 2xx if not given",
    },
    "max_bytes": {"type": ["integer", "null"], "minimum": 1, "description": "of the answer; 10 MB if not given"},
}

OUTPUT_SCHEMA: Json = {
    "type": "object",
    "required": ["status", "headers", "body", "elapsed_ms"],
    "properties": {
        "status": {"type": "integer"},
        "headers": {"type": "object", "additionalProperties": {"type": "string"}, "description": "names in lower case"},
        "body": {"description": "JSON is parsed; null if empty; base64 if neither JSON nor text"},
        "body_encoding": {"const": "base64"},
        "elapsed_ms": {"type": "integer"},
    },
}


def _component(name: str, function: Callable[..., Awaitable[Any]], description: str, **more: Json) -> Component:
    example = {
        "url": "https://api.example.com/orders",
        **({"json": {"id": 7}} if name in ("post", "put", "patch") else {}),
    }
    return Component(
        path=f"/http/{name}",
        function=function,
        mode="async",
        external=True,
        description=description,
        input_schema={
            "type": "object",
            "required": ["url"],
            "additionalProperties": False,
            "properties": {**PROPERTIES, **more},
        },
        output_schema=OUTPUT_SCHEMA,
        example={
            "input": example,
            "output": {
                "status": 200,
                "headers": {"content-type": "application/json"},
                "body": {"id": 7},
                "elapsed_ms": 120,
            },
        },
    )


COMPONENTS: tuple[Component, ...] = (
    *(
        _component(method.lower(), partial(request, method=method), f"Sends a {method} request and gives its answer")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    ),
    _component(
        "request",
        request,
        "Sends an HTTP request of any method and gives its answer",
        method={"enum": [*METHODS, None], "description": "GET if not given"},
    ),
)
