"""Waiting rooms: ceilings that hold, lines in order, and no place lost to cancellation."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async._limits import AniLocks, Breaker, Pacer, Pool
from tests.truth.conftest import on_virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


async def settled(turns: int = 10) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


# --- Pool ----------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_the_ceiling_holds_and_is_reached() -> None:
    """No more than the pool allows are ever inside, and no fewer while there is work."""
    pool, inside, most = Pool(3), 0, 0

    async def use() -> None:
        nonlocal inside, most
        await pool.acquire()
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(1)
        inside -= 1
        pool.release()

    await asyncio.gather(*(use() for _ in range(12)))
    assert most == 3
    assert now() == pytest.approx(4)


async def test_waiters_are_served_in_order() -> None:
    """First come, first served."""
    pool, order = Pool(1), list[int]()

    async def use(number: int) -> None:
        await pool.acquire()
        order.append(number)
        await asyncio.sleep(0)
        pool.release()

    await asyncio.gather(*(use(number) for number in range(20)))
    assert order == list(range(20))


@pytest.mark.looptime
async def test_the_gate_shuts_out_all_and_opens_again() -> None:
    """Nobody gets in before the time asked for, even if it is extended meanwhile."""
    pool, admitted = Pool(4), list[float]()

    async def use() -> None:
        await pool.acquire()
        admitted.append(now())
        pool.release()

    pool.close_for(5)
    users = [asyncio.create_task(use()) for _ in range(9)]
    await asyncio.sleep(4)
    pool.close_for(3)
    pool.close_for(1)  # a shorter time does not open it earlier
    await asyncio.gather(*users)
    assert len(admitted) == 9
    assert min(admitted) >= 7
    assert max(admitted) < 8
    before = now()
    await use()
    assert now() == before


async def places_of(pool: Pool) -> int:
    """How many get in at once."""
    users = [asyncio.create_task(pool.acquire()) for _ in range(50)]
    await settled()
    free = sum(user.done() for user in users)
    for user in users:
        if not user.cancel():
            pool._places.release()
    await settled()
    return free


async def test_places_are_withheld_but_never_the_last() -> None:
    """A machine that is short of something has fewer places, at least one, and gets them back."""
    pool = Pool(4)
    sizes = []
    for _ in range(6):
        await pool.acquire()
        pool.withhold()
        sizes.append(await places_of(pool))
    assert sizes == [3, 2, 1, 1, 1, 1]
    for _ in range(6):
        await pool.acquire()
        pool.release()
        sizes.append(await places_of(pool))
    assert sizes[6:] == [2, 3, 4, 4, 4, 4]


@given(
    places=st.integers(1, 3),
    plans=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 4), st.none() | st.integers(0, 12)), max_size=14
    ),
    gate=st.integers(0, 3),
    rate=st.sampled_from([None, 0.5, 2.0]),
)
def test_cancelled_waiters_lose_no_place(
    places: int, plans: list[tuple[int, int, int | None]], gate: int, rate: float | None
) -> None:
    """Whoever is cancelled, whenever: the ceiling holds, and all places are there at the end."""

    async def run() -> None:
        pool = Pool(places, rate)
        pool.close_for(gate)
        inside = 0

        async def use(come: int, stay: int) -> None:
            nonlocal inside
            await asyncio.sleep(come)
            await pool.acquire()
            inside += 1
            assert inside <= places
            try:
                await asyncio.sleep(stay)
            finally:
                inside -= 1
                pool.release()

        users = [asyncio.create_task(use(come, stay)) for come, stay, _ in plans]
        for user, (_, _, cut) in zip(users, plans, strict=True):
            if cut is not None:
                asyncio.get_running_loop().call_later(cut, user.cancel)
        for ended in await asyncio.gather(*users, return_exceptions=True):
            assert ended is None or isinstance(ended, asyncio.CancelledError)
        assert pool._places.value == places

    on_virtual_time(run())


# --- Pacer ---------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_the_pacer_spaces_evenly_from_the_first_one_on() -> None:
    """No burst at the start, and none after a rest."""
    pacer, times = Pacer(4), list[float]()

    async def use() -> None:
        await pacer.wait()
        times.append(now())

    await asyncio.gather(*(use() for _ in range(5)))
    await asyncio.sleep(10)
    await asyncio.gather(*(use() for _ in range(3)))
    assert times == pytest.approx([0, 0.25, 0.5, 0.75, 1.0, 11.0, 11.25, 11.5])


@pytest.mark.looptime
async def test_who_gives_up_takes_no_place_in_time() -> None:
    """The next in line gets it."""
    pacer = Pacer(1)
    await pacer.wait()
    first, second = (asyncio.create_task(pacer.wait()) for _ in range(2))
    await asyncio.sleep(0.5)
    first.cancel()
    await second
    assert now() == pytest.approx(1)


# --- Breaker -------------------------------------------------------------------------------


def broken(*, has_answered: bool = True, failures: int = 20) -> Breaker:
    breaker = Breaker(4)
    if has_answered:
        breaker.record(answered=True)
    for _ in range(failures):
        breaker.record(answered=False)
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
    breaker.record(answered=True)
    breaker.record(answered=False)
    assert not breaker.is_open
    large = Breaker(100)
    large.record(answered=True)
    for _ in range(199):
        large.record(answered=False)
    assert not large.is_open
    large.record(answered=False)
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
    breaker.record(answered=True)
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


# --- AniLocks ------------------------------------------------------------------------------


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
