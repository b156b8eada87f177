"""stall: how long the event loop is blocked at a time while 200 pages are read.

A callback puts itself into each round of the loop and looks how long the last round took. The
longest round until a page is given out is that page's stall; over the pages there are p50, p99
and max. They are compared with the time that decoding one page takes alone, into the same rows,
and with the stalls of workers on aiohttp that decode into msgspec's structs. Time is the thread's
CPU time: when the machine lets another program run, no event loop is blocked by it.

What was there before, modules above all, is frozen for the garbage collector, as services do:
passing over all of it takes ten pages' time, whoever reads them.
"""

import asyncio
import gc
import math
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from time import thread_time
from typing import Final

import attrs

from benchmarks import pages
from benchmarks.calls import HEADERS, KEY, bare_session
from benchmarks.measuring import Aim, Contender, Figure, Took, in_turns
from benchmarks.options import Options
from benchmarks.rows import AT_ONCE, into_structs
from benchmarks.site import serve
from nrm_async import NRMClient
from nrm_async._wire import Response, read_page


@attrs.define
class Stalls(Took):
    """The longest round of the loop for each page, in seconds."""

    longest: list[float] = attrs.field(factory=list)
    _most: float = 0.0
    _page: float = 0.0
    _last: float = attrs.field(factory=thread_time)
    _is_on: bool = True

    def begin(self) -> None:
        """Watch the running loop from now on."""
        gc.collect()
        gc.freeze()
        self._last = thread_time()
        self.watch()

    def watch(self) -> None:
        """See how long the last round took, and the next one too."""
        now = thread_time()
        self._most, self._last = max(self._most, now - self._last), now
        if self._is_on:
            asyncio.get_running_loop().call_soon(self.watch)

    def page(self) -> None:
        """Take down the longest round since the last page."""
        if self._most:
            self._page, self._most = self._most, 0.0
        self.longest.append(self._page)  # two pages of one round share its time

    def stop(self) -> None:
        """Look no more."""
        self._is_on = False
        gc.unfreeze()

    def quantile(self, share: float) -> float:
        """The stall, in seconds, that so many pages stay below."""
        ordered = sorted(self.longest)
        return ordered[math.ceil(share * len(ordered)) - 1]


async def ours(url: str) -> Took:
    async with NRMClient(KEY, base_url=url, max_concurrency=AT_ONCE) as nrm:
        await nrm.list_anis()
        stalls = Stalls()
        stalls.begin()
        async for _page in nrm.anis().pages():
            await asyncio.sleep(0)  # so that the round that decoded it has ended
            stalls.page()
        stalls.stop()
    return stalls


async def bare(url: str, count: int) -> Took:
    decode = into_structs()

    async def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            async with session.get(f"{url}/anis?page={number}", headers=HEADERS) as answer:
                decode(await answer.read())
            await asyncio.sleep(0)
            stalls.page()

    async with bare_session() as session:
        stalls = Stalls()
        stalls.begin()
        numbers = iter(range(1, count + 1))
        await asyncio.gather(*(work(numbers) for _ in range(AT_ONCE)))
        stalls.stop()
    return stalls


async def decoding(count: int) -> Took:
    """Seconds for one page: the median over so many, none of them warm."""
    answers = [Response(200, pages.body(page, count)) for page in range(1, count + 1)]
    seconds = []
    for answer in answers:
        started = thread_time()
        read_page(answer, 1, pages.ROWS)
        seconds.append(thread_time() - started)
    return Took(wall=statistics.median(seconds))


_QUANTILES: Final[dict[str, Callable[[Stalls], float]]] = {
    "p50": lambda stalls: stalls.quantile(0.5),
    "p99": lambda stalls: stalls.quantile(0.99),
    "max": lambda stalls: max(stalls.longest),
}


def measure(options: Options) -> Iterator[Figure]:
    """Each quantile over the time of decoding one page, and over bare aiohttp."""
    count = 50 if options.quick else 200
    with serve(count) as site:
        options.note(f"stall: server {site.kind}")
        both: dict[str, Contender] = {
            "ours": partial(ours, site.plain),
            "aiohttp + msgspec": partial(bare, site.plain, count),
            "decoding one page": partial(decoding, 20),
        }
        taken = in_turns(both, options.rounds)
    for name, quantile in _QUANTILES.items():
        for rival in ("decoding one page", "aiohttp + msgspec"):
            yield _figure(name, rival, taken["ours"], taken[rival], quantile)


def _figure(
    name: str,
    rival: str,
    ours: list[Took],
    theirs: list[Took],
    quantile: Callable[[Stalls], float],
) -> Figure:
    def seconds(took: Took) -> float:
        return quantile(took) if isinstance(took, Stalls) else took.wall

    mine, others = [seconds(took) for took in ours], [seconds(took) for took in theirs]
    return Figure(
        f"longest stall, {name}",
        rival,
        "ms",
        1e3 * statistics.median(mine),
        1e3 * statistics.median(others),
        [m / o for m, o in zip(mine, others, strict=True)],
        aim=Aim("<=", 2.0) if (name, rival) == ("p99", "decoding one page") else None,
    )
