"""Inventories and streams over data that changes while it is read, judged by the truth."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from functools import partial
from typing import Literal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.churn import Changing, Where, repeated
from nrm_async import (
    Ani,
    AniPage,
    AniStream,
    Drift,
    Inventory,
    InventoryDriftError,
    MalformedRow,
    NRMClient,
)
from nrm_async.errors import ServerError
from nrm_async.listing import OnStreamDrift, read_inventory
from nrm_async.listing.reading import Reading
from nrm_async.listing.seams import Seams
from nrm_async.listing.stream import ReadPage
from nrm_async.sandbox import Sandbox
from tests.conftest import make_page, make_row
from tests.test_listing import PAGE_SIZE, Server, Shifting

ROWS = 50_000
ONE_CHANGE_IN_FIVE_PAGES = 0.2
EVERY_WHERE: tuple[Where, ...] = ("front", "end", "anywhere")


def read(listing: Changing, page_size: int = 1000) -> Inventory:
    """Its inventory; it must tell the truth about it."""
    inventory = asyncio.run(read_inventory(listing.source(page_size), "repair"))
    missing = listing.missing(inventory)
    assert repeated(inventory) == 0
    if inventory.complete:
        assert not missing - listing.moved
        assert not (inventory.consistent and missing)
    return inventory


def count_complete(runs: int, page_size: int, inserts: Where, moves: float) -> int:
    """How many runs under balanced churn end complete, within four passes."""
    complete = 0
    for seed in range(runs):
        listing = Changing(
            ROWS,
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


@pytest.mark.parametrize("moves", [0.0, 0.25], ids=["", "and moves"])
@pytest.mark.parametrize("inserts", EVERY_WHERE)
def test_balanced_churn_ends_complete_and_lies_never(inserts: Where, moves: float) -> None:
    """Rows come wherever and go anywhere: nothing that stood is missing where that is claimed."""
    assert count_complete(2, 1000, inserts, moves) == 2


@pytest.mark.soak
@pytest.mark.parametrize("moves", [0.0, 0.25], ids=["", "and moves"])
@pytest.mark.parametrize("inserts", EVERY_WHERE)
@pytest.mark.parametrize("page_size", [1000, 100])
def test_two_hundred_runs_under_balanced_churn(
    page_size: int, inserts: Where, moves: float
) -> None:
    """At one change for each five pages at least 95 of 100 runs end complete; none lies."""
    assert count_complete(200, page_size, inserts, moves) >= 190


@pytest.mark.parametrize("net", [-1, 1], ids=["shrinks", "grows"])
@pytest.mark.parametrize("inserts", EVERY_WHERE)
def test_a_listing_that_grows_or_shrinks_ends_complete_too(
    inserts: Where, net: Literal[-1, 1]
) -> None:
    """Totals that move are no hindrance: what stood is shown to be there."""
    listing = Changing(20_000, 1, churn=ONE_CHANGE_IN_FIVE_PAGES, inserts=inserts, net=net)
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
def test_no_churn_makes_an_inventory_lie(
    size: int, page_size: int, churn: float, inserts: Where, moves: float, seed: int
) -> None:
    """Small pages, violent churn, moved rows: what is said of it is true all the same."""
    listing = Changing(size, seed, churn=churn, inserts=inserts, moves=moves)
    inventory = read(listing, page_size)
    assert inventory.passes <= 4
    if churn == 0:
        assert inventory.complete
        assert inventory.consistent
        assert inventory.passes == (1 if size <= page_size else 2)
        assert inventory.rows == tuple(listing.rows)


def test_a_quiet_listing_costs_two_passes() -> None:
    """Where nothing changes, the second pass has one page more at most, and it is the last."""
    listing = Changing(ROWS, 1, churn=0)
    inventory = read(listing)
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, True, 2)
    assert inventory.requests == listing.served <= 2 * 50 + 1


def test_one_change_is_no_reason_to_read_all_again() -> None:
    """Pages that fit together over two passes need no third one; a few looks do."""
    listing = Changing(ROWS, 3, churn=0.03)
    inventory = read(listing)
    assert listing.changes > 0
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, False, 2)
    assert inventory.requests <= 2 * 50 + 1 + 10


@attrs.define
class Scripted(Changing):
    """Something happens before the so-and-so-many-th answer; pages are read one by one."""

    script: dict[int, Callable[[list[Ani]], None]] = attrs.field(factory=dict)

    def _page(self, page: int, page_size: int) -> AniPage:
        if self.served in self.script:
            self.script[self.served](self.rows)
        return super()._page(page, page_size)

    def read(self) -> Inventory:
        return asyncio.run(read_inventory(self.source(100, at_once=1), "repair"))


def lose(rows: list[Ani]) -> None:
    del rows[40:1000:100]


def lose_many(rows: list[Ani]) -> None:
    del rows[20:80]


def move_back(rows: list[Ani]) -> None:
    rows.insert(5, rows.pop(950))


def test_deleted_rows_are_not_handed_over() -> None:
    """What only the first pass saw is gone, if what was beside it is still side by side."""
    listing = Scripted(1000, 1, churn=0, script={11: lose})
    inventory = listing.read()
    assert inventory.rows == tuple(listing.rows)
    assert (inventory.complete, inventory.passes) == (True, 2)


def test_a_row_that_moved_to_where_nobody_looks_any_more_is_not_taken_for_deleted() -> None:
    """Out of the part that the last pass has not read yet, into the part that it has."""
    listing = Scripted(1000, 1, churn=0, script={15: move_back})
    inventory = listing.read()
    assert {row.id for row in inventory} == {row.id for row in listing.rows}
    assert inventory.complete


def test_many_rows_that_left_their_place_are_kept_rather_than_lost() -> None:
    """Where asking for each would cost more than a pass, what may be there stays."""
    listing = Scripted(3000, 1, churn=0, script={31: lose_many})
    inventory = listing.read()
    assert inventory.complete
    assert {row.id for row in inventory} == set(range(3000))
    assert inventory.requests < 2 * 32 + 20


async def test_a_single_page_is_read_once() -> None:
    """One answer is one moment: there is nothing that a second pass could show."""
    listing = Changing(700, 1, churn=0)
    inventory = await read_inventory(listing.source(1000), "repair")
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, True, 1)
    assert inventory.requests == 1


async def test_one_pass_over_several_pages_does_not_claim_to_be_complete() -> None:
    """Totals and repeats notice nothing of balanced churn, so one pass proves nothing."""
    inventory = await read_inventory(Changing(3000, 1, churn=0).source(1000), "report")
    assert len(inventory) == 3000
    assert (inventory.complete, inventory.consistent, inventory.passes) == (False, False, 1)


@attrs.define
class Stubborn(Changing):
    """A server that gives pages of its own size, whatever it is asked for."""

    async def fetch(self, page: int, page_size: int) -> ReadPage:
        given = (await super().fetch(page, 100))()
        return partial(attrs.evolve, given, page_size=page_size)


@pytest.mark.parametrize("asked", [100, 1000])
def test_a_server_that_ignores_the_page_size_is_read_completely(asked: int) -> None:
    """Pages that cannot be given other seams are compared as they are; changes are told."""
    quiet = read(Stubborn(2000, 1, churn=0), asked)
    assert len(quiet) == 2000
    assert (quiet.complete, quiet.consistent, quiet.passes) == (True, True, 2)
    read(Stubborn(2000, 1, churn=0.2), asked)


@attrs.define
class Broken(Changing):
    """One page cannot be had, in whatever size it is asked for."""

    async def fetch(self, page: int, page_size: int) -> ReadPage:
        if page == 4:
            error = ServerError(500, "boom")
            error.page = page
            raise error
        return await super().fetch(page, page_size)


@pytest.mark.parametrize("churn", [0.0, 0.3])
def test_a_missing_page_is_never_passed_over(churn: float) -> None:
    """Whatever fits together, an inventory without a page is not complete, and names it."""
    inventory = read(Broken(1000, 1, churn=churn), 100)
    assert not inventory.complete
    assert inventory.missing_pages == (4,)


@attrs.define
class Garbled(Changing):
    """In its first answers, some rows cannot be understood."""

    answers: int = 20

    def _page(self, page: int, page_size: int) -> AniPage:
        given = super()._page(page, page_size)
        if self.served > self.answers:
            return given
        odd = {row.id for row in given.data if self._rng.random() < 0.02}
        return attrs.evolve(
            given,
            data=tuple(row for row in given.data if row.id not in odd),
            malformed=tuple(
                MalformedRow("$", "is odd", row.phone) for row in given.data if row.id in odd
            ),
        )


def test_a_row_that_was_seen_and_could_not_be_read_is_not_taken_for_read() -> None:
    """A pass loses the row that the one before it could not read: not complete, and it is told."""
    lost = 0
    for seed in range(10):
        listing = Garbled(2000, seed, churn=1.0, inserts="front")
        inventory = read(listing, 100)
        phones = {bad.phone for bad in inventory.malformed}
        missing = {row.phone for row in listing.rows if row.id in listing.missing(inventory)}
        assert missing <= phones
        lost += bool(missing)
    assert lost


def test_a_garbled_row_that_was_read_later_is_no_loss() -> None:
    """What one pass could not read and the next one could is there."""
    inventory = read(Garbled(2000, 1, churn=0), 100)
    assert (inventory.complete, inventory.malformed) == (True, ())


def page_of(numbers: range, page: int, **said: object) -> AniPage:
    return AniPage(tuple(map(make_row, numbers)), page=page, page_size=40, **said)  # type: ignore[arg-type]


def test_a_look_is_not_the_end_because_a_total_is_too_small() -> None:
    """Nobody looks behind a look: where it says that more follows, or is full, more may."""
    for more, total in itertools.product((True, False, None), (1, 60, None)):
        seams = Seams([Reading(1, 40)])
        seams.add_page(page_of(range(40), 1))
        seams.add_look(page_of(range(20, 60), 1, total_anis=total, can_next_page=more))
        assert not seams.are_closed


@pytest.mark.parametrize("is_missing", [True, False])
def test_a_pass_without_its_last_page_has_not_come_to_the_end(is_missing: bool) -> None:
    """A short page may not be the last one, if the one behind it could not be read."""
    reading = Reading(1, 40, missing=(ServerError(500, "boom"),) if is_missing else ())
    seams = Seams([reading])
    seams.add_page(page_of(range(30), 1))
    seams.end_pass()
    assert seams.are_closed is not is_missing


# --- streams ---------------------------------------------------------------------------------


def stream_of(server: Server, on_drift: OnStreamDrift = "report") -> AniStream:
    return AniStream(server.stream(prefetch=1), on_drift)


async def test_a_stream_over_quiet_pages_notices_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """No sign, no log line."""
    stream = stream_of(Server(lambda page: make_page(page, PAGE_SIZE, 57), latency=0), "raise")
    assert len([row async for row in stream]) == 57
    assert stream.drift == Drift(totals=(57,), came=57, ended=True)
    assert not stream.drift
    assert caplog.records == []


async def test_a_stream_says_at_its_end_that_totals_moved(caplog: pytest.LogCaptureFixture) -> None:
    """The finding is on the stream, and in the log."""
    stream = stream_of(Server(Shifting(shifts=1).page, latency=0))
    assert len([row async for row in stream]) == 49
    assert stream.drift.totals == (50, 49)
    assert stream.drift
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("nrm_async.listing", logging.WARNING)
    assert "totals went 50 -> 49" in record.getMessage()


def repeating(page: int) -> AniPage:
    """From the second page on, the last row of the page before comes again."""
    shift = min(page - 1, 1)
    numbers = range((page - 1) * PAGE_SIZE - shift, min(page * PAGE_SIZE - shift, 50))
    rows = tuple(make_row(number) for number in numbers)
    return attrs.evolve(make_page(page, PAGE_SIZE, 50), data=rows, count=len(rows))


async def test_a_stream_gives_out_a_row_once_and_counts_the_rest() -> None:
    """What comes again from the page before is left out."""
    stream = stream_of(Server(repeating, latency=0))
    assert [row.id async for row in stream] == list(range(49))
    assert stream.drift.repeated == 1
    assert "1 rows came twice" in str(stream.drift)


async def test_a_stream_notices_short_pages() -> None:
    """A page with fewer rows than others, though rows follow, has lost some."""

    def pages(page: int) -> AniPage:
        whole = make_page(page, PAGE_SIZE, 50)
        return attrs.evolve(whole, data=whole.data[:7]) if page == 3 else whole

    stream = stream_of(Server(pages, latency=0))
    assert len([row async for row in stream]) == 47
    assert stream.drift.short_pages == (3,)
    assert "47 rows came of 50" in str(stream.drift)


async def test_a_stream_raises_at_the_first_sign_where_that_is_asked_for() -> None:
    """The rows of the page that told are not given out any more, and the stream is over."""
    stream = stream_of(Server(Shifting(shifts=1).page, latency=0), "raise")
    read: list[object] = []
    with pytest.raises(InventoryDriftError, match="totals went 50 -> 49"):
        read += [row.id async for row in stream]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_stream_raises_at_its_end_if_rows_never_came() -> None:
    """Fewer rows than were announced are a sign too."""
    pages = Server(lambda page: make_page(page, PAGE_SIZE, 30, total_anis=31), latency=0)
    stream = stream_of(pages, "raise")
    with pytest.raises(InventoryDriftError, match="30 rows came of 31"):
        assert [row async for row in stream]


async def test_acting_on_a_stream_is_noticed(caplog: pytest.LogCaptureFixture) -> None:
    """``pause_many(anis())`` shifts what is still to be read: the stream says so, once."""
    async with Sandbox(anis=400) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url, max_concurrency=2) as nrm:
            await nrm.remediate(sandbox.phones[0])  # what was done before does not count
            quiet = nrm.anis(page_size=20)
            assert len([row async for row in quiet]) == 400
            assert not quiet.drift.acted
            stream = nrm.anis(page_size=20)
            report = await nrm.pause_many(stream)
    assert len(report) == 400
    assert stream.drift.acted
    assert "read the inventory first, act second" in str(stream.drift)
    warnings = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    assert len([text for text in warnings if "inventory first, act second" in text]) == 1
