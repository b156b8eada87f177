"""Rows 38 to 43: outages, callers that fail, clients that end, clocks; and that no row lacks."""

import ast
import asyncio
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from nrm_async import (
    CallResult,
    ClientState,
    ClientStateError,
    NotSentError,
    NRMClient,
    NRMError,
    Outcome,
    OutcomeUnknownError,
    Pause,
    RetryPolicy,
    TransportError,
)
from nrm_async._flight import Flight
from nrm_async._wire import Request, Response
from nrm_async.models import ACTIVE
from tests.faults.conftest import (
    ACTIVE_ANI,
    KEY,
    RESTING_ANI,
    SPARE_ANI,
    act,
    check_error,
    check_next_call,
    connect_to,
    idle,
    make_action,
)
from tests.faults.server import FaultServer, hang, say

ROWS: Final = 43


# --- 38: an outage, on virtual time ----------------------------------------------------------


@attrs.define
class Outage:
    """A transport to an API that is down for a while, and keeps books."""

    begins: float = 5.0
    ends: float = 305.0
    applies: bool = False
    most_connections: int | None = None
    requests: list[tuple[float, str]] = attrs.field(factory=list)
    applied: Counter[str] = attrs.field(factory=Counter)

    scrub: "Outage" = attrs.field(default=attrs.Factory(lambda self: self, takes_self=True))

    def text(self, text: str) -> str:
        return text

    async def send(self, request: Request, flight: Flight) -> Response | NRMError:
        """Take 0.1 s for an answer, while it is up; a connection that is refused takes none."""
        now = asyncio.get_running_loop().time()
        flight.attempts += 1
        flight.is_exposed = True
        self.requests.append((now, request.method))
        is_down = self.begins <= now < self.ends
        said = self._judge(request, is_down=is_down)
        await asyncio.sleep(0.1)
        if is_down:
            return TransportError("no usable answer: reset")
        return Response(200, json.dumps(said).encode())

    def _judge(self, request: Request, *, is_down: bool) -> dict[str, Any]:
        if request.method == "GET":
            ani = (request.query or {}).get("number", "")
            rows = [{"id": 1, "phone": ani, "status": "REST" if self.applied[ani] else ACTIVE}]
            return {"data": rows, "total_anis": 1, "can_next_page": False}
        ani = json.loads(request.body or b"")["ani"]
        if not is_down or self.applies:
            if self.applied[ani]:
                return {"success": False, "message": "Only active ANIs can be paused"}
            self.applied[ani] += 1
        return {"status": "paused", "ani": ani}

    @property
    def while_down(self) -> list[tuple[float, str]]:
        return [asked for asked in self.requests if self.begins <= asked[0] < self.ends]

    async def aclose(self) -> None: ...

    def drop(self) -> None: ...


@pytest.mark.looptime
@pytest.mark.parametrize("applies", [True, False], ids=["applied", "not-applied"])
async def test_faults_38_a_batch_goes_on_after_an_outage(
    monkeypatch: pytest.MonkeyPatch, applies: bool
) -> None:
    """Few attempts while it is down, reads find out when it is back, and nothing is lost."""
    outage = Outage(applies=applies)
    start = asyncio.get_running_loop().time()
    outage.begins, outage.ends = start + 5, start + 305
    monkeypatch.setattr("nrm_async._session.network.Transport", lambda settings, lent: outage)
    anis = [str(2_000_000_000 + number) for number in range(2_000)]
    async with NRMClient(KEY, max_concurrency=8) as nrm:
        report = await nrm.pause_many(anis)
    assert len(report) == len(anis)
    assert set(outage.applied.values()) == {1}
    for result in report:
        if result.outcome in (Outcome.APPLIED, Outcome.CONFIRMED):
            assert outage.applied[result.ani] == 1
        else:
            assert result.outcome is Outcome.UNKNOWN
    assert len(report.succeeded) >= len(anis) - 16
    assert len(outage.while_down) < 100
    late = [method for when, method in outage.while_down if when > outage.begins + 30]
    assert set(late) == {"GET"}


