"""Tests of the HTTP server: bodies, malformed requests, start and stop, and arguments."""

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import aiohttp
import pytest

from nrm_async import NRMClient
from nrm_async.sandbox import Sandbox
from tests.sandbox.conftest import ACTIVE, START, Caller


@asynccontextmanager
async def connected(
    caller: Caller,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = caller.sandbox.url.removeprefix("http://").removesuffix("/nrm").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


HEAD = "POST /nrm/pause HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sandbox-key\r\n"


async def test_body_too_large(caller: Caller) -> None:
    """A body over one megabyte is rejected, and the next call succeeds."""
    got = await caller.call("POST", "/pause", data=io.BytesIO(b" " * 1_100_000))
    assert (got.status, got.body) == (413, {"success": False, "message": "Request body too large"})
    assert (await caller.act("pause", ani=caller.first(ACTIVE))).status == 200


async def test_expect_100_continue(caller: Caller) -> None:
    """A client that waits for 100 Continue receives it."""
    ani = caller.first(ACTIVE)
    url = caller.sandbox.url + "/pause"
    key = {"Authorization": f"Bearer {caller.sandbox.api_key}"}
    async with caller.session.post(url, json={"ani": ani}, headers=key, expect100=True) as answer:
        assert await answer.json() == {"status": "paused", "ani": ani}


@pytest.mark.parametrize(
    "tail",
    [
        "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        "Content-Encoding: deflate\r\nContent-Length: 4\r\n\r\nabcd",
        "Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        "Content-Length: nonsense\r\n\r\n",
    ],
)
async def test_unreadable_body(caller: Caller, tail: str, caplog: pytest.LogCaptureFixture) -> None:
    """A body with an invalid encoding returns a 400, and nothing is logged."""
    async with connected(caller) as (reader, writer):
        writer.write((HEAD + tail).encode())
        answer = await reader.readuntil(b"\r\n")
    assert answer.split(b" ")[1] == b"400"
    assert not caplog.records
    assert len(caller.sandbox.books) == 0


async def test_client_leaves_during_body(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    """An incomplete body has no effect, logs nothing, and does not affect other requests."""
    async with connected(caller) as (_, writer):
        writer.write((HEAD + 'Content-Length: 100\r\n\r\n{"ani": ').encode())
        await writer.drain()
    assert (await caller.act("pause", ani=caller.first(ACTIVE))).status == 200
    assert len(caller.sandbox.books) == 1
    assert not caplog.records


async def test_malformed_http(caller: Caller) -> None:
    """A malformed request is recorded and returns a JSON 400, and nothing is logged."""
    host, port = caller.sandbox.root_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, body = answer.split(b"\r\n\r\n", 1)
    assert b" 400 " in head.splitlines()[0]
    assert b"application/json" in head
    assert json.loads(body) == {"success": False, "message": "Malformed request"}
    assert caller.sandbox.books.requests(status=400)


async def test_internal_error(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An internal error returns a JSON 500, and its traceback is logged."""

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("nrm_async.sandbox.api.endpoints.parse_page_request", broken)
    async with aiohttp.request(
        "GET", f"{caller.sandbox.url}/anis", headers={"Authorization": "Bearer sandbox-key"}
    ) as answer:
        assert (answer.status, answer.content_type) == (500, "application/json")
        assert (await answer.json())["message"] == "Internal error"
    assert "a bug" in caplog.text


async def test_requests_are_counted(caller: Caller) -> None:
    """Both valid and invalid requests are counted."""
    await caller.call("GET", "/anis")
    await caller.call("GET", "/nothing")
    assert (caller.sandbox.requests, caller.sandbox.max_in_flight) == (2, 1)


async def test_latency_keeps_requests_in_flight() -> None:
    """Concurrent calls are in flight at the same time, and all receive a response."""
    async with Caller(latency=0.02) as caller:
        phones = caller.sandbox.phones[:5]
        got = await asyncio.gather(*(caller.act("remediate", ani=ani) for ani in phones))
        assert [one.status for one in got] == [200] * 5
        assert caller.sandbox.max_in_flight == 5
        assert len({one.headers["x-request-id"] for one in got}) == 5


async def test_start_and_stop_are_idempotent(caplog: pytest.LogCaptureFixture) -> None:
    """Starting a running sandbox or stopping a stopped one has no effect."""
    sandbox = Sandbox(5)
    await sandbox.stop()
    await sandbox.start()
    url = sandbox.url
    await sandbox.start()
    assert sandbox.url == url
    await sandbox.stop()
    await sandbox.stop()
    async with sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        assert sandbox.url.endswith("/nrm")
    assert not caplog.records


@pytest.mark.parametrize("stopped", [False, True])
async def test_url_before_start_and_after_stop(stopped: bool) -> None:
    """Reading the URL while the sandbox is not running raises RuntimeError."""
    sandbox = Sandbox(0)
    if stopped:
        async with sandbox:
            pass
    with pytest.raises(RuntimeError, match=r"before start\(\) or after stop\(\)"):
        _ = sandbox.url


async def test_start_with_port_taken() -> None:
    """A failed start leaks no resources, and a later start succeeds once the port is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        sandbox = Sandbox(0, port=port)
        with pytest.raises(OSError, match="address already in use"):
            await sandbox.start()
    async with sandbox:
        assert sandbox.url == f"http://127.0.0.1:{port}/nrm"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.53", "::1"])
async def test_loopback_hosts(host: str) -> None:
    """Every supported loopback host gives a working URL."""
    try:
        async with (
            Sandbox(0, host=host) as sandbox,
            aiohttp.request("GET", sandbox.url + "/anis") as answer,
        ):
            assert answer.status == 401
    except OSError:
        pytest.skip(f"this machine has no {host}")


async def test_stop_cancels_requests_in_flight(caplog: pytest.LogCaptureFixture) -> None:
    """Slow, incomplete and idle connections are closed immediately, and no task remains."""
    before = asyncio.all_tasks()
    async with (
        Caller(latency=3600.0) as caller,
        connected(caller) as (half, writer),
        connected(caller) as (idle, _),
    ):
        ani = caller.first(ACTIVE)
        slow = asyncio.create_task(caller.act("pause", ani=ani))
        writer.write((HEAD + "Content-Length: 100\r\n\r\n").encode())
        while caller.sandbox.max_in_flight < 2:  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)
        await caller.sandbox.stop()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await slow
        assert await half.read() == await idle.read() == b""
        assert caller.sandbox.books.times_applied("pause", ani) == 1
    assert asyncio.all_tasks() == before
    assert not caplog.records


def test_sandbox_in_a_thread() -> None:
    """A synchronous ``with`` runs the sandbox in a thread, and closes the port afterwards."""
    with Sandbox(5) as sandbox:
        url = sandbox.url

        async def count() -> int:
            async with NRMClient(sandbox.api_key, base_url=url) as nrm:
                return len(await nrm.inventory())

        assert asyncio.run(count()) == 5
    with pytest.raises(RuntimeError):
        _ = sandbox.url


def test_thread_ends_if_port_is_taken() -> None:
    """The ``with`` statement raises OSError, and no thread remains."""
    with Sandbox(0) as first:
        port = int(first.root_url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="address already in use"), Sandbox(0, port=port):
            pass


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"anis": -1}, "anis must be a whole number of at least 0, not -1"),
        ({"anis": 1.5}, "anis must be a whole number"),
        ({"anis": True}, "anis must be a whole number"),
        ({"latency": -0.1}, "latency must be a finite number of seconds"),
        ({"latency": float("nan")}, "latency must be a finite number of seconds"),
        ({"latency": float("inf")}, "latency must be a finite number of seconds"),
        ({"latency": "1"}, "latency must be a finite number of seconds"),
        ({"port": -1}, "port must be a whole number from 0 to 65535"),
        ({"port": 65536}, "port must be a whole number from 0 to 65535"),
        ({"refusal_status": 201}, "refusal_status must be 200 or from 400 to 499"),
        ({"refusal_status": 500}, "refusal_status must be 200 or from 400 to 499"),
        ({"refusal_status": "200"}, "refusal_status must be 200 or from 400 to 499"),
        ({"page_size_max": 0}, "page_size_max must be a whole number of at least 1"),
        ({"api_key": ""}, "api_key must be visible ASCII"),
        ({"api_key": "two words"}, "api_key must be visible ASCII"),
        ({"api_key": None}, "api_key must be visible ASCII"),
        ({"host": "0.0.0.0"}, "host must be loopback"),
        ({"host": "::"}, "host must be loopback"),
        ({"host": "::ffff:127.0.0.1"}, "host must be loopback"),
        ({"host": "192.0.2.1"}, "host must be loopback"),
        ({"host": "example.org"}, "host must be loopback"),
        ({"host": ""}, "host must be loopback"),
        ({"now": lambda: datetime(2026, 1, 1)}, "now must be aware"),  # noqa: DTZ001
    ],
)
def test_invalid_arguments(settings: dict[str, Any], message: str) -> None:
    """Each invalid argument raises a ValueError that names it and the rule."""
    with pytest.raises(ValueError, match=message):
        Sandbox(**settings)


def test_same_seed_gives_same_inventory() -> None:
    """The same seed and date give equal rows, and another seed gives different rows."""
    one, two, other = (Sandbox(20, seed, now=lambda: START) for seed in (1, 1, 2))
    assert one.state.rows == two.state.rows != other.state.rows
    assert one.phones == tuple(row["phone"] for row in one.state.rows)
