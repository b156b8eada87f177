"""Rows 6 to 9: no file descriptors, no permit, cancellation."""

import asyncio
import contextlib
import os
import resource
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nrm_async import (
    NRMClient,
    Outcome,
    Pause,
)
from tests.fakes import ACTIVE_ANI, API_KEY, make_action, settled
from tests.faults.conftest import (
    SPARE_ANI,
    TRIES,
    Hook,
    cancel,
    check_error,
    check_next_call,
    check_not_sent,
    check_sent_at_last,
    connect_to,
    every_kind,
)
from tests.faults.server import FaultServer, hang

# --- 6, 7: no descriptors, no permit ---------------------------------------------------------


class DescriptorShortage:
    """A shortage of file descriptors in this process, from ``begin`` to ``end``."""

    def __init__(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._taken: list[int] = []

    def begin(self) -> None:
        probe = os.open(os.devnull, os.O_RDONLY)
        self._taken.append(probe)
        highest = max(int(path.name) for path in Path("/dev/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 2, self._limits[1]))
        with contextlib.suppress(OSError):
            while True:
                self._taken.append(os.dup(probe))

    def end(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._limits)
        while self._taken:
            os.close(self._taken.pop())


@pytest.fixture
def shortage() -> Iterator[DescriptorShortage]:
    """A shortage of file descriptors that ends with the test at the latest."""
    shortage = DescriptorShortage()
    yield shortage
    shortage.end()


@pytest.mark.fault(6)
@every_kind
async def test_out_of_descriptors(
    server: FaultServer,
    client: NRMClient,
    shortage: DescriptorShortage,
    on_connect: Callable[[Hook], None],
    kind: str,
) -> None:
    """Without a descriptor no connection is made, so nothing was sent, and it is retried."""
    shortage.begin()
    error = await check_not_sent(client, server, kind)
    assert error.out_of_descriptors

    async def end_shortage(attempt: int) -> None:
        if attempt == TRIES:
            shortage.end()

    on_connect(end_shortage)
    await check_sent_at_last(client, server, kind)
    await check_next_call(client, server)


@pytest.mark.fault(6)
async def test_out_of_descriptors_lowers_the_concurrency(
    server: FaultServer, shortage: DescriptorShortage, on_connect: Callable[[Hook], None]
) -> None:
    """The calls that found no descriptor wait until one with a connection completes."""
    server.active = {str(2_000_000_000 + number): True for number in range(12)}
    first, *rest = server.active
    go_on = asyncio.Event()
    server.then("POST", hang(applied=True, until=go_on))
    attempts = 0

    async def count(attempt: int) -> None:
        nonlocal attempts
        attempts = attempt

    async with connect_to(server, max_concurrency=4) as nrm:
        on_connect(count)
        call = asyncio.create_task(nrm.pause(first))
        await server.received(1)
        shortage.begin()
        batch = asyncio.create_task(nrm.pause_many(rest))
        await settled()
        assert attempts == 4  # one has a connection, three found no descriptor
        shortage.end()
        go_on.set()
        assert (await call).status == "paused"
        report = await batch
    assert report.counts[Outcome.APPLIED] == 11
    assert server.applied.total() == server.posts == 12


@pytest.mark.fault(7)
async def test_waiting_for_a_permit_does_not_time_out(server: FaultServer) -> None:
    """The attempt's time starts when the call is admitted, however long it waited."""

    async def slow(exchange: Any) -> None:
        await asyncio.sleep(0.1)
        await exchange.answer()

    server.always("POST", slow)
    server.always("GET", slow)
    server.active = {str(2_000_000_000 + number): True for number in range(6)}
    async with connect_to(server, max_concurrency=1, timeout=0.8) as nrm:
        batch = asyncio.create_task(nrm.pause_many(list(server.active)))
        pages = await asyncio.gather(*(nrm.list_anis() for _ in range(4)))
        report = await batch
    assert report.counts[Outcome.APPLIED] == 6
    assert [len(page) for page in pages] == [6] * 4
    assert (server.posts, server.gets, server.connections) == (6, 4, 1)


# --- 8, 9: cancelled -------------------------------------------------------------------------


@pytest.mark.fault(8)
async def test_cancel_a_call_before_it_is_sent(
    server: FaultServer,
) -> None:
    """Cancellation passes through while a call waits for a permit or its number."""
    go_on = asyncio.Event()
    server.then("POST", hang(applied=True, until=go_on))
    async with connect_to(server, max_concurrency=1) as nrm:
        first = asyncio.create_task(nrm.pause(ACTIVE_ANI))
        await server.received(1)
        for call in (nrm.pause(SPARE_ANI), nrm.pause(ACTIVE_ANI), nrm.list_anis()):
            waiting = asyncio.create_task(call)
            await settled()
            await cancel(waiting)
        assert server.posts == len(server.requests) == 1
        go_on.set()
        assert (await first).status == "paused"
        await check_next_call(nrm, server)


@pytest.mark.fault(8)
async def test_cancel_an_item_before_it_is_sent(
    server: FaultServer,
) -> None:
    """Every started item has a result: one that was not sent was not applied."""
    server.always("POST", hang(applied=False))
    async with connect_to(server, max_concurrency=1) as nrm:
        first = asyncio.create_task(nrm.pause(ACTIVE_ANI))
        await server.received(1)
        batch = asyncio.create_task(nrm.pause_many([ACTIVE_ANI, SPARE_ANI]))
        await settled()
        (result,) = (await cancel(batch)).report  # type: ignore[attr-defined]
        assert (result.outcome, result.attempts) == (Outcome.NOT_APPLIED, 0)
        check_error(result.error, "POST", "/pause", 0)
        assert server.posts == 1
        await cancel(first)
        await check_next_call(nrm, server)


@pytest.mark.fault(9)
@every_kind
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
async def test_cancel_an_item_after_it_was_sent(
    server: FaultServer, client: NRMClient, kind: str, applied: bool
) -> None:
    """It may have been applied, so it is unknown; cancellation passes through."""
    server.always("POST", hang(applied=applied))
    action = make_action(kind)
    batch = asyncio.create_task(client.run_batch([action, Pause(SPARE_ANI)], concurrency=1))
    await server.received(1)
    (result,) = (await cancel(batch)).report  # type: ignore[attr-defined]
    assert (result.outcome, result.attempts) == (Outcome.UNKNOWN, 1)
    assert server.applied[action.path, action.ani] == applied
    check_error(result.error, "POST", action.path, 1)
    assert result.error.maybe_applied
    await check_next_call(client, server)


@pytest.mark.fault(9)
async def test_cancel_a_call_after_it_was_sent(server: FaultServer, client: NRMClient) -> None:
    """Cancellation passes through without frames of the HTTP library."""
    server.always("POST", hang(applied=True))
    server.always("GET", hang(applied=True))
    for count, call in enumerate((client.pause(ACTIVE_ANI), client.list_anis()), 1):
        task = asyncio.create_task(call)
        await server.received(count)
        check_cancellation(await cancel(task))
    await check_next_call(client, server)


def check_cancellation(cancelled: asyncio.CancelledError) -> None:
    """Check that the exception holds nothing of the exchange, and so not the key."""
    assert type(cancelled) is asyncio.CancelledError
    report = traceback.TracebackException.from_exception(cancelled, capture_locals=True)
    assert API_KEY not in "".join(report.format())
