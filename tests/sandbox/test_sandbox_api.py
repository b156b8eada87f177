"""Tests of the API over HTTP: keys, listing, actions, invalid input and switches."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nrm_async import NRMClient
from nrm_async.sandbox import Sandbox
from tests.sandbox.conftest import ACTIVE, COOLING, START, Caller


def failure(message: str) -> dict[str, object]:
    return {"success": False, "message": message}


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic c2FuZGJveC1rZXk=", "nonsense"])
async def test_missing_key(caller: Caller, header: str) -> None:
    """A header without a Bearer key is rejected like a missing key."""
    got = await caller.call("GET", "/anis", headers={"Authorization": header})
    assert (got.status, got.body) == (401, failure("Missing API key"))


@pytest.mark.parametrize("path", ["/anis", "/pause", "/activate", "/remediate"])
async def test_every_endpoint_requires_the_key(caller: Caller, path: str) -> None:
    """Every endpoint rejects a missing, an unknown and a restricted key."""
    method = "GET" if path == "/anis" else "POST"
    url = caller.sandbox.url + path
    async with caller.session.request(method, url) as bare:
        assert (bare.status, await bare.json()) == (401, failure("Missing API key"))
    got = await caller.call(method, path, key="other")
    assert (got.status, got.body) == (401, failure("Invalid API key"))
    got = await caller.call(method, path, key=caller.sandbox.restricted_key)
    assert (got.status, got.body) == (403, failure("Invalid API key type"))
    assert len(caller.sandbox.books) == 0


async def test_page_envelope(caller: Caller) -> None:
    """A page has the documented keys in order, with consistent values."""
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


async def test_default_page(caller: Caller) -> None:
    """Without a query, the first thousand rows are returned."""
    got = await caller.call("GET", "/anis")
    assert [row["phone"] for row in got.body["data"]] == list(caller.sandbox.phones)
    assert (got.body["can_next_page"], got.body["can_prev_page"]) == (False, False)


async def test_page_beyond_the_end(caller: Caller) -> None:
    """A page far beyond the end is empty, and its totals are correct."""
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
    """The filter ignores non-digits, and matches the start of the phone number."""
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
async def test_invalid_paging(caller: Caller, name: str, value: str) -> None:
    """The page and the page size must be positive integers, written in plain digits."""
    got = await caller.call("GET", "/anis", params={name: value})
    assert got.status == 400
    assert got.body["success"] is False
    assert got.body["message"].startswith(f"{name} must be a whole number")


async def test_page_size_max() -> None:
    """The maximum page size is the default, and a larger page size is rejected."""
    async with Caller(page_size_max=10) as caller:
        assert (await caller.call("GET", "/anis")).body["count"] == 10
        got = await caller.call("GET", "/anis", params={"page_size": "10"})
        assert got.body["count"] == 10
        got = await caller.call("GET", "/anis", params={"page_size": "11"})
        assert (got.status, got.body["message"]) == (
            400,
            "page_size must be a whole number from 1 to 10",
        )


async def test_pause_then_activate(caller: Caller) -> None:
    """Both actions return the documented messages, and change the row and the history."""
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
async def test_ani_in_any_spelling(caller: Caller, shown: str) -> None:
    """Punctuation and the country code are dropped, and the response has ten digits."""
    ani = caller.first(ACTIVE)
    got = await caller.act("pause", ani=shown.format(ani))
    assert got.body == {"status": "paused", "ani": ani}


@pytest.mark.parametrize("status", [200, 400, 422])
async def test_refusals(status: int) -> None:
    """Each refusal has the documented body and the configured HTTP status."""
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


async def test_remediation_within_cooldown() -> None:
    """A second remediation returns a 200, even if refusal_status is different."""
    async with Caller(refusal_status=400) as caller:
        ani = caller.first(ACTIVE)
        got = await caller.act("remediate", ani=ani)
        assert got.body == {"status": "received request", "ani": ani}
        got = await caller.act("remediate", ani=ani)
        assert (got.status, got.body) == (200, {"status": "within cooldown"})
        caller.now += timedelta(days=30)
        assert (await caller.act("remediate", ani=ani)).body["status"] == "received request"


@pytest.mark.parametrize("date", ["20260528000000", "2026-05-28"])
async def test_date_formats_are_utc(caller: Caller, date: str) -> None:
    """A future pause is accepted immediately, and takes effect at its exact second in UTC."""
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
    """Unknown fields are ignored, and so is the date of a remediation."""
    got = await caller.act("remediate", ani=caller.first(ACTIVE), date=5, extra=[1])
    assert got.body["status"] == "received request"


NOT_JSON = [b"", b"{", b"nul", b"{'ani': 1}", b'{"a": "\xff"}', b"\xff\xfe{\0}\0", b"[" * 50_000]


NO_OBJECT = [b"null", b"[]", b'"2345678901"', b"1", b"true"]


@pytest.mark.parametrize("body", NOT_JSON)
async def test_malformed_json(caller: Caller, body: bytes) -> None:
    """Any body that is not valid JSON returns a 400."""
    got = await caller.call("POST", "/pause", data=body)
    assert (got.status, got.body) == (400, failure("Request body must be valid JSON"))


@pytest.mark.parametrize("body", NO_OBJECT)
async def test_json_that_is_not_an_object(caller: Caller, body: bytes) -> None:
    """A JSON value other than an object returns a 400."""
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
async def test_invalid_fields(
    caller: Caller, action: str, changes: dict[str, object], message: str
) -> None:
    """The error names the invalid field, and no action is applied."""
    ani = caller.first(ACTIVE if action == "pause" else COOLING)
    fields = {"ani": ani, "date": "2026-01-01"} | changes
    got = await caller.act(action, **{k: v for k, v in fields.items() if v is not ...})
    assert (got.status, got.body) == (400, failure(message))
    assert len(caller.sandbox.books) == 0


async def test_activate_without_date(caller: Caller) -> None:
    """An activation without a date returns a 400 rather than a refusal."""
    got = await caller.act("activate", ani=caller.first(COOLING))
    assert (got.status, got.body) == (400, failure("date is required"))


@pytest.mark.parametrize("path", ["", "/", "/anis/", "/ANIS", "/pause/1", "/../anis", "/%00"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_unknown_paths(caller: Caller, method: str, path: str) -> None:
    """Any unknown path returns a 404, for every method."""
    got = await caller.call(method, path)
    assert (got.status, got.body) == (404, failure("Not found"))


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        *(("GET", path, "POST") for path in ("/pause", "/activate", "/remediate")),
        *((method, "/anis", "GET") for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS")),
    ],
)
async def test_wrong_methods(caller: Caller, method: str, path: str, allow: str) -> None:
    """A wrong method returns a 405 that names the allowed method."""
    got = await caller.call(method, path)
    assert (got.status, got.body) == (405, failure("Method not allowed"))
    assert got.headers["Allow"] == allow


@pytest.mark.parametrize("settings", [{"contradictory": True}, {"text_ids": True}])
async def test_client_reads_every_variation(settings: dict[str, Any]) -> None:
    """The SDK lists the whole inventory with any switch set."""
    async with Sandbox(95, **settings) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            rows = [ani async for ani in nrm.anis(page_size=10)]
    assert [row.phone for row in rows] == list(sandbox.phones)
    assert all(isinstance(row.id, str) is bool(settings.get("text_ids")) for row in rows)


async def test_dialect_v1() -> None:
    """Refusals and remediations use the v1 messages, and errors do not change."""
    async with Caller(dialect="v1") as caller:
        ani = caller.first(ACTIVE)
        got = await caller.act("remediate", ani=ani)
        assert got.body == {"status": "recieved request", "ani": ani}
        got = await caller.act("activate", ani=ani, date="2026-01-01")
        reason = "Only ANIs in cooling off status can be activated"
        assert got.body == {"status": "failed", "reason": reason, "ani": ani}
        assert (await caller.act("pause")).body["message"] == "ani is required"


async def test_contradictory_envelope() -> None:
    """The counts match the documentation's example, and can_next_page is correct."""
    async with Caller(contradictory=True) as caller:
        got = await caller.call("GET", "/anis", params={"page_size": "12"})
        names = ("count", "total_anis", "can_next_page", "total_pages")
        assert [got.body[name] for name in names] == [1, 30, True, 1]
        assert len(got.body["data"]) == 12
