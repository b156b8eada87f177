"""What outlives a moment: the clock, the state file, beginning anew, a thread of its own."""

import asyncio
import io
import json
import os
import signal
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrm_async import NRMClient
from nrm_async.sandbox import BEHAVIOURS, ActionRequest, Clock, Sandbox
from nrm_async.sandbox.faults import KINDS
from nrm_async.sandbox.store import Founding, Store
from tests.cli.conftest import finish, start
from tests.sandbox.conftest import ACTIVE, COOLING, START, Caller

WHEN = datetime(2030, 1, 1, tzinfo=UTC)


class Ticking:
    """A source of time that goes on by a second each time it is asked."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def test_a_clock_can_be_set_and_goes_on() -> None:
    """From where it was set; advancing adds to it."""
    clock = Clock(Ticking())
    clock.set(WHEN)
    assert timedelta(0) < clock.now() - WHEN < timedelta(seconds=3)
    clock.advance(timedelta(days=2))
    assert timedelta(days=2) < clock.now() - WHEN < timedelta(days=2, seconds=9)
    clock.advance(3600)
    assert clock.now() - WHEN > timedelta(days=2, hours=1)


def test_a_frozen_clock_stands_until_it_is_resumed() -> None:
    """Setting and advancing move it, nothing else does; it goes on from where it stood."""
    clock = Clock(Ticking())
    clock.freeze()
    assert (clock.is_frozen, clock.now()) == (True, clock.now())
    clock.set(WHEN)
    clock.advance(60)
    assert clock.now() == WHEN + timedelta(minutes=1)
    clock.resume()
    assert timedelta(0) < clock.now() - WHEN - timedelta(minutes=1) < timedelta(seconds=3)


def test_a_clock_refuses_what_it_cannot_be() -> None:
    """Naive times, and steps back that are called advances."""
    with pytest.raises(ValueError, match="when must be aware"):
        Clock().set(datetime(2030, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="when must be before the year 9001"):
        Clock().set(datetime(9999, 12, 31, tzinfo=UTC))
    with pytest.raises(ValueError, match="by must"):
        Clock().advance(-1)
    with pytest.raises(ValueError, match="by must not be negative"):
        Clock().advance(timedelta(days=-1))


async def test_a_dated_action_takes_effect_when_the_clock_is_turned(caller: Caller) -> None:
    """No waiting: the clock is advanced, and the number rests."""
    ani = caller.first(ACTIVE)
    await caller.act("pause", ani=ani, date="2026-06-01")
    assert caller.sandbox.status_of(ani) == ACTIVE
    caller.sandbox.clock.advance(timedelta(days=5))
    assert caller.sandbox.status_of(ani) == COOLING


def told(sandbox: Sandbox) -> tuple[object, ...]:
    """All that there is to know of a sandbox."""
    state, books = sandbox.state, sandbox.books
    return (state.rows, state.scheduled, tuple(books), books.requests(), sandbox.clock.setting)


STEP = st.one_of(
    st.tuples(
        st.sampled_from(["pause", "activate", "remediate"]),
        st.integers(0, 9),
        st.none() | st.integers(-3, 9).map(lambda days: START + timedelta(days=days)),
    ),
    st.tuples(st.just("advance"), st.integers(0, 20), st.none()),
    st.tuples(st.just("set"), st.integers(-20, 20), st.none()),
    st.tuples(st.sampled_from(["join", "leave", "freeze", "resume"]), st.integers(0, 9), st.none()),
)


def do(sandbox: Sandbox, what: str, number: int, at: datetime | None) -> None:
    """One step of a walk."""
    if what in ("pause", "activate", "remediate"):
        ani = sandbox.phones[number]
        sandbox.state.act(ActionRequest(what, ani, note="n", at=at))  # type: ignore[arg-type]
    elif what == "advance":
        sandbox.clock.advance(timedelta(days=number))
    elif what == "set":
        sandbox.clock.set(START + timedelta(days=number))
    elif what in ("freeze", "resume"):
        getattr(sandbox.clock, what)()
    elif what == "leave":
        sandbox.state.leave(number)
    else:
        sandbox.state.join()


@given(st.lists(STEP, max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_state_file_tells_the_same_again(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, datetime | None]]
) -> None:
    """Whatever was done, the file brings it back: rows, schedule, books and clock."""
    file = tmp_path_factory.mktemp("state") / "state.db"
    first = Sandbox(25, state_file=file, now=lambda: START)
    for what, number, at in steps:
        do(first, what, number, at)
    before = told(first)
    asyncio.run(first.stop())
    again = Sandbox(7, 99, state_file=file, now=lambda: START)
    assert told(again) == before
    assert (again.founding.anis, again.founding.seed) == (25, 1)
    asyncio.run(again.stop())


async def test_requests_and_loaded_rows_are_kept_too(tmp_path: Path) -> None:
    """Who asked for what, over a restart; and an inventory that came from elsewhere."""
    file = tmp_path / "state.db"
    rows = [{"id": 1, "phone": "2345678901", "status": ACTIVE}]
    async with Sandbox(inventory=rows, state_file=file) as sandbox:  # type: ignore[arg-type]
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            await nrm.pause("2345678901")
    async with Sandbox(state_file=file) as again:
        assert again.phones == ("2345678901",)
        assert again.books.requests() == sandbox.books.requests()
        again.assert_applied("pause", "2345678901", times=1)
        async with NRMClient(again.api_key, base_url=again.url) as nrm:
            await nrm.list_anis()
        assert [one.number for one in again.books.requests()] == [1, 2]
        again.reset()
    assert not Sandbox(state_file=file).books.requests()


async def test_a_killed_process_loses_nothing_it_has_answered(tmp_path: Path) -> None:
    """SIGKILL in the middle of pauses: every answered one is there after a restart."""
    file = tmp_path / "state.db"
    arguments = ("sandbox", "--port", "0", "--anis", "300", "--state", str(file))
    environment = os.environ | {"PYTHONASYNCIODEBUG": ""}
    process = await start(*arguments, environment=environment)
    assert process.stdout is not None
    line = (await process.stdout.readuntil(b"Ctrl-C stops it.\n")).decode().splitlines()[0]
    answered = list[str]()
    async with NRMClient("sandbox-key", base_url=line.split()[-1]) as nrm:
        async for ani in nrm.anis():
            if ani.is_active and len(answered) < 40:
                answered.append((await nrm.pause(ani)).ani)
        process.send_signal(signal.SIGKILL)
        await finish(process)
    again = Sandbox(state_file=file)
    assert [one.ani for one in again.books.applied("pause")] == answered
    assert {again.status_of(ani) for ani in answered} == {COOLING}
    await again.stop()


async def test_a_number_of_a_request_is_not_given_twice(tmp_path: Path) -> None:
    """What was applied by a request that the run's end cut off is nobody else's after it."""
    file = tmp_path / "state.db"
    first = Sandbox(3, state_file=file, now=lambda: START)
    first.state.act(ActionRequest("remediate", first.phones[0]), number=7)
    await first.stop()
    again = Sandbox(state_file=file, now=lambda: START)
    assert again.books.applied()[0].request == 7
    assert again.books.arrive("anis", START).number == 8
    await again.stop()


def test_one_state_file_has_one_user(tmp_path: Path) -> None:
    """A second sandbox is told, and may have it when the first has stopped."""
    file = tmp_path / "state.db"
    first = Sandbox(5, state_file=file)
    with pytest.raises(ValueError, match=r"state file .*: another sandbox is using it"):
        Sandbox(5, state_file=file)
    asyncio.run(first.stop())
    asyncio.run(Sandbox(5, state_file=file).stop())


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()


def newer(path: Path) -> None:
    Store(path, Founding(1, 1, START.date())).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


def damaged(path: Path) -> None:
    Store(path, Founding(1, 1, START.date())).close()
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO events (kind, body) VALUES ('applied', '{')")
    database.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("x" * 5_000), "it is no state file of this sandbox"),
        (lambda path: path.mkdir(), "unable to open database file"),
        (foreign, "it is another program's database"),
        (newer, "it has format 99, this version reads format 1"),
        (damaged, "it is damaged"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, make: object, message: str) -> None:
    """In one line, and what is not ours is left as it was."""
    file = tmp_path / "state.db"
    make(file)  # type: ignore[operator]
    before = file.read_bytes() if file.is_file() else b""
    with pytest.raises(ValueError, match=message) as error:
        Sandbox(5, state_file=file)
    assert str(error.value).startswith(f"state file {file}: ")
    assert "\n" not in str(error.value)
    assert "damaged" in message or (file.read_bytes() if file.is_file() else b"") == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fault", "teapot"), "unknown fault 'teapot': known are latency, rate-cap"),
        (("--state", "/dev/null/x"), "state file /dev/null/x: unable to open database file"),
        (("--inventory", "/nowhere.csv"), "cannot read /nowhere.csv: No such file"),
        (("--refusal-status", "500"), "refusal_status must be 200 or from 400 to 499"),
    ],
)
async def test_the_command_tells_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    """Exit code 2, nothing on standard output, no traceback."""
    done = await finish(await start("sandbox", "--port", "0", *arguments, environment=os.environ))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"Error: {message}")


async def test_the_command_does_not_overrule_a_state_file(tmp_path: Path) -> None:
    """Numbers typed that are not the file's are an error, not a surprise."""
    file = tmp_path / "state.db"
    await Sandbox(5, state_file=file).stop()
    arguments = ("sandbox", "--state", str(file), "--anis", "6")
    done = await finish(await start(*arguments, environment=os.environ))
    assert (done.code, done.out) == (2, "")
    assert "was made with --anis 5, not 6" in done.err


