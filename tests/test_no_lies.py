"""Ways in which a client could say more than it knows, each tried once."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, web

from nrm_async import (
    BatchReport,
    ConfigurationError,
    NRMClient,
    Outcome,
    Pause,
    Receipt,
    RejectedError,
)
from nrm_async._calls.known import LastKnown
from nrm_async._limits import Pool
from nrm_async.results import CallResult
from tests.conftest import API_KEY, SOON, StubAPI

ANI = "2345678901"
ANIS = [str(2_000_000_000 + number) for number in range(40)]
PAUSED = {"status": "paused", "ani": ANI}
REFUSED = {"success": False, "message": "no"}


async def applied(request: web.Request) -> web.Response:
    """Answer a pause as the API does."""
    return web.json_response({"status": "paused", "ani": (await request.json())["ani"]})


async def test_an_input_that_raises_cancellation_is_no_end(
    stub_api: StubAPI, client: NRMClient
) -> None:
    """Inputs that await a task somebody cancelled do not pass for a finished batch."""
    stub_api.answer = applied

    async def numbers() -> AsyncIterator[str]:
        for number, ani in enumerate(ANIS):
            if number == 10:
                raise asyncio.CancelledError
            yield ani

    with pytest.raises(RuntimeError, match="cut short") as caught:
        await client.pause_many(numbers())
    report = caught.value.report  # type: ignore[attr-defined]
    assert isinstance(report, BatchReport)
    assert [result.ani for result in report] == ANIS[:10]
    assert report.ok


async def test_a_recorder_that_raises_cancellation_is_no_end(
    stub_api: StubAPI, client: NRMClient
) -> None:
    """Nor does a recorder; what it was told of has a result all the same."""
    stub_api.answer = applied

    class Recorder:
        async def intent(self, index: int, action: object) -> None:
            if index == 3:
                raise asyncio.CancelledError

        async def outcome(self, result: CallResult) -> None: ...

    with pytest.raises(RuntimeError, match="cut short") as caught:
        await client.pause_many(ANIS, recorder=Recorder(), concurrency=1)
    report = caught.value.report  # type: ignore[attr-defined]
    assert [result.outcome for result in report] == [Outcome.APPLIED] * 3 + [Outcome.NOT_APPLIED]


@pytest.mark.parametrize("success", ["false", 0, None, "no", []])
async def test_a_strange_no_is_no_yes(
    stub_api: StubAPI, client: NRMClient, success: object
) -> None:
    """Whatever ``success`` is, if it is there and not true, nothing counts as applied."""
    stub_api.reply(PAUSED | {"success": success})
    (result,) = await client.pause_many([ANI])
    assert result.outcome is Outcome.UNKNOWN


async def test_a_refusal_of_another_number_is_not_ours(
    stub_api: StubAPI, client: NRMClient
) -> None:
    """As 2xx or 4xx: an answer about another number says nothing of this one."""
    for status in (200, 400, 409):
        stub_api.reply(REFUSED | {"ani": "9999999999"}, status=status)
        (result,) = await client.pause_many([ANI])
        assert result.outcome is Outcome.UNKNOWN


async def test_another_way_to_be_in_service_is_not_resting(
    stub_api: StubAPI, client: NRMClient
) -> None:
    """A code like the active one, which the API will not pause, does not confirm a pause."""

    async def answer(request: web.Request) -> web.Response:
        if request.method == "POST":
            return web.Response(text="<html>", status=502)
        row = {"id": 1, "phone": ANI, "status": "ACTIVE_NOT_MANAGED"}
        return web.json_response({"data": [row], "total_pages": 1})

    stub_api.answer = answer
    (result,) = await client.pause_many([ANI])
    assert result.outcome is Outcome.UNKNOWN


async def test_a_session_that_repeats_by_itself_repeats_no_action(stub_api: StubAPI) -> None:
    """A lent session's middleware could send twice what was applied once."""
    repeats = 0

    async def repeat(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        nonlocal repeats
        repeats += 1
        await handler(request)
        return await handler(request)

    stub_api.answer = applied
    async with (
        aiohttp.ClientSession(middlewares=(repeat,)) as session,
        NRMClient(API_KEY, base_url=stub_api.url, session=session) as nrm,
    ):
        await nrm.pause(ANI)
    assert len(stub_api.requests) == 1
    assert repeats == 0


async def test_what_nobody_asked_for_is_no_answer() -> None:
    """A refusal that comes on an idle connection is not taken for the next action's."""
    body = b'{"success": false, "message": "stale"}'
    stale = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    is_idle, sent_stale = asyncio.Event(), asyncio.Event()

    handlers: list[asyncio.Task[None] | None] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        said = b'{"status": "paused", "ani": ' + (await reader.read(length)).split(b":")[1]
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
        writer.write(answer)
        await writer.drain()
        await is_idle.wait()
        writer.write(stale)
        await writer.drain()
        sent_stale.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with NRMClient(API_KEY, base_url=f"http://127.0.0.1:{port}/nrm", confirm=SOON) as nrm:
        first = await nrm.pause(ANI)
        is_idle.set()
        await sent_stale.wait()
        for _ in range(20):  # until the client's loop has read it
            await asyncio.sleep(0)
        second = await nrm.pause("2345678902")
    server.close()
    await asyncio.gather(*(handler for handler in handlers if handler is not None))
    assert (first.status, second.status) == ("paused", "paused")


async def test_no_piece_of_the_key_is_shown_at_a_cut(stub_api: StubAPI, client: NRMClient) -> None:
    """Texts are cut after the key was taken out, however it is spelt."""
    spelt = "".join(f"\\u{ord(character):04x}" for character in API_KEY)
    stub_api.reply('{"success": false, "message": "' + "x" * 490 + spelt + '"}', status=400)
    with pytest.raises(RejectedError) as caught:
        await client.pause(ANI)
    shown = str(caught.value) + repr(caught.value) + str(caught.value.body)
    assert API_KEY[:6] not in shown
    assert spelt not in shown


def test_a_dated_action_leaves_the_number_in_doubt() -> None:
    """A pause that takes effect some day may be what a later read shows."""
    known = LastKnown()
    known.note(Pause(ANI, date="2999-01-01"), Receipt(ANI, "paused"))
    assert known.before(Pause(ANI), None) is False
    known.note(Pause(ANI), Receipt(ANI, "paused"))
    assert known.before(Pause(ANI), None) is False


@pytest.mark.looptime
async def test_the_gate_holds_for_those_who_wait_for_their_time() -> None:
    """A gate that shuts while somebody waits for the pacer shuts for them too."""
    pool = Pool(10, max_rate=1)
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def send() -> None:
        await pool.acquire()
        times.append(loop.time())
        pool.release()

    started = loop.time()
    waiting = [asyncio.create_task(send()) for _ in range(4)]
    await asyncio.sleep(0.5)
    pool._governor.shut(loop.time() + 100)
    await asyncio.gather(*waiting)
    assert times[0] == pytest.approx(started)
    assert all(time >= started + 100.5 for time in times[1:])


@pytest.mark.looptime
async def test_a_slow_pace_does_not_outlive_the_client() -> None:
    """Who waits for a place in time is let go when the client closes."""
    pool = Pool(10, max_rate=0.001)
    loop = asyncio.get_running_loop()
    started = loop.time()
    waiting = [asyncio.create_task(pool.acquire()) for _ in range(5)]
    await asyncio.sleep(1)
    pool.close()
    await asyncio.gather(*waiting)
    assert loop.time() - started == pytest.approx(1)


async def test_closing_that_is_cancelled_closes_all_the_same(stub_api: StubAPI) -> None:
    """No session is left open behind a client that says it is closed."""
    gate, asked = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.query["page"] == "2":
            asked.set()
            await gate.wait()
        return web.json_response({"data": [{"id": 1, "phone": ANI}], "total_pages": 2})

    stub_api.answer = answer
    nrm = NRMClient(API_KEY, base_url=stub_api.url)
    pages = nrm.anis().pages()
    await anext(pages)
    await asked.wait()
    session = nrm._session.network().transport._session
    closing = asyncio.create_task(nrm.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert session.closed
    gate.set()


async def test_a_context_that_was_weakened_later_is_refused() -> None:
    """Verification cannot be switched off behind the client's back."""
    context = ssl.create_default_context()
    nrm = NRMClient(API_KEY, ssl_context=context)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigurationError, match="ssl_context must verify"):
        await nrm.list_anis()


def test_an_empty_ca_bundle_is_refused() -> None:
    """An unset variable must not mean "trust whom the system trusts"."""
    with pytest.raises(ConfigurationError, match="ca_bundle must not be empty"):
        NRMClient(API_KEY, ca_bundle="")


async def test_a_day_of_silence_is_asked_for_once(stub_api: StubAPI) -> None:
    """A server that wants more quiet than anybody waits for is not asked for every item."""
    stub_api.reply({}, status=429, headers={"Retry-After": "86400"})
    async with NRMClient(API_KEY, base_url=stub_api.url, max_concurrency=4) as nrm:
        report = await nrm.pause_many(ANIS)
    assert report.counts[Outcome.NOT_APPLIED] == 40
    assert len(stub_api.requests) <= 4
