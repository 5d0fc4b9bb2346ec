"""A web server on loopback that answers as it is told, also badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Write = Callable[[bytes], Awaitable[None]]


@dataclass
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


Reply = Callable[[Asked, Write], Awaitable[None]]


@dataclass
class Server:
    """`replies`: by path. `asked`: every request so far."""

    port: int = 0
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reply(self, path: str, status: str = "200 OK", body: bytes | Any = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if not isinstance(body, bytes):
            given.setdefault("content-type", "application/json")
        given.setdefault("content-length", str(len(content)))
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        self.reply_raw(path, f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + content)

    def reply_raw(self, path: str, *parts: bytes) -> None:
        async def write_parts(asked: Asked, write: Write) -> None:
            for part in parts:
                await write(part)

        self.replies[path] = write_parts

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        number = self.connections

        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        try:
            while asked := await _read(reader, number):
                self.asked.append(asked)
                await self.replies[asked.target.partition("?")[0]](asked, write)
        except (ConnectionError, KeyError, asyncio.IncompleteReadError):
            pass  # a client that goes away, and a path that closes the connection
        finally:
            self.open_connections -= 1
            writer.close()


async def _read(reader: asyncio.StreamReader, connection: int) -> Asked | None:
    line = (await reader.readline()).decode()
    if not line:
        return None
    method, target, _ = line.split()
    headers = {}
    while text := (await reader.readline()).decode("latin-1").strip():
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, target, headers, body, connection)


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        server.released.set()
        listening.close()
