"""rows: CPU time of reading typed rows, 200 pages of 1,000, uncompressed and compressed.

The rivals read the same pages at the same concurrency, with workers that share an iterator, and
drop each page after decoding. ``aiohttp + msgspec`` decodes into structs and is the limit.
``aiohttp + cattrs`` (attrs classes) and ``aiohttp + pydantic`` (models) are common choices. cattrs
runs with its defaults and, faster, without paths in its errors. The other rivals are httpx +
pydantic and, if specified, a TypeScript SDK, which does not validate its rows.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from functools import partial
from importlib import import_module
from typing import Any, Final, TypeAlias

import attrs
import cattrs
import msgspec
from cattrs.gen import make_dict_structure_fn, override

from benchmarks.calls import HEADERS, KEY, bare_session
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
from benchmarks.pages import ROWS
from benchmarks.typescript import typescript
from nrm_async import Ani, NRMClient

CONCURRENCY: Final = 10

READ_AHEAD: Final = 2**20  # bytes, as in this client: reads a page without pausing the socket

# Decodes a body into typed rows and returns the number of rows.
Decode: TypeAlias = Callable[[bytes], int]


def camel(name: str) -> str:
    """Return the API name of a field."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


FIELDS: Final[dict[str, Any]] = {
    a.name: a.type for a in attrs.fields(Ani) if a.name not in ("extra", "repaired")
}


def into_structs() -> Decode:
    """Return a decoder into msgspec structs; only structs with ``gc=False`` would be faster."""
    row: Any = msgspec.defstruct("Row", list(FIELDS.items()), rename=camel)
    page: Any = msgspec.defstruct("Page", [("data", list[row]), ("total_pages", int)])
    decoder = msgspec.json.Decoder(page)
    return lambda body: len(decoder.decode(body).data)


def into_attrs(**settings: Any) -> Decode:
    """Return a ``json`` and cattrs decoder into a frozen attrs class with the same types."""
    row = attrs.make_class(
        "Row", {name: attrs.field(type=kind) for name, kind in FIELDS.items()}, frozen=True
    )
    converter = cattrs.Converter(**settings)
    converter.register_structure_hook(date, lambda text, _: date.fromisoformat(text))
    converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    converter.register_structure_hook_func(
        lambda kind: kind in (int | str, int | float | None), lambda value, _: value
    )
    renamed: dict[str, Any] = {name: override(rename=camel(name)) for name in FIELDS}
    converter.register_structure_hook(row, make_dict_structure_fn(row, converter, **renamed))
    structure = converter.get_structure_hook(list[row])  # type: ignore[valid-type]
    return lambda body: len(structure(json.loads(body)["data"], list[row]))  # type: ignore[valid-type]


def into_models() -> Decode:
    """Return a decoder into frozen pydantic models."""
    pydantic: Any = import_module("pydantic")  # an extra
    config = pydantic.ConfigDict(alias_generator=camel, frozen=True)
    fields: dict[str, Any] = {name: (kind, ...) for name, kind in FIELDS.items()}
    row = pydantic.create_model("Row", __config__=config, **fields)
    page = pydantic.create_model("Page", data=(list[row], ...), total_pages=(int, ...))  # type: ignore[valid-type]
    return lambda body: len(page.model_validate_json(body).data)


async def ours_by_page(url: str, count: int) -> Timing:
    """Read with ``async for page in client.anis().pages()``."""
    async with NRMClient(KEY, base_url=url, max_concurrency=CONCURRENCY) as nrm:
        await nrm.list_anis()
        rows = 0
        with stopwatch(count * ROWS) as timing:
            async for page in nrm.anis().pages():
                rows += len(page)
    assert rows == timing.units
    return timing


async def ours_by_row(url: str, count: int) -> Timing:
    """Read with ``async for ani in client.anis()``."""
    async with NRMClient(KEY, base_url=url, max_concurrency=CONCURRENCY) as nrm:
        await nrm.list_anis()
        rows = 0
        with stopwatch(count * ROWS) as timing:
            async for _ani in nrm.anis():
                rows += 1
    assert rows == timing.units
    return timing


async def _read_all(fetch: Callable[[int], Any], decode: Decode, count: int) -> int:
    rows = 0

    async def work(numbers: Iterator[int]) -> None:
        nonlocal rows
        for number in numbers:
            body = await fetch(number)
            rows += decode(body)

    numbers = iter(range(1, count + 1))
    await asyncio.gather(*(work(numbers) for _ in range(CONCURRENCY)))
    return rows


