"""rows: CPU of reading typed rows, 200 pages of 1,000, plain and compressed.

Rivals read the same pages at the same concurrency, from workers on one iterator, and drop each
page when it is decoded: ``aiohttp + msgspec`` into Structs is the limit, ``aiohttp + cattrs``
into attrs classes and ``aiohttp + pydantic`` into models are what people use, cattrs as it comes,
and told not to say where an error is, which makes it faster; httpx + pydantic;
and an SDK in TypeScript where one is given, whose rows are not checked at all.
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
from benchmarks.measuring import (
    Aim,
    Contender,
    Figure,
    Took,
    compared,
    in_turns,
    loops,
    stopwatch,
)
from benchmarks.options import Options
from benchmarks.pages import ROWS
from benchmarks.site import Site, serve
from benchmarks.typescript import typescript
from nrm_async import Ani, NRMClient

AT_ONCE: Final = 10

READ_AHEAD: Final = 2**20  # bytes, as this client's: a page is read without stopping

# Takes a body, gives how many rows it has, typed.
Decode: TypeAlias = Callable[[bytes], int]


def camel(name: str) -> str:
    """The name on the wire."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


FIELDS: Final[dict[str, Any]] = {a.name: a.type for a in attrs.fields(Ani) if a.name != "extra"}


def into_structs() -> Decode:
    """Into msgspec's own structs: nothing in Python decodes faster, but to leave gc out."""
    row: Any = msgspec.defstruct("Row", list(FIELDS.items()), rename=camel)
    page: Any = msgspec.defstruct("Page", [("data", list[row]), ("total_pages", int)])
    decoder = msgspec.json.Decoder(page)
    return lambda body: len(decoder.decode(body).data)


def into_attrs(**settings: Any) -> Decode:
    """``json`` and then cattrs, into a frozen attrs class with the same types."""
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
    """Into frozen pydantic models."""
    pydantic: Any = import_module("pydantic")  # an extra
    config = pydantic.ConfigDict(alias_generator=camel, frozen=True)
    fields: dict[str, Any] = {name: (kind, ...) for name, kind in FIELDS.items()}
    row = pydantic.create_model("Row", __config__=config, **fields)
    page = pydantic.create_model("Page", data=(list[row], ...), total_pages=(int, ...))  # type: ignore[valid-type]
    return lambda body: len(page.model_validate_json(body).data)


async def ours_by_page(url: str, count: int) -> Took:
    """``async for page in client.anis().pages()``."""
    async with NRMClient(KEY, base_url=url, max_concurrency=AT_ONCE) as nrm:
        await nrm.list_anis()
        rows = 0
        with stopwatch(count * ROWS) as took:
            async for page in nrm.anis().pages():
                rows += len(page)
    assert rows == took.units
    return took


async def ours_by_row(url: str, count: int) -> Took:
    """``async for ani in client.anis()``."""
    async with NRMClient(KEY, base_url=url, max_concurrency=AT_ONCE) as nrm:
        await nrm.list_anis()
        rows = 0
        with stopwatch(count * ROWS) as took:
            async for _ani in nrm.anis():
                rows += 1
    assert rows == took.units
    return took


async def _read_all(fetch: Callable[[int], Any], decode: Decode, count: int) -> int:
    rows = 0

    async def work(numbers: Iterator[int]) -> None:
        nonlocal rows
        for number in numbers:
            body = await fetch(number)
            rows += decode(body)

    numbers = iter(range(1, count + 1))
    await asyncio.gather(*(work(numbers) for _ in range(AT_ONCE)))
    return rows


async def with_aiohttp(decode: Decode, url: str, count: int) -> Took:
    """Workers that read and decode."""

    async def fetch(page: int) -> bytes:
        params = {"page": str(page), "page_size": str(ROWS)}
        async with session.get(
            f"{url}/anis", params=params, headers=HEADERS, read_bufsize=READ_AHEAD
        ) as answer:
            return await answer.read()

    async with bare_session() as session:
        decode(await fetch(1))
        with stopwatch(count * ROWS) as took:
            rows = await _read_all(fetch, decode, count)
    assert rows == took.units
    return took


async def with_httpx(decode: Decode, url: str, count: int) -> Took:
    """The same with httpx."""
    httpx: Any = import_module("httpx")  # an extra

    async def fetch(page: int) -> bytes:
        answer = await client.get(f"{url}/anis", params={"page": page, "page_size": ROWS})
        body: bytes = answer.content
        return body

    async with httpx.AsyncClient(headers=HEADERS, trust_env=False) as client:
        decode(await fetch(1))
        with stopwatch(count * ROWS) as took:
            rows = await _read_all(fetch, decode, count)
    assert rows == took.units
    return took


def contenders(url: str, count: int, options: Options) -> dict[str, Contender]:
    """Who runs, in this order."""
    everybody: dict[str, Contender] = {
        "nrm_async": partial(ours_by_page, url, count),
        "nrm_async, row by row": partial(ours_by_row, url, count),
        "aiohttp + msgspec (the limit)": partial(with_aiohttp, into_structs(), url, count),
        "aiohttp + cattrs": partial(with_aiohttp, into_attrs(), url, count),
        "aiohttp + cattrs without paths": partial(
            with_aiohttp, into_attrs(detailed_validation=False), url, count
        ),
    }
    if options.has("pydantic"):
        everybody["aiohttp + pydantic"] = partial(with_aiohttp, into_models(), url, count)
        if options.has("httpx"):
            everybody["httpx + pydantic"] = partial(with_httpx, into_models(), url, count)
    if options.typescript is not None:
        everybody["TypeScript SDK"] = partial(
            typescript, options.typescript, "pages", url, KEY, count, AT_ONCE
        )
    return everybody


# Ratios are of CPU time: 0.6 of the limit's rows per CPU second is 1/0.6 of its time.
_AIMS: Final = {
    "aiohttp + msgspec (the limit)": Aim(">=", 0.6),
    "aiohttp + cattrs": Aim(">=", 3.5),
}
_OURS: Final = ("nrm_async", "nrm_async, row by row")


def _lines(what: str, everybody: list[str], taken: dict[str, list[Took]]) -> Iterator[Figure]:
    for ours in _OURS:
        for rival in everybody:
            if rival not in _OURS:
                yield per_second(
                    f"rows, {what}{ours.removeprefix('nrm_async')}",
                    taken,
                    ours,
                    rival,
                    _AIMS.get(rival),
                )


def per_second(
    what: str, taken: dict[str, list[Took]], ours: str, rival: str, aim: Aim | None
) -> Figure:
    """Thousands of rows for each second of CPU: ours over the rival's."""
    by_time = compared(what, taken, ours, rival, aim)
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
    """A line for each rival: plain on each event loop, compressed on asyncio's."""
    count = 20 if options.quick else 200
    with serve(count) as site:
        options.note(f"rows: server {site.kind}")
        for what, url, loop in _ways(site):
            everybody = contenders(url, count, options)
            taken = in_turns(everybody, options.rounds, loop)
            yield from _lines(what, list(everybody), taken)


def _ways(site: Site) -> Iterator[tuple[str, str, Any]]:
    for name, factory in loops().items():
        yield f"plain, {name}", site.plain, factory
    yield "gzip, asyncio", site.gzip, None
