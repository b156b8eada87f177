"""Inventories of a listing that changes while it is read, compared with what was really there."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Literal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.changing_listing import ChangingListing, InsertAt, count_duplicates
from nrm_async import Ani, AniPage, Inventory, MalformedRow, ServerError
from nrm_async._paging import DecodePage, read_inventory

ROWS = 20_000
SOAK_ROWS = 50_000
ONE_CHANGE_IN_FIVE_PAGES = 0.2
EVERY_WHERE: tuple[InsertAt, ...] = ("front", "end", "anywhere")


def read(listing: ChangingListing, page_size: int = 1000) -> Inventory:
    """Return the inventory of a listing, after checking what it claims about itself."""
    inventory = asyncio.run(read_inventory(listing.source(page_size), "repair"))
    missing = listing.missing(inventory)
    assert count_duplicates(inventory) == 0
    if inventory.complete:
        assert not missing
    assert (inventory.why_incomplete is None) is inventory.complete
    return inventory


def count_complete(runs: int, rows: int, page_size: int, inserts: InsertAt, moves: float) -> int:
    """Return how many runs under balanced churn end complete, within four passes."""
    complete = 0
    for seed in range(runs):
        listing = ChangingListing(
            rows,
            seed,
            churn=ONE_CHANGE_IN_FIVE_PAGES,
            inserts=inserts,
            moves=moves,
            updates=moves,
        )
        inventory = read(listing, page_size)
        assert listing.changes > 0
        assert inventory.passes <= 4
        complete += inventory.complete and not listing.missing(inventory)
    return complete


@pytest.mark.parametrize("inserts", EVERY_WHERE)
def test_balanced_churn_ends_complete(inserts: InsertAt) -> None:
    """While rows are inserted and deleted in order of a key, every row that stood is found."""
    assert count_complete(2, ROWS, 500, inserts, moves=0) == 2


@pytest.mark.parametrize("inserts", EVERY_WHERE)
def test_churn_with_moves_claims_nothing_false(inserts: InsertAt) -> None:
    """While rows are moved too, a row that merely moved counts as standing."""
    count_complete(2, ROWS, 500, inserts, moves=0.25)


@pytest.mark.soak
@pytest.mark.parametrize("moves", [0.0, 0.25], ids=["", "and moves"])
@pytest.mark.parametrize("inserts", EVERY_WHERE)
@pytest.mark.parametrize("page_size", [1000, 100])
def test_balanced_churn_ends_complete_in_most_of_many_runs(
    page_size: int, inserts: InsertAt, moves: float
) -> None:
    """At one change per five pages, 98 % of runs end complete without moves; no claim is false."""
    complete = count_complete(200, SOAK_ROWS, page_size, inserts, moves)
    assert complete >= 196 or moves


@pytest.mark.parametrize("net", [-1, 1], ids=["shrinks", "grows"])
@pytest.mark.parametrize("inserts", EVERY_WHERE)
def test_growing_or_shrinking_listing_ends_complete(inserts: InsertAt, net: Literal[-1, 1]) -> None:
    """ChangingListing totals do not prevent the proof for the rows that stood throughout."""
    listing = ChangingListing(20_000, 1, churn=ONE_CHANGE_IN_FIVE_PAGES, inserts=inserts, net=net)
    inventory = read(listing, 500)
    assert len(listing.rows) != 20_000
    assert inventory.complete
    assert not listing.missing(inventory)


@settings(max_examples=150, deadline=None)
@given(
    size=st.integers(1, 700),
    page_size=st.sampled_from([10, 32, 33, 40, 64, 100]),
    churn=st.sampled_from([0.0, 0.02, 0.1, 0.3, 1.0, 4.0]),
    inserts=st.sampled_from(EVERY_WHERE),
    moves=st.sampled_from([0.0, 0.3, 0.9]),
    seed=st.integers(0, 10**6),
)
def test_claims_hold_under_any_churn(
    size: int, page_size: int, churn: float, inserts: InsertAt, moves: float, seed: int
) -> None:
    """With small pages, heavy churn and moved rows, what an inventory claims is true."""
    listing = ChangingListing(size, seed, churn=churn, inserts=inserts, moves=moves)
    inventory = read(listing, page_size)
    assert inventory.passes <= 4
    if churn == 0:
        assert inventory.complete
        assert inventory.consistent
        assert inventory.passes == (1 if size <= page_size else 2)
        assert inventory.rows == tuple(listing.rows)


def test_unchanged_listing_costs_two_passes() -> None:
    """If nothing changes, a second pass with at most one more page settles it."""
    listing = ChangingListing(ROWS, 1, churn=0)
    inventory = read(listing)
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, True, 2)
    assert inventory.requests == listing.served <= 2 * 20 + 1


def test_few_changes_cost_spot_reads_instead_of_a_third_pass() -> None:
    """Pages that overlap over two passes need no third one: a few spot reads close the gaps."""
    listing = ChangingListing(ROWS, 3, churn=0.03)
    inventory = read(listing, 400)
    assert listing.changes > 0
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, False, 2)
    assert inventory.requests <= 2 * 50 + 1 + 10


@attrs.define
class Scripted(ChangingListing):
    """Changes before the responses with these numbers; pages are read one by one.

    Attributes:
        script: What to do with the rows before the response with each number.
    """

    script: dict[int, Callable[[list[Ani]], None]] = attrs.field(factory=dict)

    def _page(self, page: int, page_size: int) -> AniPage:
        if self.served in self.script:
            self.script[self.served](self.rows)
        return super()._page(page, page_size)

    def read(self) -> Inventory:
        return asyncio.run(read_inventory(self.source(100, concurrency=1), "repair"))


def delete_scattered(rows: list[Ani]) -> None:
    del rows[40:1000:100]


def delete_block(rows: list[Ani]) -> None:
    del rows[20:80]


def move_forward(rows: list[Ani]) -> None:
    rows.insert(5, rows.pop(950))


def test_deleted_rows_are_left_out() -> None:
    """A row that only the first pass saw is removed if its neighbours are now side by side."""
    listing = Scripted(1000, 1, churn=0, script={11: delete_scattered})
    inventory = listing.read()
    assert inventory.rows == tuple(listing.rows)
    assert (inventory.complete, inventory.passes) == (True, 2)


def test_row_that_moved_into_pages_already_read_is_kept() -> None:
    """It left the part that the last pass had still to read; a look-up shows that it exists."""
    listing = Scripted(1000, 1, churn=0, script={15: move_forward})
    inventory = listing.read()
    assert {row.id for row in inventory} == {row.id for row in listing.rows}
    assert inventory.complete


def test_rows_that_left_their_position_are_kept_if_too_many_to_look_up() -> None:
    """Where look-ups would cost more than a pass, rows that may exist stay."""
    listing = Scripted(3000, 1, churn=0, script={31: delete_block})
    phones = [row.phone for row in listing.rows]
    inventory = listing.read()
    assert inventory.complete
    assert sorted(row.phone for row in inventory) == phones
    assert inventory.requests < 2 * 32 + 20


async def test_single_page_is_read_once() -> None:
    """One response shows one moment: a second pass would prove nothing more."""
    listing = ChangingListing(700, 1, churn=0)
    inventory = await read_inventory(listing.source(1000), "repair")
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, True, 1)
    assert inventory.requests == 1


async def test_one_pass_over_several_pages_claims_nothing() -> None:
    """Totals and repeated rows do not reveal balanced churn, so one pass proves nothing."""
    inventory = await read_inventory(ChangingListing(3000, 1, churn=0).source(1000), "report")
    assert len(inventory) == 3000
    assert (inventory.complete, inventory.consistent, inventory.passes) == (False, False, 1)


@attrs.define
class FixedPageSize(ChangingListing):
    """A server that returns pages of 100 rows, whatever size is requested."""

    async def fetch(self, page: int, page_size: int) -> DecodePage:
        decode = await super().fetch(page, 100)
        return partial(attrs.evolve, decode(), page_size=page_size)


@pytest.mark.parametrize("requested", [100, 1000])
def test_server_that_ignores_the_page_size_is_read_completely(requested: int) -> None:
    """Pages whose boundaries cannot be moved are compared as they are, and changes show."""
    quiet = read(FixedPageSize(2000, 1, churn=0), requested)
    assert len(quiet) == 2000
    assert (quiet.complete, quiet.consistent, quiet.passes) == (True, True, 2)
    read(FixedPageSize(2000, 1, churn=0.2), requested)


@attrs.define
class BrokenPage(ChangingListing):
    """Page 4 fails, whatever page size is requested."""

    async def fetch(self, page: int, page_size: int) -> DecodePage:
        if page == 4:
            error = ServerError(500, "boom")
            error.page = page
            raise error
        return await super().fetch(page, page_size)


@pytest.mark.parametrize("churn", [0.0, 0.3])
def test_inventory_without_a_page_is_not_complete(churn: float) -> None:
    """Whatever the other pages prove, the missing page is named."""
    inventory = read(BrokenPage(1000, 1, churn=churn), 100)
    assert not inventory.complete
    assert inventory.missing_pages == (4,)


@attrs.define
class Garbled(ChangingListing):
    """In the first responses, some rows cannot be decoded.

    Attributes:
        garbled_responses: How many responses are affected.
    """

    garbled_responses: int = 20

    def _page(self, page: int, page_size: int) -> AniPage:
        whole = super()._page(page, page_size)
        if self.served > self.garbled_responses:
            return whole
        bad = {row.id for row in whole.data if self._rng.random() < 0.02}
        return attrs.evolve(
            whole,
            data=tuple(row for row in whole.data if row.id not in bad),
            malformed=tuple(
                MalformedRow("$", "is odd", row.phone) for row in whole.data if row.id in bad
            ),
        )


def test_malformed_row_that_later_passes_miss_is_reported() -> None:
    """A row that one pass could not decode and the next one missed is listed as malformed."""
    lost = 0
    for seed in range(5):
        listing = Garbled(1000, seed, churn=1.0, inserts="front")
        inventory = read(listing, 50)
        phones = {bad.phone for bad in inventory.malformed}
        missing = {row.phone for row in listing.rows if row.id in listing.missing(inventory)}
        assert missing <= phones
        lost += bool(missing)
    assert lost


def test_malformed_row_that_a_later_pass_decodes_is_not_reported() -> None:
    """It is in the inventory, which is complete."""
    inventory = read(Garbled(2000, 1, churn=0), 100)
    assert (inventory.complete, inventory.malformed) == (True, ())
