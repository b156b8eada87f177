"""Tests of faults over real sockets: the result in the client and in the history."""

import asyncio
import time
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from nrm_async.sandbox import Hang
from tests.sandbox.conftest import Caller


async def seen(caller: Caller, action: str = "remediate", at: int = 0) -> str:
    """Perform an action, and return the response status or the name of the error."""
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
    ("fault", "client_sees", "applied", "recorded"),
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
async def test_fault_response(
    fault: str, client_sees: str, applied: int, recorded: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The client and the history record the failure, and the next call succeeds."""
    async with Caller(faults=[f"{fault}{',' if ':' in fault else ':'}count=1"]) as caller:
        ani = caller.sandbox.phones[0]
        assert await seen(caller) == client_sees
        [entry] = caller.sandbox.books.requests("remediate", ani)
        kind, _, _ = fault.partition(":")
        assert (entry.ending.seen, entry.ending.fault) == (recorded, kind)
        assert entry.ending.applied == bool(applied)
        assert caller.sandbox.books.times_applied("remediate", ani) == applied
        assert await seen(caller, at=1) == "200"
    assert not caplog.records


async def test_server_failure_as_html() -> None:
    """A 502 response can be an HTML page from a proxy."""
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
async def test_retry_after_forms(kind: str, form: str, header: str | None) -> None:
    """Each form of Retry-After is sent as configured."""
    async with Caller(faults=[f"{kind}retry_after={form}"]) as caller:
        await caller.call("GET", "/anis")  # uses up the burst
        got = await caller.call("GET", "/anis")
        assert got.headers.get("Retry-After") == header


async def test_retry_after_as_http_date() -> None:
    """The HTTP-date is the given number of seconds ahead of the system clock."""
    async with Caller(faults=["429:retry_after=date:30"]) as caller:
        got = await caller.call("GET", "/anis")
        date = parsedate_to_datetime(got.headers["Retry-After"])
        assert 29 <= date.timestamp() - time.time() <= 32


async def test_hang_until_client_leaves() -> None:
    """A hanging request stays in flight until the client closes the connection."""
    async with Caller() as caller:
        caller.sandbox.inject(Hang(endpoint="remediate", applied=True))
        request = asyncio.create_task(seen(caller))
        while not len(caller.sandbox.books):  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)
        assert caller.sandbox.books.in_flight() == 1
        request.cancel()
        while caller.sandbox.books.in_flight():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        assert caller.sandbox.books.requests()[0].ending.seen == "nothing"


async def test_action_is_applied_before_latency() -> None:
    """The action is applied even if the client disconnects during the delay."""
    async with Caller(faults=["latency:seconds=3600"]) as caller:
        request = asyncio.create_task(seen(caller))
        while not len(caller.sandbox.books):  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)
        request.cancel()
        while caller.sandbox.books.in_flight():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        ending = caller.sandbox.books.requests()[0].ending
        assert (ending.seen, ending.applied, ending.fault) == ("left", True, "latency")


async def test_concurrency_cap_over_http() -> None:
    """Requests above the limit return a 429, and succeed once others have finished."""
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
async def test_drift_before_a_page(change: str, left: int, joined: int) -> None:
    """Rows are removed and added before a page is read, and the total reflects the difference."""
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


async def test_drift_shifts_pages() -> None:
    """A client that pages by offset misses or repeats rows, while the total is unchanged."""
    async with Caller(faults=["drift:change=churn"]) as caller:
        pages = [
            await caller.call("GET", "/anis", params={"page": str(page), "page_size": "5"})
            for page in range(1, 7)
        ]
        read = [row["phone"] for got in pages for row in got.body["data"]]
        assert {got.body["total_anis"] for got in pages} == {30}
        assert set(caller.sandbox.phones) - set(read) or len(set(read)) < len(read)


async def run(seed: int) -> list[tuple[str, int, str]]:
    """Send pauses and listings with many faults active, and return the outcomes."""
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


async def test_same_seed_gives_same_answers_over_http() -> None:
    """The same seed gives the same responses, and another seed gives different ones."""
    first = await run(7)
    assert first == await run(7) != await run(8)
    assert len(set(first)) >= 6
