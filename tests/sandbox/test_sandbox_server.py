"""The sandbox over real HTTP: keys, envelope, actions, every bad input, start and stop."""

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from nrm_async.sandbox import Sandbox
from tests.sandbox.conftest import ACTIVE, COOLING, START, Caller


def failure(message: str) -> dict[str, object]:
    return {"success": False, "message": message}


# Keys


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic c2FuZGJveC1rZXk=", "nonsense"])
async def test_a_missing_key_is_401(caller: Caller, header: str) -> None:
    """Whatever is no Bearer key counts as a missing one."""
    got = await caller.call("GET", "/anis", headers={"Authorization": header})
    assert (got.status, got.body) == (401, failure("Missing API key"))


@pytest.mark.parametrize("path", ["/anis", "/pause", "/activate", "/remediate"])
async def test_every_endpoint_wants_its_key(caller: Caller, path: str) -> None:
    """Without any header, with a strange key and with a restricted one nobody gets in."""
    method = "GET" if path == "/anis" else "POST"
    url = caller.sandbox.url + path
    async with caller.session.request(method, url) as bare:
        assert (bare.status, await bare.json()) == (401, failure("Missing API key"))
    got = await caller.call(method, path, key="other")
    assert (got.status, got.body) == (401, failure("Invalid API key"))
    got = await caller.call(method, path, key=caller.sandbox.restricted_key)
    assert (got.status, got.body) == (403, failure("Invalid API key type"))
    assert len(caller.sandbox.books) == 0


# Listing


async def test_the_envelope_is_the_documented_one(caller: Caller) -> None:
    """A page has the documented keys in their order, and figures that agree with each other."""
    got = await caller.call("GET", "/anis", params={"page": "2", "page_size": "12"})
    data = got.body.pop("data")
    assert got.status == 200
    assert list(got.body.items()) == [
        ("result", "success"),
        ("count", 12),
        ("total_anis", 30),
        ("can_next_page", True),
        ("can_prev_page", True),
        ("total_pages", 3),
    ]
    assert data == list(caller.sandbox.state.rows[12:24])


async def test_one_page_holds_all_by_default(caller: Caller) -> None:
    """Without a query the first thousand rows come."""
    got = await caller.call("GET", "/anis")
    assert [row["phone"] for row in got.body["data"]] == list(caller.sandbox.phones)
    assert (got.body["can_next_page"], got.body["can_prev_page"]) == (False, False)


async def test_a_page_beyond_the_end_is_empty(caller: Caller) -> None:
    """Far out there are no rows, no next page, and the totals are still right."""
    got = await caller.call("GET", "/anis", params={"page": "999999999999999999"})
    assert got.body == {
        "result": "success",
        "count": 0,
        "total_anis": 30,
        "can_next_page": False,
        "can_prev_page": True,
        "total_pages": 1,
        "data": [],
    }


@pytest.mark.parametrize("shown", ["{}", "({0:.3}) {0}", "+{}"])
async def test_number_filters_by_prefix(caller: Caller, shown: str) -> None:
    """The filter looks at digits only, and at the beginning of the phone."""
    phone = caller.sandbox.phones[7]
    pattern = shown.format(phone) if "0" not in shown else f"({phone[:3]}) {phone[3:]}"
    got = await caller.call("GET", "/anis", params={"number": pattern})
    assert [row["phone"] for row in got.body["data"]] == [phone]
    got = await caller.call("GET", "/anis", params={"number": phone[:3]})
    expected = [one for one in caller.sandbox.phones if one.startswith(phone[:3])]
    assert [row["phone"] for row in got.body["data"]] == expected
    assert got.body["total_anis"] == len(expected)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "x", "", " 1", "+1", "1_0", "²", "9" * 5000])
@pytest.mark.parametrize("name", ["page", "page_size"])
async def test_bad_paging_is_400(caller: Caller, name: str, value: str) -> None:
    """Page and page size must be plain whole numbers of at least 1."""
    got = await caller.call("GET", "/anis", params={name: value})
    assert got.status == 400
    assert got.body["success"] is False
    assert got.body["message"].startswith(f"{name} must be a whole number")


