"""The admission queue: limits, order, the gate, and no permit lost to cancellation."""

import asyncio
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrm_async._limits import AdmissionQueue, ConcurrencyLimit
from tests.fakes import on_virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


async def settled(turns: int = 10) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def accepted_after(queue: AdmissionQueue, seconds: float, *, is_bulk: bool = False) -> None:
    permit = await queue.acquire(is_bulk=is_bulk)
    await asyncio.sleep(seconds)
    queue.accepted(permit)
    queue.release()


async def refuse_one(queue: AdmissionQueue, retry_after: float | None = None) -> bool:
    permit = await queue.acquire()
    begins = queue.refused(permit, retry_after)
    queue.release()
    return begins


@pytest.mark.looptime
async def test_max_concurrency_is_reached_but_not_exceeded() -> None:
    """Exactly the allowed number of calls is in flight while there is work."""
    queue, most = AdmissionQueue(3), 0

    async def use() -> None:
        nonlocal most
        permit = await queue.acquire()
        most = max(most, queue.in_flight)
        await asyncio.sleep(1)
        queue.accepted(permit)
        queue.release()

    await asyncio.gather(*(use() for _ in range(12)))
    assert most == 3
    assert now() == pytest.approx(4)
    assert (queue.in_flight, queue.waiting) == (0, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop")
def test_spacing_below_the_timer_resolution_of_uvloop() -> None:
    """Calls 0.1 ms apart are all admitted, although uvloop rounds timers to milliseconds.

    A timer that rounds to zero is a plain handle without ``when()`` there.
    """

    async def run() -> list[None]:
        queue = AdmissionQueue(3, max_rate=10_000)
        async with asyncio.timeout(60):
            return await asyncio.gather(*(accepted_after(queue, 0) for _ in range(50)))

    import uvloop  # noqa: PLC0415 - there is none on every system

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert len(runner.run(run())) == 50


@pytest.mark.looptime
async def test_slow_start() -> None:
    """Ten calls are in flight at first, half as many more each round trip, up to the maximum."""
    queue, inside = AdmissionQueue(64), list[int]()

    async def use() -> None:
        await accepted_after(queue, 1)

    users = [asyncio.create_task(use()) for _ in range(400)]
    for _ in range(6):
        await asyncio.sleep(0.5)
        inside.append(queue.in_flight)
        await asyncio.sleep(0.5)
    await asyncio.gather(*users)
    assert inside[:4] == [ConcurrencyLimit.START, 15, 22, 33]
    assert max(inside) == 64


@pytest.mark.looptime
async def test_slow_answers_do_not_raise_the_limit() -> None:
    """An answer that took more than twice the usual latency does not raise it."""
    queue = AdmissionQueue(64)
    await asyncio.gather(*(accepted_after(queue, 0.1) for _ in range(10)))
    before = queue.limit
    await asyncio.gather(*(accepted_after(queue, 0.5) for _ in range(before)))
    assert queue.limit == before
    await asyncio.gather(*(accepted_after(queue, 0.1) for _ in range(before)))
    assert queue.limit > before


async def test_waiters_are_served_in_order() -> None:
    """Waiters are admitted first in, first out."""
    queue, order = AdmissionQueue(1), list[int]()

    async def use(number: int) -> None:
        await queue.acquire()
        order.append(number)
        await asyncio.sleep(0)
        queue.release()

    await asyncio.gather(*(use(number) for number in range(20)))
    assert order == list(range(20))


async def test_single_calls_go_before_items_of_batches() -> None:
    """Each kind keeps its own order."""
    queue, order = AdmissionQueue(1), list[str]()

    async def use(name: str, *, is_bulk: bool) -> None:
        await queue.acquire(is_bulk=is_bulk)
        order.append(name)
        await asyncio.sleep(0)
        queue.release()

    names = ["b1", "b2", "s1", "b3", "s2", "s3", "b4"]
    await asyncio.gather(*(use(name, is_bulk=name[0] == "b") for name in names))
    assert order == ["b1", "s1", "s2", "s3", "b2", "b3", "b4"]


@pytest.mark.looptime
async def test_retry_after_closes_the_gate_and_may_extend_it() -> None:
    """No call is admitted before the latest time that the server asked for."""
    queue, admitted = AdmissionQueue(4), list[float]()

    async def use() -> None:
        permit = await queue.acquire()
        admitted.append(now())
        queue.accepted(permit)
        queue.release()

    early, late = await queue.acquire(), await queue.acquire()
    queue.refused(early, 5)
    queue.release()
    users = [asyncio.create_task(use()) for _ in range(3)]
    await asyncio.sleep(4)
    assert 1 < queue.opens_in < 1.2
    queue.refused(late, 3)
    queue.refused(late, 1)  # a shorter time does not open it earlier
    queue.release()
    await asyncio.gather(*users)
    assert len(admitted) == 3
    assert 7 <= min(admitted) <= 7.2
    assert queue.opens_in == 0


@pytest.mark.looptime
async def test_calls_refused_together_are_one_congestion_event() -> None:
    """Only the first refusal among calls in flight together begins one."""
    queue = AdmissionQueue(4)
    permits = [await queue.acquire() for _ in range(4)]
    assert [queue.refused(permit, None) for permit in permits] == [True, False, False, False]


@pytest.mark.looptime
async def test_a_refusal_limits_the_rate_and_is_reported() -> None:
    """Calls are not spaced before it; the next admission reports the new limits."""
    changes = list[tuple[int, float | None]]()
    queue = AdmissionQueue(16, on_change=lambda limit, rate: changes.append((limit, rate)))
    await asyncio.gather(*(accepted_after(queue, 0.1) for _ in range(16)))
    assert queue.rate is None
    await refuse_one(queue)
    assert not changes
    await accepted_after(queue, 0.1)
    ((limit, rate),) = changes
    assert limit == queue.limit
    assert rate is not None
    assert 0.5 <= rate <= 200


@pytest.mark.looptime
async def test_max_rate_allows_no_burst() -> None:
    """Calls are spaced from the first one on, and after a pause."""
    queue, times = AdmissionQueue(64, 4), list[float]()

    async def use() -> None:
        permit = await queue.acquire()
        times.append(now())
        queue.accepted(permit)
        queue.release()

    await asyncio.gather(*(use() for _ in range(5)))
    await asyncio.sleep(10)
    await asyncio.gather(*(use() for _ in range(3)))
    assert times == pytest.approx([0, 0.25, 0.5, 0.75, 1.0, 11.0, 11.25, 11.5])
    assert queue.rate == 4


@pytest.mark.looptime
async def test_cancel_while_waiting_for_the_rate() -> None:
    """The next waiter starts at the time that the cancelled one had."""
    queue = AdmissionQueue(64, 1)
    await queue.acquire()
    first, second = (asyncio.create_task(queue.acquire()) for _ in range(2))
    await asyncio.sleep(0.5)
    first.cancel()
    await second
    assert now() == pytest.approx(1)


async def count_free(queue: AdmissionQueue) -> int:
    """Return how many permits are free."""
    users = [asyncio.create_task(queue.acquire()) for _ in range(50)]
    await settled()
    free = sum(user.done() for user in users)
    for user in reversed(users):
        if not user.cancel():
            queue.in_flight -= 1  # ``release`` would return a withheld permit
    await settled()
    return free


async def test_shrink_withholds_permits_but_never_the_last() -> None:
    """Each call of ``shrink`` withholds one, and each ``release`` returns one."""
    queue = AdmissionQueue(4)
    sizes = []
    for _ in range(6):
        await queue.acquire()
        queue.shrink()
        sizes.append(await count_free(queue))
    assert sizes == [3, 2, 1, 1, 1, 1]
    assert queue.limit == 1
    for _ in range(6):
        await queue.acquire()
        queue.release()
        sizes.append(await count_free(queue))
    assert sizes[6:] == [2, 3, 4, 4, 4, 4]


@pytest.mark.looptime
async def test_gate_closes_while_waiting_for_the_rate() -> None:
    """Waiters that already have their time wait for the gate too."""
    queue = AdmissionQueue(10, max_rate=1)
    started, times = now(), list[float]()

    async def send() -> None:
        await queue.acquire()
        times.append(now())
        queue.release()

    waiting = [asyncio.create_task(send()) for _ in range(4)]
    await asyncio.sleep(0.5)
    queue._limiter.close_gate(now() + 100)
    await asyncio.gather(*waiting)
    assert times[0] == pytest.approx(started)
    assert all(time >= started + 100.5 for time in times[1:])


@pytest.mark.looptime
async def test_close_admits_all_waiters() -> None:
    """Waiting for a permit, for the gate or for the rate ends immediately."""
    for queue in (AdmissionQueue(1), AdmissionQueue(1, 0.001)):
        queue.refused(await queue.acquire(), 100)
        waiting = [asyncio.create_task(queue.acquire(is_bulk=odd)) for odd in (True, False)]
        await settled()
        assert queue.waiting == 2
        queue.close()
        await asyncio.gather(*waiting)
    assert now() < 1


@settings(deadline=None)  # wall-clock time depends on the load of the machine
@given(
    permits=st.integers(1, 3),
    plans=st.lists(
        st.tuples(
            st.integers(0, 6),
            st.integers(0, 4),
            st.none() | st.integers(0, 12),
            st.sampled_from(
                ["accepted", "refused", "refused for 2 s", "failed", "out of descriptors"]
            ),
            st.booleans(),
        ),
        max_size=14,
    ),
    rate=st.sampled_from([None, 0.5, 2.0]),
)
def test_cancelled_calls_lose_no_permit(
    permits: int,
    plans: list[tuple[int, int, int | None, str, bool]],
    rate: float | None,
) -> None:
    """Whenever calls are cancelled, refused or fail, the limit holds and every waiter ends."""

    async def run() -> None:
        queue = AdmissionQueue(permits, rate)
        inside = 0

        async def use(come: int, stay: int, end: str, is_bulk: bool) -> None:
            nonlocal inside
            await asyncio.sleep(come)
            permit = await queue.acquire(is_bulk=is_bulk)
            inside += 1
            assert inside <= permits
            try:
                await asyncio.sleep(stay)
            finally:
                inside -= 1
                if end == "accepted":
                    queue.accepted(permit)
                elif end.startswith("refused"):
                    queue.refused(permit, 2 if end.endswith("s") else None)
                if end == "out of descriptors":
                    queue.shrink()
                else:
                    queue.release()

        users = [
            asyncio.create_task(use(come, stay, end, is_bulk))
            for come, stay, _, end, is_bulk in plans
        ]
        for user, (_, _, cut, _, _) in zip(users, plans, strict=True):
            if cut is not None:
                asyncio.get_running_loop().call_later(cut, user.cancel)
        async with asyncio.timeout(10_000):
            ended = await asyncio.gather(*users, return_exceptions=True)
        for error in ended:
            assert error is None or isinstance(error, asyncio.CancelledError)
        assert (queue.in_flight, queue.waiting) == (0, 0)

    on_virtual_time(run())
