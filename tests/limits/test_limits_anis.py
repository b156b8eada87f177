"""One action at a time on each number: order, and no waiter lost to cancellation."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async._limits import AniLocks
from tests.truth.conftest import on_virtual_time


async def settled(turns: int = 10) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_a_number_goes_to_the_next_in_line() -> None:
    """In order, and other numbers do not wait."""
    locks, order = AniLocks(), list[int]()

    async def use(number: int) -> None:
        await locks.acquire("2345678901")
        order.append(number)
        await asyncio.sleep(0)
        locks.release("2345678901")

    await locks.acquire("2345678902")
    await asyncio.gather(*(use(number) for number in range(20)))
    locks.release("2345678902")
    assert order == list(range(20))
    assert not locks._lines


async def test_a_waiter_cancelled_in_the_moment_of_release() -> None:
    """Cancelled first, passed over by the release then: it ends in nothing but cancellation."""
    locks = AniLocks()
    await locks.acquire("2345678901")
    waiter = asyncio.create_task(locks.acquire("2345678901"))
    await settled()
    waiter.cancel()
    locks.release("2345678901")
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert not locks._lines


@pytest.mark.looptime
async def test_a_waiter_released_in_the_moment_of_cancellation() -> None:
    """Given the number first, cancelled then: the number goes on to the next."""
    locks = AniLocks()
    await locks.acquire("2345678901")
    first, second = (asyncio.create_task(locks.acquire("2345678901")) for _ in range(2))
    await settled()
    locks.release("2345678901")
    first.cancel()
    await asyncio.wait_for(second, 1)
    assert first.cancelled()
    locks.release("2345678901")
    assert not locks._lines


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
def test_numbers_have_one_holder_and_lose_no_waiter(
    plans: list[tuple[str, int, int, int | None]],
) -> None:
    """Whatever comes, stays and is cancelled when: one holder each, and nothing is left over."""

    async def run() -> None:
        locks, holders = AniLocks(), Counter[str]()

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
        assert not locks._lines

    on_virtual_time(run())
