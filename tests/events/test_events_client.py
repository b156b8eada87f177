"""What is told of the client as a whole: throttling, changed limits, an API that is down."""

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
from tests.truth.conftest import Fate, World, numbers, on_virtual_time, open_client

MANY = numbers(80)


async def seen_with_stats(world: World) -> tuple[Spy, list[tuple[Event, ClientStats]]]:
    """Run a batch; each event of the client's with the statistics of that moment."""
    spy, moments = Spy(), list[tuple[Event, ClientStats]]()

    def watch(event: Event) -> None:
        spy(event)
        moments.append((event, nrm.stats()))

    nrm: NRMClient
    async with open_client(world, on_event=watch) as nrm:
        report = await nrm.run_batch(map(Pause, MANY))
        assert report.ok
    return spy, moments


def test_throttling_and_what_comes_of_it_are_told() -> None:
    """Fewer are asked for once per round trip; then limits change to what statistics show."""
    refused = 0

    def fate(request: Request) -> Fate:
        nonlocal refused
        is_burst = 40 <= len(world.requests) < 60
        refused += is_burst
        return Fate.THROTTLED if is_burst else Fate.NORMAL

    world = World(active=dict.fromkeys(MANY, True), fate=fate, pause=lambda: asyncio.sleep(0.02))
    spy, moments = on_virtual_time(seen_with_stats(world))
    told = spy.all(Throttled)
    assert 1 <= len(told) < refused
    assert {(event.status, event.retry_after) for event in told} == {(429, None)}
    changes = [(event, stats) for event, stats in moments if isinstance(event, LimitsChanged)]
    assert changes
    assert spy.events.index(told[0]) < spy.events.index(changes[0][0])
    for event, stats in changes:
        assert (event.limit, event.rate) == (stats.limit, stats.rate)
    assert moments[-1][1].throttled == refused


def test_an_outage_is_told_of_at_both_ends() -> None:
    """The breaker opens after a run of failures, asks with a read, and closes: once each."""
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

        spy, world = (
            Spy(),
            World(active=dict.fromkeys(MANY, True), fate=fate, pause=lambda: asyncio.sleep(0.02)),
        )
        async with open_client(world, on_event=watch) as nrm:
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
    assert len(spy.all(CallStarted)) == len(spy.all(CallFinished)) == len(MANY)  # no probe
