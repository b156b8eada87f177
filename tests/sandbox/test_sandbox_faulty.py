"""Faults over real sockets: what a client sees of each, and what was applied all the same."""

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from nrm_async import NRMClient
from nrm_async.sandbox import Hang, Sandbox
from tests.sandbox.conftest import ACTIVE, Caller


async def seen(caller: Caller, action: str = "remediate", at: int = 0) -> str:
    """What a client sees of one action: the status of a whole answer, or the error's name."""
    ani = caller.sandbox.phones[at]
    key = {"Authorization": f"Bearer {caller.sandbox.api_key}"}
    url = f"{caller.sandbox.url}/{action}"
    try:
        async with caller.session.post(url, json={"ani": ani}, headers=key) as answer:
            await answer.json(content_type=None)
            return str(answer.status)
    except (aiohttp.ClientError, ConnectionError, ValueError) as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("fault", "what", "applied", "booked"),
    [
        ("429", "429", 0, "answer"),
        ("5xx", "503", 0, "answer"),
        ("5xx:status=500,applied=yes", "500", 1, "answer"),
        ("reset", "ClientOSError", 0, "reset"),
        ("reset:applied=yes", "ClientOSError", 1, "reset"),
        ("hang:seconds=0", "ServerDisconnectedError", 0, "nothing"),
        ("hang:seconds=0,applied=yes", "ServerDisconnectedError", 1, "nothing"),
        ("truncate", "ClientPayloadError", 1, "part of it"),
        ("truncate:keep=0", "ClientPayloadError", 1, "part of it"),
        ("truncate:silent=yes", "JSONDecodeError", 1, "part of it"),
    ],
)
async def test_what_a_fault_looks_like(
    fault: str, what: str, applied: int, booked: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The client sees it, the books know whether it was applied, and the next call is served."""
    async with Caller(faults=[f"{fault}{',' if ':' in fault else ':'}count=1"]) as caller:
        ani = caller.sandbox.phones[0]
        assert await seen(caller) == what
        [entry] = caller.sandbox.books.requests("remediate", ani)
        assert (entry.ending.seen, entry.ending.fault) == (booked, fault.split(":", maxsplit=1)[0])
        assert entry.ending.applied == bool(applied)
        assert caller.sandbox.books.times_applied("remediate", ani) == applied
        assert await seen(caller, at=1) == "200"
    assert not caplog.records


async def test_a_page_of_infrastructure_is_html() -> None:
    """A 502 as a proxy writes it."""
    async with Caller(faults=["5xx:status=502,html=yes"]) as caller:
        async with caller.session.get(f"{caller.sandbox.url}/anis") as answer:
            assert (answer.status, answer.content_type) == (502, "text/html")
            assert "Bad Gateway" in await answer.text()


@pytest.mark.parametrize(
    ("form", "header"),
    [
        ("2", "2"),
        ("1.5", "1.5"),
        ("-3", "-3"),
        ("huge", "99999999999"),
        ("negative", "-5"),
        ("nan", "NaN"),
        ("garbage", "soon"),
        ("none", None),
    ],
)
@pytest.mark.parametrize("kind", ["429:", "5xx:status=503,", "rate-cap:rate=0.000001,"])
async def test_retry_after_in_each_form(kind: str, form: str, header: str | None) -> None:
    """Whatever was asked for is in the header."""
    async with Caller(faults=[f"{kind}retry_after={form}"]) as caller:
        await caller.call("GET", "/anis")  # the burst of the cap
        got = await caller.call("GET", "/anis")
        assert got.headers.get("Retry-After") == header


async def test_retry_after_as_a_date() -> None:
    """An HTTP-date so many seconds from now, by the system's clock."""
    async with Caller(faults=["429:retry_after=date:30"]) as caller:
        got = await caller.call("GET", "/anis")
        date = parsedate_to_datetime(got.headers["Retry-After"])
        assert 29 <= date.timestamp() - time.time() <= 32


async def test_a_hang_holds_the_connection_until_the_client_leaves() -> None:
    """It is in flight all the while, and is booked as over when the client has gone."""
    async with Caller() as caller:
        caller.sandbox.inject(Hang(endpoint="remediate", applied=True))
        asking = asyncio.create_task(seen(caller))
        while not len(caller.sandbox.books):  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)
        assert caller.sandbox.books.in_flight() == 1
        asking.cancel()
        while caller.sandbox.books.in_flight():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        assert caller.sandbox.books.requests()[0].ending.seen == "nothing"


async def test_a_client_that_gives_up_waiting_has_been_heard() -> None:
    """Latency comes after the action: it is applied, and the books say that nobody saw it."""
    async with Caller(faults=["latency:seconds=3600"]) as caller:
        asking = asyncio.create_task(seen(caller))
        while not len(caller.sandbox.books):  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)
        asking.cancel()
        while caller.sandbox.books.in_flight():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        ending = caller.sandbox.books.requests()[0].ending
        assert (ending.seen, ending.applied, ending.fault) == ("left", True, "latency")


