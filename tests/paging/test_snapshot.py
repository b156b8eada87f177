"""Whole inventories: repaired, reported or refused when the listing changes."""

import attrs
import pytest

from nrm_async import (
    AniPage,
    InvalidRequestError,
    InventoryDriftError,
    NRMClient,
    ServerError,
)
from nrm_async._paging import read_inventory
from nrm_async.sandbox import Sandbox
from tests.conftest import make_page, make_row
from tests.paging.fakes import PAGE_SIZE, PageServer, ShrinkingListing, honest_server


@pytest.mark.looptime
async def test_two_equal_passes_are_consistent() -> None:
    """An inventory that two passes agree on is complete and consistent."""
    inventory = await read_inventory(honest_server(57).source(), "repair")
    assert [row.id for row in inventory] == list(range(57))
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, True, 2)
    assert inventory.pages == 12
    assert inventory.elapsed > 0


async def test_repair_finds_a_row_that_slipped_between_pages() -> None:
    """A further pass finds it, and two passes agree."""
    inventory = await read_inventory(ShrinkingListing(deletions=1).source(), "repair")
    assert [row.id for row in inventory] == list(range(1, 50))
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, True, 3)


class BalancedListing(ShrinkingListing):
    """After each page the first row leaves and another comes at the end."""

    def page(self, page_number: int) -> AniPage:
        page = super().page(page_number)
        self.rows = [*self.rows[1:], make_row(int(self.rows[-1].id) + 1)]
        return page


async def test_repair_gives_up_after_four_passes() -> None:
    """If the listing never stands still, the inventory claims nothing and says why."""
    inventory = await read_inventory(BalancedListing(deletions=0).source(), "repair")
    assert (inventory.complete, inventory.consistent, inventory.passes) == (False, False, 4)
    assert "50 announced" in (inventory.why_incomplete or "")


async def test_one_deletion_in_each_pass_is_counted() -> None:
    """Pages too small to overlap: every row at one moment was seen before it and after it."""
    listing = ShrinkingListing(deletions=100)
    inventory = await read_inventory(listing.source(), "repair")
    assert (inventory.complete, inventory.consistent) == (True, False)
    assert {row.id for row in listing.rows} <= {row.id for row in inventory}


async def test_report_reads_once_and_claims_nothing() -> None:
    """A row slipped to the page before, unseen: the inventory does not call itself complete."""
    inventory = await read_inventory(ShrinkingListing(deletions=1).source(), "report")
    assert (inventory.complete, inventory.consistent, inventory.passes) == (False, False, 1)
    assert len(inventory) == 49


async def test_raise_refuses_passes_that_differ() -> None:
    """The error says how many numbers each pass found; equal passes are returned."""
    with pytest.raises(InventoryDriftError, match="first pass found 49 numbers and the second 49"):
        await read_inventory(ShrinkingListing(deletions=1).source(), "raise")
    inventory = await read_inventory(ShrinkingListing(deletions=0).source(), "raise")
    assert inventory.complete


async def test_duplicates_are_dropped_and_counted() -> None:
    """A row that comes twice is kept once."""

    def pages(number: int) -> AniPage:
        page = make_page(number, PAGE_SIZE, 20)
        return attrs.evolve(page, data=(*page.data, make_row(0))) if number == 2 else page

    inventory = await read_inventory(PageServer(pages, latency=0).source(), "report")
    assert len(inventory) == 20
    assert inventory.duplicates == 1
    assert not inventory.complete


@pytest.mark.looptime
async def test_unreadable_page_is_named_or_raised() -> None:
    """The other pages are kept and the inventory is not complete; or the error is raised."""

    def pages(number: int) -> AniPage:
        if number == 4:
            raise ServerError(500, "boom")
        return make_page(number, PAGE_SIZE, 100)

    server = PageServer(pages)
    inventory = await read_inventory(server.source(), "report")
    assert [row.id for row in inventory] == [*range(30), *range(40, 100)]
    assert not inventory.complete
    assert [str(error) for error in inventory.missing] == ["HTTP 500: boom"]
    with pytest.raises(ServerError):
        await read_inventory(server.source(), "raise")


@pytest.mark.looptime
async def test_announced_rows_that_never_arrive_are_not_ignored() -> None:
    """Two passes with the same page boundaries prove nothing about rows that neither received."""
    server = PageServer(lambda page: make_page(page, PAGE_SIZE, 30, total_anis=500, total_pages=3))
    inventory = await read_inventory(server.source(), "repair")
    assert len(inventory) == 30
    assert inventory.consistent
    assert not inventory.complete
    assert "500 announced, 30 found" in (inventory.why_incomplete or "")


async def test_unknown_on_drift_is_refused() -> None:
    """The error names the argument and its choices, for streams and inventories."""
    async with Sandbox(anis=1) as sandbox, NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
        with pytest.raises(InvalidRequestError, match="on_drift must be 'repair', 'report' or"):
            await nrm.inventory(on_drift="repeat")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequestError, match="on_drift must be 'report' or 'raise'"):
            nrm.anis(on_drift="repair")  # type: ignore[arg-type]
        assert sandbox.requests == 0
