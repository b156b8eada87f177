"""Rows 52 and 53: an odd value in an answer, and a firewall that answers instead of the API."""

import asyncio
from typing import Final

import pytest

from nrm_async import (
    AuthenticationError,
    FirewallError,
    NRMClient,
    Outcome,
)
from nrm_async.events import Throttled
from tests.fakes import make_action
from tests.faults.conftest import (
    ACTIVE_ANI,
    TRIES,
    act,
    act_and_fail,
    check_error,
    check_next_call,
    connect_to,
    every_kind,
    read_and_fail,
)
from tests.faults.server import FaultServer, say

# --- 52: one odd value -----------------------------------------------------------------------

ODD: Final = {
    "nan": b"NaN",
    "infinity": b"-Infinity",
    "exponent": b"1e999",
    "surrogate": rb'"\ud800"',
    "control": b'"a\x01b"',
    "latin-1": b'"caf\xe9"',
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())
@pytest.mark.fault(52)
async def test_one_odd_value(server: FaultServer, client: NRMClient, value: bytes) -> None:
    """It costs a value, and the page is read with one request."""
    row = b'{"id":%d,"phone":"%d","label":%b}'
    rows = b",".join(row % (n, 2_000_000_000 + n, value if n == 1 else b"1") for n in range(3))
    server.then("GET", say(b'{"data":[%b]}' % rows))
    page = await client.list_anis()
    assert [ani.id for ani in page] == [0, 1, 2]
    assert not page.malformed
    assert page[0].extra == {"label": 1}
    assert server.gets == 1
    await check_next_call(client, server)


# --- 53: a firewall's page -------------------------------------------------------------------

BLOCKED: Final = say("<html><title>Request blocked</title></html>", 403)
BLOCKED_FOR_NOW: Final = say("<html>Request blocked</html>", 403, {"Retry-After": "0"})
every_block = pytest.mark.parametrize("block", [BLOCKED, BLOCKED_FOR_NOW], ids=["bare", "after"])


@every_block
@every_kind
@pytest.mark.fault(53)
async def test_an_action_is_sent_again(
    server: FaultServer, client: NRMClient, kind: str, block: object
) -> None:
    """The API has not seen it, so even a remediation is sent again, and is applied once."""
    action = make_action(kind)
    server.then("POST", block, block)  # type: ignore[arg-type]
    result = await act(client, action)
    assert (result.outcome, result.attempts) == (Outcome.APPLIED, 3)
    assert server.applied[action.path, action.ani] == 1


@every_block
@every_kind
@pytest.mark.fault(53)
async def test_to_the_end(server: FaultServer, client: NRMClient, kind: str, block: object) -> None:
    """After all retries it is not applied, and named as what it is."""
    server.always("POST", block)  # type: ignore[arg-type]
    error = await act_and_fail(client, make_action(kind), Outcome.NOT_APPLIED, TRIES)
    assert isinstance(error, FirewallError)
    assert "blocked by a firewall or proxy" in error.message
    assert "Request blocked" in error.message
    assert not server.applied
    await check_next_call(client, server)


@every_block
@pytest.mark.fault(53)
async def test_a_read(server: FaultServer, client: NRMClient, block: object) -> None:
    """The same for a read."""
    server.then("GET", block)  # type: ignore[arg-type]
    assert len(await client.list_anis()) == 3
    server.requests.clear()
    server.always("GET", block)  # type: ignore[arg-type]
    check_error(await read_and_fail(client, FirewallError), "GET", "/anis", TRIES)
    await check_next_call(client, server)


@pytest.mark.fault(53)
async def test_the_batch_goes_on(server: FaultServer) -> None:
    """One page of a firewall does not end a batch, as an invalid key would."""
    server.active = {str(2_000_000_000 + number): True for number in range(40)}
    server.then("POST", *[BLOCKED] * 7)
    async with connect_to(server, max_concurrency=4) as nrm:
        report = await nrm.pause_many(list(server.active))
    assert report.counts[Outcome.APPLIED] == server.applied.total() == 40


@pytest.mark.fault(53)
async def test_behind_the_gate(server: FaultServer) -> None:
    """Its ``Retry-After`` shuts the gate for all calls: it counts as throttling."""
    seen: list[Throttled] = []

    def observe(event: object) -> None:
        if isinstance(event, Throttled):
            seen.append(event)

    server.then("POST", say("<html>Later</html>", 403, {"Retry-After": "0.05"}))
    async with connect_to(server, on_event=observe) as nrm:
        started = asyncio.get_running_loop().time()
        await nrm.pause(ACTIVE_ANI)
        assert asyncio.get_running_loop().time() - started >= 0.05
        assert nrm.stats().throttled == 1
    assert [(event.status, event.retry_after) for event in seen] == [(403, 0.05)]


@pytest.mark.fault(53)
async def test_json_is_about_the_key(server: FaultServer, client: NRMClient) -> None:
    """A 403 as JSON, even under the type of a page, ends at once."""
    server.then("POST", say({"message": "<b>no</b>"}, 403, {"Content-Type": "text/html"}))
    error = await act_and_fail(client, make_action("pause"), Outcome.NOT_APPLIED, 1)
    assert type(error) is AuthenticationError
