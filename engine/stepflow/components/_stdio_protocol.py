"""The worker protocol in words and lines: what is written to a program that offers components, and what it answers.

Plain values, no I/O. `docs/stdio-components.md` is its description for the authors of such programs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from stepflow.contracts.component import ComponentContext
from stepflow.model import jsontext
from stepflow.model.flow import Json

VERSION = 1
MAX_MESSAGE_BYTES = 10 * 1024 * 1024
"""Of one line, in both directions."""
EDGE_BYTES = 4 * 1024
"""What is kept of each end of a line that is too long."""
SHOWN_CHARACTERS = 200


class Ready(msgspec.Struct, frozen=True, tag="ready", tag_field="type"):
    components: list[dict[str, Any]]
    """`path`, and any of `description`, `input_schema`, `output_schema`, `example`, `override`."""


class Result(msgspec.Struct, frozen=True, tag="result", tag_field="type"):
    id: str
    output: Json = None


class Failure(msgspec.Struct, frozen=True):
    code: str = "COMPONENT_FAILED"
    message: str = ""
    data: Json = None


class Error(msgspec.Struct, frozen=True, tag="error", tag_field="type"):
    id: str
    error: Failure


class Skip(msgspec.Struct, frozen=True, tag="skip", tag_field="type"):
    id: str
    reason: str = ""


class Log(msgspec.Struct, frozen=True, tag="log", tag_field="type"):
    id: str
    message: str
    level: str = "info"
    fields: dict[str, Any] = {}


class Emit(msgspec.Struct, frozen=True, tag="emit", tag_field="type"):
    id: str
    event_type: str
    payload: dict[str, Any] | None = None


Message = Ready | Result | Error | Skip | Log | Emit
"""What a program writes."""


class MessageError(Exception):
    """A line that is no message. `id`: of the attempt it speaks of, if it is an answer and names one."""

    def __init__(self, message: str, attempt_id: str | None = None) -> None:
        super().__init__(message)
        self.id = attempt_id


class Offer(msgspec.Struct, frozen=True):
    """One of the components that a program says it has."""

    path: str
    description: str = ""
    input_schema: dict[str, Any] | bool | None = None
    output_schema: dict[str, Any] | bool | None = None
    example: Json = None
    override: bool = False


def hello() -> bytes:
    return _line({"type": "hello", "protocol": VERSION})


def perform(attempt_id: str, path: str, value: Json, context: ComponentContext) -> bytes:
    return _line(
        {
            "type": "perform",
            "id": attempt_id,
            "component": path,
            "input": value,
            "context": {
                "run_id": context.run_id,
                "step_id": context.step_id,
                "attempt": context.attempt,
                "idempotency_key": context.idempotency_key,
                "metadata": context.metadata,
            },
        }
    )


def cancel(attempt_id: str) -> bytes:
    return _line({"type": "cancel", "id": attempt_id})


def _line(message: dict[str, Any]) -> bytes:
    return jsontext.encode(message).encode() + b"\n"


def read_message(line: bytes) -> Message:
    """`MessageError` says what is wrong with the line."""
    try:
        value = jsontext.decode(line.decode())
    except (ValueError, RecursionError):
        raise MessageError(f"a line that is not JSON: {shown(line)}") from None
    try:
        message: Message = msgspec.convert(value, Message)
    except msgspec.ValidationError as error:
        raise MessageError(f"a message that is not understood: {error}: {shown(line)}", _answered(value)) from None
    return message


def _answered(value: Json) -> str | None:
    """Whose answer a broken message is."""
    if (
        isinstance(value, dict)
        and value.get("type") in ("result", "error", "skip")
        and isinstance(value.get("id"), str)
    ):
        return str(value["id"])
    return None


def read_offer(value: dict[str, Any]) -> Offer:
    """`ValueError` says what is wrong with it."""
    return msgspec.convert(value, Offer)


def shown(line: bytes) -> str:
    """As much of a line as a log should hold."""
    text = line[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace").strip()
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


class Line(msgspec.Struct, frozen=True):
    data: bytes
    """Without its end; only its edges, if it is not whole."""
    is_whole: bool = True


class Lines:
    """Cuts what a pipe gives into lines; of one that is longer than `limit` only the edges are held."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._length = 0
        self._is_whole = True

    def feed(self, data: bytes) -> Iterator[Line]:
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._add(part)
            yield self._taken()
        self._add(rest)

    def rest(self) -> Iterator[Line]:
        """The last line, if the pipe ended within it."""
        if self._length:
            yield self._taken()

    def _add(self, part: bytes) -> None:
        if not part:
            return
        self._parts.append(part)
        self._length += len(part)
        if self._length > self._limit:
            self._is_whole = False
        if not self._is_whole:
            held = b"".join(self._parts)
            self._parts = [held] if len(held) <= 2 * EDGE_BYTES else [held[:EDGE_BYTES], held[-EDGE_BYTES:]]

    def _taken(self) -> Line:
        line = Line(b"".join(self._parts), self._is_whole)
        self._parts, self._length, self._is_whole = [], 0, True
        return line
