"""The terminal UI in browsers: a server, each of whose pages has a process of its own that draws the screen.

What a browser draws it with is textual-serve's. Only pages from here may open a socket, and only under a name that is
ours: a page of somebody else, open in the same browser, must not come to run what its owner can.
"""

from __future__ import annotations

import asyncio
import errno
import html
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import textual_serve
from aiohttp import WSMsgType, web

from stepflow.errors import WorkflowEngineError
from stepflow_tui.profiles import client_of
from stepflow_tui.tab import Tab

READY = b"__GANGLION__\n"
"""What Textual writes before its first packet."""
DATA, ABOUT = b"D", b"M"
"""Kinds of packets: what the terminal would be written or would have typed, and what is said beside it."""
QUIT_SECONDS, TERMINATE_SECONDS = 3.0, 1.0
"""How long a process has to end when it is asked to, and when it is told to."""
HEARTBEAT_SECONDS = 15.0
MOST_CELLS = 1000
MOST_SAID = 500
"""Characters of what a process said before it failed."""
OWN, THEIRS = Path(__file__).parent / "browser", Path(textual_serve.__file__).parent / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self'; img-src 'self' data:; connect-src 'self' {socket}; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Say = Callable[[str], None]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ServerError(WorkflowEngineError):
    """It cannot listen there."""

    def __init__(self, message: str) -> None:
        super().__init__("SERVER", message)


def serve(
    url: str | None,
    workspace: str | None,
    host: str,
    port: int,
    *,
    read_only: bool,
    profile: str | None,
    say: Say,
    warn: Say,
) -> int:
    """Until it is interrupted; the exit code. `say` is told where it is, `warn` what is wrong. `WorkflowEngineError`:
    there is nothing to show, or it cannot listen there."""
    asyncio.run(_try_to_open(url, workspace, profile, read_only=read_only))
    return asyncio.run(_Server(Tab(url, workspace, profile, read_only, 80, 24), host, port, say, warn).run())


async def _try_to_open(url: str | None, workspace: str | None, profile: str | None, *, read_only: bool) -> None:
    client, _ = client_of(url, workspace, profile, read_only=read_only)
    async with client:
        pass


