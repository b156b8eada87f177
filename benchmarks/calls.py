"""calls: CPU time of a pause in a batch, with 50 pauses in flight.

Rivals: ``aiohttp bare`` sends the same request through a session with the same settings, from
workers that share an iterator, and reads and decodes the response; ``aiohttp one-liner`` is the
usual ``session.post(json=…)`` in ``gather`` behind a semaphore; httpx; and a TypeScript SDK if
specified.
"""

import asyncio
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any, Final

import aiohttp
import msgspec

from benchmarks.local_server import LocalServer, serve
from benchmarks.measurement import (
    Aim,
    Contender,
    Figure,
    Timing,
    compare,
    interleave,
    loops,
    stopwatch,
)
from benchmarks.options import Options
from benchmarks.pages import phone_numbers
from benchmarks.typescript import typescript
from nrm_async import NRMClient, Outcome, Pause

CONCURRENCY: Final = 50
# Every character occurs in each response, so the search for a leaked key never ends early.
KEY: Final = "0e1a5d3c9b7f2846d0c4e8a6b1f39725"
HEADERS: Final = {
    "Authorization": f"Bearer {KEY}",
    "Content-Type": "application/json",
    "Accept": "application/json",
    "User-Agent": "benchmarks",
}
_WARM_UP: Final = 200


def actions(count: int) -> Iterator[Pause]:
    """Return an iterator that lazily creates ``count`` pauses."""
    return (Pause(phone) for phone in phone_numbers(count))


async def ours(url: str, count: int, session: aiohttp.ClientSession | None = None) -> Timing:
    """Pause with this client."""
    client = NRMClient(KEY, base_url=url, max_concurrency=CONCURRENCY, session=session)
    async with client as nrm:
        await nrm.pause_many(phone_numbers(_WARM_UP))
        with stopwatch(count) as timing:
            report = await nrm.pause_many(phone_numbers(count))
    assert report.counts[Outcome.APPLIED] == count
    return timing


async def ours_with_session(url: str, count: int) -> Timing:
    """Pause with this client and a user's session, as is also required for proxies and tracing."""
    async with bare_session() as session:
        return await ours(url, count, session)


def bare_session() -> aiohttp.ClientSession:
    """Return a session with the same settings as that of the client."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
    )


async def bare(url: str, count: int) -> Timing:
    """Pause with minimal code around an aiohttp session."""
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
    timeout = aiohttp.ClientTimeout(total=30)
    statuses: list[str] = []

    async def work(phones: Iterator[str]) -> None:
        for phone in phones:
            async with session.post(
                f"{url}/pause",
                data=encode({"ani": phone}),
                headers=HEADERS,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                statuses.append(decode(await answer.read())["status"])

    async def work_all(count: int) -> None:
        phones = phone_numbers(count)
        await asyncio.gather(*(work(phones) for _ in range(CONCURRENCY)))

    async with bare_session() as session:
        await work_all(_WARM_UP)
        statuses.clear()
        with stopwatch(count) as timing:
            await work_all(count)
    assert statuses == ["paused"] * count
    return timing


async def one_liner(url: str, count: int) -> Timing:
    """Pause with the code that most programs use."""
    semaphore = asyncio.Semaphore(CONCURRENCY)

    async def pause(phone: str) -> Any:
        async with semaphore, session.post(f"{url}/pause", json={"ani": phone}) as answer:
            return await answer.json()

    async with aiohttp.ClientSession(headers=HEADERS) as session:
        await asyncio.gather(*(pause(phone) for phone in phone_numbers(_WARM_UP)))
        with stopwatch(count) as timing:
            answers = await asyncio.gather(*(pause(phone) for phone in phone_numbers(count)))
    assert all(answer["status"] == "paused" for answer in answers)
    return timing


async def httpx(url: str, count: int) -> Timing:
    """Pause half as many numbers with httpx and its defaults, because it is slower."""
    library: Any = import_module("httpx")  # an extra
    count = max(CONCURRENCY, count // 2)
    semaphore = asyncio.Semaphore(CONCURRENCY)

    async def pause(phone: str) -> Any:
        async with semaphore:
            return (await client.post(f"{url}/pause", json={"ani": phone})).json()

    async with library.AsyncClient(headers=HEADERS, trust_env=False) as client:
        await asyncio.gather(*(pause(phone) for phone in phone_numbers(min(count, _WARM_UP))))
        with stopwatch(count) as timing:
            answers = await asyncio.gather(*(pause(phone) for phone in phone_numbers(count)))
    assert all(answer["status"] == "paused" for answer in answers)
    return timing


def contenders(server: LocalServer, count: int, options: Options) -> dict[str, Contender]:
    """Return this client and its rivals, in execution order."""
    names = {
        _OURS: ours,
        _BORROWED: ours_with_session,
        "aiohttp bare": bare,
        "aiohttp one-liner": one_liner,
    }
    entrants: dict[str, Contender] = {
        name: partial(run, server.plain, count) for name, run in names.items()
    }
    if options.has("httpx"):
        entrants["httpx"] = partial(httpx, server.plain, count)
    if options.typescript is not None:
        entrants["TypeScript SDK"] = partial(
            typescript, options.typescript, "pauses", server.plain, KEY, count, CONCURRENCY
        )
    return entrants


_OURS: Final = "nrm_async"
_BORROWED: Final = "nrm_async, external session"
_AIMS: Final = {"aiohttp bare": Aim("<=", 1.15), "aiohttp one-liner": Aim("<", 1.0)}


def measure(options: Options) -> Iterator[Figure]:
    """Yield one figure per rival and event loop."""
    count = 50 if options.quick else 4_000
    with serve() as server:
        options.note(f"calls: server {server.kind}")
        for loop, factory in loops().items():
            entrants = contenders(server, count, options)
            timings = interleave(entrants, options.rounds, factory)
            what = f"a pause, {CONCURRENCY} in flight, {loop}"
            for rival in list(entrants)[2:]:
                yield compare(what, timings, _OURS, rival, _AIMS.get(rival))
            yield compare(f"{what}, external session", timings, _BORROWED, "aiohttp bare")
