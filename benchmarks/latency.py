"""latency: a list of 100 pages and batches of 2,000 against a server that takes 100 ms.

The ideal of the list is the first page alone and then rounds of ten pages; that of the batch is
rounds of as many pauses as are allowed at once. Beside them, a rival that does the same with
bare aiohttp, told all that this client has to find out: how many pages there are, and that the
server bears so many calls at once.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final

from benchmarks.calls import HEADERS, KEY, bare_session
from benchmarks.measuring import Aim, Figure, Took, in_turns, stopwatch
from benchmarks.options import Options
from benchmarks.pages import ROWS, numbers
from benchmarks.rows import into_structs
from benchmarks.site import serve
from nrm_async import NRMClient, Outcome

LATENCY: Final = 0.1  # seconds
PAGES: Final = 100
PAGES_AT_ONCE: Final = 10
CALLS: Final = 2_000
CALLS_AT_ONCE: Final = (16, 50)  # the first is the client's default


def ideal(things: int, at_once: int) -> float:
    """Seconds for so many things in rounds."""
    return LATENCY * -(-things // at_once)


async def our_list(url: str) -> Took:
    async with NRMClient(KEY, base_url=url, max_concurrency=PAGES_AT_ONCE) as nrm:
        with stopwatch() as took:
            rows = 0
            async for page in nrm.anis().pages():
                rows += len(page)
    assert rows == PAGES * ROWS
    return took


async def bare_list(url: str) -> Took:
    decode = into_structs()

    async def fetch(number: int) -> int:
        async with session.get(f"{url}/anis?page={number}", headers=HEADERS) as answer:
            return decode(await answer.read())

    async def work(left: Iterator[int]) -> int:
        return sum([await fetch(number) for number in left])

    async with bare_session() as session:
        with stopwatch() as took:
            rows = await fetch(1)
            left = iter(range(2, PAGES + 1))
            rows += sum(await asyncio.gather(*(work(left) for _ in range(PAGES_AT_ONCE))))
    assert rows == PAGES * ROWS
    return took


async def our_batch(at_once: int, url: str) -> Took:
    async with NRMClient(KEY, base_url=url, max_concurrency=at_once) as nrm:
        with stopwatch() as took:
            report = await nrm.pause_many(numbers(CALLS))
    assert report.counts[Outcome.APPLIED] == CALLS
    return took


async def bare_batch(at_once: int, url: str) -> Took:
    async def work(phones: Iterator[str]) -> None:
        for phone in phones:
            request = session.post(f"{url}/pause", json={"ani": phone}, headers=HEADERS)
            async with request as answer:
                assert (await answer.json())["ani"] == phone

    async with bare_session() as session:
        with stopwatch() as took:
            phones = numbers(CALLS)
            await asyncio.gather(*(work(phones) for _ in range(at_once)))
    return took


Run = Callable[[str], Awaitable[Took]]
_WORK: Final[dict[str, tuple[Run, Run, float]]] = {
    f"list of {PAGES} pages, {PAGES_AT_ONCE} at once": (
        our_list,
        bare_list,
        LATENCY + ideal(PAGES - 1, PAGES_AT_ONCE),
    ),
    **{
        f"batch of {CALLS:,}, {at_once} at once": (
            partial(our_batch, at_once),
            partial(bare_batch, at_once),
            ideal(CALLS, at_once),
        )
        for at_once in CALLS_AT_ONCE
    },
}


def measure(options: Options) -> Iterator[Figure]:
    """Each over its ideal, and over bare aiohttp."""
    with serve(PAGES, latency=LATENCY) as site:
        options.note(f"latency: server {site.kind}")
        for what, (ours, bare, least) in _WORK.items():
            both = {"ours": partial(ours, site.plain), "bare": partial(bare, site.plain)}
            rounds = min(3, options.rounds)  # the spread is small, and waiting takes long
            taken = in_turns(both, rounds)
            yield _over(what, taken["ours"], "the ideal", [Took(wall=least)] * rounds)
            yield _over(what, taken["ours"], "aiohttp bare", taken["bare"])


def _over(what: str, ours: list[Took], rival: str, theirs: list[Took]) -> Figure:
    return Figure(
        what,
        rival,
        "s",
        statistics.median(took.wall for took in ours),
        statistics.median(took.wall for took in theirs),
        [mine.wall / other.wall for mine, other in zip(ours, theirs, strict=True)],
        aim=Aim("<=", 1.05) if rival == "the ideal" else None,
    )
