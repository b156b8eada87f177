"""latency: a list of 100 pages and batches of 2,000 pauses, with a latency of 100 ms.

The ideal time for the list is one round for the first page, and then rounds of ten pages. The ideal
time for a batch is full rounds of concurrent pauses. The other rival is bare aiohttp, which is
given the information that this client has to discover: the number of pages and the concurrency
that the server accepts.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final

from benchmarks.calls import HEADERS, KEY, bare_session
from benchmarks.local_server import serve
from benchmarks.measurement import Aim, Figure, Timing, interleave, stopwatch
from benchmarks.options import Options
from benchmarks.pages import ROWS, phone_numbers
from benchmarks.rows import into_structs
from nrm_async import NRMClient, Outcome

LATENCY: Final = 0.1  # seconds
PAGES: Final = 100
PAGE_CONCURRENCY: Final = 10
CALLS: Final = 2_000
CALL_CONCURRENCY: Final = (16, 50)  # the first is the client's default


def ideal(requests: int, concurrency: int) -> float:
    """Return the seconds that the requests take in full rounds."""
    return LATENCY * -(-requests // concurrency)


async def our_list(url: str) -> Timing:
    async with NRMClient(KEY, base_url=url, max_concurrency=PAGE_CONCURRENCY) as nrm:
        with stopwatch() as timing:
            rows = 0
            async for page in nrm.anis().pages():
                rows += len(page)
    assert rows == PAGES * ROWS
    return timing


async def bare_list(url: str) -> Timing:
    decode = into_structs()

    async def fetch(number: int) -> int:
        async with session.get(f"{url}/anis?page={number}", headers=HEADERS) as answer:
            return decode(await answer.read())

    async def work(left: Iterator[int]) -> int:
        return sum([await fetch(number) for number in left])

    async with bare_session() as session:
        with stopwatch() as timing:
            rows = await fetch(1)
            left = iter(range(2, PAGES + 1))
            rows += sum(await asyncio.gather(*(work(left) for _ in range(PAGE_CONCURRENCY))))
    assert rows == PAGES * ROWS
    return timing


async def our_batch(concurrency: int, url: str) -> Timing:
    async with NRMClient(KEY, base_url=url, max_concurrency=concurrency) as nrm:
        with stopwatch() as timing:
            report = await nrm.pause_many(phone_numbers(CALLS))
    assert report.counts[Outcome.APPLIED] == CALLS
    return timing


async def bare_batch(concurrency: int, url: str) -> Timing:
    async def work(phones: Iterator[str]) -> None:
        for phone in phones:
            request = session.post(f"{url}/pause", json={"ani": phone}, headers=HEADERS)
            async with request as answer:
                assert (await answer.json())["ani"] == phone

    async with bare_session() as session:
        with stopwatch() as timing:
            phones = phone_numbers(CALLS)
            await asyncio.gather(*(work(phones) for _ in range(concurrency)))
    return timing


Run = Callable[[str], Awaitable[Timing]]
_WORK: Final[dict[str, tuple[Run, Run, float]]] = {
    f"list of {PAGES} pages, {PAGE_CONCURRENCY} concurrent": (
        our_list,
        bare_list,
        LATENCY + ideal(PAGES - 1, PAGE_CONCURRENCY),
    ),
    **{
        f"batch of {CALLS:,}, {concurrency} concurrent": (
            partial(our_batch, concurrency),
            partial(bare_batch, concurrency),
            ideal(CALLS, concurrency),
        )
        for concurrency in CALL_CONCURRENCY
    },
}


def measure(options: Options) -> Iterator[Figure]:
    """Yield the figures of each list and batch, relative to the ideal and to bare aiohttp."""
    with serve(PAGES, latency=LATENCY) as server:
        options.note(f"latency: server {server.kind}")
        for what, (ours, bare, least) in _WORK.items():
            both = {"ours": partial(ours, server.plain), "bare": partial(bare, server.plain)}
            rounds = min(3, options.rounds)  # rounds are slow and vary little
            timings = interleave(both, rounds)
            yield _over(what, timings["ours"], "the ideal", [Timing(wall=least)] * rounds)
            yield _over(what, timings["ours"], "aiohttp bare", timings["bare"])


def _over(what: str, ours: list[Timing], rival: str, theirs: list[Timing]) -> Figure:
    return Figure(
        what,
        rival,
        "s",
        statistics.median(timing.wall for timing in ours),
        statistics.median(timing.wall for timing in theirs),
        [mine.wall / other.wall for mine, other in zip(ours, theirs, strict=True)],
        aim=Aim("<=", 1.05) if rival == "the ideal" else None,
    )