@pytest.mark.looptime
async def test_faults_38_a_read_fails_soon_in_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads of a caller who waits are few too, and work again as soon as the API does."""
    outage = Outage()
    loop = asyncio.get_running_loop()
    outage.begins, outage.ends = loop.time() + 1, loop.time() + 301
    monkeypatch.setattr("nrm_async._session.network.Transport", lambda settings, lent: outage)
    async with NRMClient(KEY, max_concurrency=4) as nrm:
        await nrm.list_anis(number=ACTIVE_ANI)
        failures = 0
        while loop.time() < outage.ends:
            try:
                await nrm.list_anis(number=ACTIVE_ANI)
            except TransportError:
                failures += 1
                await asyncio.sleep(1.0)
        assert failures > 50
        assert len(outage.while_down) < 100
        await asyncio.sleep(16)  # the longest that nobody asks
        assert len(await nrm.list_anis(number=ACTIVE_ANI)) == 1


# --- 39, 40: the caller's own faults ---------------------------------------------------------


class Broken(Exception):  # noqa: N818 - a stranger's
    """What a caller's code raises."""


@pytest.mark.parametrize("is_async", [False, True], ids=["iterator", "async-iterator"])
async def test_faults_39_the_input_raises(
    server: FaultServer, client: NRMClient, is_async: bool
) -> None:
    """What was in flight ends, the results so far are kept, and then it is raised."""
    go_on = asyncio.Event()
    server.then("POST", hang(applied=True, until=go_on))

    def inputs() -> Iterator[str]:
        yield from (ACTIVE_ANI, SPARE_ANI, RESTING_ANI)
        raise Broken

    async def inputs_async() -> AsyncIterator[str]:
        for ani in (ACTIVE_ANI, SPARE_ANI, RESTING_ANI):
            yield ani
        raise Broken

    batch = asyncio.create_task(client.pause_many(inputs_async() if is_async else inputs()))
    await server.seen(3)
    await idle()
    assert not batch.done()
    go_on.set()
    with pytest.raises(Broken) as caught:
        await batch
    report = caught.value.report  # type: ignore[attr-defined]
    assert [result.outcome for result in report] == [
        Outcome.APPLIED, Outcome.APPLIED, Outcome.REJECTED,
    ]  # fmt: skip
    assert server.applied.total() == 2
    server.active[SPARE_ANI] = True
    await check_next_call(client, server)


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_faults_40_on_result_raises(
    server: FaultServer, client: NRMClient, is_async: bool
) -> None:
    """The run goes on to its end; the first error is raised there, with the report."""
    server.active = {str(2_000_000_000 + number): True for number in range(30)}
    seen: list[int] = []

    def plain(result: CallResult) -> None:
        seen.append(result.index)
        raise Broken(str(len(seen)))

    async def later(result: CallResult) -> None:
        await asyncio.sleep(0)
        plain(result)

    with pytest.raises(Broken, match=r"^1$") as caught:
        await client.pause_many(list(server.active), on_result=later if is_async else plain)
    report = caught.value.report  # type: ignore[attr-defined]
    assert len(report) == len(seen) == server.applied.total() == 30
    assert report.ok
    server.active[SPARE_ANI] = True
    await check_next_call(client, server)


# --- 41, 42: the client ends, or is in the wrong place ---------------------------------------


@pytest.mark.parametrize("kind", ["pause", "activate", "remediate"])
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
async def test_faults_41_closed_with_calls_in_flight(
    server: FaultServer, kind: str, applied: bool
) -> None:
    """What was sent is unknown, what was not is not applied, and a read is an error."""
    server.always("POST", hang(applied=applied))
    server.always("GET", hang(applied=False))
    nrm = connect_to(server, max_concurrency=3)
    action = make_action(kind)
    single = asyncio.create_task(nrm.remediate(SPARE_ANI))
    batch = asyncio.create_task(nrm.run_batch([action, make_action(kind), Pause("2345678901")]))
    read = asyncio.create_task(nrm.list_anis())
    await server.seen(3)
    await idle()
    await nrm.aclose()
    assert nrm.state is ClientState.CLOSED
    report = await batch
    sent = {asked.ani for asked in server.requests if asked.method == "POST"}
    waited = report[1]  # for its number, which the first one holds
    assert (waited.outcome, waited.attempts) == (Outcome.NOT_APPLIED, 0)
    for result in (report[0], report[2]):
        was_sent = result.ani in sent
        assert result.outcome is (Outcome.UNKNOWN if was_sent else Outcome.NOT_APPLIED)
    for result in report:
        assert not result.ok
        assert result.action is not None
        check_error(result.error, "POST", result.action.path, result.attempts)
        assert "closed" in result.error.message
    with pytest.raises(OutcomeUnknownError, match="closed") as caught:
        await single
    check_error(caught.value, "POST", "/remediate", 1)
    with pytest.raises(NRMError, match="closed"):
        await read
    async with connect_to(server) as another:
        await check_next_call(another, server)


