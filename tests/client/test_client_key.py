"""The key is never shown: not in errors, results, pickles, logs, causes or tracebacks with locals.

It is a global name here, never a local one, because tracebacks show the locals of tests too.
"""

import asyncio
import logging
import pickle
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import attrs
import pytest
from aiohttp import web

from nrm_async import (
    AuthenticationError,
    BatchError,
    Inventory,
    NRMClient,
    NRMError,
    RejectedError,
    RetryPolicy,
    Timeouts,
)
from tests.fakes import PAST, StubAPI, connect

SECRET = "sk-live-9f3a7c51e2b84d06a1c5-never-to-be-shown"
ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in SECRET)
ANI = "2345678901"
PAUSED = {"status": "paused", "ani": ANI}

Call = Callable[[NRMClient], Awaitable[object]]
CALLS: dict[str, Call] = {
    "pause": lambda nrm: nrm.pause(ANI),
    "activate": lambda nrm: nrm.activate(ANI, date=PAST),
    "remediate": lambda nrm: nrm.remediate(ANI),
    "list_anis": lambda nrm: nrm.list_anis(),
    "find_ani": lambda nrm: nrm.find_ani(ANI),
    "inventory": lambda nrm: nrm.inventory(on_drift="raise"),
    "pause_many": lambda nrm: nrm.pause_many([ANI, "2345678902"]),
    "remediate_many": lambda nrm: nrm.remediate_many([ANI, "2345678902"]),
}


@attrs.define
class Evidence:
    """Everything that a program, a log or an error reporter could show."""

    seen: list[str] = attrs.field(factory=list)
    pickles: list[bytes] = attrs.field(factory=list)

    def add(self, value: object) -> None:
        self.seen += [repr(value), str(value)]
        self.pickles.append(pickle.dumps(value))

    def add_error(self, error: BaseException) -> None:
        self.add(error)
        self.seen += [repr(vars(error)), repr(error.args)]
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        self.seen += report.format()
        one: BaseException | None = error
        while one is not None:
            assert not type(one).__module__.startswith("aiohttp"), repr(one)
            self.seen.append(repr(one))
            one = one.__cause__ or one.__context__

    def check(self, records: list[logging.LogRecord]) -> None:
        assert self.seen
        logged = [f"{record.getMessage()} {record.args!r}" for record in records]
        for text in [*self.seen, *logged]:
            assert SECRET not in text
        for blob in self.pickles:
            assert SECRET.encode() not in blob


@pytest.fixture
async def evidence(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Evidence]:
    """Collect also what asyncio and all loggers write in debug mode, and check it at the end."""
    loop = asyncio.get_running_loop()
    was_debugged, was_slow = loop.get_debug(), loop.slow_callback_duration
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    evidence = Evidence()
    with caplog.at_level(logging.DEBUG):
        yield evidence
        await asyncio.sleep(0)
    loop.set_debug(was_debugged)
    loop.slow_callback_duration = was_slow
    evidence.check(caplog.records)
    assert any(record.name == "asyncio" for record in caplog.records)


def connect_with_secret(url: str, **settings: Any) -> NRMClient:
    retry = RetryPolicy(max_retries=1, max_batch_retries=1, base=0)
    return connect(url, SECRET, **({"retry": retry} | settings))


async def call_and_collect(call: Call, nrm: NRMClient, evidence: Evidence) -> None:
    try:
        value = await call(nrm)
    except (NRMError, asyncio.CancelledError) as error:
        evidence.add_error(error)
    else:
        evidence.add(value)
        for result in getattr(value, "results", ()):
            evidence.add(result)
            if not result.ok:
                evidence.add_error(result.error)
        if hasattr(value, "raise_if_failed"):
            with pytest.raises(BatchError) as caught:
                value.raise_if_failed()
            evidence.add_error(caught.value)
    evidence.seen += [repr(nrm), repr(vars(nrm)), repr(nrm._settings)]


BY_CALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@BY_CALL
async def test_refused_connection(call: Call, evidence: Evidence) -> None:
    """Errors of connecting do not show the key."""
    with socket.socket() as unlistened:
        unlistened.bind(("127.0.0.1", 0))
        async with connect_with_secret(f"http://127.0.0.1:{unlistened.getsockname()[1]}") as nrm:
            await call_and_collect(call, nrm, evidence)


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def send_garbage(request: web.Request) -> web.StreamResponse:
    assert isinstance(request.transport, asyncio.Transport)
    request.transport.write(b"SSH-2.0-OpenSSH_9.6 " + SECRET.encode() + b"\r\n\r\n")
    request.transport.close()
    return web.Response()


async def cut_body(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "1000", "X-Echo": SECRET})
    await answer.prepare(request)
    await answer.write(SECRET.encode())
    return await hang_up(request)


FAULTS = {"hang up": hang_up, "garbage": send_garbage, "cut body": cut_body}


@BY_CALL
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_no_usable_reply(
    call: Call, fault: Callable[[web.Request], Any], stub_api: StubAPI, evidence: Evidence
) -> None:
    """Exceptions of aiohttp hold the request's headers, so they do not leave the transport."""
    stub_api.answer = fault
    async with connect_with_secret(stub_api.url) as nrm:
        await call_and_collect(call, nrm, evidence)


