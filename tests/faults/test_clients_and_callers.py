"""Rows 38 to 43: outages, errors of the caller, closed clients, other loops, forks, clocks."""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

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
from nrm_async.testing import Request
from tests.actions.audit import audit
from tests.fakes import (
    ACTIVE_ANI,
    API_KEY,
    RESTING_ANI,
    FakeAPI,
    Fate,
    make_action,
    numbers,
    settled,
)
from tests.faults.conftest import SHORT, SPARE_ANI, act, check_error, check_next_call, connect_to
from tests.faults.server import FaultServer, hang, say

# --- 38: an outage, on virtual time ----------------------------------------------------------


def api_with_outage(
    anis: list[str], begins: float, seconds: float, fate: Fate
) -> tuple[FakeAPI, list[tuple[float, str]]]:
    """Return an API that is down for a while, and the time and method of each request meanwhile."""
    begins += asyncio.get_running_loop().time()
    meanwhile: list[tuple[float, str]] = []

    def choose(request: Request) -> Fate:
        after = asyncio.get_running_loop().time() - begins
        if not 0 <= after < seconds:
            return Fate.NORMAL
        meanwhile.append((after, request.method))
        return fate

    api = FakeAPI(dict.fromkeys(anis, True), choose, wait=lambda: asyncio.sleep(0.03))
    return api, meanwhile


@pytest.mark.fault(38)
@pytest.mark.looptime
@pytest.mark.parametrize(
    "fate", [Fate.LOST_AFTER, Fate.LOST_BEFORE], ids=["applied", "not-applied"]
)
async def test_batch_continues_after_an_outage(fate: Fate) -> None:
    """Few requests are sent while the API is down; reads find out when it is back."""
    anis = numbers(2_000)
    api, meanwhile = api_with_outage(anis, 5, 300, fate)
    async with NRMClient(API_KEY, transport=api, max_concurrency=8) as nrm:
        report = await nrm.run_batch(make_action("pause", ani, ani) for ani in anis)
    assert len(report) == len(anis)
    assert set(api.applied.values()) == {1}
    assert len(report.succeeded) >= len(anis) - 16
    assert not audit(api, report)
    assert len(meanwhile) < 100
    assert {method for after, method in meanwhile if after > 30} == {"GET"}


@pytest.mark.fault(38)
@pytest.mark.looptime
async def test_reads_fail_fast_during_an_outage() -> None:
    """Single reads send few requests too, and succeed soon after the outage ends."""
    api, meanwhile = api_with_outage([ACTIVE_ANI], 1, 300, Fate.LOST_BEFORE)
    loop = asyncio.get_running_loop()
    end = loop.time() + 301
    async with NRMClient(API_KEY, transport=api, max_concurrency=4) as nrm:
        await nrm.list_anis(number=ACTIVE_ANI)
        failures = 0
        while loop.time() < end:
            try:
                await nrm.list_anis(number=ACTIVE_ANI)
            except TransportError:
                failures += 1
                await asyncio.sleep(1.0)
        assert failures > 50
        assert len(meanwhile) < 100
        await asyncio.sleep(16)  # the longest time between two probes
        assert len(await nrm.list_anis(number=ACTIVE_ANI)) == 1


# --- 39, 40: errors of the caller's code -----------------------------------------------------


class BrokenCallerError(Exception):
    """What the caller's code raises."""


@pytest.mark.fault(39)
@pytest.mark.parametrize("is_async", [False, True], ids=["iterator", "async-iterator"])
async def test_input_raises(server: FaultServer, client: NRMClient, is_async: bool) -> None:
    """Items in flight complete, earlier results are kept, then the error is raised."""
    go_on = asyncio.Event()
    server.then("POST", hang(applied=True, until=go_on))

    def inputs() -> Iterator[str]:
        yield from (ACTIVE_ANI, SPARE_ANI, RESTING_ANI)
        raise BrokenCallerError

    async def inputs_async() -> AsyncIterator[str]:
        for ani in (ACTIVE_ANI, SPARE_ANI, RESTING_ANI):
            yield ani
        raise BrokenCallerError

    batch = asyncio.create_task(client.pause_many(inputs_async() if is_async else inputs()))
    await server.received(3)
    await settled()
    assert not batch.done()
    go_on.set()
    with pytest.raises(BrokenCallerError) as caught:
        await batch
    report = caught.value.report  # type: ignore[attr-defined]
    assert [result.outcome for result in report] == [
        Outcome.APPLIED, Outcome.APPLIED, Outcome.REJECTED,
    ]  # fmt: skip
    assert server.applied.total() == 2
    server.active[SPARE_ANI] = True
    await check_next_call(client, server)


