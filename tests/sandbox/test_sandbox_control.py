"""Tests of reset and the control endpoints."""

import io

import pytest

from tests.sandbox.conftest import ACTIVE, Caller, snapshot


async def test_reset(caller: Caller) -> None:
    """Reset restores the inventory, history, clock and faults, and keeps the port."""
    fresh = snapshot(caller.sandbox)
    caller.sandbox.inject("drift", "429:endpoint=pause")
    caller.sandbox.clock.advance(60)
    await caller.call("GET", "/anis")
    await caller.act("remediate", ani=caller.sandbox.phones[1])
    caller.sandbox.reset()
    assert snapshot(caller.sandbox) == fresh
    assert (await caller.act("pause", ani=caller.first(ACTIVE))).status == 200


async def test_reset_restores_initial_faults_and_switches() -> None:
    """Reset restores the initial faults, fault counts and switches, and removes later ones."""
    async with Caller(faults=["5xx:count=1"], refusal_status=422) as caller:
        made = caller.sandbox.switches
        for _ in range(2):
            caller.sandbox.inject("429")
            caller.sandbox.switches = made.changed({"refusal_status": 200})
            assert (await caller.call("GET", "/anis")).status == 503
            assert (await caller.call("GET", "/anis")).status == 429
            await caller.control("POST", "/control/reset")
            assert [(one.number, one.fault.name) for one in caller.sandbox.faults.injected] == [
                (1, "5xx")
            ]
            assert caller.sandbox.switches == made
        caller.sandbox.faults.clear()
        assert (await caller.call("GET", "/anis")).status == 200


async def test_health_and_books_over_http(caller: Caller) -> None:
    """The history is available over HTTP, with filters and limits."""
    ani = caller.first(ACTIVE)
    await caller.act("pause", ani=ani)
    await caller.act("pause", ani=ani)
    assert (await caller.control("GET", "/health")).body == {
        "status": "ok", "anis": 30, "requests": 2,
    }  # fmt: skip
    books = (await caller.control("GET", "/books")).body
    assert books["requests_to"] == {"anis": 0, "pause": 2, "activate": 0, "remediate": 0}
    assert books["applied"] == {"pause": 1, "activate": 0, "remediate": 0}
    got = await caller.control("GET", "/books/applied", params={"action": "pause", "ani": ani})
    assert got.body["count"] == 1
    assert got.body["entries"][0]["ani"] == ani
    query = {"endpoint": "pause", "status": "200", "since": "1", "limit": "1"}
    got = await caller.control("GET", "/books/requests", params=query)
    [entry] = got.body["entries"]
    assert (entry["number"], entry["words"][:11]) == (2, "Only active")


async def test_faults_over_http(caller: Caller) -> None:
    """Faults are injected as objects or strings, listed with their hits, and removed."""
    await caller.control("POST", "/control/faults", json={"fault": "429", "count": 1})
    await caller.control("POST", "/control/faults", json=["5xx:schedule=9", {"fault": "reset"}])
    got = await caller.control("POST", "/control/faults", json={"faults": ["latency:seconds=0"]})
    assert [one["id"] for one in got.body["faults"]] == [1, 2, 3, 4]
    assert (await caller.call("GET", "/anis")).status == 429
    got = await caller.control("DELETE", "/control/faults/3")
    assert [one["hits"] for one in got.body["faults"]] == [1, 0, 1]
    got = await caller.control("DELETE", "/control/faults")
    assert got.body == {"faults": []}
    assert (await caller.call("GET", "/anis")).status == 200


async def test_clock_switches_and_reset_over_http(caller: Caller) -> None:
    """The clock, switches and reset work over HTTP as they do in Python."""
    turn = {"set": "2030-01-01T00:00:00Z", "advance": 60, "frozen": True}
    got = await caller.control("POST", "/control/clock", json=turn)
    assert got.body == {"now": "2030-01-01T00:01:00Z", "frozen": True}
    got = await caller.control("POST", "/control/clock", json={"frozen": False})
    assert got.body["frozen"] is False
    got = await caller.control("POST", "/control/switches", json={"refusal_status": 422})
    assert got.body["refusal_status"] == 422
    assert (await caller.act("pause", ani="2000000000")).status == 422
    await caller.control("POST", "/control/reset")
    assert (await caller.control("GET", "/control/clock")).body["now"].startswith("2026-05-27")
    assert caller.sandbox.requests == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/control/faults", '{"fault": "teapot"}', 400, "unknown fault 'teapot': known"),
        ("POST", "/control/faults", "[5]", 400, "a fault must be a string"),
        ("POST", "/control/faults", "{", 400, "Request body must be valid JSON"),
        ("POST", "/control/faults", "[" * 9_999, 400, "Request body must be valid JSON"),
        ("POST", "/control/faults", " " * 1_100_000, 413, "Request body too large"),
        ("DELETE", "/control/faults/9", "", 404, "No such fault"),
        ("DELETE", "/control/faults/x", "", 404, "No such fault"),
        ("POST", "/control/clock", '{"set": "soon"}', 400, "Invalid RFC3339"),
        ("POST", "/control/clock", '{"set": "2030-01-01T00:00:00"}', 400, "when must be aware"),
        ("POST", "/control/clock", '{"advance": -1}', 400, "advance must be a finite number"),
        ("POST", "/control/clock", '{"advance": 1e300}', 400, ""),
        ("POST", "/control/clock", '{"later": 1}', 400, "unknown name 'later': known are set"),
        ("POST", "/control/clock", "5", 400, "the body must be a JSON object"),
        ("POST", "/control/switches", '{"dialect": "v3"}', 400, "dialect must be 'v1' or 'v2'"),
        ("POST", "/control/switches", '{"x": 1}', 400, "unknown switch 'x': known are refusal"),
        ("GET", "/books/applied?action=anis", "", 400, "action must be one of pause, activate"),
        ("GET", "/books/applied?ani=1", "", 400, "ani must be a phone number"),
        ("GET", "/books/requests?limit=0", "", 400, "limit must be a whole number from 1"),
        ("GET", "/books/requests?since=x", "", 400, "since must be a whole number"),
        ("GET", "/books/requests?who=me", "", 400, "unknown name 'who'"),
        ("POST", "/health", "", 405, "Method not allowed"),
        ("GET", "/control", "", 404, "Not found"),
        ("GET", "/booksale", "", 404, "Not found"),
    ],
)
async def test_invalid_control_request(
    caller: Caller, method: str, path: str, body: str, status: int, message: str
) -> None:
    """An invalid request returns a 4xx with a message in the API's format."""
    got = await caller.control(method, path, data=io.BytesIO(body.encode()) if body else None)
    assert (got.status, got.body["success"]) == (status, False)
    assert message in got.body["message"]
    assert caller.sandbox.requests == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "http://127.0.0.1:3000"}, 200),
        ({"Host": "host.docker.internal:8080"}, 200),
        ({"Host": "sandbox"}, 200),
        ({"Host": "[::1]:8080"}, 200),
        ({"Origin": "https://example.com"}, 403),
        ({"Origin": "http://192.0.2.1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[broken"}, 403),
        ({"Host": "example.com:8080"}, 403),
        ({"Host": "localhost.example.com"}, 403),
    ],
)
async def test_control_rejects_foreign_pages(
    caller: Caller, headers: dict[str, str], status: int
) -> None:
    """A page from another site cannot change the sandbox or read its history."""
    got = await caller.control("POST", "/control/faults", json=["reset"], headers=headers)
    assert got.status == status
    assert bool(caller.sandbox.faults.injected) is (status == 200)
    assert (await caller.control("GET", "/books", headers=headers)).status == status
