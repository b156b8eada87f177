"""A sleep that ends early."""

import asyncio

import pytest

from nrm_async._limits import sleep_until_set


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.looptime
async def test_the_sleep_takes_its_time() -> None:
    """It returns ``False`` if the event is not set."""
    assert not await sleep_until_set(asyncio.Event(), 5)
    assert now() == pytest.approx(5)


@pytest.mark.looptime
@pytest.mark.parametrize("seconds", [5, None])
async def test_the_event_ends_the_sleep(seconds: float | None) -> None:
    """It returns ``True`` when the event is set, and immediately if it was set before."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(1, event.set)
    assert await sleep_until_set(event, seconds)
    assert await sleep_until_set(event, seconds)
    assert now() == pytest.approx(1)
