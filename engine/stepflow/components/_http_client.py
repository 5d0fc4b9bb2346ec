"""The one module that knows httpx: one client for each event loop, its connections used again, its answers bounded.

Redirects are followed here and not by httpx: to another host nothing goes along that could be a credential, in
whatever header it was. Cookies are not kept: one step's session is no other step's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
import msgspec

from stepflow.components._failure import failure, invalid_input

MAX_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})
GOES_ANYWHERE = frozenset({"accept", "accept-language", "content-type", "user-agent"})
"""The headers that are not held back from another host."""


class Request(msgspec.Struct):
    method: str
    url: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    """Names in lower case."""
    content: bytes | None
    timeout_seconds: float
    """For everything, from the first redirect to the last byte."""
    max_bytes: int
    final_statuses: frozenset[int]
    """Not followed, should they be redirects."""

    @property
    def target(self) -> str:
        """As it may be shown: without what often is secret in a URL."""
        return _shown(self.method, httpx.URL(self.url))


class Answer(msgspec.Struct, frozen=True):
    status: int
    reason: str
    headers: dict[str, str]
    content: bytes
    encoding: str
    elapsed_ms: int


async def send(asked: Request) -> Answer:
    url = _checked_url(asked)
    client = await _clients.get()
    started = time.monotonic()
    try:
        async with asyncio.timeout(asked.timeout_seconds) as limit:
            return await _follow(client, asked, url, started)
    except TimeoutError:
        if not limit.expired():
            raise
        raise failure("HTTP_TIMEOUT", f"{asked.target} did not answer within {asked.timeout_seconds:g} s") from None
    except (httpx.LocalProtocolError, httpx.InvalidURL, UnicodeEncodeError) as error:
        raise invalid_input(f"{asked.target} cannot be asked like this: {_refusal(error, asked.headers)}") from None
    except httpx.HTTPError as error:
        said = str(error) or type(error).__name__
        raise failure("HTTP_ERROR", f"{asked.target} failed: {said}", type=type(error).__name__) from error


def _refusal(error: Exception, headers: dict[str, str]) -> str:
    """In its words, unless they quote what a header holds, which may be a credential."""
    said = str(error)
    for name, text in headers.items():
        if repr(text.encode()) in said:
            return f"the header '{name}' holds a line break, another control character, or blanks around its text"
    return said


def _checked_url(asked: Request) -> httpx.URL:
    try:
        url = httpx.URL(asked.url)
        if asked.query:
            url = url.copy_merge_params(asked.query)
    except (httpx.InvalidURL, UnicodeEncodeError) as error:
        raise invalid_input(f"url: {error}") from None
    if not _is_web(url):
        raise invalid_input("url: it must begin with http:// or https:// and name a host and a port that exist")
    return url


def _is_web(url: httpx.URL) -> bool:
    return url.scheme in ("http", "https") and bool(url.host) and (url.port is None or 0 < url.port < 65536)


async def _follow(client: httpx.AsyncClient, asked: Request, url: httpx.URL, started: float) -> Answer:
    """Ask, and go where the answers point to."""
    method, content = asked.method, asked.content
    headers = dict(asked.headers)
    for _ in range(MAX_REDIRECTS + 1):
        # As bytes: httpx would refuse what is not ASCII, which servers do take.
        pairs = [(name.encode("ascii"), text.encode()) for name, text in headers.items()]
        request = client.build_request(method, url, headers=pairs, content=content)
        response = await client.send(request, stream=True)
        try:
            location = response.headers.get("location")
            if location is None or response.status_code not in REDIRECTS - asked.final_statuses:
                return await _read(response, asked, started)
        finally:
            await response.aclose()
        method, content, headers = _redirected(response.status_code, method, content, headers)
        before, url = url, _pointed_to(asked, url, location)
        if not _is_same_site(before, url):
            if content is not None:
                raise failure(
                    "HTTP_ERROR", f"{asked.target} was redirected to another host, which may not get the body"
                )
            headers = {name: text for name, text in headers.items() if name in GOES_ANYWHERE}
    raise failure("HTTP_ERROR", f"{asked.target} was redirected more than {MAX_REDIRECTS} times")


def _redirected(
    status: int, method: str, content: bytes | None, headers: dict[str, str]
) -> tuple[str, bytes | None, dict[str, str]]:
    """What is asked next: as browsers do it, 301 and 302 make a GET of a POST, 303 of everything."""
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        return "GET", None, {name: text for name, text in headers.items() if not name.startswith("content-")}
    return method, content, headers


def _pointed_to(asked: Request, url: httpx.URL, location: str) -> httpx.URL:
    try:
        target = url.join(location)
    except httpx.InvalidURL as error:
        raise failure("HTTP_ERROR", f"{asked.target} was redirected to something that is no URL: {error}") from None
    if not _is_web(target):
        raise failure("HTTP_ERROR", f"{asked.target} was redirected to something other than http: or https:")
    return target


def _is_same_site(before: httpx.URL, after: httpx.URL) -> bool:
    """The same scheme, host and port; or the same host, from http to https."""
    if before.host != after.host:
        return False
    if (before.scheme, before.port) == (after.scheme, after.port):
        return True
    return (before.scheme, after.scheme, before.port, after.port) == ("http", "https", None, None)


async def _read(response: httpx.Response, asked: Request, started: float) -> Answer:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > asked.max_bytes:
            raise failure(
                "HTTP_TOO_LARGE",
                f"{asked.target} answered with more than {asked.max_bytes} bytes; max_bytes allows more",
                status=response.status_code,
            )
    return Answer(
        status=response.status_code,
        reason=response.reason_phrase,
        headers=dict(response.headers),
        content=bytes(content),
        encoding=response.charset_encoding or "utf-8",
        elapsed_ms=round((time.monotonic() - started) * 1000),
    )


def _shown(method: str, url: httpx.URL) -> str:
    port = "" if url.port is None else f":{url.port}"
    return f"{method} {url.scheme}://{url.host}{port}{url.path}"


class _Clients:
    """A client for each loop that asked for one, closed when its loop ends."""

    def __init__(self) -> None:
        self._opening: dict[asyncio.AbstractEventLoop, asyncio.Task[httpx.AsyncClient]] = {}
        self._keepers: dict[asyncio.AbstractEventLoop, AsyncGenerator[httpx.AsyncClient, None]] = {}

    async def get(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        task = self._opening.get(loop)
        if task is None:
            task = self._opening[loop] = loop.create_task(self._open(loop))
        return await asyncio.shield(task)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> httpx.AsyncClient:
        # In a thread: reading the certificates takes a while.
        keeper = self._keep(await asyncio.to_thread(_new_client), loop)
        self._keepers[loop] = keeper
        return await anext(keeper)

    async def _keep(
        self, client: httpx.AsyncClient, loop: asyncio.AbstractEventLoop
    ) -> AsyncGenerator[httpx.AsyncClient, None]:
        """A loop that ends closes its asynchronous generators, and with this one the client."""
        try:
            yield client
        finally:
            del self._opening[loop], self._keepers[loop]
            await client.aclose()


_clients = _Clients()


def _new_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(
        follow_redirects=False,
        timeout=httpx.Timeout(None),  # `send` has one for the whole exchange
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=50, keepalive_expiry=30.0),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"user-agent": "stepflow"},
    )
