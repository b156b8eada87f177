"""Watching an inventory on virtual time: periodic reads, diffs, failed reads."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import attrs
import pytest

from nrm_async import (
    Ani,
    ClientStateError,
    InvalidRequestError,
    Inventory,
    InventoryWatch,
    NRMClient,
    NRMError,
    ServerError,
)
from nrm_async.sandbox import Sandbox
from tests.conftest import make_row


def inventory_of(*rows: Ani, complete: bool = True) -> Inventory:
    return Inventory(rows, complete=complete, consistent=complete, passes=2, pages=2)


ONE, TWO, THREE = make_row(1), make_row(2), make_row(3)
RESTED = attrs.evolve(ONE, status="COOLING_OFF")


@attrs.define
class Account:
    """An account that returns these results in turn, the last one forever, each after a delay."""

    results: Sequence[Inventory | Exception]
    latency: float = 1.0
    started: list[float] = attrs.field(factory=list)
    in_flight: int = 0
    max_in_flight: int = 0

    async def read(self) -> Inventory:
        self.started.append(asyncio.get_running_loop().time())
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.in_flight -= 1
        result, *later = self.results
        self.results = later or [result]
        if isinstance(result, Exception):
            raise result
        return result

    def watch(self, **options: Any) -> InventoryWatch:
        return InventoryWatch(self.read, **{"every": 60.0, "jitter": 0.0} | options)


@pytest.mark.looptime
async def test_first_read_is_the_baseline() -> None:
    """Reads without changes yield nothing."""
    account = Account([inventory_of(ONE), inventory_of(ONE), inventory_of(ONE, TWO)])
    watch = account.watch()
    found = await anext(watch)
    assert found.added == (TWO,)
    assert account.started == [0, 60, 120]
    assert watch.inventory == inventory_of(ONE, TWO)
    assert watch.reads == 3


@pytest.mark.looptime
async def test_saved_inventory_is_the_baseline() -> None:
    """With ``start``, the first read yields the changes since it was saved."""
    watch = Account([inventory_of(RESTED)]).watch(start=inventory_of(ONE, TWO))
    found = await anext(watch)
    assert found.removed == (TWO,)
    assert [change.field for change in found.changed] == ["status"]
    assert asyncio.get_running_loop().time() == 1


@pytest.mark.looptime
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "async"])
async def test_failed_read_is_reported_and_the_watch_continues(
    caplog: pytest.LogCaptureFixture, plain: bool
) -> None:
    """It is logged, counted and passed to ``on_error``; the next read follows on schedule."""
    error = ServerError(500, "boom")
    account = Account([inventory_of(ONE), error, error, inventory_of(TWO)])
    seen: list[NRMError] = []

    async def report_later(error: NRMError) -> None:
        await asyncio.sleep(0)
        seen.append(error)

    report: Callable[[NRMError], Awaitable[None] | None] = seen.append if plain else report_later
    watch = account.watch(on_error=report)
    found = await anext(watch)
    assert (found.added, found.removed) == ((TWO,), (ONE,))
    assert account.started == [0, 60, 120, 180]
    assert seen == [error, error]
    assert (watch.failures, watch.last_error) == (0, None)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.name for record in warnings] == ["nrm_async.listing"] * 2
    assert "consecutive failures: 2): HTTP 500: boom" in warnings[1].getMessage()


@pytest.mark.looptime
async def test_failures_are_visible_between_diffs() -> None:
    """``failures`` and ``last_error`` show how many reads failed in a row, and why."""
    watch = Account([inventory_of(ONE), ServerError(500, "boom")]).watch()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(watch), 200)
    assert watch.failures == 3
    assert str(watch.last_error) == "HTTP 500: boom"
    assert watch.inventory == inventory_of(ONE)


@pytest.mark.looptime
async def test_slow_reads_do_not_overlap() -> None:
    """The next read starts when a read that takes longer than ``every`` has ended."""
    account = Account([inventory_of(ONE)] * 4 + [inventory_of(TWO)], latency=100)
    await anext(account.watch())
    assert account.started == [0, 100, 200, 300, 400]
    assert account.max_in_flight == 1


@pytest.mark.looptime
async def test_slow_consumer_gets_all_changes_in_one_diff() -> None:
    """Nothing is read while no diff is awaited, and no change is lost."""
    account = Account([inventory_of(ONE), inventory_of(ONE, TWO), inventory_of(THREE)])
    watch = account.watch()
    assert (await anext(watch)).added == (TWO,)
    await asyncio.sleep(1000)
    assert account.started == [0, 60]
    found = await anext(watch)
    assert (found.added, found.removed) == ((THREE,), (ONE, TWO))


@pytest.mark.looptime
async def test_pauses_are_jittered_within_bounds() -> None:
    """Pauses differ, and each is within 10 % of ``every``."""
    account = Account([inventory_of(ONE)] * 30 + [inventory_of(TWO)], latency=0)
    await anext(account.watch(jitter=0.1))
    pauses = [
        after - before for before, after in zip(account.started, account.started[1:], strict=False)
    ]
    assert all(54 <= pause <= 66 for pause in pauses)
    assert len(set(pauses)) > 20


@pytest.mark.looptime
async def test_incomplete_read_removes_nothing() -> None:
    """Rows that it missed stay until a complete read shows that they are gone."""
    account = Account(
        [
            inventory_of(ONE, TWO, THREE),
            inventory_of(RESTED, complete=False),
            inventory_of(RESTED, TWO),
        ]
    )
    watch = account.watch()
    first = await anext(watch)
    assert (len(first.changed), first.removed, first.complete) == (1, (), False)
    assert watch.inventory is not None
    assert set(watch.inventory) == {RESTED, TWO, THREE}
    second = await anext(watch)
    assert (second.changed, second.removed) == ((), (THREE,))


@pytest.mark.looptime
async def test_cancelled_watch_keeps_its_schedule() -> None:
    """A time-out around one step is harmless; a second concurrent reader is refused."""
    account = Account([inventory_of(ONE), inventory_of(TWO)])
    watch = account.watch()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(watch), 30)
    waiting = asyncio.create_task(anext(watch))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already being read"):
        await anext(watch)
    assert (await waiting).added == (TWO,)
    assert account.started == [0, 60]


@pytest.mark.looptime
async def test_closed_client_ends_the_watch() -> None:
    """The state error is raised instead of reported, since every further read would fail."""
    watch = Account([ClientStateError("the client is closed")]).watch()
    with pytest.raises(ClientStateError):
        await anext(watch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every must be above 0 and finite, not 0"),
        ({"every": float("inf")}, "every must be above 0 and finite, not inf"),
        ({"every": True}, "every must be a number, not bool"),
        ({"every": timedelta(seconds=-1)}, "every must be above 0 and finite, not -1"),
        ({"every": 1, "jitter": 1}, "jitter must be at least 0 and below 1"),
        ({"every": 1, "number": "abc"}, "number must be digits"),
        ({"every": 1, "start": [ONE]}, "start must be an Inventory, not list"),
        ({"every": 1, "page_size": 0}, "page_size must be"),
    ],
)
async def test_invalid_arguments_are_refused_immediately(
    options: dict[str, Any], message: str
) -> None:
    """The error names the argument and its rule, before any request."""
    async with NRMClient("key", base_url="http://127.0.0.1:9/nrm") as nrm:
        with pytest.raises(InvalidRequestError, match=message):
            nrm.watch(**options)


async def test_client_watches_over_http() -> None:
    """A paused number shows as a change of its status."""
    async with Sandbox(anis=50) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            saved = await nrm.inventory()
            ani = next(ani for ani in saved if ani.is_active)
            await nrm.pause(ani)
            watch = nrm.watch(every=timedelta(hours=1), start=saved, page_size=20)
            found = await anext(watch)
    assert found.complete
    (status, *_) = found.status_changes
    assert (status.phone, status.field) == (ani.phone, "status")
    assert (status.old, status.new) == (ani.status, "COOLING_OFF")
    assert repr(watch) == "<InventoryWatch every 3600 s, 1 reads>"


async def test_watch_of_a_prefix_ignores_other_numbers_in_start() -> None:
    """A saved inventory of all numbers is compared only within the prefix."""
    async with Sandbox(anis=50) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            saved = await nrm.inventory()
            ani = next(ani for ani in saved if ani.is_active)
            await nrm.pause(ani)
            found = await anext(nrm.watch(every=3600, start=saved, number=f"+1 {ani.phone[:3]}"))
    assert (found.added, found.removed) == ((), ())
    assert {change.phone for change in found.changed} == {ani.phone}
