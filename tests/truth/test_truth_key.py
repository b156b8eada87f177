"""The key shows nowhere: not in errors, results, pickles, logs, causes, or tracebacks with locals.

The key itself is a global name here, never a local one: tracebacks show the locals of tests too.
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
    BatchError,
    ConfirmPolicy,
    Inventory,
    NRMClient,
    NRMError,
    RetryPolicy,
    Timeouts,
)
from tests.conftest import StubAPI
from tests.truth.conftest import PAST

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
class Witness:
    """Keeps all that anybody could see."""

    seen: list[str] = attrs.field(factory=list)
    pickles: list[bytes] = attrs.field(factory=list)

    def look_at(self, value: object) -> None:
        self.seen += [repr(value), str(value)]
        self.pickles.append(pickle.dumps(value))

    def look_at_error(self, error: BaseException) -> None:
        self.look_at(error)
        self.seen += [repr(vars(error)), repr(error.args)]
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        self.seen += told.format()
        one: BaseException | None = error
        while one is not None:
            assert not type(one).__module__.startswith("aiohttp"), repr(one)
            self.seen.append(repr(one))
            one = one.__cause__ or one.__context__

    def testify(self, records: list[logging.LogRecord]) -> None:
        assert self.seen
        logged = [f"{record.getMessage()} {record.args!r}" for record in records]
        for text in [*self.seen, *logged]:
            assert SECRET not in text
        for blob in self.pickles:
            assert SECRET.encode() not in blob


@pytest.fixture
async def witness(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Witness]:
    """Sees everything that asyncio and all loggers can be made to tell."""
    loop = asyncio.get_running_loop()
    was_debugged, was_slow = loop.get_debug(), loop.slow_callback_duration
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    witness = Witness()
    with caplog.at_level(logging.DEBUG):
        yield witness
        await asyncio.sleep(0)
    loop.set_debug(was_debugged)
    loop.slow_callback_duration = was_slow
    witness.testify(caplog.records)
    assert any(record.name == "asyncio" for record in caplog.records)


def open_client(url: str, **settings: Any) -> NRMClient:
    chosen: dict[str, Any] = {
        "confirm": ConfirmPolicy(settle=0, reads=1),
        "retry": RetryPolicy(max_retries=1, base=0),
    } | settings
    return NRMClient(SECRET, base_url=url, **chosen)


async def call_and_look(call: Call, nrm: NRMClient, witness: Witness) -> None:
    try:
        value = await call(nrm)
    except (NRMError, asyncio.CancelledError) as error:
        witness.look_at_error(error)
    else:
        witness.look_at(value)
        for result in getattr(value, "results", ()):
            witness.look_at(result)
            if not result.ok:
                witness.look_at_error(result.error)
        if hasattr(value, "raise_if_failed"):
            with pytest.raises(BatchError) as caught:
                value.raise_if_failed()
            witness.look_at_error(caught.value)
    witness.seen += [repr(nrm), repr(vars(nrm)), repr(nrm._settings)]


BY_CALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@BY_CALL
async def test_a_refused_connection(call: Call, witness: Witness) -> None:
    """Nobody listens there."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        async with open_client(f"http://127.0.0.1:{unheard.getsockname()[1]}") as nrm:
            await call_and_look(call, nrm, witness)


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def talk_nonsense(request: web.Request) -> web.StreamResponse:
    assert isinstance(request.transport, asyncio.Transport)
    request.transport.write(b"SSH-2.0-OpenSSH_9.6 " + SECRET.encode() + b"\r\n\r\n")
    request.transport.close()
    return web.Response()


async def break_off(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "1000", "X-Echo": SECRET})
    await answer.prepare(request)
    await answer.write(SECRET.encode())
    return await hang_up(request)


FAULTS = {"hang up": hang_up, "nonsense": talk_nonsense, "broken off": break_off}


@BY_CALL
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_no_usable_answer(
    call: Call, fault: Callable[[web.Request], Any], stub_api: StubAPI, witness: Witness
) -> None:
    """The exceptions of the HTTP library hold the headers of the request: they stay inside."""
    stub_api.answer = fault
    async with open_client(stub_api.url) as nrm:
        await call_and_look(call, nrm, witness)


