"""The breaker: when it opens, who asks whether the API is back, and how long one waits."""

import asyncio

import pytest

from nrm_async import NotSentError
from nrm_async._limits import Breaker


def now() -> float:
    return asyncio.get_running_loop().time()


def broken(*, has_answered: bool = True, failures: int = 20) -> Breaker:
    breaker = Breaker(4)
    if has_answered:
        breaker.answered()
    for _ in range(failures):
        breaker.failed()
    return breaker


class Probe:
    """Fails so often, then succeeds; takes a second each time."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.asked_at: list[float] = []
        self.at_once = self.most_at_once = 0

    async def __call__(self) -> bool:
        self.asked_at.append(now())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(1)
        finally:
            self.at_once -= 1
        return len(self.asked_at) > self.failures


async def test_it_opens_only_after_a_run_and_only_if_it_had_answered() -> None:
    """One answer among the failures starts the count anew; no answer ever is no outage."""
    assert not broken(failures=19).is_open
    assert not broken(has_answered=False, failures=1000).is_open
    assert broken().is_open
    breaker = broken(failures=19)
    breaker.answered()
    breaker.failed()
    assert not breaker.is_open
    large = Breaker(100)
    large.answered()
    for _ in range(199):
        large.failed()
    assert not large.is_open
    large.failed()
    assert large.is_open


@pytest.mark.looptime
async def test_the_impatient_are_told_at_once() -> None:
    """They do not wait, and do not ask before it is time to."""
    breaker, probe = broken(), Probe(0)
    assert not await breaker.pass_through(probe, is_patient=False)
    assert now() == 0
    assert not probe.asked_at
    assert await Breaker(4).pass_through(probe, is_patient=False)


@pytest.mark.looptime
async def test_the_patient_wait_and_one_of_them_asks() -> None:
    """One probe at a time, at growing intervals; when it is back, all go on at once."""
    breaker, probe = broken(), Probe(3)
    passed = await asyncio.gather(
        *(breaker.pass_through(probe, is_patient=True) for _ in range(30))
    )
    assert all(passed)
    assert probe.asked_at == pytest.approx([0.5, 2.5, 5.5, 10.5])
    assert probe.most_at_once == 1
    assert now() == pytest.approx(11.5)
    assert not breaker.is_open


@pytest.mark.looptime
async def test_any_answer_closes_it() -> None:
    """One that was still under way when it opened will do."""
    breaker, probe = broken(), Probe(10**6)
    waiting = asyncio.create_task(breaker.pass_through(probe, is_patient=True))
    await asyncio.sleep(0.1)
    breaker.answered()
    assert await waiting
    assert now() == pytest.approx(0.1)


@pytest.mark.looptime
async def test_patience_ends() -> None:
    """An outage of a quarter of an hour is left to the caller."""
    breaker, probe = broken(), Probe(10**6)
    assert not await breaker.pass_through(probe, is_patient=True)
    assert 900 < now() < 920
    assert probe.most_at_once == 1


@pytest.mark.looptime
async def test_a_cancelled_probe_leaves_the_asking_to_another() -> None:
    """Nobody waits for one who has gone."""
    breaker, probe = broken(), Probe(0)
    first, second = (
        asyncio.create_task(breaker.pass_through(probe, is_patient=True)) for _ in range(2)
    )
    await asyncio.sleep(1)
    assert probe.at_once == 1
    first.cancel()
    assert await second
    assert first.cancelled()
    assert len(probe.asked_at) == 2


@pytest.mark.looptime
async def test_it_tells_when_it_opens_and_closes() -> None:
    """With the failures that made it open, the last of them, and the time it was open."""
    told = list[object]()
    breaker = Breaker(4, lambda *opened: told.append(opened), told.append)
    last = NotSentError("refused")
    breaker.answered()
    for _ in range(25):
        breaker.failed(last)
    await asyncio.sleep(7)
    breaker.answered()
    breaker.answered()
    assert told == [(20, last), 7]


@pytest.mark.looptime
async def test_strangers_are_waited_for_half_a_minute() -> None:
    """An API that never answered ends the patience of batches soon; single calls try on."""
    breaker, probe = broken(has_answered=False, failures=1000), Probe(0)
    assert await breaker.pass_through(probe, is_patient=True)
    await asyncio.sleep(31)
    breaker.failed()
    assert not await breaker.pass_through(probe, is_patient=True)
    assert await breaker.pass_through(probe, is_patient=False)
    breaker.answered()
    assert await breaker.pass_through(probe, is_patient=True)
    assert not probe.asked_at


@pytest.mark.looptime
async def test_strangers_are_not_given_up_for_ever() -> None:
    """A batch that comes later tries again; if that fails too, it is told so at once."""
    breaker, probe = broken(has_answered=False, failures=1000), Probe(0)
    await asyncio.sleep(31)
    breaker.failed()
    assert not breaker.lets_pass(is_patient=True)
    await asyncio.sleep(31)
    assert breaker.lets_pass(is_patient=True)
    assert await breaker.pass_through(probe, is_patient=True)
    breaker.failed()
    assert not breaker.lets_pass(is_patient=True)
