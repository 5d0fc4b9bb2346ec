"""The web on loopback: a proxy that leads every `https://` host to one TLS server of the test."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.components.server import Reply, Server


def make_certificate(folder: Path, hosts: list[str]) -> tuple[Path, Path]:
    """A certificate for `hosts` that vouches for itself, and its key; of this test alone, for a day."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    names = ",".join(f"DNS:{host}" for host in hosts)
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "1", "-subj", f"/CN={hosts[0]}", "-addext", f"subjectAltName={names}"),
            *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        capture_output=True,
        check=True,
    )
    return certificate, key


@asynccontextmanager
async def proxying(certificate: Path, key: Path, path: str, reply: Reply) -> AsyncIterator[tuple[str, Server]]:
    """The proxy's URL, and the server behind it, which answers `path` with `reply` whatever the host."""
    server, tunnels = Server(replies={path: reply}), set[asyncio.Task[None]]()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tunnels.add(task)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"CONNECT "), head
        answers, asked = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pass_on(reader, asked), _pass_on(answers, writer))

    proxy = await asyncio.start_server(connect, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}", server
    finally:
        proxy.close()
        listening.close()
        await asyncio.gather(*tunnels)


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except ConnectionError:
        pass  # either side may go away first
    finally:
        target.close()
