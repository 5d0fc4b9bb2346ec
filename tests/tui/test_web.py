"""The terminal UI in a browser: the real server, asked as a browser asks it, and as other pages would."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stepflow.storages.sqlite import SQLiteStorage
from tests.support.engine import start
from tests.support.flows import chain

aiohttp = pytest.importorskip("aiohttp", reason="needs the extra `web`")
pytest.importorskip("textual_serve", reason="needs the extra `web`")

PATIENCE_SECONDS = 20.0
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Server:
    """`stepflow ui --web`, once it listens; its address stands in `url`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("STEPFLOW", "NO_COLOR"))}
        own = {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stepflow.cli.main", "--db", str(folder / "x.db"), "ui", "--web", *arguments],
            cwd=folder, env={**kept, **own, "STEPFLOW_DURABILITY": "normal"}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        self.url = self.said.removeprefix("StepFlow is at ").partition(";")[0]
        self.host = urlsplit(self.url).netloc

    @property
    def screens(self) -> list[int]:
        """The processes behind its pages."""
        return [pid for pid in _children(self.process.pid) if "stepflow_tui.tab" in _command(pid)]

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Its exit code, and what it said on stderr."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, errors


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(one) for one, parent in map(str.split, listed.splitlines()) if int(parent) == pid]


def _command(pid: int) -> str:
    done = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout


async def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < end, f"waited in vain until {what}"
        await asyncio.sleep(0.02)


def is_gone(pid: int) -> bool:
    return "stepflow_tui.tab" not in _command(pid)


@pytest.fixture
def server(tmp_path: Path, storage: SQLiteStorage) -> Iterator[Server]:
    start(storage, chain(1))
    (tmp_path / "x.db").symlink_to(storage.url)
    server = Server(tmp_path, "--port", "0", "--read-only")
    yield server
    if server.process.poll() is None:
        server.end(signal.SIGKILL)


class Page:
    """What a browser does with the page."""

    def __init__(self, browser: aiohttp.ClientWebSocketResponse) -> None:
        self.browser = browser
        self._drawn = ""

    async def expect(self, *words: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not all(word in self._drawn for word in words):
                message = await self.browser.receive()
                assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), self._drawn[-2000:]
                data = message.data
                self._drawn += data if isinstance(data, str) else data.decode(errors="replace")
        self._drawn = ""

    async def type(self, keys: str) -> None:
        await self.browser.send_json(["stdin", keys])

    async def ends(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for _ in self.browser:
                pass
        assert self.browser.closed


@asynccontextmanager
async def page_of(server: Server, **headers: str) -> AsyncIterator[Page]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"ws://{server.host}/ws?width=100&height=30", headers={"Origin": f"http://{server.host}", **headers}
        ) as browser,
    ):
        yield Page(browser)


async def test_a_browser_gets_the_page_and_its_socket_the_screen(server: Server) -> None:
    assert server.said == f"StepFlow is at http://127.0.0.1:{urlsplit(server.url).port}/; Ctrl-C ends it\n"
    async with aiohttp.ClientSession() as session:
        async with session.get(server.url) as page:
            text = await page.text()
            assert (page.status, page.headers["X-Content-Type-Options"]) == (200, "nosniff")
            assert f'data-session-websocket-url="ws://{server.host}/ws"' in text
            assert "https://" not in text, "nothing is fetched from elsewhere"
        for file in ("static/js/textual.js", "static/css/xterm.css", "page/page.js", "page/page.css"):
            async with session.get(server.url + file) as asked:
                assert (asked.status, len(await asked.read()) > 100) == (200, True), file
        async with session.get(f"{server.url}ws") as asked:
            assert asked.status == 403
    async with page_of(server) as page:
        await page.expect("stepflow", "read-only", "Executions", "flow")
        await page.browser.send_json(["ping", "7"])
        await page.expect('["pong", "7"]')
        await page.browser.send_str("no JSON")
        await page.browser.send_json({"no": "list"})
        await page.browser.send_json(["resize", {"width": "wide", "height": None}])
        await page.browser.send_json(["resize", {"width": 120, "height": 40}])
        await page.browser.send_json(["focus"])
        await page.type("\x1a")  # ctrl+z
        await page.expect("A browser cannot do that")
        await page.type("q")
        await page.ends()
    await until(lambda: not server.screens, "the process behind it is gone")
    assert server.end() == (130, "")


