"""Flow control: throughput of clients that do not know the server's limits.

``limits``    Servers that limit calls per second or concurrent calls, with and without
              ``Retry-After``, at 80 ms latency. The client has ``max_concurrency=64`` and default
              settings otherwise. The rivals are a fixed pool of 50 workers with the vendor's retry
              rule, and plain ``gather``. Each run sends two minutes' worth of calls, and also
              reports the throughput of the first 30 seconds.
``outage``    An outage of 10 minutes with 50,000 pending items.
``transient`` Random failures of 30 % of attempts, provably without effect.
``million``   A million lazily generated actions over a stub: memory, and CPU time per item compared
              with a bare worker loop over the same stub.

All parts except ``million`` run on virtual time with a fixed seed, so their figures are the same on
any machine. Run the benchmark with ``python -m benchmarks.flow [PART…]``; ``--json`` prints JSON
Lines, and ``python -m benchmarks tables FILE`` writes their table to ``benchmarks/README.md``.
"""

import argparse
import asyncio
import gc
import itertools
import json
import random
import resource
import statistics
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any, Final, TypeAlias

import attrs
import msgspec

from benchmarks.servers import (
    Server,
    concurrency_limit,
    fixed_window,
    sliding_window,
    token_bucket,
)
from benchmarks.stub import Limited, StubTransport, applied, on_virtual_time, stubbed
from benchmarks.tables import OURS, RIVAL
from nrm_async import NotSentError, NRMError, Outcome, Pause
from nrm_async._context import CallContext
from nrm_async._wire import Request, Response, action_request

Figures: TypeAlias = dict[str, Any]

LATENCY: Final = 0.08  # seconds
CONCURRENCY: Final = 64
SECONDS: Final = 120
FIRST: Final = 30  # seconds
KINDS: Final[dict[str, Callable[[int], Server]]] = {
    "bucket, 50 ms of burst": lambda rate: token_bucket(rate, 0.05),
    "bucket, 1 s of burst": lambda rate: token_bucket(rate, 1.0),
    "sliding window": sliding_window,
    "fixed window": fixed_window,
}


def pauses(count: int) -> Iterator[Pause]:
    """Return an iterator that lazily creates pauses of different numbers."""
    return (Pause(str(2_000_000_000 + number)) for number in range(count))


# --- limits ---------------------------------------------------------------------------------


async def ours(server: Limited, count: int) -> int:
    """Run this client and return the number of failed items."""
    async with stubbed(server, max_concurrency=CONCURRENCY) as nrm:
        report = await nrm.run_batch(pauses(count))
    return len(report.failed)


async def vendors_rule(server: Limited, count: int) -> int:
    """Run 50 workers that retry only 429, at most twice, with backoff from 0.5 s up to 8 s."""
    dice, items, lost = random.Random(1), pauses(count), 0

    async def work() -> None:
        nonlocal lost
        for item in items:
            for attempt in range(3):
                answer = await server(action_request(item))
                if answer.status != 429:
                    break
                retry_after = float(answer.headers.get("Retry-After", 0))
                backoff = min(8.0, 0.5 * 2**attempt) * dice.random()
                if attempt < 2:
                    await asyncio.sleep(max(retry_after, backoff))
            lost += answer.status == 429

    await asyncio.gather(*(work() for _ in range(50)))
    return lost


async def gathered(server: Limited, count: int) -> int:
    """Send all calls concurrently, without retries."""
    answers = await asyncio.gather(*(server(action_request(item)) for item in pauses(count)))
    return sum(answer.status == 429 for answer in answers)


CLIENTS: Final[dict[str, Callable[[Limited, int], Awaitable[int]]]] = {
    OURS: ours,
    RIVAL: vendors_rule,
    "gather": gathered,
}


@attrs.define
class _Switching:
    """Server that switches to another one after a number of accepted calls."""

    before: Server
    after: Server
    calls: int
    _accepted: int = 0

    def __call__(self, now: float, in_flight: int) -> float | None:
        server = self.before if self._accepted < self.calls else self.after
        wait = server(now, in_flight)
        self._accepted += wait is None
        return wait