async def test_page_size_has_a_ceiling() -> None:
    """The largest size is served, one more is refused; without a size the largest is meant."""
    async with Caller(page_size_max=10) as caller:
        assert (await caller.call("GET", "/anis")).body["count"] == 10
        got = await caller.call("GET", "/anis", params={"page_size": "10"})
        assert got.body["count"] == 10
        got = await caller.call("GET", "/anis", params={"page_size": "11"})
        assert (got.status, got.body["message"]) == (
            400,
            "page_size must be a whole number from 1 to 10",
        )


# Actions


async def test_pause_then_activate(caller: Caller) -> None:
    """An ANI goes to rest and comes back, in the documented words; its row and books show it."""
    ani = caller.first(ACTIVE)
    got = await caller.act("pause", ani=ani, carrier="130077", note="spam label")
    assert (got.status, got.body) == (200, {"status": "paused", "ani": ani})
    assert caller.sandbox.status_of(ani) == COOLING
    got = await caller.act("activate", ani=ani, date="20250126120000")
    assert (got.status, got.body) == (200, {"status": "active", "ani": ani})
    assert caller.sandbox.status_of(ani) == ACTIVE
    first, second = caller.sandbox.books
    assert (first.action, first.carrier, first.note) == ("pause", "130077", "spam label")
    assert (second.action, second.date, second.when) == ("activate", "20250126120000", START)


@pytest.mark.parametrize("shown", ["{}", "1{}", "+1 ({}", "{}.", "tel:+1-{}"])
async def test_any_writing_of_a_number_is_understood(caller: Caller, shown: str) -> None:
    """Punctuation and a country code are dropped; the answer echoes ten digits."""
    ani = caller.first(ACTIVE)
    got = await caller.act("pause", ani=shown.format(ani))
    assert got.body == {"status": "paused", "ani": ani}


@pytest.mark.parametrize("status", [200, 400, 422])
async def test_refusals_use_the_documented_words(status: int) -> None:
    """Each refusal has its documented body, under the HTTP status the sandbox was told to use."""
    async with Caller(refusal_status=status) as caller:
        active, cooling = caller.first(ACTIVE), caller.first(COOLING)
        refusals = [
            (await caller.act("pause", ani=cooling), "Only active and managed ANIs can be paused"),
            (
                await caller.act("activate", ani=active, date="2026-01-01"),
                "Only ANIs in cooling off status can be activated",
            ),
            (await caller.act("pause", ani="0000000000"), "ANI not found in inventory"),
            (await caller.act("remediate", ani="0000000000"), "ANI not found in inventory"),
            (
                await caller.act("activate", ani="0000000000", date="2026-01-01"),
                "ANI not found in inventory",
            ),
        ]
        for got, message in refusals:
            assert (got.status, got.body) == (status, failure(message))
        assert len(caller.sandbox.books) == 0


async def test_remediation_within_cooldown_is_always_a_200() -> None:
    """The second remediation is refused in the vendor's odd words, whatever refusal_status is."""
    async with Caller(refusal_status=400) as caller:
        ani = caller.first(ACTIVE)
        got = await caller.act("remediate", ani=ani)
        assert got.body == {"status": "received request", "ani": ani}
        got = await caller.act("remediate", ani=ani)
        assert (got.status, got.body) == (200, {"status": "within cooldown"})
        caller.now += timedelta(days=30)
        assert (await caller.act("remediate", ani=ani)).body["status"] == "received request"


@pytest.mark.parametrize("date", ["20260528000000", "2026-05-28"])
async def test_both_forms_of_date_mean_utc(caller: Caller, date: str) -> None:
    """A future pause is answered at once and turns the status at its second in UTC."""
    ani = caller.first(ACTIVE)
    assert (await caller.act("pause", ani=ani, date=date)).body == {"status": "paused", "ani": ani}
    caller.now = datetime(2026, 5, 27, 23, 59, 59, tzinfo=UTC)
    got = await caller.call("GET", "/anis", params={"number": ani})
    assert got.body["data"][0]["status"] == ACTIVE
    caller.now = datetime(2026, 5, 28, tzinfo=UTC)
    got = await caller.call("GET", "/anis", params={"number": ani})
    assert got.body["data"][0]["status"] == COOLING
    assert got.body["data"][0]["dateDeactivated"] == "2026-05-28"


