"""Cost of a complete inventory, and correctness of ``complete``, with and without churn.

``http``: Read 500,000 rows over loopback from a stub in a separate process, without changes and
under churn (for every five pages read, one row is deleted and one is inserted at a random
position, so the total stays the same). ``report`` reads once, as other clients do; ``repair`` reads
until the inventory is proven complete. Extra requests are those beyond one per page.

``runs``: Read 50,000 rows in memory with 16 pages in flight, with various seeds, and compare the
inventory with the listing. An inventory with ``complete=True`` is counted as a lie if it lacks a
row that was present throughout.

Run the benchmark with ``python -m benchmarks.inventory``; ``--json`` prints JSON Lines.
"""

import argparse
import asyncio
import json
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any, Final

from aiohttp import web

from benchmarks import files
from benchmarks.changing_listing import CONCURRENCY, ChangingListing, InsertAt, count_duplicates
from nrm_async import NRMClient
from nrm_async._paging import OnDrift, read_inventory

KEY: Final = "benchmark-key"
CHURN: Final = 0.2
RUN_ROWS: Final = 50_000
PAGE_SIZE: Final = 1000

# The row from the API documentation; rows differ only in id and phone number.
_ROW: Final = json.dumps(
    {
        "id": "ID", "phone": "PHONE", "brand": "Acme", "status": "ACTIVE_AND_BEING_MANAGED",
        "statusLabel": "Active and Being Managed", "campaignName": "Campaign Name",
        "areaCode": "234", "region": "Region", "state": "ST", "locality": "City",
        "frequencyAssigned": 3, "frequencyDialed": 120, "frequencyContacted": 45,
        "dateLastDialed": "2026-05-27", "dateActivated": "2025-01-15", "dateDeactivated": None,
        "dateInventoried": "2025-01-15", "createdAt": "2025-01-15T00:00:00.000Z",
        "last30DaysDials": 1250, "last30DaysContacts": 450, "contactRate": 36.0,
        "successRate": 62.22, "blockRate": 8.0, "noAnswerRate": 56.0,
    }
).replace('"ID"', "%d").replace("PHONE", "%s")  # fmt: skip


def _serve(rows: int, churn: float, pipe: Connection) -> None:
    """Serve a changing listing until a message arrives, then send the ids of the lasting rows."""
    listing = ChangingListing(rows, seed=1, churn=churn)

    async def answer(request: web.Request) -> web.Response:
        query = request.query
        if "number" in query:
            row = await listing.find(query["number"])
            return _json([] if row is None else [row], 1, 1)
        page, size = int(query["page"]), int(query["page_size"])
        given = (await listing.fetch(page, size))()
        return _json(given.data, page, size, given.total_anis or 0)

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/nrm/anis", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(f"http://127.0.0.1:{runner.addresses[0][1]}/nrm")
        await asyncio.to_thread(pipe.recv)
        pipe.send((listing.stood, listing.changes))
        await runner.cleanup()

    asyncio.run(serve())


def _json(rows: Any, page: int, size: int, total: int | None = None) -> web.Response:
    total = len(rows) if total is None else total
    head = {
        "result": "success",
        "count": len(rows),
        "total_anis": total,
        "can_next_page": page * size < total,
        "can_prev_page": page > 1,
        "total_pages": -(-total // size),
    }
    data = ",".join([_ROW % (row.id, row.phone) for row in rows])
    text = f'{json.dumps(head)[:-1]}, "data": [{data}]}}'
    return web.Response(text=text, content_type="application/json")


@contextmanager
def _server(rows: int, churn: float) -> Iterator[tuple[str, Connection]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(rows, churn, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv(), ours
    finally:
        process.join(10)


def over_http(rows: int, churn: float, on_drift: OnDrift) -> dict[str, Any]:
    """Read once or until complete; return the cost and the number of missing rows."""

    async def read(url: str) -> tuple[float, Any]:
        async with NRMClient(KEY, base_url=url, max_concurrency=CONCURRENCY) as nrm:
            started = perf_counter()
            inventory = await nrm.inventory(on_drift=on_drift)
            return perf_counter() - started, inventory

    with _server(rows, churn) as (url, pipe):
        seconds, inventory = asyncio.run(read(url))
        pipe.send("done")
        stood, changes = pipe.recv()
    pages = -(-rows // PAGE_SIZE)
    return {
        "part": "http",
        "rows": rows,
        "churn": churn,
        "on_drift": on_drift,
        "seconds": round(seconds, 2),
        "pages_per_second": round(inventory.requests / seconds),
        "passes": inventory.passes,
        "requests": inventory.requests,
        "extra_requests": inventory.requests - pages,
        "changes": changes,
        "complete": inventory.complete,
        "consistent": inventory.consistent,
        "missing": len(stood - {row.id for row in inventory}),
    }


def in_memory(runs: int, churn: float, inserts: InsertAt, moves: float) -> dict[str, Any]:
    """Run with different seeds under churn, and compare each inventory with the listing."""
    complete = lies = unsafe = requests = most = 0
    started = perf_counter()
    for seed in range(runs):
        listing = ChangingListing(RUN_ROWS, seed, churn=churn, inserts=inserts, moves=moves)
        inventory = asyncio.run(read_inventory(listing.source(PAGE_SIZE), "repair"))
        is_wrong = bool(listing.missing(inventory)) or count_duplicates(inventory) > 0
        complete += inventory.complete and not is_wrong
        lies += inventory.complete and is_wrong
        unsafe += inventory.complete and inventory.consistent and is_wrong
        requests += inventory.requests
        most = max(most, inventory.passes)
    pages = RUN_ROWS / PAGE_SIZE
    return {
        "part": "runs",
        "runs": runs,
        "churn": churn,
        "inserts": inserts,
        "moves": moves,
        "complete_percent": round(100 * complete / runs, 1),
        "lies": lies,
        "lies_said_to_be_consistent": unsafe,
        "most_passes": most,
        "requests_per_page": round(requests / runs / pages, 2),
        "seconds": round(perf_counter() - started, 1),
    }


def measure(rows: int, runs: int) -> Iterator[dict[str, Any]]:
    """Yield the figures of all parts."""
    for churn in (0.0, CHURN):
        for on_drift in ("report", "repair"):
            yield over_http(rows, churn, on_drift)
    yield in_memory(max(1, runs // 10), 0.0, "anywhere", 0.0)
    for inserts in ("anywhere", "front", "end"):
        yield in_memory(runs, CHURN, inserts, 0.0)
    yield in_memory(runs, CHURN, "anywhere", 0.25)
    for figures in files.figures(rows):
        yield {"part": "files", **figures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    part = ""
    for figures in measure(options.rows, options.runs):
        if options.json:
            print(json.dumps(figures), flush=True)
            continue
        if figures["part"] != part:
            part = figures["part"]
            print("\n" + "  ".join(name for name in figures))
        print("  ".join(f"{value!s:>{len(name)}}" for name, value in figures.items()), flush=True)


if __name__ == "__main__":
    main()