@attrs.frozen
class Scenario:
    """A server, a number of calls, and the seconds an ideal client needs to make them."""

    name: str
    make: Callable[[], Server]
    calls: int
    ideal: float
    first_per_second: float  # calls per second at the beginning


def scenarios() -> Iterator[Scenario]:
    """Yield servers that limit calls per second, concurrent calls, or one after the other."""
    for name, rate in (("a: 200/s", 200), ("b: 20/s", 20)):
        for kind, make in KINDS.items():
            yield Scenario(f"{name}, {kind}", partial(make, rate), SECONDS * rate, SECONDS, rate)
    most = round(SECONDS * 20 / LATENCY)
    yield Scenario("c: 20 concurrent", partial(concurrency_limit, 20), most, SECONDS, 20 / LATENCY)
    first = SECONDS * 200
    for kind, make in KINDS.items():
        yield Scenario(
            f"d: 200/s, then 20 concurrent, {kind}",
            lambda make=make: _Switching(make(200), concurrency_limit(20), first),  # type: ignore[misc]
            first + most,
            2 * SECONDS,
            200,
        )


def limits() -> Iterator[Figures]:
    """Yield one row per server and client, with and without ``Retry-After``."""
    for one, names_a_time, (who, run) in itertools.product(
        scenarios(), (False, True), CLIENTS.items()
    ):
        server = Limited(one.make(), LATENCY, names_a_time)
        lost, took = on_virtual_time(_timed(run(server, one.calls)))
        per_second = one.calls / one.ideal
        first = sum(at < FIRST for at in server.accepted) / FIRST
        yield {
            "server": one.name,
            "Retry-After": "yes" if names_a_time else "no",
            "client": who,
            "calls": one.calls,
            # A client that gives up on calls finishes early, but does not use more of the capacity.
            "goodput_%": round(100 * len(server.accepted) / max(took, one.ideal) / per_second, 1),
            "first_30_s_%": round(100 * first / one.first_per_second, 1),
            "429_%": round(100 * server.refused_share, 2),
            "lost": lost,
        }


async def _timed(work: Awaitable[int]) -> tuple[int, float]:
    loop = asyncio.get_running_loop()
    started = loop.time()
    return await work, loop.time() - started


# --- outage and transient faults ------------------------------------------------------------


def outage() -> Iterator[Figures]:
    """Refuse connections for ten minutes in the middle of a batch."""
    items, begins, lasts = 50_000, 5.0, 600.0
    dice, sent, done = random.Random(1), Counter[str](), list[float]()

    async def exchange(request: Request) -> Response | NRMError:
        now = asyncio.get_running_loop().time()
        sent[request.path] += 1
        if begins <= now < begins + lasts:
            await asyncio.sleep(0.001)
            return NotSentError("the request was not sent: connection refused")
        await asyncio.sleep(LATENCY * (1 + 0.1 * dice.random()))
        if request.body is not None:
            done.append(asyncio.get_running_loop().time())
        return applied(request)

    async def run() -> int:
        async with stubbed(exchange, max_concurrency=CONCURRENCY) as nrm:
            return len((await nrm.run_batch(pauses(items))).failed)

    lost = on_virtual_time(run())
    back = begins + lasts
    before = _per_second(done, begins - 2)
    after = next(s for s in itertools.count() if _per_second(done, back + s) >= 0.8 * before)
    yield {
        "items": items,
        "outage_s": lasts,
        "attempts_per_item": round(sum(sent.values()) / items, 4),
        "lost": lost,
        "first_success_after_s": round(min(at for at in done if at >= back) - back, 2),
        "80_%_of_throughput_after_s": after + 2,
    }


def _per_second(times: list[float], since: float) -> float:
    return sum(since <= at < since + 2 for at in times) / 2