async def test_the_command_explains() -> None:
    """Every behaviour with its basis, every fault with its options."""
    done = await finish(await start("sandbox", "--explain", environment=os.environ))
    assert done.code == 0
    for words in (*(one.what for one in BEHAVIOURS), *(kind.name for kind in KINDS), "schedule"):
        assert words in done.out


async def test_beginning_anew(caller: Caller) -> None:
    """Inventory, books, clock and faults are those of the beginning; the port stays."""
    fresh = told(caller.sandbox)
    caller.sandbox.inject("drift", "429:endpoint=pause")
    caller.sandbox.clock.advance(60)
    await caller.call("GET", "/anis")
    await caller.act("remediate", ani=caller.sandbox.phones[1])
    caller.sandbox.reset()
    assert told(caller.sandbox) == fresh
    assert (await caller.act("pause", ani=caller.first(ACTIVE))).status == 200


async def test_beginning_anew_is_beginning_as_it_was_made() -> None:
    """Faults and switches that it was made with are back and count anew; later ones are gone."""
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


def test_a_sandbox_in_a_thread_needs_no_loop() -> None:
    """A plain ``with`` runs it; its port is closed afterwards."""
    with Sandbox(5) as sandbox:
        url = sandbox.url

        async def count() -> int:
            async with NRMClient(sandbox.api_key, base_url=url) as nrm:
                return len(await nrm.inventory())

        assert asyncio.run(count()) == 5
    with pytest.raises(RuntimeError):
        _ = sandbox.url


