"""`/http/…` against a real server on loopback."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from stepflow.errors import ComponentError
from tests.components.performing import perform
from tests.components.recorder import Recorder, wait_until
from tests.components.server import Asked, Server, Write, serving


@pytest_asyncio.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with serving() as running:
        yield running


async def ask(verb: str, **value: Any) -> dict[str, Any]:
    output: dict[str, Any] = await perform(f"/http/{verb}", value, Recorder())
    return output


async def failure_of(verb: str, **value: Any) -> ComponentError:
    with pytest.raises(ComponentError) as caught:
        await ask(verb, **value)
    return caught.value


# What goes out


async def test_a_get_gives_status_headers_body_and_time(server: Server) -> None:
    server.reply("/orders", body={"id": 2**70}, X_Trace="abc")
    output = await ask("get", url=f"{server.url}/orders")
    assert output["status"] == 200
    assert output["headers"]["x-trace"] == "abc"
    assert output["body"] == {"id": 2**70}
    assert 0 <= output["elapsed_ms"] < 10_000
    assert (server.asked[0].method, server.asked[0].headers["user-agent"]) == ("GET", "stepflow")


@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
async def test_each_method_has_its_component(server: Server, verb: str) -> None:
    server.reply("/x", body={})
    await ask(verb, url=f"{server.url}/x", json={"ü": [1, None]})
    asked = server.asked[0]
    assert (asked.method, asked.body) == (verb.upper(), '{"ü":[1,null]}'.encode())
    assert asked.headers["content-type"] == "application/json"


async def test_request_takes_any_method(server: Server) -> None:
    server.reply("/x", body=b"")
    await ask("request", url=f"{server.url}/x", method="OPTIONS")
    await ask("request", url=f"{server.url}/x")
    assert [asked.method for asked in server.asked] == ["OPTIONS", "GET"]


async def test_query_headers_and_body_arrive(server: Server) -> None:
    server.reply("/x", body=b"")
    await ask(
        "post",
        url=f"{server.url}/x?a=1&b=2",
        query={"b": "ü &", "list": [1, True], "none": None},
        headers={"X-Number": 5, "X-Absent": None, "Content-Type": "text/csv", "X-Name": "Zoë"},
        body="a,b\n",
    )
    asked = server.asked[0]
    assert asked.target == "/x?a=1&b=%C3%BC+%26&list=1&list=true"
    assert (asked.headers["x-number"], asked.headers["content-type"]) == ("5", "text/csv")
    assert asked.headers["x-name"].encode("latin-1").decode() == "Zoë"
    assert "x-absent" not in asked.headers
    assert asked.body == b"a,b\n"


async def test_connections_are_used_again_and_cookies_are_not_kept(server: Server) -> None:
    server.reply("/login", body=b"in", Set_Cookie="session=secret; Path=/")
    server.reply("/x", body=b"")
    for path in ("/login", "/x", "/x"):
        await ask("get", url=server.url + path)
    assert {asked.connection for asked in server.asked} == {1}
    assert all("cookie" not in asked.headers for asked in server.asked)


def test_a_loop_that_ends_closes_its_connections() -> None:
    async def once() -> None:
        async with serving() as server:
            server.reply("/x", body=b"fine")
            assert (await ask("get", url=f"{server.url}/x"))["body"] == "fine"

    for _ in range(3):
        asyncio.run(once())  # a connection left open is a ResourceWarning, and that an error
    from stepflow.components._http_client import _clients

    assert _clients._opening == {}


# What comes back


@pytest.mark.parametrize(
    ("content_type", "content", "body"),
    [
        ("application/json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("application/problem+json", b"[1]", [1]),
        ("text/plain", "ü".encode(), "ü"),
        ("text/plain; charset=latin-1", "ü".encode("latin-1"), "ü"),
        ("text/html", b'{"a": 1}', '{"a": 1}'),
        ("application/json", b"", None),
        ("text/plain; charset=none-such", b"a", "YQ=="),
    ],
)
async def test_the_body_follows_its_content_type(server: Server, content_type: str, content: bytes, body: Any) -> None:
    server.reply("/x", body=content, content_type=content_type)
    assert (await ask("get", url=f"{server.url}/x"))["body"] == body


async def test_bytes_that_are_no_text_come_as_base64(server: Server) -> None:
    server.reply("/x", body=b"\xff\x00", content_type="image/png")
    output = await ask("get", url=f"{server.url}/x")
    assert (output["body"], output["body_encoding"]) == ("/wA=", "base64")


@pytest.mark.parametrize("content", [b'{"a": ', b"[NaN]", b"[" * 100_000])
async def test_broken_json_is_an_error(server: Server, content: bytes) -> None:
    server.reply("/x", body=content, content_type="application/json")
    error = await failure_of("get", url=f"{server.url}/x")
    assert error.code == "HTTP_ERROR"
    assert "answered with broken JSON" in error.message


# Statuses


async def test_a_status_other_than_2xx_fails_with_the_start_of_the_body(server: Server) -> None:
    server.reply("/x", status="503 Service Unavailable", body=b"over\n  capacity " + b"x" * 1000)
    error = await failure_of("get", url=f"{server.url}/x?token=secret")
    assert (error.code, error.details) == ("HTTP_STATUS", {"status": 503})
    assert error.message.startswith(f"GET {server.url}/x answered 503 Service Unavailable: over capacity xxx")
    assert len(error.message) < 300
    assert "secret" not in error.message


@pytest.mark.parametrize("expect", [404, [200, 404]])
async def test_an_expected_status_is_fine(server: Server, expect: Any) -> None:
    server.reply("/x", status="404 Not Found", body={"found": False})
    output = await ask("get", url=f"{server.url}/x", expect=expect)
    assert (output["status"], output["body"]) == (404, {"found": False})


async def test_with_expect_nothing_else_is_fine(server: Server) -> None:
    server.reply("/x", status="200 OK", body=b"")
    assert (await failure_of("get", url=f"{server.url}/x", expect=[201])).details == {"status": 200}


# Redirects


async def test_redirects_on_the_same_host_keep_everything(server: Server) -> None:
    server.reply("/old", status="307 Temporary Redirect", location="/new?x=1")
    server.reply("/new", body=b"here")
    output = await ask("post", url=f"{server.url}/old", headers={"Authorization": "Bearer s"}, json=[1])
    assert output["body"] == "here"
    last = server.asked[-1]
    assert (last.method, last.target, last.body) == ("POST", "/new?x=1", b"[1]")
    assert last.headers["authorization"] == "Bearer s"


@pytest.mark.parametrize("url", ["{}/old", "{}/old?key=s"])
async def test_no_credential_goes_to_another_host(server: Server, url: str) -> None:
    async with serving() as other:
        server.reply("/old", status="302 Found", location=f"{other.url}/new")
        other.reply("/new", body=b"here")
        secrets = {"Authorization": "Bearer s", "Cookie": "a=b", "X-Api-Key": "s", "Accept": "text/plain"}
        with_password = url.format(server.url).replace("http://", "http://user:password@")
        for target in (url.format(server.url), with_password):
            output = await ask("get", url=target, headers=secrets)
            assert output["body"] == "here"
            sent = other.asked[-1].headers
            assert {"authorization", "cookie", "x-api-key"}.isdisjoint(sent)
            assert sent["accept"] == "text/plain"
            assert sent["host"] == f"127.0.0.1:{other.port}"
        assert server.asked[-1].headers["authorization"].startswith("B")


async def test_303_asks_with_get_and_without_the_body(server: Server) -> None:
    server.reply("/old", status="303 See Other", location="new")
    server.reply("/new", body=b"here")
    await ask("put", url=f"{server.url}/old", json={"a": 1})
    last = server.asked[-1]
    assert (last.method, last.body) == ("GET", b"")
    assert "content-type" not in last.headers


async def test_a_body_goes_to_no_other_host(server: Server) -> None:
    async with serving() as other:
        server.reply("/old", status="307 Temporary Redirect", location=f"{other.url}/new")
        error = await failure_of("post", url=f"{server.url}/old", json={"token": "s"})
        assert error.code == "HTTP_ERROR"
        assert "may not get the body" in error.message
        assert other.asked == []


async def test_an_expected_redirect_is_not_followed(server: Server) -> None:
    server.reply("/old", status="302 Found", location="/new")
    assert (await ask("get", url=f"{server.url}/old", expect=302))["headers"]["location"] == "/new"
    assert len(server.asked) == 1


async def test_a_circle_of_redirects_ends(server: Server) -> None:
    server.reply("/x", status="302 Found", location="/x")
    error = await failure_of("get", url=f"{server.url}/x")
    assert error.code == "HTTP_ERROR"
    assert "more than 10 times" in error.message
    assert len(server.asked) == 11


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://example.com/", "http://a\x01b/", "http://a:99999999/"]
)
async def test_a_redirect_to_something_else_is_an_error(server: Server, location: str) -> None:
    server.reply("/x", status="302 Found", location=location)
    error = await failure_of("get", url=f"{server.url}/x")
    assert error.code == "HTTP_ERROR"


# Limits and trouble


async def test_a_huge_answer_is_cut_off(server: Server) -> None:
    sent = 0

    async def flood(asked: Asked, write: Write) -> None:
        nonlocal sent
        await write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        while True:
            await write(b"x" * 100_000)
            sent += 100_000

    server.replies["/x"] = flood
    error = await failure_of("get", url=f"{server.url}/x")
    assert error.code == "HTTP_TOO_LARGE"
    await wait_until(lambda: server.open_connections == 0)
    assert sent < 30_000_000


async def test_the_limit_counts_what_was_unpacked(server: Server) -> None:
    server.reply("/x", body=gzip.compress(b"x" * 20_000_000), content_encoding="gzip", content_type="text/plain")
    assert (await failure_of("get", url=f"{server.url}/x")).code == "HTTP_TOO_LARGE"
    output = await ask("get", url=f"{server.url}/x", max_bytes=20_000_000)
    assert len(output["body"]) == 20_000_000


async def test_an_answer_of_exactly_the_limit_is_fine(server: Server) -> None:
    server.reply("/x", body=b"12345")
    assert (await ask("get", url=f"{server.url}/x", max_bytes=5))["body"] == "12345"
    assert (await failure_of("get", url=f"{server.url}/x", max_bytes=4)).code == "HTTP_TOO_LARGE"


async def test_a_server_that_does_not_answer_is_a_timeout(server: Server) -> None:
    async def never(asked: Asked, write: Write) -> None:
        await server.released.wait()

    server.replies["/x"] = never
    error = await failure_of("get", url=f"{server.url}/x", timeout="100ms")
    assert (error.code, error.message) == ("HTTP_TIMEOUT", f"GET {server.url}/x did not answer within 0.1 s")


async def test_a_server_that_drips_is_a_timeout_too(server: Server) -> None:
    async def drip(asked: Asked, write: Write) -> None:
        await write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        while True:
            await write(b".")
            await asyncio.sleep(0.02)

    server.replies["/x"] = drip
    started = time.monotonic()
    assert (await failure_of("get", url=f"{server.url}/x", timeout="200ms")).code == "HTTP_TIMEOUT"
    assert time.monotonic() - started < 2


async def test_cancel_ends_the_request(server: Server) -> None:
    async def never(asked: Asked, write: Write) -> None:
        await server.released.wait()

    server.replies["/x"] = never
    task = asyncio.create_task(ask("get", url=f"{server.url}/x"))
    await wait_until(lambda: server.asked)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.reply("/y", body=b"fine")
    assert (await ask("get", url=f"{server.url}/y"))["body"] == "fine"


async def test_a_first_request_that_is_cancelled_harms_no_other(server: Server) -> None:
    server.reply("/x", body=b"fine")
    first = asyncio.create_task(ask("get", url=f"{server.url}/x"))
    second = asyncio.create_task(ask("get", url=f"{server.url}/x"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second)["body"] == "fine"


@pytest.mark.parametrize(
    "parts",
    [
        (b"",),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",),
        (b"this is no HTTP\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",),
    ],
)
async def test_a_broken_answer_is_an_error(server: Server, parts: tuple[bytes, ...]) -> None:
    async def break_off(asked: Asked, write: Write) -> None:
        for part in parts:
            await write(part)
        raise ConnectionError

    server.replies["/x"] = break_off
    error = await failure_of("get", url=f"{server.url}/x")
    assert error.code == "HTTP_ERROR"
    assert error.message.startswith(f"GET {server.url}/x failed: ")
    assert len(error.message) > len(f"GET {server.url}/x failed: ")


async def test_nobody_at_the_port_is_an_error(server: Server) -> None:
    async with serving() as gone:
        url = gone.url
    error = await failure_of("get", url=f"{url}/x")
    assert error.code == "HTTP_ERROR"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"url": "example.com/x"}, "url: it must begin with http://"),
        ({"url": "ftp://example.com/x"}, "url: it must begin with http://"),
        ({"url": "http://"}, "url: it must begin with http://"),
        ({"url": "http://[::1"}, "url: "),
        ({"url": "http://a:99999999/"}, "url: "),
        ({"url": "http://127.0.0.1:9/", "json": [1], "body": "x"}, "json and body exclude each other"),
        ({"url": "http://127.0.0.1:9/", "timeout": 5}, "timeout: a duration needs a unit"),
        ({"url": "http://127.0.0.1:9/", "timeout": "0s"}, "timeout: it must be longer"),
        ({"url": "http://127.0.0.1:9/", "headrs": {}}, "did you mean 'headers'?"),
        ({}, '"url" is a required property'),
    ],
)
async def test_a_wrong_input_says_what_is_wrong(value: dict[str, Any], message: str) -> None:
    error = await failure_of("post", **value)
    assert error.code == "INVALID_INPUT"
    assert message in error.message


@pytest.mark.parametrize("headers", [{"X-Bad": "a\r\nX-Smuggled: b"}, {"Bad Name": "x"}, {"X-ü": "x"}])
async def test_headers_cannot_smuggle(server: Server, headers: dict[str, str]) -> None:
    server.reply("/x", body=b"")
    error = await failure_of("get", url=f"{server.url}/x", headers=headers)
    assert error.code == "INVALID_INPUT"
    assert server.asked == []


@pytest.mark.parametrize("text", ["Bearer sesame\nx", "Bearer sesame ", "Bearer ses\0ame"])
async def test_a_header_that_cannot_be_sent_is_named_and_not_quoted(server: Server, text: str) -> None:
    error = await failure_of("get", url=f"{server.url}/x", headers={"Authorization": text, "Accept": "*/*"})
    assert error.code == "INVALID_INPUT"
    assert "the header 'authorization' holds a line break" in error.message
    assert "ses" not in error.message


async def test_the_failure_of_a_sensitive_step_does_not_quote_the_answer(server: Server) -> None:
    server.reply("/x", status="500 Internal Server Error", body=b"sesame")
    context = Recorder()
    context.sensitive = True
    with pytest.raises(ComponentError) as caught:
        await perform("/http/get", {"url": f"{server.url}/x"}, context)
    assert caught.value.message == f"GET {server.url}/x answered 500 Internal Server Error"
