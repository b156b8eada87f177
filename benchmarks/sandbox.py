"""Cost of the sandbox: CPU time of a pause, and time and memory for a million numbers.

The rival for a pause is a minimal aiohttp server: an ``aiohttp.web`` application whose handler
parses the JSON body and echoes it. Each server runs in a separate process and reports its own CPU
time. Rounds of pauses alternate between the servers over raw connections.

With a million numbers, the benchmark measures the seconds until the sandbox is ready, the
milliseconds for its first and last page (over HTTP, alternating), and its resident memory.

Run the benchmark with ``python -m benchmarks.sandbox``; ``--json`` prints JSON Lines.
"""

import argparse
import asyncio
import json
import multiprocessing
import resource
import statistics
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import perf_counter, process_time
from typing import Any

from aiohttp import web

from nrm_async.sandbox import Sandbox

CONNECTIONS = 16
PAUSES = 3_000  # per round
ANIS = 60_000
MILLION = 1_000_000
PAGE_ROUNDS = 15
KEY = "sandbox-key"


async def _echo(request: web.Request) -> web.Response:
    return web.json_response(await request.json())


async def _bare(pipe: Connection) -> None:
    app = web.Application()
    app.router.add_post("/nrm/pause", _echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await _report_until_stopped(pipe, runner.addresses[0][1], ())
    await runner.cleanup()


async def _sandbox(pipe: Connection) -> None:
    async with Sandbox(ANIS) as sandbox:
        active = [ani for ani in sandbox.phones if sandbox.status_of(ani).startswith("ACTIVE")]
        await _report_until_stopped(pipe, int(sandbox.root_url.rsplit(":", 1)[1]), active)


async def _million(pipe: Connection) -> None:
    async with Sandbox(MILLION) as sandbox:
        await _report_until_stopped(pipe, int(sandbox.root_url.rsplit(":", 1)[1]), ())


async def _report_until_stopped(pipe: Connection, port: int, phones: Sequence[str]) -> None:
    """Send the port, then CPU seconds and memory for each message, until ``None`` arrives."""
    pipe.send((port, phones))
    while await asyncio.to_thread(pipe.recv):
        pipe.send((process_time(), _resident()))


def _resident() -> int:
    """Return the peak resident memory in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _serve(serve: Callable[[Connection], Awaitable[None]], pipe: Connection) -> None:
    async def run() -> None:
        await serve(pipe)

    asyncio.run(run())


@contextmanager
def _server(
    serve: Callable[[Connection], Awaitable[None]],
) -> Iterator[tuple[int, Sequence[str], Connection]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(serve, theirs), daemon=True)
    process.start()
    try:
        port, phones = ours.recv()
        yield port, phones, ours
    finally:
        ours.send(None)
        process.join(10)


def _usage(pipe: Connection) -> tuple[float, int]:
    pipe.send("usage")
    cpu, memory = pipe.recv()
    return cpu, memory


def _pause_of(ani: str) -> bytes:
    body = b'{"ani":"%b","carrier":"130077","note":"resting"}' % ani.encode()
    head = (
        f"POST /nrm/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> bytes:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    body = await reader.readexactly(length)
    assert b" 200 " in head[:20], head
    return body


async def _pause_all(port: int, phones: Sequence[str]) -> None:
    async def one_connection(own: Sequence[str]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for ani in own:
            assert ani.encode() in await _exchange(reader, writer, _pause_of(ani))
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one_connection(phones[at::CONNECTIONS]) for at in range(CONNECTIONS)))


def pauses(rounds: int) -> dict[str, Any]:
    """Measure the CPU time of a pause, in microseconds and relative to the bare handler."""
    costs: dict[str, list[float]] = {"sandbox": [], "bare": []}
    with _server(_sandbox) as (ours, phones, pipe), _server(_bare) as (theirs, _, other):
        for number in range(rounds + 1):
            part = phones[number * PAUSES : (number + 1) * PAUSES]
            for name, port, server in (("sandbox", ours, pipe), ("bare", theirs, other)):
                before, _memory = _usage(server)
                asyncio.run(_pause_all(port, part))
                if number:  # the first round warms up
                    costs[name].append((_usage(server)[0] - before) / len(part) * 1e6)
    medians = {name: statistics.median(cost) for name, cost in costs.items()}
    return {
        "what": "CPU of a pause",
        **{f"{name}_microseconds": round(median, 1) for name, median in medians.items()},
        "times_the_bare_handler": round(medians["sandbox"] / medians["bare"], 2),
    }


async def _page_times(port: int) -> dict[int, list[float]]:
    pages: dict[int, list[float]] = {1: [], MILLION // 1000: []}
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    for _ in range(PAGE_ROUNDS):
        for page, times in pages.items():
            started = perf_counter()
            await _exchange(
                reader,
                writer,
                f"GET /nrm/anis?page={page} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Authorization: Bearer {KEY}\r\n\r\n".encode(),
            )
            times.append((perf_counter() - started) * 1000)
    writer.close()
    await writer.wait_closed()
    return pages


def million() -> dict[str, Any]:
    """Measure start-up time, first and last page, and memory with a million numbers."""
    started = perf_counter()
    with _server(_million) as (port, _, pipe):
        ready = perf_counter() - started
        first, last = asyncio.run(_page_times(port)).values()
        _, memory = _usage(pipe)
    medians = statistics.median(first), statistics.median(last)
    return {
        "what": f"{MILLION:,} numbers",
        "seconds_to_be_ready": round(ready, 2),
        "first_page_milliseconds": round(medians[0], 2),
        "last_page_milliseconds": round(medians[1], 2),
        "last_to_first": round(medians[1] / medians[0], 3),
        "resident_megabytes": round(memory / 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    for figures in (pauses(options.rounds), million()):
        if options.json:
            print(json.dumps(figures))
        else:
            print("  ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