def test_a_thread_that_cannot_have_its_port_is_ended() -> None:
    """The error comes out of ``with``, and no thread is left."""
    with Sandbox(0) as first:
        port = int(first.root_url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="address already in use"), Sandbox(0, port=port):
            pass


# Beside the API


async def test_health_and_books_over_http(caller: Caller) -> None:
    """Other languages ask the same books."""
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
    """Injected as objects or texts, one or several; listed with what they hit; ended."""
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
    """What Python can set, others can."""
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
        ("POST", "/control/faults", "[5]", 400, "a fault must be a text"),
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
async def test_what_is_wrong_with_a_call_beside_the_api_is_told(
    caller: Caller, method: str, path: str, body: str, status: int, message: str
) -> None:
    """In the style of the API: a 4xx with a message, never a 500."""
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
async def test_a_browser_cannot_be_made_to_control_it(
    caller: Caller, headers: dict[str, str], status: int
) -> None:
    """A page of somewhere else neither changes anything here, nor reads the books."""
    got = await caller.control("POST", "/control/faults", json=["reset"], headers=headers)
    assert got.status == status
    assert bool(caller.sandbox.faults.injected) is (status == 200)
    assert (await caller.control("GET", "/books", headers=headers)).status == status


async def test_what_is_no_http_is_answered_in_json(caller: Caller) -> None:
    """A request line that cannot be read has its 400, is booked, and no log is written."""
    host, port = caller.sandbox.root_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, body = answer.split(b"\r\n\r\n", 1)
    assert b" 400 " in head.splitlines()[0]
    assert b"application/json" in head
    assert json.loads(body) == {"success": False, "message": "Malformed request"}
    assert caller.sandbox.books.requests(status=400)


async def test_a_fault_of_our_own_is_no_traceback(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is broken in the sandbox, the caller gets JSON, and the log says what it was."""

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("nrm_async.sandbox.api.endpoints.page_request", broken)
    async with aiohttp.request(
        "GET", f"{caller.sandbox.url}/anis", headers={"Authorization": "Bearer sandbox-key"}
    ) as answer:
        assert (answer.status, answer.content_type) == (500, "application/json")
        assert (await answer.json())["message"] == "Internal error"
    assert "a bug" in caplog.text
