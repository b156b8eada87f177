"""memory: growth of memory from before the work to the peak, each in a separate process.

The rivals use bare aiohttp: workers that read all pages into a list of msgspec structs; workers
that drop each page; workers that pause numbers and keep only the statuses; and ``gather`` over all
pauses behind a semaphore.
"""

import asyncio
import gc
import multiprocessing
import statistics
from collections.abc import Awaitable, Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks import calls, rows
from benchmarks.local_server import LocalServer, serve
from benchmarks.measurement import Figure, Timing
from benchmarks.options import Options
from benchmarks.pages import ROWS, phone_numbers
from nrm_async import NRMClient

Work = Callable[[str, int], Awaitable[Any]]


def _client(url: str, concurrency: int) -> NRMClient:
    return NRMClient(calls.KEY, base_url=url, max_concurrency=concurrency)


async def our_list(url: str, _count: int) -> None:
    async with _client(url, rows.CONCURRENCY) as nrm:
        assert len(await nrm.inventory(on_drift="report")) % ROWS == 0


async def our_stream(url: str, _count: int) -> None:
    async with _client(url, rows.CONCURRENCY) as nrm:
        async for _ani in nrm.anis():
            pass


async def our_batch(url: str, count: int) -> None:
    async with (
        _client(url, calls.CONCURRENCY) as nrm,
        nrm.stream_batch(calls.actions(count)) as results,
    ):
        async for result in results:
            assert result.ok


async def our_report(url: str, count: int) -> None:
    async with _client(url, calls.CONCURRENCY) as nrm:
        assert not (await nrm.pause_many(phone_numbers(count))).failed


async def bare_list(url: str, count: int) -> None:
    kind: Any = msgspec.defstruct(
        "Row", list(rows.FIELDS.items()), rename=rows.camel, gc=False, frozen=True
    )
    decoder = msgspec.json.Decoder(msgspec.defstruct("Page", [("data", list[kind])]))
    kept: list[Any] = []

    def keep(body: bytes) -> int:
        page: Any = decoder.decode(body)
        kept.extend(page.data)
        return len(page.data)

    await rows.with_aiohttp(keep, url, count)


async def bare_stream(url: str, count: int) -> None:
    await rows.with_aiohttp(rows.into_structs(), url, count)


_WORK: Final[tuple[tuple[str, Work, str, Work], ...]] = (
    ("list", our_list, "aiohttp + msgspec, kept", bare_list),
    ("stream", our_stream, "aiohttp + msgspec, dropped", bare_stream),
    ("batch, streamed", our_batch, "aiohttp bare", calls.bare),
    ("batch, streamed", our_batch, "aiohttp one-liner", calls.one_liner),
    ("batch, report", our_report, "aiohttp one-liner", calls.one_liner),
)


def _peak() -> int:
    """Return the peak resident memory in bytes since the last reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


async def _warm_up(url: str) -> None:
    """Load modules, open connections and create decoders, so that they are not measured."""
    async with _client(url, 1) as nrm:
        await nrm.list_anis(page_size=ROWS)
        await nrm.pause_many(phone_numbers(10))
    await calls.one_liner(url, 10)


def _run(work: Work, url: str, count: int, pipe: Connection) -> None:
    async def run() -> int:
        await _warm_up(url)
        gc.collect()
        _reset_peak()
        before = _peak()
        await work(url, count)
        return _peak() - before

    pipe.send(asyncio.run(run()))


def _growth(work: Work, url: str, count: int) -> Timing:
    """Return the memory growth of a new process, in bytes, as ``units``."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(work, url, count, theirs), daemon=True)
    process.start()
    try:
        return Timing(units=max(1, ours.recv()))
    finally:
        process.join(10)


def measure(options: Options) -> Iterator[Figure]:
    """Yield one figure per type of work and rival."""
    count = 20 if options.quick else 200
    with serve(count) as server:
        options.note(f"memory: server {server.kind}")
        if not Path("/proc/self/clear_refs").exists():
            options.note("skipped: memory (only Linux can reset the peak memory of a process)")
            return
        for what, ours, rival, theirs in _WORK:
            yield _figure(what, rival, _rounds(ours, theirs, server, count, min(3, options.rounds)))


def _rounds(
    ours: Work, theirs: Work, server: LocalServer, pages: int, rounds: int
) -> list[tuple[float, float]]:
    count = pages if ours in (our_list, our_stream) else 100 * pages
    return [
        (
            _growth(ours, server.plain, count).units / 1e6,
            _growth(theirs, server.plain, count).units / 1e6,
        )
        for _ in range(rounds)
    ]


def _figure(what: str, rival: str, pairs: list[tuple[float, float]]) -> Figure:
    return Figure(
        f"memory, {what}",
        rival,
        "MB over the baseline",
        statistics.median(ours for ours, _ in pairs),
        statistics.median(theirs for _, theirs in pairs),
        [ours / theirs for ours, theirs in pairs],
    )