class _Server:
    def __init__(self, shown: Tab, host: str, port: int, say: Say, warn: Say) -> None:
        self._shown = shown
        self._host = host
        self._port = port
        self._say = say
        self._warn = warn
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}
        self._screens: set[_Screen] = set()
        self._is_ending = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        ending = asyncio.Event()

        def end() -> None:
            if ending.is_set():
                for screen in self._screens:
                    screen.kill()
            ending.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, end)
        app = web.Application(middlewares=[self._refuse_other_names])
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/ws", self._socket),
                web.static("/page", OWN),
                web.static("/static", THEIRS),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=TERMINATE_SECONDS)
        await runner.setup()
        try:
            self._port = await self._listen(runner)
            if not _is_loopback(self._host):
                self._warn(f"Whoever can reach {self._host} port {self._port} can do what you can, without a password")
            self._say(f"StepFlow is at {self._address}; Ctrl-C ends it")
            sys.stdout.flush()
            await ending.wait()
        finally:
            self._is_ending = True
            await asyncio.gather(*(screen.end() for screen in self._screens))
            await runner.cleanup()
        return 130

    async def _listen(self, runner: web.AppRunner) -> int:
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except (OSError, UnicodeError, OverflowError) as error:
            raise ServerError(_why_not(self._host, self._port, error)) from error
        return int(runner.addresses[0][1])

    @property
    def _address(self) -> str:
        name = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{name}:{self._port}/"

    # Who may ask

    @web.middleware
    async def _refuse_other_names(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A name of somebody else's that leads here would make a page of theirs one of ours."""
        if not self._is_own(request.host):
            raise web.HTTPForbidden(
                text="This is none of StepFlow's names; open the address that it said, or name this one with --host\n"
            )
        return await handler(request)

    def _is_own(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        return name in self._names or _is_number(name)

    # What is asked for

    async def _page(self, request: web.Request) -> web.Response:
        address = f"ws://{request.host}/ws"
        text = (OWN / "page.html").read_text(encoding="utf-8").replace("{socket}", html.escape(address))
        headers = {name: value.replace("{socket}", address) for name, value in HEADERS.items()}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if urlsplit(request.headers.get("Origin", "")).netloc.lower() != request.host.lower():
            raise web.HTTPForbidden(text="Only a page from here may open this\n")
        browser = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS)
        if self._is_ending or not browser.can_prepare(request).ok:
            raise web.HTTPBadRequest(text="This is for the page, which opens it by itself\n")
        await browser.prepare(request)
        width, height = _cells(request.query.get("width"), 80), _cells(request.query.get("height"), 24)
        try:
            screen = await _Screen.start(msgspec.structs.replace(self._shown, width=width, height=height))
        except OSError as error:
            self._warn(f"No screen can be started: {error.strerror}")
            await browser.close()
            return browser
        self._screens.add(screen)
        drawing = asyncio.create_task(_draw(screen, browser))
        try:
            async for message in browser:
                if message.type is WSMsgType.TEXT:
                    await _hear(message.data, screen, browser)
        finally:
            await screen.end()
            await drawing
            self._screens.discard(screen)
            if screen.failure:
                self._warn(f"A screen has failed: {screen.failure}")
        return browser


class _Screen:
    """The process behind a page, in a group of its own. What it started to work in the background is in none of it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._typed = process.stdin
        self._drawn = process.stdout
        self._said = b""
        self._listening = asyncio.create_task(self._listen(process.stderr))

    @classmethod
    async def start(cls, shown: Tab) -> _Screen:
        return cls(
            await asyncio.create_subprocess_exec(
                # -P: a folder named like ours, where the user stands, must not be imported. A browser reads UTF-8.
                *(sys.executable, "-P", "-X", "utf8", "-m", "stepflow_tui.tab", msgspec.json.encode(shown).decode()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        )

    @property
    def failure(self) -> str:
        """What it said where it ended by itself with an error; empty: it did not."""
        code = self._process.returncode
        if not code or code < 0:
            return ""
        said = "; ".join(line.strip() for line in self._said.decode(errors="replace").splitlines() if line.strip())
        return said[-MOST_SAID:] or f"it ended with {code}"

    async def frame(self) -> bytes | None:
        """What it draws next; None: it draws no more."""
        try:
            while True:
                kind, size = await self._drawn.readexactly(1), await self._drawn.readexactly(4)
                packet = await self._drawn.readexactly(int.from_bytes(size, "big"))
                if kind == DATA:
                    return packet
                if kind == ABOUT and json.loads(packet).get("type") == "exit":
                    return None
        except asyncio.IncompleteReadError:
            return None

    async def begin(self) -> bool:
        """Whether it will draw."""
        try:
            await self._drawn.readuntil(READY)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return False
        return True

    async def tell(self, kind: bytes, what: bytes) -> None:
        """Nothing, where it has ended."""
        with suppress(ConnectionError, RuntimeError):
            self._typed.write(kind + len(what).to_bytes(4, "big") + what)
            await self._typed.drain()

    async def end(self) -> None:
        """Let it end; where it does not, end it."""
        if self._process.returncode is None:
            for ask, seconds in ((self._quit, QUIT_SECONDS), (self._terminate, TERMINATE_SECONDS)):
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await ask()
                        await self._process.wait()
                        break
            else:
                self.kill()
        await self._process.wait()
        await self._listening

    async def _quit(self) -> None:
        await self.tell(ABOUT, b'{"type": "quit"}')

    async def _terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        while data := await stderr.read(4096):
            self._said = (self._said + data)[-4096:]


async def _draw(screen: _Screen, browser: web.WebSocketResponse) -> None:
    """In the browser, until one of the two ends; what a browser does not take is not asked for."""
    with suppress(ConnectionError):
        if await screen.begin():
            while (frame := await screen.frame()) is not None:
                await browser.send_bytes(frame)
    await browser.close()
    while await screen.frame() is not None:
        pass  # it may wait for room in the pipe, and could not end


async def _hear(text: str, screen: _Screen, browser: web.WebSocketResponse) -> None:
    """What the page sends; anything else is nothing."""
    try:
        said = json.loads(text)
    except ValueError:
        return
    match said:
        case ["stdin", str(typed)]:
            await screen.tell(DATA, typed.encode(errors="replace"))
        case ["resize", {"width": int(width), "height": int(height)}]:
            size = {"type": "resize", "width": _cells(width, 80), "height": _cells(height, 24)}
            await screen.tell(ABOUT, json.dumps(size).encode())
        case ["focus" | "blur" as kind, *_]:
            await screen.tell(ABOUT, json.dumps({"type": kind}).encode())
        case ["ping", str(when)]:
            await browser.send_json(["pong", when])


def _cells(asked: object, default: int) -> int:
    try:
        return min(max(int(str(asked)), 1), MOST_CELLS)
    except ValueError:
        return default


def _is_number(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return ip_address(host).is_loopback if _is_number(host) else host == "localhost"


def _why_not(host: str, port: int, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"Port {port} of {host} is taken; choose another, --port {port + 1 if port < 65535 else port - 1}"
    if number == errno.EACCES:
        return f"Port {port} is not for everybody; choose one above 1023, --port 8000"
    if number == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror | UnicodeError):
        return f"{host} is no address of this machine; leave --host out, or name one that is"
    return f"It cannot listen on {host} port {port}: {error}"
