"""Flow control of whole clients, over a stub transport on virtual time."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.servers import at_once, bucket
from benchmarks.stub import Limited, applied, on_virtual_time, stubbed, too_many
from nrm_async import (
    BatchStoppedError,
    NotSentError,
    NRMClient,
    NRMError,
    Outcome,
    Pause,
    RateLimitError,
    RetryPolicy,
)
from nrm_async._wire import Request, Response

LATENCY = 0.08


def now() -> float:
    return asyncio.get_running_loop().time()


def phones(count: int, first: int = 0) -> list[str]:
    return [str(2_000_000_000 + first + number) for number in range(count)]


@attrs.define
class Spy:
    """A server that counts what is under way, and lets some of it fail."""

    dice: random.Random
    inside: int = 0
    most: int = 0

    async def __call__(self, request: Request) -> Response | NRMError:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(self.dice.random())
        finally:
            self.inside -= 1
        fate = self.dice.random()
        if fate < 0.1:
            return too_many(self.dice.choice([None, 1]))
        return NotSentError("the request was not sent") if fate < 0.2 else applied(request)


async def one_job(nrm: NRMClient, kind: str, number: int, delay: float) -> None:
    await asyncio.sleep(delay)
    match kind:
        case "list":
            await nrm.list_anis()
        case "single":
            await nrm.pause(phones(1, 1000 * number)[0])
        case "cancelled":
            await asyncio.wait_for(nrm.pause_many(phones(20, 1000 * number)), 1)
        case "batch":
            await nrm.pause_many(phones(20, 1000 * number), concurrency=7)


@settings(max_examples=25, deadline=None)  # of wall-clock time; the machine may be busy
@given(
    jobs=st.lists(
        st.tuples(
            st.sampled_from(["list", "single", "batch", "cancelled"]),
            st.integers(0, 1),
            st.floats(0, 3),
        ),
        min_size=20,
        max_size=20,
    ),
    ceilings=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    seed=st.integers(0, 2**32),
)
def test_two_clients_and_twenty_tasks_never_have_more_in_flight_than_the_ceiling(
    jobs: list[tuple[str, int, float]], ceilings: tuple[int, int], seed: int
) -> None:
    """Lists, single calls and batches at once, failing and cancelled; counted by the server."""
    spies = [Spy(random.Random(seed + number)) for number in range(2)]

    async def run() -> None:
        async with (
            stubbed(spies[0], max_concurrency=ceilings[0]) as first,
            stubbed(spies[1], max_concurrency=ceilings[1]) as second,
        ):
            clients = (first, second)
            work = [
                one_job(clients[which], kind, number, delay)
                for number, (kind, which, delay) in enumerate(jobs)
            ]
            ended = await asyncio.gather(*work, return_exceptions=True)
            assert all(isinstance(error, NRMError | TimeoutError | None) for error in ended)
            for client in clients:
                stats = client.stats()
                assert (stats.in_flight, stats.waiting) == (0, 0)

    on_virtual_time(run())
    assert [spy.most <= ceiling for spy, ceiling in zip(spies, ceilings, strict=True)] == [True] * 2
    assert all(spy.inside == 0 for spy in spies)


@pytest.mark.parametrize(("limit", "rate"), [("once", 250), ("second", 200)])
@pytest.mark.parametrize("names_a_time", [False, True])
def test_a_limit_is_found_by_a_whole_client(limit: str, rate: int, *, names_a_time: bool) -> None:
    """Half a minute of it, learning included: most of the limit is used, and nothing is lost."""
    server = Limited(at_once(20) if limit == "once" else bucket(200, 0.1), LATENCY, names_a_time)

    async def run() -> float:
        async with stubbed(server, max_concurrency=64) as nrm:
            report = await nrm.pause_many(phones(30 * rate))
            assert report.counts[Outcome.APPLIED] == 30 * rate
        return now()

    seconds = on_virtual_time(run())
    assert 30 / seconds >= (0.75 if names_a_time else 0.9)
    assert server.refused_share <= 0.05


def test_an_outage_costs_few_attempts_and_no_item() -> None:
    """While it lasts no action is sent, only single reads ask; then the work goes on."""
    items, begins, ends = 3_000, 2.0, 602.0
    sent, during = Counter[str](), list[tuple[float, str]]()

    async def exchange(request: Request) -> Response | NRMError:
        sent[request.method] += 1
        if begins <= now() < ends:
            during.append((now(), request.method))
            await asyncio.sleep(0.001)
            return NotSentError("the request was not sent: connection refused")
        await asyncio.sleep(LATENCY)
        return applied(request)

    async def run() -> float:
        async with stubbed(exchange, max_concurrency=16) as nrm:
            report = await nrm.pause_many(phones(items))
            assert report.counts[Outcome.APPLIED] == items
        return now()

    ended = on_virtual_time(run())
    assert sum(sent.values()) / items <= 1.05
    assert {method for at, method in during if at > begins + 10} == {"GET"}
    assert ended - ends <= 60 + items * LATENCY / 16


@pytest.mark.parametrize("fault", ["not sent", "429"])
def test_transient_faults_leave_no_item_behind(fault: str) -> None:
    """Three in ten attempts fail, and provably did nothing."""
    dice, sent = random.Random(3), list[float]()

    async def exchange(request: Request) -> Response | NRMError:
        sent.append(now())
        await asyncio.sleep(LATENCY)
        if dice.random() >= 0.3:
            return applied(request)
        return too_many(None) if fault == "429" else NotSentError("the request was not sent")

    async def run() -> int:
        async with stubbed(exchange, max_concurrency=64) as nrm:
            return len((await nrm.pause_many(phones(3_000))).succeeded)

    assert on_virtual_time(run()) >= 0.999 * 3_000
    assert len(sent) <= 1.6 * 3_000


async def refused(_request: Request) -> NRMError:
    await asyncio.sleep(0.01)
    return NotSentError("the request was not sent: connection refused")


@pytest.mark.looptime
async def test_single_calls_are_not_retried_without_end() -> None:
    """The budget holds a hundred retries and gets ten more a second; who finds none raises."""
    async with stubbed(refused, max_concurrency=64, retry=RetryPolicy(base=0)) as nrm:
        calls = [nrm.pause(phone) for phone in phones(60)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(error, NotSentError) for error in ended)
        assert 100 <= nrm.stats().retries <= 100 + 10 * now() + 1
        assert now() < 1


@attrs.define
class Asking:
    """Says once that it wants to be left alone for long."""

    seconds: int
    times: list[float] = attrs.field(factory=list)

    async def __call__(self, request: Request) -> Response:
        self.times.append(now())
        is_first = len(self.times) == 1
        await asyncio.sleep(0.01)
        return too_many(self.seconds) if is_first else applied(request)


@pytest.mark.looptime
async def test_a_wait_above_the_cap_is_surfaced() -> None:
    """A single call raises at once, and tells how long the server asked to wait."""
    async with stubbed(Asking(600)) as nrm:
        with pytest.raises(RateLimitError) as caught:
            await nrm.pause("2345678901")
        assert caught.value.retry_after == 600
        assert now() < 1


@pytest.mark.looptime
async def test_a_wait_above_the_cap_is_deferred_in_a_batch_that_has_the_time() -> None:
    """Up to the batch's deadline, and the others are not held up by it."""
    server = Asking(600)
    async with stubbed(server) as nrm:
        report = await nrm.pause_many(phones(50), deadline=1_000)
    assert report.ok
    assert sum(at < 60 for at in server.times) == 50
    assert server.times[-1] >= 600


