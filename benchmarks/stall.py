"""stall: longest blocking of the event loop while 200 pages are read.

A callback reschedules itself in each iteration of the event loop and measures the duration of the
previous iteration. The stall of a page is the longest iteration before the page is yielded; p50,
p99 and max refer to all pages. They are compared with the time to decode one page into the same
rows, and with the stalls of aiohttp workers that decode into msgspec structs. Times are CPU times
of the thread, which exclude other programs on the machine.

Objects that exist before the measurement, mostly modules, are excluded from garbage collection with
``gc.freeze``, as in many services. A full collection of these objects takes as long as decoding ten
pages, for any reader.
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
from benchmarks.local_server import serve
from benchmarks.measurement import Aim, Contender, Figure, Timing, interleave
from benchmarks.options import Options
from benchmarks.rows import CONCURRENCY, into_structs
from nrm_async import NRMClient
from nrm_async._wire import Response, read_page


@attrs.define
class Stalls(Timing):
    """Longest event loop iteration before each page, in seconds."""

    longest: list[float] = attrs.field(factory=list)
    _most: float = 0.0
    _page: float = 0.0
    _last: float = attrs.field(factory=thread_time)
    _is_running: bool = True

    def begin(self) -> None:
        """Start measuring the running event loop."""
        gc.collect()
        gc.freeze()
        self._last = thread_time()
        self._measure()

    def _measure(self) -> None:
        now = thread_time()
        self._most, self._last = max(self._most, now - self._last), now
        if self._is_running:
            asyncio.get_running_loop().call_soon(self._measure)

    def page(self) -> None:
        """Record the longest iteration since the last page."""
        if self._most:
            self._page, self._most = self._most, 0.0
        self.longest.append(self._page)  # pages of the same iteration share its time

    def stop(self) -> None:
        """Stop measuring."""
        self._is_running = False
        gc.unfreeze()

    def quantile(self, share: float) -> float:
        """Return a quantile of the stalls, in seconds."""
        ordered = sorted(self.longest)
        return ordered[math.ceil(share * len(ordered)) - 1]


async def ours(url: str) -> Timing:
    async with NRMClient(KEY, base_url=url, max_concurrency=CONCURRENCY) as nrm:
        await nrm.list_anis()
        stalls = Stalls()
        stalls.begin()
        async for _page in nrm.anis().pages():
            await asyncio.sleep(0)  # ends the iteration that decoded the page
            stalls.page()
        stalls.stop()
    return stalls


async def bare(url: str, count: int) -> Timing:
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
        await asyncio.gather(*(work(numbers) for _ in range(CONCURRENCY)))
        stalls.stop()
    return stalls


async def decoding(count: int) -> Timing:
    """Return the median time to decode a page, decoding each page only once."""
    answers = [Response(200, pages.body(page, count)) for page in range(1, count + 1)]
    seconds = []
    for answer in answers:
        started = thread_time()
        read_page(answer, 1, pages.ROWS)
        seconds.append(thread_time() - started)
    return Timing(wall=statistics.median(seconds))


_QUANTILES: Final[dict[str, Callable[[Stalls], float]]] = {
    "p50": lambda stalls: stalls.quantile(0.5),
    "p99": lambda stalls: stalls.quantile(0.99),
    "max": lambda stalls: max(stalls.longest),
}


def measure(options: Options) -> Iterator[Figure]:
    """Yield the figures per quantile, relative to decoding a page and to aiohttp workers."""
    count = 50 if options.quick else 200
    with serve(count) as server:
        options.note(f"stall: server {server.kind}")
        both: dict[str, Contender] = {
            "ours": partial(ours, server.plain),
            "aiohttp + msgspec": partial(bare, server.plain, count),
            "decoding one page": partial(decoding, 20),
        }
        timings = interleave(both, options.rounds)
    for name, quantile in _QUANTILES.items():
        for rival in ("decoding one page", "aiohttp + msgspec"):
            yield _figure(name, rival, timings["ours"], timings[rival], quantile)


def _figure(
    name: str,
    rival: str,
    ours: list[Timing],
    theirs: list[Timing],
    quantile: Callable[[Stalls], float],
) -> Figure:
    def seconds(timing: Timing) -> float:
        return quantile(timing) if isinstance(timing, Stalls) else timing.wall

    mine, others = [seconds(timing) for timing in ours], [seconds(timing) for timing in theirs]
    return Figure(
        f"longest stall, {name}",
        rival,
        "ms",
        1e3 * statistics.median(mine),
        1e3 * statistics.median(others),
        [m / o for m, o in zip(mine, others, strict=True)],
        aim=Aim("<=", 2.0) if (name, rival) == ("p99", "decoding one page") else None,
    )