@pytest.mark.fault(40)
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_on_result_raises(server: FaultServer, client: NRMClient, is_async: bool) -> None:
    """The batch continues to its end; then the first error is raised, with the report."""
    server.active = {str(2_000_000_000 + number): True for number in range(30)}
    seen: list[int] = []

    def plain(result: CallResult) -> None:
        seen.append(result.index)
        raise BrokenCallerError(str(len(seen)))

    async def later(result: CallResult) -> None:
        await asyncio.sleep(0)
        plain(result)

    with pytest.raises(BrokenCallerError, match=r"^1$") as caught:
        await client.pause_many(list(server.active), on_result=later if is_async else plain)
    report = caught.value.report  # type: ignore[attr-defined]
    assert len(report) == len(seen) == server.applied.total() == 30
    assert report.ok
    server.active[SPARE_ANI] = True
    await check_next_call(client, server)


# --- 41, 42: closed clients, other event loops, forks ----------------------------------------


@pytest.mark.fault(41)
@pytest.mark.parametrize("kind", ["pause", "activate", "remediate"])
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
async def test_close_with_calls_in_flight(server: FaultServer, kind: str, applied: bool) -> None:
    """Sent actions are unknown, others are not applied, and a read fails."""
    server.always("POST", hang(applied=applied))
    server.always("GET", hang(applied=False))
    nrm = connect_to(server, max_concurrency=3)
    action = make_action(kind)
    single = asyncio.create_task(nrm.remediate(SPARE_ANI))
    batch = asyncio.create_task(nrm.run_batch([action, make_action(kind), Pause("2345678901")]))
    read = asyncio.create_task(nrm.list_anis())
    await server.received(3)
    await settled()
    await nrm.aclose()
    assert nrm.state is ClientState.CLOSED
    report = await batch
    sent = {request.ani for request in server.requests if request.method == "POST"}
    waited = report[1]  # for its number, which the first item holds
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


@pytest.mark.fault(41)
async def test_close_while_reading_back(server: FaultServer) -> None:
    """The number cannot be read any more, so the outcome is unknown."""
    server.then("POST", say("<html></html>", 502, applied=True))
    server.always("GET", hang(applied=False))
    nrm = connect_to(server)
    call = asyncio.create_task(act(nrm, Pause(ACTIVE_ANI)))
    await server.received(2)
    await nrm.aclose()
    result = await call
    assert result.outcome is Outcome.UNKNOWN
    assert not result.ok
    check_error(result.error, "POST", "/pause", 1)
    assert server.posts == 1


@pytest.mark.fault(42)
def test_another_event_loop(free_port: int) -> None:
    """Every use in another event loop is refused without a hang; closing is allowed."""
    nrm = NRMClient(
        API_KEY, base_url=f"http://127.0.0.1:{free_port}/nrm", retry=RetryPolicy(max_retries=0)
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
    """A port on which no server listens."""
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
    nrm = NRMClient("test-key-0123456789", base_url=sys.argv[1])
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


@pytest.mark.fault(42)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("loop", ["same", "new"])
async def test_fork(server: FaultServer, loop: str) -> None:
    """A child may not use its parent's connections, in any loop; the parent continues."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", FORK, server.url, loop),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, problems = await asyncio.wait_for(child.communicate(), 60)
    said, before, after = out.decode().strip().split("|")
    assert re.search(r"event loop|process|fork", said), problems.decode()
    assert (before, after) == ("3", "3")
    assert server.gets == 2


# --- 43: clocks ------------------------------------------------------------------------------


@pytest.mark.fault(43)
@pytest.mark.parametrize("step", [-86_400.0, 86_400.0], ids=["backwards", "forwards"])
async def test_wall_clock_steps(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """Deadlines, gates, retries and reading back use the monotonic clock."""
    real = time.time
    server.then("POST", say("slow down", 429, {"Retry-After": "0.01"}), hang(applied=True))

    async def step_and_answer(exchange: Any) -> None:
        monkeypatch.setattr(time, "time", lambda: real() + step)
        await exchange.answer()

    server.always("GET", step_and_answer)
    async with connect_to(server, timeout=SHORT) as nrm:
        assert len(await nrm.list_anis()) == 3
        result = await act(nrm, Pause(ACTIVE_ANI))
        assert (result.outcome, result.attempts) == (Outcome.CONFIRMED, 2)
        assert 0 <= result.elapsed < 60
        server.always("GET", hang(applied=False))
        with pytest.raises(TransportError) as caught:
            await nrm.list_anis()
        assert 0 <= caught.value.elapsed < 60
        await check_next_call(nrm, server)
