"""The pool: ceilings that hold, lines in order, a gate, and no place lost to cancellation."""

import asyncio
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrm_async._limits import ConcurrencyLimit, Pool
from tests.truth.conftest import on_virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


async def settled(turns: int = 10) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def accepted_after(pool: Pool, seconds: float, *, is_patient: bool = False) -> None:
    place = await pool.acquire(is_patient=is_patient)
    await asyncio.sleep(seconds)
    pool.accepted(place)
    pool.release()


async def refuse_one(pool: Pool, retry_after: float | None = None) -> bool:
    place = await pool.acquire()
    is_news = pool.refused(place, retry_after)
    pool.release()
    return is_news


@pytest.mark.looptime
async def test_the_ceiling_holds_and_is_reached() -> None:
    """No more than the pool allows are ever inside, and no fewer while there is work."""
    pool, most = Pool(3), 0

    async def use() -> None:
        nonlocal most
        place = await pool.acquire()
        most = max(most, pool.in_flight)
        await asyncio.sleep(1)
        pool.accepted(place)
        pool.release()

    await asyncio.gather(*(use() for _ in range(12)))
    assert most == 3
    assert now() == pytest.approx(4)
    assert (pool.in_flight, pool.waiting) == (0, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop")
def test_waits_too_short_for_the_clock_of_uvloop() -> None:
    """Calls a tenth of a millisecond apart all get their place, where timers round to whole ones.

    uvloop's timer that rounds to nothing is a plain handle, which knows no time.
    """

    async def run() -> list[None]:
        pool = Pool(3, max_rate=10_000)
        async with asyncio.timeout(60):
            return await asyncio.gather(*(accepted_after(pool, 0) for _ in range(50)))

    import uvloop  # noqa: PLC0415 - there is none on every system

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert len(runner.run(run())) == 50


@pytest.mark.looptime
async def test_it_starts_small_and_grows() -> None:
    """Ten at once, and half as many more each round trip, up to the ceiling."""
    pool, inside = Pool(64), list[int]()

    async def use() -> None:
        await accepted_after(pool, 1)

    users = [asyncio.create_task(use()) for _ in range(400)]
    for _ in range(6):
        await asyncio.sleep(0.5)
        inside.append(pool.in_flight)
        await asyncio.sleep(0.5)
    await asyncio.gather(*users)
    assert inside[:4] == [ConcurrencyLimit.START, 15, 22, 33]
    assert max(inside) == 64


@pytest.mark.looptime
async def test_it_does_not_grow_because_answers_got_slower() -> None:
    """An answer that took more than twice the usual time makes room for no other."""
    pool = Pool(64)
    await asyncio.gather(*(accepted_after(pool, 0.1) for _ in range(10)))
    before = pool.limit
    await asyncio.gather(*(accepted_after(pool, 0.5) for _ in range(before)))
    assert pool.limit == before
    await asyncio.gather(*(accepted_after(pool, 0.1) for _ in range(before)))
    assert pool.limit > before


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


async def test_single_calls_go_ahead_of_batch_items() -> None:
    """Both lines keep their order."""
    pool, order = Pool(1), list[str]()

    async def use(name: str, *, is_patient: bool) -> None:
        await pool.acquire(is_patient=is_patient)
        order.append(name)
        await asyncio.sleep(0)
        pool.release()

    names = ["b1", "b2", "s1", "b3", "s2", "s3", "b4"]
    await asyncio.gather(*(use(name, is_patient=name[0] == "b") for name in names))
    assert order == ["b1", "s1", "s2", "s3", "b2", "b3", "b4"]


@pytest.mark.looptime
async def test_the_gate_shuts_out_all_and_opens_again() -> None:
    """Nobody gets in before the time asked for, even if it is extended meanwhile."""
    pool, admitted = Pool(4), list[float]()

    async def use() -> None:
        place = await pool.acquire()
        admitted.append(now())
        pool.accepted(place)
        pool.release()

    early, late = await pool.acquire(), await pool.acquire()
    pool.refused(early, 5)
    pool.release()
    users = [asyncio.create_task(use()) for _ in range(3)]
    await asyncio.sleep(4)
    assert 1 < pool.opens_in < 1.2
    pool.refused(late, 3)
    pool.refused(late, 1)  # a shorter time does not open it earlier
    pool.release()
    await asyncio.gather(*users)
    assert len(admitted) == 3
    assert 7 <= min(admitted) <= 7.2
    assert pool.opens_in == 0


@pytest.mark.looptime
async def test_only_the_first_refusal_of_an_episode_is_news() -> None:
    """What was under way at the same time says nothing new."""
    pool = Pool(4)
    places = [await pool.acquire() for _ in range(4)]
    assert [pool.refused(place, None) for place in places] == [True, False, False, False]


@pytest.mark.looptime
async def test_a_refusal_starts_the_pacing_and_is_told_of() -> None:
    """Nothing is spaced before it; the verdict comes with the next admission."""
    changes = list[tuple[int, float | None]]()
    pool = Pool(16, on_change=lambda limit, rate: changes.append((limit, rate)))
    await asyncio.gather(*(accepted_after(pool, 0.1) for _ in range(16)))
    assert pool.rate is None
    await refuse_one(pool)
    assert not changes
    await accepted_after(pool, 0.1)
    ((limit, rate),) = changes
    assert limit == pool.limit
    assert rate is not None
    assert 0.5 <= rate <= 200


@pytest.mark.looptime
async def test_max_rate_holds_from_the_first_call_on() -> None:
    """No burst at the start, and none after a rest."""
    pool, times = Pool(64, 4), list[float]()

    async def use() -> None:
        place = await pool.acquire()
        times.append(now())
        pool.accepted(place)
        pool.release()

    await asyncio.gather(*(use() for _ in range(5)))
    await asyncio.sleep(10)
    await asyncio.gather(*(use() for _ in range(3)))
    assert times == pytest.approx([0, 0.25, 0.5, 0.75, 1.0, 11.0, 11.25, 11.5])
    assert pool.rate == 4


@pytest.mark.looptime
async def test_who_gives_up_takes_no_place_in_time() -> None:
    """The next in line gets it."""
    pool = Pool(64, 1)
    await pool.acquire()
    first, second = (asyncio.create_task(pool.acquire()) for _ in range(2))
    await asyncio.sleep(0.5)
    first.cancel()
    await second
    assert now() == pytest.approx(1)


async def places_of(pool: Pool) -> int:
    """How many get in at once."""
    users = [asyncio.create_task(pool.acquire()) for _ in range(50)]
    await settled()
    free = sum(user.done() for user in users)
    for user in reversed(users):
        if not user.cancel():
            pool.in_flight -= 1  # not a release, which would give back what is withheld
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
    assert pool.limit == 1
    for _ in range(6):
        await pool.acquire()
        pool.release()
        sizes.append(await places_of(pool))
    assert sizes[6:] == [2, 3, 4, 4, 4, 4]


@pytest.mark.looptime
async def test_closing_lets_everybody_go() -> None:
    """Whatever they wait for: a place, the gate, their time."""
    for pool in (Pool(1), Pool(1, 0.001)):
        pool.refused(await pool.acquire(), 100)
        waiting = [asyncio.create_task(pool.acquire(is_patient=odd)) for odd in (True, False)]
        await settled()
        assert pool.waiting == 2
        pool.close()
        await asyncio.gather(*waiting)
    assert now() < 1


@settings(deadline=None)  # of wall-clock time; the machine may be busy
@given(
    places=st.integers(1, 3),
    plans=st.lists(
        st.tuples(
            st.integers(0, 6),
            st.integers(0, 4),
            st.none() | st.integers(0, 12),
            st.sampled_from(["accepted", "refused", "refused for 2 s", "failed", "starved"]),
            st.booleans(),
        ),
        max_size=14,
    ),
    rate=st.sampled_from([None, 0.5, 2.0]),
)
def test_cancelled_waiters_lose_no_place(
    places: int,
    plans: list[tuple[int, int, int | None, str, bool]],
    rate: float | None,
) -> None:
    """Whoever is cancelled or refused, whenever: the ceiling holds, and nobody waits for ever."""

    async def run() -> None:
        pool = Pool(places, rate)
        inside = 0

        async def use(come: int, stay: int, end: str, is_patient: bool) -> None:
            nonlocal inside
            await asyncio.sleep(come)
            place = await pool.acquire(is_patient=is_patient)
            inside += 1
            assert inside <= places
            try:
                await asyncio.sleep(stay)
            finally:
                inside -= 1
                if end == "accepted":
                    pool.accepted(place)
                elif end.startswith("refused"):
                    pool.refused(place, 2 if end.endswith("s") else None)
                if end == "starved":
                    pool.withhold()
                else:
                    pool.release()

        users = [
            asyncio.create_task(use(come, stay, end, is_patient))
            for come, stay, _, end, is_patient in plans
        ]
        for user, (_, _, cut, _, _) in zip(users, plans, strict=True):
            if cut is not None:
                asyncio.get_running_loop().call_later(cut, user.cancel)
        async with asyncio.timeout(10_000):
            ended = await asyncio.gather(*users, return_exceptions=True)
        for error in ended:
            assert error is None or isinstance(error, asyncio.CancelledError)
        assert (pool.in_flight, pool.waiting) == (0, 0)

    on_virtual_time(run())