async def test_a_concurrency_cap_lets_its_limit_through() -> None:
    """While two are being answered, three more are told to come back; then there is room again."""
    async with Caller(faults=["concurrency-cap:limit=2", "hang:count=2"]) as caller:
        first = [asyncio.create_task(seen(caller)) for _ in range(2)]
        while caller.sandbox.books.in_flight() < 2:  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)
        assert [await seen(caller, at=at) for at in range(3)] == ["429"] * 3
        for task in first:
            task.cancel()
        while caller.sandbox.books.in_flight():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        assert await seen(caller) == "200"


@pytest.mark.parametrize(
    ("change", "left", "joined"), [("churn", 2, 2), ("leave", 2, 0), ("join", 0, 2)]
)
async def test_drift_changes_the_inventory_under_the_reader(
    change: str, left: int, joined: int
) -> None:
    """Rows leave and join before a page is made; the total tells only what does not balance."""
    async with Caller(faults=[f"drift:rows=2,count=1,change={change}"]) as caller:
        before = caller.sandbox.phones
        got = await caller.call("GET", "/anis")
        after = [row["phone"] for row in got.body["data"]]
        assert len(set(before) - set(after)) == left
        assert len(set(after) - set(before)) == joined
        assert got.body["total_anis"] == 30 - left + joined
        gone = set(before) - set(after)
        for ani in gone:
            refused = await caller.act("remediate", ani=ani)
            assert refused.body["message"] == "ANI not found in inventory"


async def test_drift_makes_a_page_reader_lose_rows() -> None:
    """What it is for: offsets that shift, with a total that stays."""
    async with Caller(faults=["drift:change=churn"]) as caller:
        pages = [
            await caller.call("GET", "/anis", params={"page": str(page), "page_size": "5"})
            for page in range(1, 7)
        ]
        read = [row["phone"] for got in pages for row in got.body["data"]]
        assert {got.body["total_anis"] for got in pages} == {30}
        assert set(caller.sandbox.phones) - set(read) or len(set(read)) < len(read)


async def run(seed: int) -> list[tuple[str, int, str]]:
    """Pauses through a storm of faults, one after the other; how each request ended."""
    faults = [
        "429:share=0.2,retry_after=0",
        "5xx:share=0.1,applied=yes",
        "reset:share=0.1,applied=yes",
        "truncate:share=0.1",
        "drift:share=0.3",
    ]
    async with Caller(seed=seed, faults=faults) as caller:
        for at, ani in enumerate(caller.sandbox.phones):
            await seen(caller, "pause", at % 30)
            key = {"Authorization": f"Bearer {caller.sandbox.api_key}"}
            try:
                async with caller.session.get(
                    f"{caller.sandbox.url}/anis", params={"number": ani}, headers=key
                ) as answer:
                    await answer.read()
            except (aiohttp.ClientError, ConnectionError):
                pass
        return [
            (entry.endpoint or "", entry.ending.status, entry.ending.seen)
            for entry in caller.sandbox.books.requests()
        ]


async def test_the_same_seed_gives_the_same_answers_twice() -> None:
    """Over sockets too: one sequence of requests, one sequence of answers; another seed, others."""
    first = await run(7)
    assert first == await run(7) != await run(8)
    assert len(set(first)) >= 6


@pytest.mark.parametrize("settings", [{"contradictory": True}, {"text_ids": True}])
async def test_a_client_copes_with(settings: dict[str, Any]) -> None:
    """The SDK lists everything all the same."""
    async with Sandbox(95, **settings) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            rows = [ani async for ani in nrm.anis(page_size=10)]
    assert [row.phone for row in rows] == list(sandbox.phones)
    assert all(isinstance(row.id, str) is bool(settings.get("text_ids")) for row in rows)


async def test_the_older_dialect() -> None:
    """Refusals and remediations in the words of v1; errors keep their message."""
    async with Caller(dialect="v1") as caller:
        ani = caller.first(ACTIVE)
        got = await caller.act("remediate", ani=ani)
        assert got.body == {"status": "recieved request", "ani": ani}
        got = await caller.act("activate", ani=ani, date="2026-01-01")
        reason = "Only ANIs in cooling off status can be activated"
        assert got.body == {"status": "failed", "reason": reason, "ani": ani}
        assert (await caller.act("pause")).body["message"] == "ani is required"


async def test_a_contradictory_envelope() -> None:
    """Count and pages are those of the documentation's example; what leads on is true."""
    async with Caller(contradictory=True) as caller:
        got = await caller.call("GET", "/anis", params={"page_size": "12"})
        told = [got.body[name] for name in ("count", "total_anis", "can_next_page", "total_pages")]
        assert told == [1, 30, True, 1]
        assert len(got.body["data"]) == 12
