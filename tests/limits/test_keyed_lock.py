"""The keyed lock: order, and no waiter lost to cancellation."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async._limits import KeyedLock
from tests.fakes import on_virtual_time


async def settled(turns: int = 10) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_waiters_are_served_in_order() -> None:
    """Waiters for one number are served in order; other numbers are independent."""
    locks, order = KeyedLock(), list[int]()

    async def use(number: int) -> None:
        await locks.acquire("2345678901")
        order.append(number)
        await asyncio.sleep(0)
        locks.release("2345678901")

    await locks.acquire("2345678902")
    await asyncio.gather(*(use(number) for number in range(20)))
    locks.release("2345678902")
    assert order == list(range(20))
    assert not locks._waiters


async def test_cancel_just_before_release() -> None:
    """A waiter cancelled before the release is skipped, and ends as cancelled."""
    locks = KeyedLock()
    await locks.acquire("2345678901")
    waiter = asyncio.create_task(locks.acquire("2345678901"))
    await settled()
    waiter.cancel()
    locks.release("2345678901")
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert not locks._waiters


@pytest.mark.looptime
async def test_cancel_just_after_release() -> None:
    """A waiter cancelled after it was handed the lock passes it on."""
    locks = KeyedLock()
    await locks.acquire("2345678901")
    first, second = (asyncio.create_task(locks.acquire("2345678901")) for _ in range(2))
    await settled()
    locks.release("2345678901")
    first.cancel()
    await asyncio.wait_for(second, 1)
    assert first.cancelled()
    locks.release("2345678901")
    assert not locks._waiters


Work = Callable[[str, int], Awaitable[None]]


@given(
    plans=st.lists(
        st.tuples(
            st.sampled_from("AB"),
            st.integers(0, 5),
            st.integers(0, 3),
            st.none() | st.integers(0, 9),
        ),
        max_size=16,
    )
)
def test_one_holder_per_number_whatever_is_cancelled(
    plans: list[tuple[str, int, int, int | None]],
) -> None:
    """However calls arrive and are cancelled, a number has one holder, and no waiter is left."""

    async def run() -> None:
        locks, holders = KeyedLock(), Counter[str]()

        async def use(ani: str, come: int, stay: int) -> None:
            await settled(come)
            await locks.acquire(ani)
            holders[ani] += 1
            assert holders[ani] == 1
            try:
                await settled(stay)
            finally:
                holders[ani] -= 1
                locks.release(ani)

        users = [asyncio.create_task(use(*plan[:3])) for plan in plans]
        for turn in range(10):
            for user, plan in zip(users, plans, strict=True):
                if plan[3] == turn:
                    user.cancel()
            await settled(1)
        async with asyncio.timeout(60):
            ended = await asyncio.gather(*users, return_exceptions=True)
        for error, plan in zip(ended, plans, strict=True):
            assert error is None or (
                isinstance(error, asyncio.CancelledError) and plan[3] is not None
            )
        assert not locks._waiters

    on_virtual_time(run())


async def test_cancelled_waiters_leave_the_queue() -> None:
    """Waiters that gave up take no memory while the number stays locked."""
    locks = KeyedLock()
    assert locks.try_acquire("1")
    waiters = [asyncio.create_task(locks.acquire("1")) for _ in range(100)]
    await asyncio.sleep(0)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    assert not locks._waiters["1"]
    locks.release("1")
    assert locks.try_acquire("1")