ECHOES: dict[str, tuple[int, object]] = {
    "401": (401, {"message": f"the key {SECRET} is not known"}),
    "403 as text": (403, f"<p>Bearer {SECRET}</p>"),
    "escaped": (401, '{"message": "the key ' + ESCAPED + ' is not known"}'),
    "refusal": (200, {"success": False, "message": f"Bearer {SECRET}"}),
    "escaped refusal": (400, '{"success": false, "reason": "' + ESCAPED + '"}'),
    "throttled": (429, {"message": SECRET}),
    "5xx": (502, f"upstream said: Authorization: Bearer {SECRET}"),
    "moved": (302, SECRET),
    "moved for good": (308, SECRET),
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
async def test_an_echo_of_the_key(
    call: Call, status: int, body: object, stub_api: StubAPI, witness: Witness
) -> None:
    """Whatever sends the key back, in whatever spelling, in a body or in headers."""
    headers = {"x-request-id": SECRET, "Retry-After": SECRET, "Location": f"/?key={SECRET}"}
    stub_api.reply(body, status, headers)
    async with open_client(stub_api.url) as nrm:
        await call_and_look(call, nrm, witness)


@BY_CALL
async def test_no_answer_in_time(call: Call, stub_api: StubAPI, witness: Witness) -> None:
    """A time-out, and what is left to be read back after it."""

    async def keep_silent(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    stub_api.answer = keep_silent
    once = RetryPolicy(max_retries=0)
    async with open_client(stub_api.url, timeout=Timeouts(attempt=0.05), retry=once) as nrm:
        await call_and_look(call, nrm, witness)


@BY_CALL
@pytest.mark.parametrize("is_closed", [False, True], ids=["cancelled", "closed"])
async def test_cut_off_in_the_middle(
    call: Call, is_closed: bool, stub_api: StubAPI, witness: Witness
) -> None:
    """The call is cancelled, or the client closed, while the answer is waited for."""
    asked = asyncio.Event()

    async def keep_silent(request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.Event().wait()
        return web.Response()

    stub_api.answer = keep_silent
    async with open_client(stub_api.url) as nrm:
        task = asyncio.ensure_future(call(nrm))
        await asked.wait()
        witness.seen.append(repr(task))
        if is_closed:
            await nrm.aclose()
        else:
            task.cancel()
        await call_and_look(lambda nrm: task, nrm, witness)
        for result in getattr(await caught(task), "report", ()):
            witness.look_at(result)


async def caught(task: "asyncio.Future[object]") -> object:
    try:
        return await task
    except (NRMError, asyncio.CancelledError) as error:
        return error


async def test_what_goes_well(stub_api: StubAPI, witness: Witness) -> None:
    """Receipts, reports and inventories have no key to show either."""
    stub_api.reply(PAUSED, headers={"x-request-id": f"{SECRET}-1"})
    async with open_client(stub_api.url) as nrm:
        witness.look_at(await nrm.pause(ANI))
        report = await nrm.pause_many([ANI])
        assert report.ok
        witness.look_at(report)
        witness.seen += [repr(nrm), repr(vars(nrm)), repr(nrm._settings)]
        stub_api.reply({"count": 0, "total_anis": 0, "total_pages": 0, "data": []})
        inventory = await nrm.inventory()
        assert isinstance(inventory, Inventory)
        witness.look_at(inventory)


async def test_errors_kept_in_results_hold_no_frames(stub_api: StubAPI) -> None:
    """Frames hold whatever their locals were: much memory, and half-made values without repr."""
    stub_api.reply({"success": False, "message": "no"})
    async with open_client(stub_api.url) as nrm:
        report = await nrm.pause_many(["no number", ANI])
    assert [result.error.__traceback__ for result in report.failed] == [None, None]


async def test_the_key_is_sent(stub_api: StubAPI) -> None:
    """All this is about the key that goes out, and it does go out."""
    stub_api.reply(PAUSED)
    async with open_client(stub_api.url) as nrm:
        await nrm.pause(ANI)
    assert stub_api.requests[0].headers["Authorization"] == f"Bearer {SECRET}"


def test_a_key_that_is_refused_is_not_shown() -> None:
    """Nor is it in the locals of the traceback of its own refusal."""
    witness = Witness()
    with pytest.raises(NRMError) as refused:
        NRMClient(SECRET + " ")
    witness.look_at_error(refused.value)
    with pytest.raises(NRMError) as misplaced:
        NRMClient(SECRET, base_url=f"https://{SECRET}@example.com/nrm")
    text = str(misplaced.value)
    witness.seen.append(text)
    witness.testify([])