ECHOES: dict[str, tuple[int, object]] = {
    "401": (401, {"message": f"the key {SECRET} is not known"}),
    "403 as text": (403, f"<p>Bearer {SECRET}</p>"),
    "escaped": (401, '{"message": "the key ' + ESCAPED + ' is not known"}'),
    "refusal": (200, {"success": False, "message": f"Bearer {SECRET}"}),
    "refusal, escaped": (400, '{"success": false, "reason": "' + ESCAPED + '"}'),
    "throttled": (429, {"message": SECRET}),
    "5xx": (502, f"upstream said: Authorization: Bearer {SECRET}"),
    "moved": (302, SECRET),
    "moved permanently": (308, SECRET),
    "applied": (200, {"status": "paused", "ani": SECRET}),
    "cut short": (200, f'{{"data": [{{"id": 1, "phone": "{SECRET}'),
    "a page": (
        200,
        {
            "count": 1,
            "total_anis": 1,
            "total_pages": 1,
            "can_next_page": False,
            "data": [{"id": SECRET, "phone": SECRET, SECRET: SECRET, "blockRate": SECRET}],
        },
    ),
}


@BY_CALL
@pytest.mark.parametrize(("status", "body"), ECHOES.values(), ids=ECHOES)
async def test_echo_of_the_key(
    call: Call, status: int, body: object, stub_api: StubAPI, evidence: Evidence
) -> None:
    """A server may repeat the key, in any spelling, in a body or in headers."""
    headers = {"x-request-id": SECRET, "Retry-After": SECRET, "Location": f"/?key={SECRET}"}
    stub_api.reply(body, status, headers)
    async with connect_with_secret(stub_api.url) as nrm:
        await call_and_collect(call, nrm, evidence)


@BY_CALL
async def test_timeout(call: Call, stub_api: StubAPI, evidence: Evidence) -> None:
    """Neither the time-out nor the reads after it show the key."""

    async def never_reply(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    stub_api.answer = never_reply
    once = RetryPolicy(max_retries=0)
    async with connect_with_secret(stub_api.url, timeout=Timeouts(attempt=0.05), retry=once) as nrm:
        await call_and_collect(call, nrm, evidence)


@BY_CALL
@pytest.mark.parametrize("is_closed", [False, True], ids=["cancelled", "closed"])
async def test_cancelled_or_closed(
    call: Call, is_closed: bool, stub_api: StubAPI, evidence: Evidence
) -> None:
    """The call is cancelled, or the client is closed, during the exchange."""
    received = asyncio.Event()

    async def never_reply(request: web.Request) -> web.StreamResponse:
        received.set()
        await asyncio.Event().wait()
        return web.Response()

    stub_api.answer = never_reply
    async with connect_with_secret(stub_api.url) as nrm:
        task = asyncio.ensure_future(call(nrm))
        await received.wait()
        evidence.seen.append(repr(task))
        if is_closed:
            await nrm.aclose()
        else:
            task.cancel()
        await call_and_collect(lambda nrm: task, nrm, evidence)
        for result in getattr(await caught(task), "report", ()):
            evidence.add(result)


async def caught(task: "asyncio.Future[object]") -> object:
    try:
        return await task
    except (NRMError, asyncio.CancelledError) as error:
        return error


async def test_success(stub_api: StubAPI, evidence: Evidence) -> None:
    """Receipts, reports and inventories do not show the key either."""
    stub_api.reply(PAUSED, headers={"x-request-id": f"{SECRET}-1"})
    async with connect_with_secret(stub_api.url) as nrm:
        evidence.add(await nrm.pause(ANI))
        report = await nrm.pause_many([ANI])
        assert report.ok
        evidence.add(report)
        evidence.seen += [repr(nrm), repr(vars(nrm)), repr(nrm._settings)]
        stub_api.reply({"count": 0, "total_anis": 0, "total_pages": 0, "data": []})
        inventory = await nrm.inventory()
        assert isinstance(inventory, Inventory)
        evidence.add(inventory)


async def test_errors_in_results_have_no_traceback(stub_api: StubAPI) -> None:
    """Frames keep their locals: memory, and half-made values without a ``repr``."""
    stub_api.reply({"success": False, "message": "no"})
    async with connect_with_secret(stub_api.url) as nrm:
        report = await nrm.pause_many(["no number", ANI])
    assert [result.error.__traceback__ for result in report.failed] == [None, None]


async def test_key_is_sent(stub_api: StubAPI) -> None:
    """The other tests are about this key, so it must be the one that is sent."""
    stub_api.reply(PAUSED)
    async with connect_with_secret(stub_api.url) as nrm:
        await nrm.pause(ANI)
    assert stub_api.requests[0].headers["Authorization"] == f"Bearer {SECRET}"


def test_invalid_settings() -> None:
    """Neither a refused key nor a refused URL with a key in it is shown."""
    evidence = Evidence()
    with pytest.raises(NRMError) as refused:
        NRMClient(SECRET + " ")
    evidence.add_error(refused.value)
    with pytest.raises(NRMError) as misplaced:
        NRMClient(SECRET, base_url=f"https://{SECRET}@example.com/nrm")
    text = str(misplaced.value)
    evidence.seen.append(text)
    evidence.check([])


async def test_key_at_the_end_of_a_cut_text(stub_api: StubAPI) -> None:
    """The key is redacted before a text is cut, so that no part of it remains."""
    stub_api.reply('{"success": false, "message": "' + "x" * 490 + ESCAPED + '"}', status=400)
    async with connect_with_secret(stub_api.url) as nrm:
        with pytest.raises(RejectedError) as caught:
            await nrm.pause(ANI)
    shown = str(caught.value) + repr(caught.value) + str(caught.value.body)
    assert SECRET[:6] not in shown
    assert ESCAPED not in shown


async def test_placeholder(stub_api: StubAPI) -> None:
    """A placeholder replaces a key that the server repeats."""
    stub_api.reply({"message": f"bad key {SECRET}"}, status=401)
    async with connect_with_secret(stub_api.url) as nrm:
        with pytest.raises(AuthenticationError, match=r"bad key \*\*\*"):
            await nrm.list_anis()