async def with_aiohttp(decode: Decode, url: str, count: int) -> Timing:
    """Read with aiohttp and decode, in concurrent workers."""

    async def fetch(page: int) -> bytes:
        params = {"page": str(page), "page_size": str(ROWS)}
        async with session.get(
            f"{url}/anis", params=params, headers=HEADERS, read_bufsize=READ_AHEAD
        ) as answer:
            return await answer.read()

    async with bare_session() as session:
        decode(await fetch(1))
        with stopwatch(count * ROWS) as timing:
            rows = await _read_all(fetch, decode, count)
    assert rows == timing.units
    return timing


async def with_httpx(decode: Decode, url: str, count: int) -> Timing:
    """Read with httpx and decode, in concurrent workers."""
    httpx: Any = import_module("httpx")  # an extra

    async def fetch(page: int) -> bytes:
        answer = await client.get(f"{url}/anis", params={"page": page, "page_size": ROWS})
        body: bytes = answer.content
        return body

    async with httpx.AsyncClient(headers=HEADERS, trust_env=False) as client:
        decode(await fetch(1))
        with stopwatch(count * ROWS) as timing:
            rows = await _read_all(fetch, decode, count)
    assert rows == timing.units
    return timing


def contenders(url: str, count: int, options: Options) -> dict[str, Contender]:
    """Return this client and its rivals, in execution order."""
    entrants: dict[str, Contender] = {
        "nrm_async": partial(ours_by_page, url, count),
        "nrm_async, row by row": partial(ours_by_row, url, count),
        "aiohttp + msgspec (the limit)": partial(with_aiohttp, into_structs(), url, count),
        "aiohttp + cattrs": partial(with_aiohttp, into_attrs(), url, count),
        "aiohttp + cattrs without paths": partial(
            with_aiohttp, into_attrs(detailed_validation=False), url, count
        ),
    }
    if options.has("pydantic"):
        entrants["aiohttp + pydantic"] = partial(with_aiohttp, into_models(), url, count)
        if options.has("httpx"):
            entrants["httpx + pydantic"] = partial(with_httpx, into_models(), url, count)
    if options.typescript is not None:
        entrants["TypeScript SDK"] = partial(
            typescript, options.typescript, "pages", url, KEY, count, CONCURRENCY
        )
    return entrants


# 0.6 times as many rows per CPU second as the limit means 1/0.6 times the CPU time per row.
_AIMS: Final = {
    "aiohttp + msgspec (the limit)": Aim(">=", 0.6),
    "aiohttp + cattrs": Aim(">=", 3.5),
}
_OURS: Final = ("nrm_async", "nrm_async, row by row")


def _figures(what: str, entrants: list[str], timings: dict[str, list[Timing]]) -> Iterator[Figure]:
    for ours in _OURS:
        for rival in entrants:
            if rival not in _OURS:
                yield per_second(
                    f"rows, {what}{ours.removeprefix('nrm_async')}",
                    timings,
                    ours,
                    rival,
                    _AIMS.get(rival),
                )


def per_second(
    what: str, timings: dict[str, list[Timing]], ours: str, rival: str, aim: Aim | None
) -> Figure:
    """Compare two contenders in thousands of rows per CPU second."""
    by_time = compare(what, timings, ours, rival, aim)
    assert by_time.wall_ratio is not None
    return attrs.evolve(
        by_time,
        unit="k rows / CPU s",
        ours=1e3 / by_time.ours,
        theirs=1e3 / by_time.theirs,
        ratios=[1 / ratio for ratio in by_time.ratios],
        wall_ratio=1 / by_time.wall_ratio,
    )


def measure(options: Options) -> Iterator[Figure]:
    """Yield figures per rival: plain pages on each event loop, compressed pages on asyncio."""
    count = 20 if options.quick else 200
    with serve(count) as server:
        options.note(f"rows: server {server.kind}")
        for what, url, loop in _variants(server):
            entrants = contenders(url, count, options)
            timings = interleave(entrants, options.rounds, loop)
            yield from _figures(what, list(entrants), timings)


def _variants(server: LocalServer) -> Iterator[tuple[str, str, Any]]:
    for name, factory in loops().items():
        yield f"plain, {name}", server.plain, factory
    yield "gzip, asyncio", server.gzip, None