async def test_faults_41_closed_while_an_action_is_confirmed(server: FaultServer) -> None:
    """The truth cannot be had any more: unknown."""
    server.then("POST", say("<html></html>", 502, applied=True))
    server.always("GET", hang(applied=False))
    nrm = connect_to(server)
    call = asyncio.create_task(act(nrm, Pause(ACTIVE_ANI)))
    await server.seen(2)
    await nrm.aclose()
    result = await call
    assert result.outcome is Outcome.UNKNOWN
    assert not result.ok
    check_error(result.error, "POST", "/pause", 1)
    assert server.posts == 1


def test_faults_42_another_event_loop(free_port: int) -> None:
    """Each way to use a client in a loop that is not its own is refused, without a hang."""
    nrm = NRMClient(
        KEY, base_url=f"http://127.0.0.1:{free_port}/nrm", retry=RetryPolicy(max_retries=0)
    )

    async def use() -> None:
        with pytest.raises(NotSentError):
            await nrm.list_anis()

    async def use_elsewhere() -> None:
        with pytest.raises(ClientStateError, match="another event loop"):
            await nrm.list_anis()
        with pytest.raises(ClientStateError, match="another event loop"):
            await nrm.pause(ACTIVE_ANI)
        with pytest.raises(ClientStateError, match="another event loop"):
            await anext(nrm.anis())
        with pytest.raises(ClientStateError, match="another event loop"):
            await nrm.pause_many([ACTIVE_ANI])

    asyncio.run(use())
    asyncio.run(use_elsewhere())
    asyncio.run(nrm.aclose())


@pytest.fixture
def free_port(unused_tcp_port_factory: Callable[[], int]) -> int:
    """A port on which nobody listens."""
    return unused_tcp_port_factory()


FORK: Final = """
import asyncio, os, sys
from nrm_async import NRMClient, ClientStateError

async def read(nrm):
    try:
        return len(await nrm.list_anis())
    except ClientStateError as error:
        return str(error)

with asyncio.Runner() as runner:
    nrm = NRMClient("a-key-of-the-fault-tests", base_url=sys.argv[1])
    before = runner.run(read(nrm))
    child = os.fork()
    if child == 0:
        how = runner.run if sys.argv[2] == "same" else asyncio.run
        sys.stdout.write(str(how(read(nrm))))
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
    print("", before, runner.run(read(nrm)), sep="|")
    runner.run(nrm.aclose())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("loop", ["same", "new"])
async def test_faults_42_a_fork(server: FaultServer, loop: str) -> None:
    """A child may not use its parent's connections, in whatever loop; the parent goes on."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", FORK, server.url, loop),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, problems = await asyncio.wait_for(child.communicate(), 20)
    said, before, after = out.decode().strip().split("|")
    assert re.search(r"event loop|process|fork", said), problems.decode()
    assert (before, after) == ("3", "3")
    assert server.gets == 2


# --- 43: clocks ------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-86_400.0, 86_400.0], ids=["backwards", "forwards"])
async def test_faults_43_the_clock_steps(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """Deadlines, gates, retries and confirmation go by a clock that does not step."""
    real = time.time
    server.then("POST", say("slow down", 429, {"Retry-After": "0.01"}), hang(applied=True))

    async def step_and_answer(exchange: Any) -> None:
        monkeypatch.setattr(time, "time", lambda: real() + step)
        await exchange.answer()

    server.always("GET", step_and_answer)
    async with connect_to(server, timeout=0.25) as nrm:
        assert len(await nrm.list_anis()) == 3
        result = await act(nrm, Pause(ACTIVE_ANI))
        assert (result.outcome, result.attempts) == (Outcome.CONFIRMED, 2)
        assert 0 <= result.elapsed < 60
        server.always("GET", hang(applied=False))
        with pytest.raises(TransportError) as caught:
            await nrm.list_anis()
        assert 0 <= caught.value.elapsed < 60
        await check_next_call(nrm, server)


# --- all of them -----------------------------------------------------------------------------


def test_faults_no_row_is_without_a_test() -> None:
    """Each of the 43 rows has a test that is named after its number."""
    numbers = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
                found := re.match(r"test_faults_(\d\d)_", node.name)
            ):
                numbers.add(int(found[1]))
    assert numbers == set(range(1, ROWS + 1))
