"""``client.stats()``: a frozen snapshot that agrees with the server's records."""

import asyncio

import aiohttp
import attrs
import pytest
from aiohttp import web

from nrm_async import (
    BreakerState,
    ClientStateError,
    NRMClient,
    Outcome,
    Pause,
    Remediate,
    RetryPolicy,
)
from nrm_async.events import Event, Throttled
from nrm_async.sandbox import Sandbox
from tests.events.conftest import ANI
from tests.fakes import (
    API_KEY,
    FakeAPI,
    Fate,
    StubAPI,
    first,
    forever,
    numbers,
    open_client,
    settled,
)


def test_before_the_first_call() -> None:
    """Initial values are available without an event loop."""
    stats = NRMClient("key", max_concurrency=4, max_rate=7).stats()
    assert attrs.asdict(stats, recurse=False) == {
        "in_flight": 0,
        "waiting": 0,
        "limit": 4,
        "rate": 7,
        "gate": 0,
        "breaker": BreakerState.CLOSED,
        "attempts": 0,
        "retries": 0,
        "throttled": 0,
        "outcomes": dict.fromkeys(Outcome, 0),
    }


def test_a_snapshot_is_frozen() -> None:
    """Neither its fields nor the counts of outcomes can be set."""
    stats = NRMClient("key").stats()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        stats.attempts = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        stats.outcomes[Outcome.APPLIED] = 1  # type: ignore[index]


async def test_a_snapshot_does_not_change(api: FakeAPI) -> None:
    """Later calls do not change an earlier snapshot."""
    async with open_client(api) as nrm:
        before = nrm.stats()
        await nrm.pause(ANI)
        assert before.outcomes[Outcome.APPLIED] == before.attempts == 0
        assert nrm.stats().outcomes[Outcome.APPLIED] == nrm.stats().attempts == 1


async def test_requests_in_flight_and_waiting(api: FakeAPI) -> None:
    """Ten requests are in flight, as the limit says, and the other workers' wait."""
    api.wait = forever
    many = numbers(50)
    api.active = dict.fromkeys(many, True)
    async with open_client(api, max_concurrency=16) as nrm:
        async with nrm.stream_batch(map(Pause, many)):
            await settled()
            stats = nrm.stats()
            assert (stats.in_flight, stats.limit) == (10, 10)
            assert (stats.waiting, stats.attempts) == (6, 10)
        assert (nrm.stats().in_flight, nrm.stats().waiting) == (0, 0)


async def test_retries_are_counted_when_they_are_sent(api: FakeAPI) -> None:
    """One that is cancelled before it is sent does not count."""
    api.fate = first(Fate.NOT_SENT)
    async with open_client(api, retry=RetryPolicy(base=100, cap=100)) as nrm:
        task = asyncio.create_task(nrm.pause(ANI))
        await settled()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (nrm.stats().attempts, nrm.stats().retries) == (1, 0)


async def test_a_resent_action_counts_as_a_retry(api: FakeAPI) -> None:
    """An action resent because a read showed that it was not applied counts as one."""
    api.fate = first(Fate.LOST_BEFORE)
    async with open_client(api) as nrm:
        await nrm.pause(ANI)
        assert nrm.stats().retries == 1
        assert nrm.stats().attempts == sum(api.sent.values())


async def test_it_agrees_with_the_sandbox() -> None:
    """Requests and outcomes agree with the records of the sandbox."""
    async with Sandbox(anis=40) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            inventory = await nrm.inventory(page_size=10)
            await nrm.run_batch(kind(ani.phone) for ani in inventory for kind in (Pause, Remediate))
        stats = nrm.stats()
    assert stats.attempts == sandbox.requests
    assert (stats.retries, stats.throttled) == (0, 0)
    assert stats.outcomes[Outcome.APPLIED] == len(sandbox.books) > 0
    assert sum(stats.outcomes.values()) == 80


async def test_retry_after_closes_the_gate(stub_api: StubAPI) -> None:
    """``gate`` has the seconds until it opens, for the whole client."""
    stub_api.reply({"message": "slow down"}, status=429, headers={"Retry-After": "60"})
    throttled = asyncio.Event()

    def watch(event: Event) -> None:
        if isinstance(event, Throttled):
            assert event.retry_after == 60
            throttled.set()

    async with NRMClient(API_KEY, base_url=stub_api.url, on_event=watch) as nrm:
        task = asyncio.create_task(nrm.pause(ANI))
        await throttled.wait()
        assert 59 < nrm.stats().gate < 61
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(stub_api.requests) == nrm.stats().attempts == nrm.stats().throttled == 1


async def test_calls_that_outlive_their_client_are_in_flight(stub_api: StubAPI) -> None:
    """With the caller's session a call continues after the client is closed, and counts."""
    received, go = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        received.set()
        await go.wait()
        return web.json_response({"status": "paused", "ani": ANI})

    stub_api.answer = answer
    async with aiohttp.ClientSession() as session:
        nrm = NRMClient(API_KEY, base_url=stub_api.url, session=session)
        task = asyncio.create_task(nrm.pause(ANI))
        await received.wait()
        await nrm.aclose()
        assert nrm.stats().in_flight == 1
        go.set()
        assert (await task).status == "paused"
    assert nrm.stats().in_flight == 0
    assert nrm.stats().outcomes[Outcome.APPLIED] == 1


async def test_a_call_with_a_closed_session_is_no_attempt() -> None:
    """A request not passed to the network is neither an attempt nor a retry."""
    session = aiohttp.ClientSession()
    await session.close()
    async with NRMClient(API_KEY, session=session) as nrm:
        with pytest.raises(ClientStateError):
            await nrm.pause(ANI)
        with pytest.raises(ClientStateError):
            await nrm.list_anis()
    assert (nrm.stats().attempts, nrm.stats().retries) == (0, 0)
    assert nrm.stats().outcomes[Outcome.NOT_APPLIED] == 1


async def test_a_resend_by_aiohttp_is_counted(stub_api: StubAPI) -> None:
    """aiohttp resends a read whose kept-alive connection has closed; it counts as a retry."""

    def answer(request: web.Request) -> web.Response:
        if len(stub_api.requests) == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"data": []})

    stub_api.answer = answer
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        await nrm.list_anis()
        await nrm.list_anis()
        assert nrm.stats().attempts == len(stub_api.requests) == 3
        assert nrm.stats().retries == 1
