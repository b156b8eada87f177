"""Rows 34 to 37: pages that arrive but contradict one another or the contract."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from nrm_async import (
    Inventory,
    InventoryDriftError,
    NRMClient,
    NRMError,
    ResponseError,
    ServerError,
    TransportError,
)
from tests.fakes import json_row as row
from tests.faults.conftest import ACTIVE_ANI, SPARE_ANI, check_error, check_next_call
from tests.faults.server import (
    Exchange,
    Fault,
    FaultServer,
    cut,
    drop,
    envelope,
    say,
)

SIZE: Final = 10
COUNT: Final = 57


@pytest.fixture
def anis(server: FaultServer) -> list[str]:
    """The numbers of an inventory of six pages; the last one is the spare number."""
    server.active = {str(2_000_000_000 + number): True for number in range(COUNT - 1)}
    server.active[SPARE_ANI] = True
    return list(server.active)


def on_page(page: int, fault: Fault) -> Fault:
    """Apply a fault to every request for one page."""

    async def only(exchange: Exchange) -> None:
        if exchange.request.query["page"] == str(page):
            await fault(exchange)
        else:
            await exchange.answer()

    return only


def phones(inventory: Inventory) -> list[str]:
    return [ani.phone for ani in inventory]


async def read(client: NRMClient) -> list[str]:
    """Return the numbers that a stream yields."""
    return [ani.phone async for ani in client.anis(page_size=SIZE)]


# --- 34: pages shift -------------------------------------------------------------------------


def shifting(server: FaultServer, change: Callable[[], None], times: int) -> Fault:
    """Change the inventory after each of the first responses, up to ``times``."""
    left = times

    async def fault(exchange: Exchange) -> None:
        nonlocal left
        await exchange.answer()
        if left > 0:
            left -= 1
            change()

    return fault


def lose_the_first(server: FaultServer) -> None:
    """Delete the first number: all others move up, and one slips between two pages."""
    server.active.pop(next(iter(server.active)))


def gain_one(server: FaultServer) -> None:
    """Insert a number in front: all others move down, and one comes twice."""
    anis = dict(server.active)
    server.active.clear()
    server.active.update({str(3_000_000_000 + len(anis)): True, **anis})


def balance(server: FaultServer) -> None:
    """Delete the first number and insert another near the end: no total shows it."""
    lose_the_first(server)
    last = server.active.pop(SPARE_ANI)
    server.active[str(4_000_000_000 + next(_numbers))] = True
    server.active[SPARE_ANI] = last


_numbers = iter(range(10**6))
every_change = pytest.mark.parametrize("change", [lose_the_first, gain_one, balance])


@pytest.mark.fault(34)
@every_change
async def test_shifted_pages_are_read_again(
    server: FaultServer,
    client: NRMClient,
    anis: list[str],
    change: Callable[[FaultServer], None],
) -> None:
    """Two passes that agree hold every number of the account, each once."""
    server.always("GET", shifting(server, lambda: change(server), 1))
    inventory = await client.inventory(page_size=SIZE)
    assert inventory.complete
    assert inventory.consistent
    assert inventory.passes == 3
    assert sorted(phones(inventory)) == sorted(server.active)
    await check_next_call(client, server)


@pytest.mark.fault(34)
async def test_rows_that_only_leave_are_counted(
    server: FaultServer, client: NRMClient, anis: list[str]
) -> None:
    """If rows leave after each page, the count may still close: then every row left is there."""
    server.always("GET", shifting(server, lambda: lose_the_first(server), 10**6))
    inventory = await client.inventory(page_size=SIZE)
    assert not inventory.consistent
    assert not inventory.complete or set(server.active) <= set(phones(inventory))
    assert inventory.complete is (inventory.why_incomplete is None)
    await check_next_call(client, server)


@pytest.mark.fault(34)
@pytest.mark.parametrize("change", [gain_one, balance])
async def test_pages_that_never_stand_still_are_reported(
    server: FaultServer,
    client: NRMClient,
    anis: list[str],
    change: Callable[[FaultServer], None],
) -> None:
    """If no two passes agree, the inventory is not complete, or raises if requested."""
    server.always("GET", shifting(server, lambda: change(server), 10**6))
    inventory = await client.inventory(page_size=SIZE)
    assert not inventory.consistent
    assert not inventory.complete
    assert inventory.passes == 4
    with pytest.raises(InventoryDriftError):
        await client.inventory(page_size=SIZE, on_drift="raise")
    assert len(set(phones(inventory))) == len(inventory)
    await check_next_call(client, server)


@pytest.mark.fault(34)
@pytest.mark.parametrize("change", [lose_the_first, gain_one])
async def test_one_pass_reports_what_it_can_see(
    server: FaultServer,
    client: NRMClient,
    anis: list[str],
    change: Callable[[FaultServer], None],
) -> None:
    """A single pass is neither consistent nor complete."""
    server.always("GET", shifting(server, lambda: change(server), 1))
    inventory = await client.inventory(page_size=SIZE, on_drift="report")
    assert (inventory.complete, inventory.consistent, inventory.passes) == (False, False, 1)
    await check_next_call(client, server)


# --- 35: the envelope contradicts itself -----------------------------------------------------

CONTRADICTIONS: Final[dict[str, dict[str, Any]]] = {
    "documented": {"count": 1, "total_anis": 500, "can_next_page": True, "total_pages": 1},
    "one page": {"total_pages": 1},
    "no next": {"can_next_page": False},
    "always next": {"can_next_page": True},
    "no count": {"count": 0},
    "no rows": {"total_anis": 0},
    "far more pages": {"total_pages": 20},
    "far more rows": {"total_anis": 100},
    "nothing said": dict.fromkeys(
        ("count", "total_anis", "total_pages", "can_next_page", "can_prev_page")
    ),
    "other types": {"count": "1", "total_anis": [], "total_pages": -3, "can_next_page": "no"},
}


@pytest.mark.fault(35)
@pytest.mark.parametrize("lie", CONTRADICTIONS)
async def test_the_fields_disagree(
    server: FaultServer, client: NRMClient, anis: list[str], lie: str
) -> None:
    """Whichever field is wrong, every number is read and the stream ends."""
    server.always("GET", envelope(**CONTRADICTIONS[lie]))
    assert await read(client) == anis
    assert server.gets <= 30
    inventory = await client.inventory(page_size=SIZE)
    assert phones(inventory) == anis
    await check_next_call(client, server)


@pytest.mark.fault(35)
@pytest.mark.parametrize("data", [[], [row(ACTIVE_ANI)]], ids=["empty", "short"])
async def test_an_empty_or_short_page_in_the_middle(
    server: FaultServer, client: NRMClient, anis: list[str], data: list[object]
) -> None:
    """It is not taken for the end, and the inventory is not complete."""
    server.always("GET", on_page(3, envelope(data=data)))
    expected = set(anis) - set(anis[2 * SIZE : 3 * SIZE]) | ({ACTIVE_ANI} if data else set())
    assert set(await read(client)) == expected
    inventory = await client.inventory(page_size=SIZE)
    assert set(phones(inventory)) >= expected  # another page size shows some of the others
    assert not inventory.complete
    await check_next_call(client, server)


@pytest.mark.fault(35)
async def test_a_server_that_repeats_its_last_page(
    server: FaultServer, client: NRMClient, anis: list[str]
) -> None:
    """The stream ends although every page announces a next one."""

    async def fault(exchange: Exchange) -> None:
        page = min(int(exchange.request.query["page"]), 6)
        query = {**exchange.request.query, "page": str(page)}
        await exchange.answer(server.page(query) | {"can_next_page": True})

    server.always("GET", fault)
    assert await read(client) == anis
    assert server.gets <= 10
    await check_next_call(client, server)


# --- 36: one page keeps failing --------------------------------------------------------------

FAILING: Final[dict[str, tuple[Fault, type[NRMError]]]] = {
    "500": (say("<html></html>", 500), ServerError),
    "reset": (drop("reset", applied=False), TransportError),
    "cut": (cut("none", applied=False), TransportError),
    "html": (say("<html></html>"), ResponseError),
}
every_failing = pytest.mark.parametrize(("fault", "kind"), FAILING.values(), ids=FAILING.keys())


@pytest.mark.fault(36)
@every_failing
async def test_the_error_names_the_page(
    server: FaultServer, client: NRMClient, anis: list[str], fault: Fault, kind: type[NRMError]
) -> None:
    """A stream yields the rows before the page, in order; then the error names the page."""
    server.always("GET", on_page(4, fault))
    stream = client.anis(page_size=SIZE)
    assert [(await anext(stream)).phone for _ in range(3 * SIZE)] == anis[: 3 * SIZE]
    with pytest.raises(kind) as caught:
        await anext(stream)
    assert caught.value.page == 4
    tries = sum(request.query["page"] == "4" for request in server.requests)
    check_error(caught.value, "GET", "/anis", tries)
    assert "page 4" in str(caught.value)
    with pytest.raises(kind):
        await client.inventory(page_size=SIZE, on_drift="raise")
    await check_next_call(client, server)


@pytest.mark.fault(36)
@every_failing
async def test_a_partial_inventory_says_so(
    server: FaultServer, client: NRMClient, anis: list[str], fault: Fault, kind: type[NRMError]
) -> None:
    """All other pages are kept, and the missing page is named."""
    server.always("GET", on_page(4, fault))
    inventory = await client.inventory(page_size=SIZE, on_drift="report")
    assert phones(inventory) == anis[: 3 * SIZE] + anis[4 * SIZE :]
    assert not inventory.complete
    (error,) = inventory.missing
    assert isinstance(error, kind)
    assert error.page == 4
    await check_next_call(client, server)


# --- 37: a row breaks the contract -----------------------------------------------------------

BROKEN: Final[dict[str, tuple[object, str]]] = {
    "a rate that is text": (row(ACTIVE_ANI, blockRate="high"), "$.data[1].blockRate"),
    "a number too many": (row(ACTIVE_ANI, phone=["1"]), "$.data[1].phone"),
    "a day that is none": (row(ACTIVE_ANI, dateActivated="soon"), "$.data[1].dateActivated"),
    "no id": ({"phone": ACTIVE_ANI}, "$.data[1].id"),
    "no object": ("row", "$.data[1]"),
    "null": (None, "$.data[1]"),
}


@pytest.mark.fault(37)
@pytest.mark.parametrize(("bad", "path"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_row_costs_a_row(
    server: FaultServer, client: NRMClient, bad: object, path: str
) -> None:
    """The other rows are kept, and the malformed row is listed with its path."""
    rows = [row("2000000011"), bad, row("2000000012")]
    server.always("GET", envelope(data=rows, count=3, total_anis=3, total_pages=1))
    page = await client.list_anis()
    assert [ani.phone for ani in page] == ["2000000011", "2000000012"]
    assert [malformed.path for malformed in page.malformed] == [path]
    stream = client.anis()
    assert [ani.phone async for ani in stream] == ["2000000011", "2000000012"]
    assert [malformed.path for malformed in stream.malformed] == [path]
    inventory = await client.inventory()
    assert not inventory.complete
    assert [malformed.path for malformed in inventory.malformed] == [path]
    await check_next_call(client, server)