async def test_unknown_fields_are_ignored(caller: Caller) -> None:
    """A field nobody knows, and a date where none belongs, do no harm."""
    got = await caller.act("remediate", ani=caller.first(ACTIVE), date=5, extra=[1])
    assert got.body["status"] == "received request"


# Bad input

NOT_JSON = [b"", b"{", b"nul", b"{'ani': 1}", b'{"a": "\xff"}', b"\xff\xfe{\0}\0", b"[" * 50_000]
NO_OBJECT = [b"null", b"[]", b'"2345678901"', b"1", b"true"]


@pytest.mark.parametrize("body", NOT_JSON)
async def test_malformed_json_is_400(caller: Caller, body: bytes) -> None:
    """Whatever does not decode is told so, however it is broken."""
    got = await caller.call("POST", "/pause", data=body)
    assert (got.status, got.body) == (400, failure("Request body must be valid JSON"))


@pytest.mark.parametrize("body", NO_OBJECT)
async def test_json_that_is_no_object_is_400(caller: Caller, body: bytes) -> None:
    """A body of another JSON type is told so."""
    got = await caller.call("POST", "/remediate", data=body)
    assert (got.status, got.body) == (400, failure("Request body must be a JSON object"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ani": ...}, "ani is required"),
        ({"ani": None}, "ani must be a string"),
        ({"ani": 2345678901}, "ani must be a string"),
        ({"ani": ["2345678901"]}, "ani must be a string"),
        ({"ani": ""}, "ani must be a phone number of 7 to 15 digits"),
        ({"ani": "123456"}, "ani must be a phone number of 7 to 15 digits"),
        ({"ani": "1" * 16}, "ani must be a phone number of 7 to 15 digits"),
        ({"ani": "٢٣٤٥٦٧٨٩٠١"}, "ani must be a phone number of 7 to 15 digits"),
        ({"carrier": 130077}, "carrier must be a string"),
        ({"carrier": None}, "carrier must be a string"),
        ({"carrier": ""}, "carrier must be a string of six digits"),
        ({"carrier": "13007"}, "carrier must be a string of six digits"),
        ({"carrier": "1300777"}, "carrier must be a string of six digits"),
        ({"carrier": "13007x"}, "carrier must be a string of six digits"),
        ({"carrier": "130077\n"}, "carrier must be a string of six digits"),
        ({"note": 1}, "note must be a string"),
        ({"note": None}, "note must be a string"),
        ({"date": None}, "date must be a string"),
        ({"date": 20260101000000}, "date must be a string"),
        *(
            ({"date": date}, "date must be YYYYMMDDHHMMSS or YYYY-MM-DD")
            for date in (
                *("", "tomorrow", "20260101", "202601010000", "2026-1-1", "2026-02-30"),
                *("20261301000000", "20260101240000", "00000101000000", "2026-01-01T00:00:00Z"),
                *("2026-01-01\n", "٢٠٢٦-01-01"),
            )
        ),
    ],
)
@pytest.mark.parametrize("action", ["pause", "activate"])
async def test_bad_fields_are_400(
    caller: Caller, action: str, changes: dict[str, object], message: str
) -> None:
    """Each field that breaks the contract is named, and nothing is applied."""
    ani = caller.first(ACTIVE if action == "pause" else COOLING)
    fields = {"ani": ani, "date": "2026-01-01"} | changes
    got = await caller.act(action, **{k: v for k, v in fields.items() if v is not ...})
    assert (got.status, got.body) == (400, failure(message))
    assert len(caller.sandbox.books) == 0


async def test_activate_needs_a_date(caller: Caller) -> None:
    """An activation without its date is bad input, not a refusal."""
    got = await caller.act("activate", ani=caller.first(COOLING))
    assert (got.status, got.body) == (400, failure("date is required"))