async def test_pages_and_names_of_somebody_else_get_nothing(server: Server) -> None:
    for origin in ("https://evil.example", "http://127.0.0.1:1", f"http://{server.host}.evil.example", "null", ""):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            async with page_of(server, Origin=origin):
                pass
    port = urlsplit(server.url).port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "[", ""):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert answer.split()[1] in (b"403", b"400"), host
        assert b"textual" not in answer
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        async with page_of(server, Host="evil.example", Origin="http://evil.example"):
            pass
    assert server.screens == []


async def test_a_forwarded_port_is_no_other_name(server: Server) -> None:
    async with page_of(server, Host="localhost:9000", Origin="http://localhost:9000") as page:
        await page.expect("Executions")


async def test_a_closed_tab_ends_its_process_and_no_other(server: Server) -> None:
    async with page_of(server) as other:
        await other.expect("Executions")
        (pid,) = server.screens
        async with page_of(server) as page:
            await page.expect("Executions")
            assert len(server.screens) == 2
        await until(lambda: server.screens == [pid], "its process is gone")
        await other.type("3")
        await other.expect("Templates")


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGKILL, *(pytest.param(one, marks=pytest.mark.full) for one in SIGNALS)]
)
async def test_all_screens_end_with_the_server(server: Server, number: signal.Signals) -> None:
    async with page_of(server) as page:
        await page.expect("Executions")
        (pid,) = server.screens
        code, errors = await asyncio.to_thread(server.end, number)
        assert (code, errors) == (-9 if number == signal.SIGKILL else 130, "")
        await until(lambda: is_gone(pid), "its process is gone")


async def test_a_screen_that_hangs_keeps_nobody_waiting(server: Server) -> None:
    async with page_of(server) as page:
        await page.expect("Executions")
        (pid,) = server.screens
        os.kill(pid, signal.SIGSTOP)
        server.process.send_signal(signal.SIGINT)
        code, _ = await asyncio.to_thread(server.end)  # a second one kills
        assert (code, is_gone(pid)) == (130, True)


async def test_a_screen_that_fails_says_why(server: Server, storage: SQLiteStorage, tmp_path: Path) -> None:
    (tmp_path / "x.db").unlink()
    (tmp_path / "x.db").write_text("no database at all, but a text that is long enough")
    async with page_of(server) as page:
        await page.ends()
    code, errors = server.end()
    assert code == 130
    assert errors.startswith("⚠ A screen has failed: ")
    assert "is not a StepFlow database" in errors


def _refused(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "stepflow.cli.main", "--db", str(folder / "x.db"), "ui", *arguments],
        capture_output=True, text=True, cwd=folder, check=False, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = _refused(tmp_path, "--web", "--port", str(port))
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith(f"✗ Port {port} of 127.0.0.1 is taken; choose another, --port ")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--web", "--host", "203.0.113.7"], 1, "203.0.113.7 is no address of this machine"),
        (["--web", "--host", "no such host"], 1, "no such host is no address of this machine"),
        (["--web", "--port", "65536"], 2, "--port takes a whole number from 0 to 65535"),
        (["--web", "--plain"], 2, "--plain is for a terminal"),
        (["--port", "1"], 2, "--port needs --web"),
        (["--host", "::1"], 2, "--host needs --web"),
        ([], 2, "The terminal UI needs a terminal; for a browser add --web"),
        (["--web", "--read-only"], 1, "There is no database"),
    ],
)
def test_what_cannot_be_is_said_with_the_way_out(tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    found, said = _refused(tmp_path, *arguments)
    assert (found, says in said, "Traceback" in said) == (code, True, False), said


def test_who_opens_it_to_others_is_warned(tmp_path: Path) -> None:
    server = Server(tmp_path, "--host", "0.0.0.0", "--port", "0")
    code, errors = server.end()
    assert code == 130
    assert errors.startswith("⚠ Whoever can reach 0.0.0.0 port ")


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['textual_serve'] = None\n"
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'textual_serve' else find(name, *rest)\n"
        f"sys.argv = {json.dumps(['stepflow', 'ui', '--web'])}\n"
        "from stepflow.cli.main import stepflow\n"
        "stepflow()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "✗ --web needs what is not installed: pip install 'stepflow-tui[web]'\n"
