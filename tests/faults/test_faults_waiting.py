"""Rows 6 to 9: no place, or no wish to go on."""

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
from tests.faults.conftest import (
    ACTIVE_ANI,
    KEY,
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
    idle,
    make_action,
)
from tests.faults.server import FaultServer, hang

# --- 6, 7: no place --------------------------------------------------------------------------


class Shortage:
    """This process may open no further file, as long as it lasts."""

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
def shortage() -> Iterator[Shortage]:
    """A shortage of file descriptors, over with the test."""
    shortage = Shortage()
    yield shortage
    shortage.end()


@every_kind
async def test_faults_06_out_of_file_descriptors(
    server: FaultServer,
    client: NRMClient,
    shortage: Shortage,
    on_connect: Callable[[Hook], None],
    kind: str,
) -> None:
    """A connection that this machine has no room for was not made; it is tried again."""
    shortage.begin()
    error = await check_not_sent(client, server, kind)
    assert error.starved

    async def relax(attempt: int) -> None:
        if attempt == TRIES:
            shortage.end()

    on_connect(relax)
    await check_sent_at_last(client, server, kind)
    await check_next_call(client, server)


async def test_faults_06_fewer_at_once(
    server: FaultServer, shortage: Shortage, on_connect: Callable[[Hook], None]
) -> None:
    """While there is no room for more, one connection does; when it goes well, they are more."""
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
        await server.seen(1)
        shortage.begin()
        batch = asyncio.create_task(nrm.pause_many(rest))
        await idle()
        assert attempts == 4  # one connected, three could not: their places are withheld
        shortage.end()
        go_on.set()
        assert (await call).status == "paused"
        report = await batch
    assert report.counts[Outcome.APPLIED] == 11
    assert server.applied.total() == server.posts == 12


async def test_faults_07_waiting_for_a_place_is_no_time_out(server: FaultServer) -> None:
    """The clock of an attempt starts when it is admitted, however long that took."""

    async def slow(exchange: Any) -> None:
        await asyncio.sleep(0.1)
        await exchange.answer()

    server.always("POST", slow)
    server.always("GET", slow)
    server.active = {str(2_000_000_000 + number): True for number in range(6)}
    async with connect_to(server, max_concurrency=1, timeout=0.4) as nrm:
        batch = asyncio.create_task(nrm.pause_many(list(server.active)))
        pages = await asyncio.gather(*(nrm.list_anis() for _ in range(4)))
        report = await batch
    assert report.counts[Outcome.APPLIED] == 6
    assert [len(page) for page in pages] == [6] * 4
    assert (server.posts, server.gets, server.connections) == (6, 4, 1)


# --- 8, 9: cancelled -------------------------------------------------------------------------


async def test_faults_08_a_call_is_cancelled_before_anything_was_sent(
    server: FaultServer,
) -> None:
    """Cancellation passes through, from the pool and from the line for the number."""
    go_on = asyncio.Event()
    server.then("POST", hang(applied=True, until=go_on))
    async with connect_to(server, max_concurrency=1) as nrm:
        first = asyncio.create_task(nrm.pause(ACTIVE_ANI))
        await server.seen(1)
        for call in (nrm.pause(SPARE_ANI), nrm.pause(ACTIVE_ANI), nrm.list_anis()):
            waiting = asyncio.create_task(call)
            await idle()
            await cancel(waiting)
        assert server.posts == len(server.requests) == 1
        go_on.set()
        assert (await first).status == "paused"
        await check_next_call(nrm, server)


async def test_faults_08_an_item_is_cancelled_before_anything_was_sent(
    server: FaultServer,
) -> None:
    """Every item that was begun has its result: what was not sent was not applied."""
    server.always("POST", hang(applied=False))
    async with connect_to(server, max_concurrency=1) as nrm:
        first = asyncio.create_task(nrm.pause(ACTIVE_ANI))
        await server.seen(1)
        batch = asyncio.create_task(nrm.pause_many([ACTIVE_ANI, SPARE_ANI]))
        await idle()
        (result,) = (await cancel(batch)).report  # type: ignore[attr-defined]
        assert (result.outcome, result.attempts) == (Outcome.NOT_APPLIED, 0)
        check_error(result.error, "POST", "/pause", 0)
        assert server.posts == 1
        await cancel(first)
        await check_next_call(nrm, server)


@every_kind
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
async def test_faults_09_an_item_is_cancelled_after_sending_began(
    server: FaultServer, client: NRMClient, kind: str, applied: bool
) -> None:
    """It may have been applied: unknown, and cancellation passes through."""
    server.always("POST", hang(applied=applied))
    action = make_action(kind)
    batch = asyncio.create_task(client.run_batch([action, Pause(SPARE_ANI)], concurrency=1))
    await server.seen(1)
    (result,) = (await cancel(batch)).report  # type: ignore[attr-defined]
    assert (result.outcome, result.attempts) == (Outcome.UNKNOWN, 1)
    assert server.applied[action.path, action.ani] == applied
    check_error(result.error, "POST", action.path, 1)
    assert result.error.maybe_applied
    await check_next_call(client, server)


async def test_faults_09_a_call_is_cancelled_after_sending_began(
    server: FaultServer, client: NRMClient
) -> None:
    """Cancellation passes through as it is, without the HTTP library's frames behind it."""
    server.always("POST", hang(applied=True))
    server.always("GET", hang(applied=True))
    for count, call in enumerate((client.pause(ACTIVE_ANI), client.list_anis()), 1):
        task = asyncio.create_task(call)
        await server.seen(count)
        check_cancellation(await cancel(task))
    await check_next_call(client, server)


def check_cancellation(cancelled: asyncio.CancelledError) -> None:
    """Nothing of the exchange, and so not the key, hangs on it."""
    assert type(cancelled) is asyncio.CancelledError
    told = traceback.TracebackException.from_exception(cancelled, capture_locals=True)
    assert KEY not in "".join(told.format())
