"""The retry budget: what it allows, who waits for it, and that answers fill it."""

import asyncio

import pytest

from nrm_async._limits import RetryBudget


def now() -> float:
    return asyncio.get_running_loop().time()


async def emptied(closing: asyncio.Event | None = None) -> RetryBudget:
    budget = RetryBudget(closing)
    for _ in range(100):
        assert await budget.spend(is_patient=False)
    return budget


@pytest.mark.looptime
async def test_the_impatient_are_refused_when_it_is_spent() -> None:
    """A hundred in store, then ten a second."""
    budget = await emptied()
    assert not await budget.spend(is_patient=False)
    assert now() == 0
    await asyncio.sleep(0.55)
    assert [await budget.spend(is_patient=False) for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.looptime
async def test_two_answers_pay_for_one_retry() -> None:
    """Where a third of all calls fails, nobody waits."""
    budget = await emptied()
    for _ in range(10):
        budget.earn()
    assert [await budget.spend(is_patient=False) for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.looptime
async def test_it_never_holds_more_than_its_store() -> None:
    """Neither answers nor time fill it beyond a hundred."""
    budget = RetryBudget()
    for _ in range(1000):
        budget.earn()
    await asyncio.sleep(1000)
    spent = 0
    while await budget.spend(is_patient=False):
        spent += 1
    assert spent == 100


@pytest.mark.looptime
async def test_the_patient_wait_in_order() -> None:
    """Ten a second, first come first served; one who gives up takes none."""
    budget = await emptied()
    times = list[tuple[int, float]]()

    async def retry(number: int) -> None:
        assert await budget.spend(is_patient=True)
        times.append((number, now()))

    tasks = [asyncio.create_task(retry(number)) for number in range(4)]
    await asyncio.sleep(0.05)
    tasks[0].cancel()
    await asyncio.wait(tasks)
    assert [number for number, _ in times] == [1, 2, 3]
    assert [at for _, at in times] == pytest.approx([0.1, 0.2, 0.3], abs=1e-4)


@pytest.mark.looptime
async def test_nobody_waits_beyond_the_end_of_the_client() -> None:
    """Who waits when the client closes gets no retry."""
    closing = asyncio.Event()
    budget = await emptied(closing)
    waiting = [asyncio.create_task(budget.spend(is_patient=True)) for _ in range(3)]
    await asyncio.sleep(0.01)
    closing.set()
    assert await asyncio.gather(*waiting) == [False] * 3
    assert now() == pytest.approx(0.01)
