"""Flow control by whole clients, with a stub transport and virtual time."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.servers import Server, concurrency_limit, token_bucket
from benchmarks.stub import Limited, applied, stubbed, too_many
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
from tests.fakes import on_virtual_time

LATENCY = 0.08


def now() -> float:
    return asyncio.get_running_loop().time()


def phones(count: int, first: int = 0) -> list[str]:
    return [str(2_000_000_000 + first + number) for number in range(count)]


@attrs.define
class Spy:
    """A server that counts the calls in flight, and lets some of them fail."""

    rng: random.Random
    inside: int = 0
    most: int = 0

    async def __call__(self, request: Request) -> Response | NRMError:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(self.rng.random())
        finally:
            self.inside -= 1
        fate = self.rng.random()
        if fate < 0.1:
            return too_many(self.rng.choice([None, 1]))
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


@settings(max_examples=25, deadline=None)  # wall-clock time depends on the load of the machine
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
def test_max_concurrency_is_never_exceeded(
    jobs: list[tuple[str, int, float]], ceilings: tuple[int, int], seed: int
) -> None:
    """It holds for two clients with concurrent lists, single calls and cancelled batches."""
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


@pytest.mark.parametrize(
    ("make", "rate", "retry_after"),
    [(lambda: concurrency_limit(20), 250, False), (lambda: token_bucket(200, 0.1), 200, True)],
    ids=["concurrency", "rate with Retry-After"],
)
def test_a_client_finds_a_limit(
    make: Callable[[], Server], rate: int, *, retry_after: bool
) -> None:
    """Half a minute, including learning, uses most of the limit, and no item is lost."""
    server = Limited(make(), LATENCY, retry_after)

    async def run() -> float:
        async with stubbed(server, max_concurrency=64) as nrm:
            report = await nrm.pause_many(phones(30 * rate))
            assert report.counts[Outcome.APPLIED] == 30 * rate
        return now()

    seconds = on_virtual_time(run())
    assert 30 / seconds >= (0.75 if retry_after else 0.9)
    assert server.refused_share <= 0.05


def test_an_outage_fails_no_item_and_costs_few_attempts() -> None:
    """Only probes, which are reads, are sent until the API is back; then the batch goes on."""
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
def test_transient_faults_fail_no_item(fault: str) -> None:
    """Where 30 % of attempts fail, every item succeeds, with 1.6 attempts on average at most."""
    rng, sent = random.Random(3), list[float]()

    async def exchange(request: Request) -> Response | NRMError:
        sent.append(now())
        await asyncio.sleep(LATENCY)
        if rng.random() >= 0.3:
            return applied(request)
        return too_many(None) if fault == "429" else NotSentError("the request was not sent")

    async def run() -> int:
        async with stubbed(exchange, max_concurrency=64) as nrm:
            return len((await nrm.pause_many(phones(1_000))).succeeded)

    assert on_virtual_time(run()) == 1_000
    assert len(sent) <= 1.6 * 1_000


async def refused(_request: Request) -> NRMError:
    await asyncio.sleep(0.01)
    return NotSentError("the request was not sent: connection refused")


@pytest.mark.looptime
async def test_the_retry_budget_limits_single_calls() -> None:
    """A hundred retries are allowed, and ten more a second; then calls raise."""
    async with stubbed(refused, max_concurrency=64, retry=RetryPolicy(base=0)) as nrm:
        calls = [nrm.pause(phone) for phone in phones(60)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(error, NotSentError) for error in ended)
        assert 100 <= nrm.stats().retries <= 100 + 10 * now() + 1
        assert now() < 1


@attrs.define
class AsksToWait:
    """A server that answers its first request with a ``Retry-After``."""

    seconds: int
    times: list[float] = attrs.field(factory=list)

    async def __call__(self, request: Request) -> Response:
        self.times.append(now())
        is_first = len(self.times) == 1
        await asyncio.sleep(0.01)
        return too_many(self.seconds) if is_first else applied(request)


@pytest.mark.looptime
async def test_a_single_call_raises_a_retry_after_above_the_cap() -> None:
    """The error has the seconds that the server asked to wait."""
    async with stubbed(AsksToWait(600)) as nrm:
        with pytest.raises(RateLimitError) as caught:
            await nrm.pause("2345678901")
        assert caught.value.retry_after == 600
        assert now() < 1


@pytest.mark.looptime
async def test_a_batch_waits_out_a_retry_after_within_its_deadline() -> None:
    """Only the refused item waits; the others are not delayed."""
    server = AsksToWait(600)
    async with stubbed(server) as nrm:
        report = await nrm.pause_many(phones(50), deadline=1_000)
    assert report.ok
    assert sum(at < 60 for at in server.times) == 50
    assert server.times[-1] >= 600


@pytest.mark.looptime
@pytest.mark.parametrize("deadline", [None, 500])
async def test_a_retry_after_beyond_the_deadline_stops_a_batch(deadline: float | None) -> None:
    """The refused item has the error; all items can be retried, including those not sent."""
    server = AsksToWait(600)
    async with stubbed(server, max_concurrency=1) as nrm:
        report = await nrm.pause_many(phones(5), deadline=deadline)
    assert isinstance(report.failed[0].error, RateLimitError)
    assert all(isinstance(failed.error, BatchStoppedError) for failed in report.failed[1:])
    assert len(report.retryable) == 5
    assert len(server.times) == 1


@pytest.mark.looptime
async def test_a_stream_is_bounded_in_tasks_and_inputs_read_ahead() -> None:
    """However long the input, there are 8 worker tasks, and 1,000 inputs at most are in memory."""
    made = taken = most_ahead = most_tasks = 0

    async def actions() -> AsyncIterator[Pause]:
        nonlocal made
        for phone in phones(5_000):
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
                    await asyncio.sleep(1)  # a slow consumer
    assert taken == made == 5_000
    assert most_ahead <= 1_000
    assert most_tasks <= 8


@pytest.mark.looptime
@pytest.mark.parametrize(("cap", "is_stopped"), [(10, True), (120, False)])
async def test_max_retry_after(cap: float, *, is_stopped: bool) -> None:
    """A longer wait than the policy allows stops the batch; a shorter one is waited out."""
    server = AsksToWait(60)
    retry = RetryPolicy(max_retry_after=cap)
    async with stubbed(server, max_concurrency=1, retry=retry) as nrm:
        report = await nrm.pause_many(phones(3))
    assert report.ok is not is_stopped
    assert len(server.times) == (1 if is_stopped else 4)