@pytest.mark.parametrize("path", ["", "/", "/anis/", "/ANIS", "/pause/1", "/../anis", "/%00"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_unknown_paths_are_404(caller: Caller, method: str, path: str) -> None:
    """A path that is not exactly an endpoint's is not found, whatever the method."""
    got = await caller.call(method, path)
    assert (got.status, got.body) == (404, failure("Not found"))


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        *(("GET", path, "POST") for path in ("/pause", "/activate", "/remediate")),
        *((method, "/anis", "GET") for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS")),
    ],
)
async def test_wrong_methods_are_405(caller: Caller, method: str, path: str, allow: str) -> None:
    """The wrong method on a right path is told which one is right."""
    got = await caller.call(method, path)
    assert (got.status, got.body) == (405, failure("Method not allowed"))
    assert got.headers["Allow"] == allow


async def test_a_body_too_large_is_413(caller: Caller) -> None:
    """More than a megabyte is not read, and the next call is served as ever."""
    got = await caller.call("POST", "/pause", data=io.BytesIO(b" " * 1_100_000))
    assert (got.status, got.body) == (413, failure("Request body too large"))
    assert (await caller.act("pause", ani=caller.first(ACTIVE))).status == 200


async def test_a_body_that_asks_first_is_told_to_go_on(caller: Caller) -> None:
    """A client that waits for 100 Continue before it sends the body is not left waiting."""
    ani = caller.first(ACTIVE)
    url = caller.sandbox.url + "/pause"
    key = {"Authorization": f"Bearer {caller.sandbox.api_key}"}
    async with caller.session.post(url, json={"ani": ani}, headers=key, expect100=True) as answer:
        assert await answer.json() == {"status": "paused", "ani": ani}


HEAD = "POST /nrm/pause HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sandbox-key\r\n"


@pytest.mark.parametrize(
    "tail",
    [
        "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        "Content-Encoding: deflate\r\nContent-Length: 4\r\n\r\nabcd",
        "Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        "Content-Length: nonsense\r\n\r\n",
    ],
)
async def test_a_body_that_cannot_be_read_is_400(
    caller: Caller, tail: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken encoding is a client error, not a crash of the handler, and not worth a log."""
    async with connected(caller) as (reader, writer):
        writer.write((HEAD + tail).encode())
        answer = await reader.readuntil(b"\r\n")
    assert answer.split(b" ")[1] == b"400"
    assert not caplog.records
    assert len(caller.sandbox.books) == 0


async def test_a_caller_that_hangs_up_in_the_body_is_forgotten(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a body applies nothing, logs nothing, and does not stop the others."""
    async with connected(caller) as (_, writer):
        writer.write((HEAD + 'Content-Length: 100\r\n\r\n{"ani": ').encode())
        await writer.drain()
    assert (await caller.act("pause", ani=caller.first(ACTIVE))).status == 200
    assert len(caller.sandbox.books) == 1
    assert not caplog.records


@asynccontextmanager
async def connected(
    caller: Caller,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = caller.sandbox.url.removeprefix("http://").removesuffix("/nrm").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


# Life


async def test_start_and_stop_may_be_called_twice(caplog: pytest.LogCaptureFixture) -> None:
    """Starting what runs and stopping what rests does nothing; the state outlives both."""
    sandbox = Sandbox(5)
    await sandbox.stop()
    await sandbox.start()
    url = sandbox.url
    await sandbox.start()
    assert sandbox.url == url
    await sandbox.stop()
    await sandbox.stop()
    async with sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        assert sandbox.url.endswith("/nrm")
    assert not caplog.records


@pytest.mark.parametrize("stopped", [False, True])
async def test_there_is_no_url_unless_running(stopped: bool) -> None:
    """Reading the URL too early or too late is a clear error."""
    sandbox = Sandbox(0)
    if stopped:
        async with sandbox:
            pass
    with pytest.raises(RuntimeError, match=r"before start\(\) or after stop\(\)"):
        _ = sandbox.url


async def test_a_taken_port_is_told_and_can_be_tried_again() -> None:
    """A failed start leaves nothing behind; when the port is free the same sandbox starts."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        sandbox = Sandbox(0, port=port)
        with pytest.raises(OSError, match="address already in use"):
            await sandbox.start()
    async with sandbox:
        assert sandbox.url == f"http://127.0.0.1:{port}/nrm"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.53", "::1"])
async def test_loopback_hosts_are_served(host: str) -> None:
    """Every way to write loopback gives a URL that answers."""
    try:
        async with (
            Sandbox(0, host=host) as sandbox,
            aiohttp.request("GET", sandbox.url + "/anis") as answer,
        ):
            assert answer.status == 401
    except OSError:
        pytest.skip(f"this machine has no {host}")


async def test_stop_drops_what_is_under_way(caplog: pytest.LogCaptureFixture) -> None:
    """Calls that wait for a slow answer, and half-sent ones, end at once; no task is left."""
    before = asyncio.all_tasks()
    async with (
        Caller(latency=3600.0) as caller,
        connected(caller) as (half, writer),
        connected(caller) as (idle, _),
    ):
        ani = caller.first(ACTIVE)
        slow = asyncio.create_task(caller.act("pause", ani=ani))
        writer.write((HEAD + "Content-Length: 100\r\n\r\n").encode())
        while caller.sandbox.max_in_flight < 2:  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)
        await caller.sandbox.stop()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await slow
        assert await half.read() == await idle.read() == b""
        assert caller.sandbox.books.times_applied("pause", ani) == 1
    assert asyncio.all_tasks() == before
    assert not caplog.records


async def test_requests_are_counted(caller: Caller) -> None:
    """Good and bad requests count alike, one after the other is never two at once."""
    await caller.call("GET", "/anis")
    await caller.call("GET", "/nothing")
    assert (caller.sandbox.requests, caller.sandbox.max_in_flight) == (2, 1)


async def test_latency_holds_answers_together() -> None:
    """With latency, calls made together are in flight together, and all are answered."""
    async with Caller(latency=0.02) as caller:
        phones = caller.sandbox.phones[:5]
        got = await asyncio.gather(*(caller.act("remediate", ani=ani) for ani in phones))
        assert [one.status for one in got] == [200] * 5
        assert caller.sandbox.max_in_flight == 5
        assert len({one.headers["x-request-id"] for one in got}) == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"anis": -1}, "anis must be a whole number of at least 0, not -1"),
        ({"anis": 1.5}, "anis must be a whole number"),
        ({"anis": True}, "anis must be a whole number"),
        ({"latency": -0.1}, "latency must be a finite number of seconds"),
        ({"latency": float("nan")}, "latency must be a finite number of seconds"),
        ({"latency": float("inf")}, "latency must be a finite number of seconds"),
        ({"latency": "1"}, "latency must be a finite number of seconds"),
        ({"port": -1}, "port must be a whole number from 0 to 65535"),
        ({"port": 65536}, "port must be a whole number from 0 to 65535"),
        ({"refusal_status": 201}, "refusal_status must be 200 or from 400 to 499"),
        ({"refusal_status": 500}, "refusal_status must be 200 or from 400 to 499"),
        ({"refusal_status": "200"}, "refusal_status must be 200 or from 400 to 499"),
        ({"page_size_max": 0}, "page_size_max must be a whole number of at least 1"),
        ({"api_key": ""}, "api_key must be visible ASCII"),
        ({"api_key": "two words"}, "api_key must be visible ASCII"),
        ({"api_key": None}, "api_key must be visible ASCII"),
        ({"host": "0.0.0.0"}, "host must be loopback"),
        ({"host": "::"}, "host must be loopback"),
        ({"host": "::ffff:127.0.0.1"}, "host must be loopback"),
        ({"host": "192.0.2.1"}, "host must be loopback"),
        ({"host": "example.org"}, "host must be loopback"),
        ({"host": ""}, "host must be loopback"),
        ({"now": lambda: datetime(2026, 1, 1)}, "now must be aware"),  # noqa: DTZ001
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    """Each argument that breaks its rule is a ValueError with its name and the rule."""
    with pytest.raises(ValueError, match=message):
        Sandbox(**settings)


def test_the_same_seed_gives_the_same_inventory() -> None:
    """Two sandboxes of one seed and one day hold equal rows; the seed is what tells them apart."""
    one, two, other = (Sandbox(20, seed, now=lambda: START) for seed in (1, 1, 2))
    assert one.state.rows == two.state.rows != other.state.rows
    assert one.phones == tuple(row["phone"] for row in one.state.rows)
