"""Watching: reads again and again on virtual time, diffs given out, failures survived."""

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
    """Gives one answer after the other, the last for ever, each after a while."""

    answers: Sequence[Inventory | Exception]
    takes: float = 1.0
    begun: list[float] = attrs.field(factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def read(self) -> Inventory:
        self.begun.append(asyncio.get_running_loop().time())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.in_flight -= 1
        answer, *later = self.answers
        self.answers = later or [answer]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def watch(self, **options: Any) -> InventoryWatch:
        return InventoryWatch(self.read, **{"every": 60.0, "jitter": 0.0} | options)


@pytest.mark.looptime
async def test_the_first_read_is_what_the_next_are_compared_with() -> None:
    """Nothing is given out before something has changed, and nothing that has not."""
    account = Account([inventory_of(ONE), inventory_of(ONE), inventory_of(ONE, TWO)])
    watch = account.watch()
    found = await anext(watch)
    assert found.added == (TWO,)
    assert account.begun == [0, 60, 120]
    assert watch.inventory == inventory_of(ONE, TWO)
    assert watch.reads == 3


@pytest.mark.looptime
async def test_a_saved_inventory_is_where_it_starts() -> None:
    """What changed since it was saved is the first diff, at once."""
    watch = Account([inventory_of(RESTED)]).watch(start=inventory_of(ONE, TWO))
    found = await anext(watch)
    assert found.removed == (TWO,)
    assert [change.field for change in found.changed] == ["status"]
    assert asyncio.get_running_loop().time() == 1


@pytest.mark.looptime
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "async"])
async def test_a_failed_read_is_reported_and_survived(
    caplog: pytest.LogCaptureFixture, plain: bool
) -> None:
    """It is logged, counted and handed over; the next read comes in its turn."""
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
    assert account.begun == [0, 60, 120, 180]
    assert seen == [error, error]
    assert (watch.failures, watch.last_error) == (0, None)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.name for record in warnings] == ["nrm_async.listing"] * 2
    assert "2 times now: HTTP 500: boom" in warnings[1].getMessage()


@pytest.mark.looptime
async def test_it_tells_that_it_fails_while_it_fails() -> None:
    """Between two diffs, one can look at how many reads failed, and why."""
    watch = Account([inventory_of(ONE), ServerError(500, "boom")]).watch()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(watch), 200)
    assert watch.failures == 3
    assert str(watch.last_error) == "HTTP 500: boom"
    assert watch.inventory == inventory_of(ONE)


@pytest.mark.looptime
async def test_a_read_that_takes_longer_than_the_pause_is_not_overlapped() -> None:
    """The next one begins when it is over, and not before."""
    account = Account([inventory_of(ONE)] * 4 + [inventory_of(TWO)], takes=100)
    await anext(account.watch())
    assert account.begun == [0, 100, 200, 300, 400]
    assert account.most_in_flight == 1


@pytest.mark.looptime
async def test_a_slow_consumer_gets_what_changed_meanwhile_in_one() -> None:
    """Nothing is read while nobody asks, and nothing is lost."""
    account = Account([inventory_of(ONE), inventory_of(ONE, TWO), inventory_of(THREE)])
    watch = account.watch()
    assert (await anext(watch)).added == (TWO,)
    await asyncio.sleep(1000)
    assert account.begun == [0, 60]
    found = await anext(watch)
    assert (found.added, found.removed) == ((THREE,), (ONE, TWO))


@pytest.mark.looptime
async def test_pauses_are_jittered_within_their_share() -> None:
    """No two pauses are alike, and each is within a tenth of what was asked for."""
    account = Account([inventory_of(ONE)] * 30 + [inventory_of(TWO)], takes=0)
    await anext(account.watch(jitter=0.1))
    pauses = [
        after - before for before, after in zip(account.begun, account.begun[1:], strict=False)
    ]
    assert all(54 <= pause <= 66 for pause in pauses)
    assert len(set(pauses)) > 20


@pytest.mark.looptime
async def test_an_incomplete_read_removes_nothing() -> None:
    """What it missed stays, until a complete read says that it is gone."""
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
async def test_a_cancelled_watch_goes_on_in_its_rhythm() -> None:
    """A time-out around one step is harmless; two readers at once are refused."""
    account = Account([inventory_of(ONE), inventory_of(TWO)])
    watch = account.watch()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(watch), 30)
    waiting = asyncio.create_task(anext(watch))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already being read"):
        await anext(watch)
    assert (await waiting).added == (TWO,)
    assert account.begun == [0, 60]


@pytest.mark.looptime
async def test_a_closed_client_ends_it() -> None:
    """There is nothing to wait for any more."""
    watch = Account([ClientStateError("the client is closed")]).watch()
    with pytest.raises(ClientStateError):
        await anext(watch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every must be more than 0 seconds"),
        ({"every": float("inf")}, "every must be more than 0 seconds"),
        ({"every": True}, "every must be more than 0 seconds"),
        ({"every": timedelta(seconds=-1)}, "every must be more than 0 seconds"),
        ({"every": 1, "jitter": 1}, "jitter must be from 0 to below 1"),
        ({"every": 1, "number": "abc"}, "number must be digits"),
        ({"every": 1, "start": [ONE]}, "start must be an Inventory, not list"),
        ({"every": 1, "page_size": 0}, "page_size must be"),
    ],
)
async def test_bad_arguments_are_told_at_once(options: dict[str, Any], message: str) -> None:
    """The argument and its rule, before anything is sent."""
    async with NRMClient("key", base_url="http://127.0.0.1:9/nrm") as nrm:
        with pytest.raises(InvalidRequestError, match=message):
            nrm.watch(**options)


async def test_the_client_watches_over_http() -> None:
    """A number that is rested shows as a change of status, from a real read."""
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


async def test_a_watch_of_some_numbers_takes_no_others_for_removed() -> None:
    """A saved inventory of all numbers is compared in what is watched."""
    async with Sandbox(anis=50) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            saved = await nrm.inventory()
            ani = next(ani for ani in saved if ani.is_active)
            await nrm.pause(ani)
            found = await anext(nrm.watch(every=3600, start=saved, number=f"+1 {ani.phone[:3]}"))
    assert (found.added, found.removed) == ((), ())
    assert {change.phone for change in found.changed} == {ani.phone}
