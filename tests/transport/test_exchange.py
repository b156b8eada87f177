"""One request and its response: bytes on the wire, interim responses, stale connections."""

import asyncio
from typing import Any

import aiohttp
import pytest

from nrm_async import NotSentError, NRMClient, Outcome, Receipt, RetryPolicy
from nrm_async._transport import transport
from tests.fakes import API_KEY, StubAPI
from tests.transport.conftest import ANI, ANSWER, PAUSED, answering, serving


async def requests_of(nrm: NRMClient, stub_api: StubAPI) -> list[tuple[Any, ...]]:
    stub_api.requests.clear()
    stub_api.bodies.clear()
    stub_api.reply(PAUSED)
    await nrm.pause(ANI, note="naïve ☎")
    await nrm.pause(ANI)
    stub_api.reply({"data": []})
    await nrm.list_anis(page=3, number="234 5")
    return [
        (request.method, request.raw_path, sorted(request.raw_headers), body)
        for request, body in zip(stub_api.requests, stub_api.bodies, strict=True)
    ]


async def test_both_paths_send_the_same_bytes(stub_api: StubAPI, paths: list[str]) -> None:
    """Method, path, query, headers and body are the same on both paths."""
    async with NRMClient(API_KEY, base_url=stub_api.url, user_agent="dialer/2") as nrm:
        direct = await requests_of(nrm, stub_api)
    async with (
        aiohttp.ClientSession() as session,
        NRMClient(API_KEY, base_url=stub_api.url, user_agent="dialer/2", session=session) as nrm,
    ):
        session_path = await requests_of(nrm, stub_api)
    assert direct == session_path
    assert [path for _, path, _, _ in direct] == [
        "/nrm/pause",
        "/nrm/pause",
        "/nrm/anis?page=3&page_size=1000&number=2345",
    ]
    assert set(paths) == {"DirectPath", "SessionPath"}


EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("before", [EARLY, CONTINUE, CONTINUE + EARLY], ids=["103", "100", "both"])
async def test_interim_responses_are_skipped(paths: list[str], before: bytes) -> None:
    """Responses before the final status are skipped, and the connection is kept."""
    async with (
        answering(before + ANSWER, ANSWER) as (url, received),
        NRMClient(API_KEY, base_url=url) as nrm,
    ):
        for _ in range(2):
            assert isinstance(await nrm.pause(ANI), Receipt)
    assert len(received) == 2
    assert set(paths) == {"DirectPath"}


@pytest.mark.parametrize("upgrade", [b"Upgrade: x\r\nConnection: upgrade\r\n", b""])
async def test_switching_protocols(paths: list[str], upgrade: bytes) -> None:
    """An unrequested 101 leaves the outcome unknown, and its connection is not kept."""
    switching = b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade + b"\r\n"
    async with (
        answering(switching, ANSWER) as (url, received),
        NRMClient(API_KEY, base_url=url, on_unknown="report") as nrm,
    ):
        for _ in range(2):
            (result,) = await nrm.pause_many([ANI])
            assert result.outcome is Outcome.UNKNOWN
    assert len(received) == 2
    assert paths == ["DirectPath", "DirectPath"]


async def test_connection_closed_before_its_use(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the connection closes before the write, even a remediation is sent again."""
    stub_api.reply({"status": "received request", "ani": ANI})
    connect: Any = aiohttp.TCPConnector.connect
    count = 0

    async def closing(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        connection = await connect(self, *args, **kwargs)
        if count == 1:
            connection.transport.close()
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", closing)
    retry = RetryPolicy(base=0.001)
    async with NRMClient(API_KEY, base_url=stub_api.url, retry=retry) as nrm:
        (result,) = await nrm.remediate_many([ANI])
    assert (result.outcome, result.attempts) == (Outcome.APPLIED, 2)
    assert len(stub_api.requests) == 1
    assert paths == ["DirectPath", "DirectPath"]


STALE = b'{"success": false, "message": "stale"}'
REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(STALE), STALE)


@pytest.mark.parametrize("path", ["DirectPath", "SessionPath"])
async def test_server_that_always_speaks_first(
    paths: list[str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A greeting is not taken for a response, and no action is sent after it."""
    received: list[bytes] = []
    connect: Any = aiohttp.TCPConnector.connect

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REFUSED)
        received.append(await reader.read())

    async def greeted(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = await connect(self, *args, **kwargs)
        # Until the greeting is there.
        while not connection.protocol.should_close:  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", greeted)
    monkeypatch.setattr(transport, "is_direct_path_safe", lambda _session: path == "DirectPath")
    retry = RetryPolicy(max_retries=2, base=0.001)
    async with serving(handle) as url, NRMClient(API_KEY, base_url=url, retry=retry) as nrm:
        with pytest.raises(NotSentError, match="sends data before any request"):
            await nrm.pause(ANI)
    assert not any(received)
    assert paths == [path] * 3


async def test_stale_kept_connections_are_skipped(
    stub_api: StubAPI, paths: list[str], sessions: list[aiohttp.ClientSession]
) -> None:
    """Any number of stale connections is skipped within one attempt."""
    stub_api.reply(PAUSED)
    anis = [str(2_000_000_000 + number) for number in range(6)]
    async with NRMClient(API_KEY, base_url=stub_api.url, on_unknown="report") as nrm:
        await nrm.pause_many(anis)
        connector: Any = sessions[0].connector
        kept = connector._conns
        protocols = [protocol for pool in kept.values() for protocol, _ in pool]
        assert len(protocols) > 3
        for protocol in protocols:
            protocol.data_received(REFUSED)
        (result,) = await nrm.pause_many([ANI])
    assert (result.outcome, result.attempts) == (Outcome.APPLIED, 1)
