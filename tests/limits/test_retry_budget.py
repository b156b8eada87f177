"""The retry budget: capacity, refill, and who waits for a token."""

import asyncio

import pytest

from nrm_async._limits import RetryBudget


def now() -> float:
    return asyncio.get_running_loop().time()


async def emptied(closing: asyncio.Event | None = None) -> RetryBudget:
    budget = RetryBudget(closing)
    for _ in range(100):
        assert await budget.acquire(is_bulk=False)
    return budget


@pytest.mark.looptime
async def test_single_calls_are_refused_while_it_is_empty() -> None:
    """A hundred tokens are there at first, then ten a second."""
    budget = await emptied()
    assert not await budget.acquire(is_bulk=False)
    assert now() == 0
    await asyncio.sleep(0.55)
    assert [await budget.acquire(is_bulk=False) for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.looptime
async def test_two_answers_add_one_token() -> None:
    """Each answer adds half a token."""
    budget = await emptied()
    for _ in range(10):
        budget.deposit()
    assert [await budget.acquire(is_bulk=False) for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.looptime
async def test_capacity() -> None:
    """Neither answers nor time fill it beyond a hundred tokens."""
    budget = RetryBudget()
    for _ in range(1000):
        budget.deposit()
    await asyncio.sleep(1000)
    spent = 0
    while await budget.acquire(is_bulk=False):
        spent += 1
    assert spent == 100


@pytest.mark.looptime
async def test_items_of_batches_wait_in_order() -> None:
    """They get ten tokens a second in order; a cancelled one takes none."""
    budget = await emptied()
    times = list[tuple[int, float]]()

    async def retry(number: int) -> None:
        assert await budget.acquire(is_bulk=True)
        times.append((number, now()))

    tasks = [asyncio.create_task(retry(number)) for number in range(4)]
    await asyncio.sleep(0.05)
    tasks[0].cancel()
    await asyncio.wait(tasks)
    assert [number for number, _ in times] == [1, 2, 3]
    assert [at for _, at in times] == pytest.approx([0.1, 0.2, 0.3], abs=1e-4)


@pytest.mark.looptime
async def test_closing_ends_the_wait() -> None:
    """Waiters get no token when the client closes."""
    closing = asyncio.Event()
    budget = await emptied(closing)
    waiting = [asyncio.create_task(budget.acquire(is_bulk=True)) for _ in range(3)]
    await asyncio.sleep(0.01)
    closing.set()
    assert await asyncio.gather(*waiting) == [False] * 3
    assert now() == pytest.approx(0.01)