@pytest.mark.looptime
@pytest.mark.parametrize("deadline", [None, 500])
async def test_a_wait_above_the_cap_stops_a_batch_that_has_not(deadline: float | None) -> None:
    """The item says why, and what was not begun can be run again."""
    server = Asking(600)
    async with stubbed(server, max_concurrency=1) as nrm:
        report = await nrm.pause_many(phones(5), deadline=deadline)
    assert isinstance(report.failed[0].error, RateLimitError)
    assert all(isinstance(failed.error, BatchStoppedError) for failed in report.failed[1:])
    assert len(report.retryable) == 5
    assert len(server.times) == 1


@pytest.mark.looptime
async def test_a_long_stream_has_few_tasks_and_few_inputs_read_ahead() -> None:
    """However long the input: the tasks are the workers, and a thousand inputs are read ahead."""
    made = taken = most_ahead = most_tasks = 0

    async def actions() -> AsyncIterator[Pause]:
        nonlocal made
        for phone in phones(20_000):
            made += 1
            yield Pause(phone)

    async def exchange(request: Request) -> Response:
        await asyncio.sleep(0)
        return applied(request)

    async with stubbed(exchange, max_concurrency=8) as nrm:
        before = len(asyncio.all_tasks())
        async with nrm.stream_batch(actions()) as results:
            async for result in results:
                assert result.ok
                taken += 1
                most_ahead = max(most_ahead, made - taken)
                most_tasks = max(most_tasks, len(asyncio.all_tasks()) - before)
                if taken % 1_000 == 0:
                    await asyncio.sleep(1)  # a consumer that takes its time
    assert taken == made == 20_000
    assert most_ahead <= 1_000
    assert most_tasks <= 8


@pytest.mark.looptime
@pytest.mark.parametrize(("cap", "is_stopped"), [(10, True), (120, False)])
async def test_the_cap_is_the_policys(cap: float, *, is_stopped: bool) -> None:
    """A wait that the policy does not bear stops the batch; one that it bears is waited for."""
    server = Asking(60)
    retry = RetryPolicy(max_retry_after=cap)
    async with stubbed(server, max_concurrency=1, retry=retry) as nrm:
        report = await nrm.pause_many(phones(3))
    assert report.ok is not is_stopped
    assert len(server.times) == (1 if is_stopped else 4)
