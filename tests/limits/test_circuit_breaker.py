"""The circuit breaker: when it opens, who sends the probes, and how long calls wait."""

import asyncio

import pytest

from nrm_async import NotSentError
from nrm_async._limits import CircuitBreaker


def now() -> float:
    return asyncio.get_running_loop().time()


def make_breaker(*, has_answered: bool = True, failures: int = 20) -> CircuitBreaker:
    breaker = CircuitBreaker(4)
    if has_answered:
        breaker.answered()
    for _ in range(failures):
        breaker.failed()
    return breaker


class Probe:
    """Fails a number of times, then succeeds; takes a second each time."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.sent_at: list[float] = []
        self.in_flight = self.most_in_flight = 0

    async def __call__(self) -> bool:
        self.sent_at.append(now())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(1)
        finally:
            self.in_flight -= 1
        return len(self.sent_at) > self.failures


async def test_it_opens_after_consecutive_failures_of_an_api_that_had_answered() -> None:
    """An answer resets the count; without any answer ever it stays closed."""
    assert not make_breaker(failures=19).is_open
    assert not make_breaker(has_answered=False, failures=1000).is_open
    assert make_breaker().is_open
    breaker = make_breaker(failures=19)
    breaker.answered()
    breaker.failed()
    assert not breaker.is_open
    large = CircuitBreaker(100)
    large.answered()
    for _ in range(199):
        large.failed()
    assert not large.is_open
    large.failed()
    assert large.is_open


@pytest.mark.looptime
async def test_single_calls_do_not_wait() -> None:
    """They fail immediately, and send no probe before one is due."""
    breaker, probe = make_breaker(), Probe(0)
    assert not await breaker.wait_until_closed(probe, is_bulk=False)
    assert now() == 0
    assert not probe.sent_at
    assert await CircuitBreaker(4).wait_until_closed(probe, is_bulk=False)


@pytest.mark.looptime
async def test_items_of_batches_wait_and_one_probes() -> None:
    """One probe is in flight at a time, at growing intervals; all go on when one succeeds."""
    breaker, probe = make_breaker(), Probe(3)
    closed = await asyncio.gather(
        *(breaker.wait_until_closed(probe, is_bulk=True) for _ in range(30))
    )
    assert all(closed)
    assert probe.sent_at == pytest.approx([0.5, 2.5, 5.5, 10.5])
    assert probe.most_in_flight == 1
    assert now() == pytest.approx(11.5)
    assert not breaker.is_open


@pytest.mark.looptime
async def test_any_answer_closes_it() -> None:
    """The answer to a call that was in flight when it opened ends the wait."""
    breaker, probe = make_breaker(), Probe(10**6)
    waiting = asyncio.create_task(breaker.wait_until_closed(probe, is_bulk=True))
    await asyncio.sleep(0.1)
    breaker.answered()
    assert await waiting
    assert now() == pytest.approx(0.1)


@pytest.mark.looptime
async def test_waiting_ends_after_a_quarter_of_an_hour() -> None:
    """Items of batches fail in a longer outage."""
    breaker, probe = make_breaker(), Probe(10**6)
    assert not await breaker.wait_until_closed(probe, is_bulk=True)
    assert 900 < now() < 920
    assert probe.most_in_flight == 1


@pytest.mark.looptime
async def test_cancel_during_probe() -> None:
    """Another waiter sends the next probe."""
    breaker, probe = make_breaker(), Probe(0)
    first, second = (
        asyncio.create_task(breaker.wait_until_closed(probe, is_bulk=True)) for _ in range(2)
    )
    await asyncio.sleep(1)
    assert probe.in_flight == 1
    first.cancel()
    assert await second
    assert first.cancelled()
    assert len(probe.sent_at) == 2


@pytest.mark.looptime
async def test_it_reports_opening_and_closing() -> None:
    """It reports the number of failures and the last one, then the seconds it was open."""
    reported = list[object]()
    breaker = CircuitBreaker(4, lambda *opened: reported.append(opened), reported.append)
    last = NotSentError("refused")
    breaker.answered()
    for _ in range(25):
        breaker.failed(last)
    await asyncio.sleep(7)
    breaker.answered()
    breaker.answered()
    assert reported == [(20, last), 7]


@pytest.mark.looptime
async def test_a_host_that_never_answered_fails_batches_after_half_a_minute() -> None:
    """Single calls are still sent; an answer lets batches go on."""
    breaker, probe = make_breaker(has_answered=False, failures=1000), Probe(0)
    assert await breaker.wait_until_closed(probe, is_bulk=True)
    await asyncio.sleep(31)
    breaker.failed()
    assert not await breaker.wait_until_closed(probe, is_bulk=True)
    assert await breaker.wait_until_closed(probe, is_bulk=False)
    breaker.answered()
    assert await breaker.wait_until_closed(probe, is_bulk=True)
    assert not probe.sent_at


@pytest.mark.looptime
async def test_a_host_that_never_answered_is_tried_again_later() -> None:
    """A later batch makes another attempt; if that fails too, its items fail immediately."""
    breaker, probe = make_breaker(has_answered=False, failures=1000), Probe(0)
    await asyncio.sleep(31)
    breaker.failed()
    assert not breaker.allows(is_bulk=True)
    await asyncio.sleep(31)
    assert breaker.allows(is_bulk=True)
    assert await breaker.wait_until_closed(probe, is_bulk=True)
    breaker.failed()
    assert not breaker.allows(is_bulk=True)
