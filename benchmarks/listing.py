"""How close a concurrent listing comes to the ideal, and whether the ceiling holds.

The server is a sandbox in a process of its own that takes 100 ms for each page. The ideal is
the first page alone and then rounds of ``prefetch`` pages: 11 times 100 ms for 100 pages, ten
at a time. Beside it in the same run: pages one after the other, as a loop without concurrency
would read them (fewer pages, scaled).

Run it with ``python -m benchmarks.listing``; ``--json`` for machines.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import perf_counter

from nrm_async import NRMClient
from nrm_async.sandbox import Sandbox

PAGES = 100
AT_ONCE = 10
LATENCY = 0.1  # seconds
IDEAL = LATENCY * (1 + -(-(PAGES - 1) // AT_ONCE))
ONE_BY_ONE_PAGES = 10


def _serve(anis: int, pipe: Connection) -> None:
    async def serve() -> None:
        async with Sandbox(anis=anis, latency=LATENCY) as sandbox:
            pipe.send((sandbox.url, sandbox.api_key))
            await asyncio.to_thread(pipe.recv)
            pipe.send(sandbox.max_in_flight)

    asyncio.run(serve())


@contextmanager
def _server(anis: int) -> Iterator[tuple[str, str, Connection]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(anis, theirs), daemon=True)
    process.start()
    try:
        url, key = ours.recv()
        yield url, key, ours
    finally:
        process.join(10)


async def _read(url: str, key: str, page_size: int, prefetch: int, pages: int) -> float:
    async with NRMClient(key, base_url=url, max_concurrency=prefetch) as nrm:
        started = perf_counter()
        stream = nrm.anis(page_size=page_size, prefetch=prefetch).pages()
        read = 0
        async for _page in stream:
            read += 1
            if read == pages:
                break
        elapsed = perf_counter() - started
        await stream.aclose()
    return elapsed


def measure(page_size: int, rounds: int) -> dict[str, float | int]:
    """Seconds and ratios for pages of this many rows; medians over the rounds."""
    with _server(PAGES * page_size) as (url, key, pipe):
        ours, loop = [], []
        for _ in range(rounds):  # interleaved, so that a slow moment hits both
            ours.append(asyncio.run(_read(url, key, page_size, AT_ONCE, PAGES)))
            loop.append(asyncio.run(_read(url, key, page_size, 1, ONE_BY_ONE_PAGES)))
        pipe.send("done")
        most = pipe.recv()
    seconds = statistics.median(ours)
    one_by_one = statistics.median(loop) * PAGES / ONE_BY_ONE_PAGES
    return {
        "rows_per_page": page_size,
        "seconds": round(seconds, 3),
        "spread": round(max(ours) - min(ours), 3),
        "ideal_seconds": round(IDEAL, 3),
        "ratio_to_ideal": round(seconds / IDEAL, 3),
        "times_faster_than_one_by_one": round(one_by_one / seconds, 2),
        "most_in_flight": most,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for page_size in (10, 1000):
        figures = measure(page_size, options.rounds)
        if options.json:
            print(json.dumps(figures))
        else:
            print("  ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
