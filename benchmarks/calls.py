"""calls: CPU of one pause in a batch, 50 in flight.

Rivals: ``aiohttp bare`` sends the same request through a session with the same settings, and
reads and decodes the answer, from workers on one iterator; ``aiohttp one-liner`` is what people
write, ``session.post(json=…)`` in ``gather`` behind a semaphore; httpx; and an SDK in TypeScript
where one is given.
"""

import asyncio
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from typing import Any, Final

import aiohttp
import msgspec

from benchmarks.measuring import Aim, Contender, Figure, Took, compared, in_turns, loops, stopwatch
from benchmarks.options import Options
from benchmarks.pages import numbers
from benchmarks.site import Site, serve
from benchmarks.typescript import typescript
from nrm_async import NRMClient, Outcome, Pause

AT_ONCE: Final = 50
# Its letters are in every page and answer, so that looking for it is not cut short.
KEY: Final = "0e1a5d3c9b7f2846d0c4e8a6b1f39725"
HEADERS: Final = {
    "Authorization": f"Bearer {KEY}",
    "Content-Type": "application/json",
    "Accept": "application/json",
    "User-Agent": "benchmarks",
}
_WARM_UP: Final = 200


def actions(count: int) -> Iterator[Pause]:
    """So many pauses, made one at a time."""
    return (Pause(phone) for phone in numbers(count))


async def ours(url: str, count: int, session: aiohttp.ClientSession | None = None) -> Took:
    """What a user of this client calls."""
    client = NRMClient(KEY, base_url=url, max_concurrency=AT_ONCE, session=session)
    async with client as nrm:
        await nrm.pause_many(numbers(_WARM_UP))
        with stopwatch(count) as took:
            report = await nrm.pause_many(numbers(count))
    assert report.counts[Outcome.APPLIED] == count
    return took


async def ours_lent(url: str, count: int) -> Took:
    """The same through a session of the user's, as it is for proxies, tracing and mocks too."""
    async with bare_session() as session:
        return await ours(url, count, session)


def bare_session() -> aiohttp.ClientSession:
    """A session with the settings of this client's own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
    )


async def bare(url: str, count: int) -> Took:
    """The least that aiohttp's session can do."""
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
        phones = numbers(count)
        await asyncio.gather(*(work(phones) for _ in range(AT_ONCE)))

    async with bare_session() as session:
        await work_all(_WARM_UP)
        statuses.clear()
        with stopwatch(count) as took:
            await work_all(count)
    assert statuses == ["paused"] * count
    return took


async def one_liner(url: str, count: int) -> Took:
    """What people write."""
    semaphore = asyncio.Semaphore(AT_ONCE)

    async def pause(phone: str) -> Any:
        async with semaphore, session.post(f"{url}/pause", json={"ani": phone}) as answer:
            return await answer.json()

    async with aiohttp.ClientSession(headers=HEADERS) as session:
        await asyncio.gather(*(pause(phone) for phone in numbers(_WARM_UP)))
        with stopwatch(count) as took:
            answers = await asyncio.gather(*(pause(phone) for phone in numbers(count)))
    assert all(answer["status"] == "paused" for answer in answers)
    return took


async def httpx(url: str, count: int) -> Took:
    """The same with httpx as it comes; half as many, because it takes its time."""
    library: Any = import_module("httpx")  # an extra
    count = max(AT_ONCE, count // 2)
    semaphore = asyncio.Semaphore(AT_ONCE)

    async def pause(phone: str) -> Any:
        async with semaphore:
            return (await client.post(f"{url}/pause", json={"ani": phone})).json()

    async with library.AsyncClient(headers=HEADERS, trust_env=False) as client:
        await asyncio.gather(*(pause(phone) for phone in numbers(min(count, _WARM_UP))))
        with stopwatch(count) as took:
            answers = await asyncio.gather(*(pause(phone) for phone in numbers(count)))
    assert all(answer["status"] == "paused" for answer in answers)
    return took


def contenders(site: Site, count: int, options: Options) -> dict[str, Contender]:
    """Who runs, in this order."""
    names = {_OURS: ours, _LENT: ours_lent, "aiohttp bare": bare, "aiohttp one-liner": one_liner}
    everybody: dict[str, Contender] = {
        name: partial(run, site.plain, count) for name, run in names.items()
    }
    if options.has("httpx"):
        everybody["httpx"] = partial(httpx, site.plain, count)
    if options.typescript is not None:
        everybody["TypeScript SDK"] = partial(
            typescript, options.typescript, "pauses", site.plain, KEY, count, AT_ONCE
        )
    return everybody


_OURS: Final = "nrm_async"
_LENT: Final = "nrm_async, session lent"
_AIMS: Final = {"aiohttp bare": Aim("<=", 1.15), "aiohttp one-liner": Aim("<", 1.0)}


def measure(options: Options) -> Iterator[Figure]:
    """A line for each rival, on each event loop there is."""
    count = 200 if options.quick else 4_000
    with serve() as site:
        options.note(f"calls: server {site.kind}")
        for loop, factory in loops().items():
            everybody = contenders(site, count, options)
            taken = in_turns(everybody, options.rounds, factory)
            what = f"a pause, {AT_ONCE} in flight, {loop}"
            for rival in list(everybody)[2:]:
                yield compared(what, taken, _OURS, rival, _AIMS.get(rival))
            yield compared(f"{what}, session lent", taken, _LENT, "aiohttp bare")
