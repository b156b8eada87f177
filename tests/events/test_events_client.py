"""Events of a client: throttling, changed limits, outages."""

import asyncio

import pytest

from nrm_async import BreakerState, ClientStats, NRMClient, Pause
from nrm_async._wire import Request
from nrm_async.events import (
    BreakerClosed,
    BreakerOpened,
    CallFinished,
    CallStarted,
    Event,
    LimitsChanged,
    Throttled,
)
from tests.events.conftest import Spy
from tests.fakes import FakeAPI, Fate, numbers, on_virtual_time, open_client

MANY = numbers(80)


async def seen_with_stats(api: FakeAPI) -> tuple[Spy, list[tuple[Event, ClientStats]]]:
    """Run a batch, and pair each event with the statistics at that moment."""
    spy, moments = Spy(), list[tuple[Event, ClientStats]]()

    def watch(event: Event) -> None:
        spy(event)
        moments.append((event, nrm.stats()))

    nrm: NRMClient
    async with open_client(api, on_event=watch) as nrm:
        report = await nrm.run_batch(map(Pause, MANY))
        assert report.ok
    return spy, moments


def test_throttling_and_changed_limits() -> None:
    """``Throttled`` is emitted once per round trip, ``LimitsChanged`` with the new limits."""
    refused = 0

    def fate(request: Request) -> Fate:
        nonlocal refused
        is_burst = 40 <= len(api.requests) < 60
        refused += is_burst
        return Fate.THROTTLED if is_burst else Fate.NORMAL

    api = FakeAPI(active=dict.fromkeys(MANY, True), fate=fate, wait=lambda: asyncio.sleep(0.02))
    spy, moments = on_virtual_time(seen_with_stats(api))
    throttled = spy.all(Throttled)
    assert 1 <= len(throttled) < refused
    assert {(event.status, event.retry_after) for event in throttled} == {(429, None)}
    changes = [(event, stats) for event, stats in moments if isinstance(event, LimitsChanged)]
    assert changes
    assert spy.events.index(throttled[0]) < spy.events.index(changes[0][0])
    for event, stats in changes:
        assert (event.limit, event.rate) == (stats.limit, stats.rate)
    assert moments[-1][1].throttled == refused


def test_an_outage() -> None:
    """The breaker opens after consecutive failures and closes after a probe, once each."""
    states = list[BreakerState]()
    opened_at, closed_at = list[float](), list[float]()

    async def run() -> Spy:
        loop = asyncio.get_running_loop()

        def fate(request: Request) -> Fate:
            if request.path == "/anis":
                states.append(nrm.stats().breaker)
            return Fate.NOT_SENT if 0.1 < loop.time() < 60 else Fate.NORMAL

        def watch(event: Event) -> None:
            spy(event)
            if isinstance(event, BreakerOpened):
                opened_at.append(loop.time())
                assert nrm.stats().breaker is BreakerState.OPEN
            elif isinstance(event, BreakerClosed):
                closed_at.append(loop.time())
                assert nrm.stats().breaker is BreakerState.CLOSED

        spy, api = (
            Spy(),
            FakeAPI(active=dict.fromkeys(MANY, True), fate=fate, wait=lambda: asyncio.sleep(0.02)),
        )
        async with open_client(api, on_event=watch) as nrm:
            assert (await nrm.run_batch(map(Pause, MANY))).ok
        return spy

    spy = on_virtual_time(run())
    opened, closed = spy.only(BreakerOpened), spy.only(BreakerClosed)
    assert opened.failures >= 20
    assert opened.error is not None
    assert closed.elapsed == pytest.approx(closed_at[0] - opened_at[0])
    assert closed_at[0] >= 60
    assert states
    assert set(states) == {BreakerState.PROBING}
    starts, ends = spy.all(CallStarted), spy.all(CallFinished)
    assert len(starts) == len(ends) == len(MANY)  # probes are not calls