def transient() -> Iterator[Figures]:
    """Refuse connections at random, return 429 at random, and do both."""
    items = 20_000
    for name, kinds in (("not sent", "n"), ("429", "t"), ("both", "nt")):
        dice, sent = random.Random(1), itertools.count()

        async def exchange(
            request: Request, dice: Any = dice, sent: Any = sent, kinds: str = kinds
        ) -> Response | NRMError:
            next(sent)
            await asyncio.sleep(LATENCY)
            if dice.random() >= 0.3:
                return applied(request)
            if dice.choice(kinds) == "n":
                return NotSentError("the request was not sent: connection refused")
            return Response(429, b"{}")

        async def run(exchange: Any = exchange) -> int:
            async with stubbed(exchange, max_concurrency=CONCURRENCY) as nrm:
                return len((await nrm.run_batch(pauses(items))).succeeded)

        succeeded, took = on_virtual_time(_timed(run()))
        yield {
            "30 % fail": name,
            "items": items,
            "succeeded_%": round(100 * succeeded / items, 3),
            "attempts_per_item": round(next(sent) / items, 3),
            "virtual_seconds": round(took, 1),
        }


# --- a million ------------------------------------------------------------------------------


def _resident() -> int:
    """Return the resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def _exchange(request: Request) -> Response:
    await asyncio.sleep(0)
    return applied(request)


async def _bare(count: int) -> float:
    """Return the CPU seconds of workers that share an iterator, send, and decode.

    Decoding is necessary because the API can refuse an action with status 200.
    """
    transport, items, ok = StubTransport(_exchange), pauses(count), 0

    async def work() -> None:
        nonlocal ok
        for item in items:
            answer = await transport.send(action_request(item), CallContext())
            if isinstance(answer, Response) and answer.status == 200:
                ok += msgspec.json.decode(answer.body).get("status") == "paused"

    started = process_time()
    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    assert ok == count
    return process_time() - started


async def _transport_alone(count: int) -> float:
    """Return the CPU seconds of the stub alone for the same actions."""
    transport = StubTransport(_exchange)
    requests = [action_request(item) for item in pauses(1_000)]
    started = process_time()

    async def work() -> None:
        for request in itertools.islice(itertools.cycle(requests), count // CONCURRENCY):
            await transport.send(request, CallContext())

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    return process_time() - started


async def _streamed(count: int) -> tuple[float, int]:
    """Return the CPU seconds of ``stream_batch`` and the peak growth of memory in bytes."""
    gc.collect()
    before = most = _resident()
    applied_count = 0
    async with stubbed(_exchange, max_concurrency=CONCURRENCY) as nrm:
        started = process_time()
        async with nrm.stream_batch(pauses(count)) as results:
            async for result in results:
                applied_count += result.outcome is Outcome.APPLIED
                if result.index % 10_000 == 0:
                    most = max(most, _resident())
        took = process_time() - started
    assert applied_count == count
    return took, most - before


def million(count: int = 1_000_000, rounds: int = 3) -> Iterator[Figures]:
    """Measure memory over all items, and CPU time in shorter rounds alternating with the rival."""
    _, grown = asyncio.run(_streamed(count))
    part = max(CONCURRENCY, count // 20)
    above = []
    for _ in range(rounds):
        stub = asyncio.run(_transport_alone(part))
        bare = asyncio.run(_bare(part)) - stub
        mine = asyncio.run(_streamed(part))[0] - stub
        above.append((mine / bare, 1e6 * mine / part, 1e6 * bare / part))
    ratios, mine_us, bare_us = (statistics.median(column) for column in zip(*above, strict=True))
    yield {
        "items": count,
        "memory_grown_MB": round(grown / 1e6, 1),
        "cpu_above_transport_ratio": round(ratios, 2),
        "us_per_item": round(mine_us, 1),
        "bare_us_per_item": round(bare_us, 1),
    }


PARTS: Final[dict[str, Callable[[], Iterator[Figures]]]] = {
    "limits": limits,
    "outage": outage,
    "transient": transient,
    "million": million,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    options = parser.parse_args()
    for part in options.parts or PARTS:
        title = None
        for figures in PARTS[part]():
            if options.json:
                print(json.dumps({"part": part, **figures}), flush=True)
                continue
            if title is None:
                title = list(figures)
                print(f"\n{part}\n" + " | ".join(title), flush=True)
            print(" | ".join(str(value) for value in figures.values()), flush=True)


if __name__ == "__main__":
    main()
