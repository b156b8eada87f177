"""What proves an inventory complete, and the words where nothing does."""

import asyncio
import json
from collections.abc import Callable
from functools import partial

import attrs
import pytest

from benchmarks.unsteady_listing import UnsteadyListing
from nrm_async import Ani, AniPage, Inventory
from nrm_async._paging import DecodePage, PageSource, read_inventory
from nrm_async._paging.overlap import OverlapGraph
from nrm_async._wire import Response, read_page
from tests.conftest import make_page, make_row

SIZE = 1000


def read(
    answer: Callable[[int, int], AniPage], page_size: int = SIZE, on_drift: str = "repair"
) -> Inventory:
    """Return the inventory of a server that answers a page number and a size."""

    async def fetch(page: int, size: int) -> DecodePage:
        return partial(answer, page, size)

    source = PageSource(fetch, asyncio.create_task, page_size, 4)
    return asyncio.run(read_inventory(source, on_drift))  # type: ignore[arg-type]


def listing_of(rows: int, total: int | None, **envelope: object) -> Callable[[int, int], AniPage]:
    """Serve this many rows in order, and announce another total."""

    def answer(page: int, size: int) -> AniPage:
        pages = None if total is None else -(-total // size)
        said = {"total_anis": total, "total_pages": pages, "can_next_page": None} | envelope
        return make_page(page, size, rows, **said)

    return answer


def documented(page: int, size: int) -> AniPage:
    """Serve the example of the API's documentation: one row, and a total of 500."""
    row = {"id": 12345, "phone": "2345678901"}
    envelope = {"result": "success", "count": 1, "total_anis": 500, "total_pages": 1}
    rows = [row] if page == 1 else []
    body = json.dumps(envelope | {"can_next_page": True, "can_prev_page": False, "data": rows})
    decoded = read_page(Response(200, body.encode()), page, size)
    assert isinstance(decoded, AniPage)
    return decoded


def always_first(answer: Callable[[int, int], AniPage]) -> Callable[[int, int], AniPage]:
    """Serve the first page for every page number."""
    return lambda page, size: attrs.evolve(answer(1, size), page=page, page_size=size)


@pytest.mark.parametrize("is_static", [False, True], ids=["", "the same for every page"])
def test_documented_example_is_complete(is_static: bool) -> None:
    """Its only row comes in pages of two sizes, so its total of 500 is wrong."""
    inventory = read(always_first(documented) if is_static else documented)
    assert [row.id for row in inventory] == [12345]
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, True, 2)
    assert inventory.notes == (
        "the server announces 500 rows and lists 1: its total is 499 more than there are",
    )
    assert inventory.why_incomplete is None


@pytest.mark.parametrize(
    ("rows", "total", "words"),
    [
        (5000, 5400, "its total is 400 more than there are"),
        (4321, 4322, "its total is 1 more than there are"),
        (700, 900, "its total is 200 more than there are"),
        (2, 3, "its total is 1 more than there are"),
    ],
)
def test_wrong_total_is_noted(rows: int, total: int, words: str) -> None:
    """Two passes with other page boundaries show the same list: the total is wrong."""
    inventory = read(listing_of(rows, total))
    assert len(inventory) == rows
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, True, 2)
    assert words in inventory.notes[0]


def test_total_that_is_too_small_is_noted() -> None:
    """The list goes on behind it, and the envelopes say so."""
    inventory = read(lambda page, size: make_page(page, size, 4321, total_anis=4000))
    assert inventory.complete
    assert "its total is 321 fewer than there are" in inventory.notes[0]


def test_end_by_a_total_that_is_too_small_is_no_end() -> None:
    """Every field ends the list too early; pages of another size show rows behind that end."""
    inventory = read(listing_of(9000, 4000))
    assert len(inventory) < 9000
    assert not inventory.complete
    assert inventory.why_incomplete


def test_right_total_is_not_noted() -> None:
    """Nothing is noted where nothing is wrong, nor where no total is announced."""
    assert read(listing_of(4321, 4321)).notes == ()
    unannounced = read(listing_of(4321, None))
    assert (unannounced.complete, unannounced.notes) == (True, ())


def test_server_that_ignores_page_numbers_is_not_complete() -> None:
    """The same hundred rows for every request are no list of a hundred rows."""
    inventory = read(
        always_first(lambda _, size: make_page(1, min(size, 100), 100, total_anis=500))
    )
    assert len(inventory) <= 100
    assert not inventory.complete
    assert "500 announced, 100 found" in (inventory.why_incomplete or "")


def test_server_that_ends_after_a_number_of_pages_is_not_complete() -> None:
    """Pages of another size end elsewhere, so the end is the server's and not the list's."""

    def answer(page: int, size: int) -> AniPage:
        whole = make_page(page, size, 9000)
        return whole if page <= 5 else attrs.evolve(whole, data=())

    inventory = read(answer)
    assert not inventory.complete
    assert "9,000 announced" in (inventory.why_incomplete or "")


def test_server_that_skips_a_row_between_pages_is_not_complete() -> None:
    """A row that no boundary of one pass shows is shown by those of another."""

    def answer(page: int, size: int) -> AniPage:
        numbers = range((page - 1) * (size + 1), min(page * (size + 1) - 1, 4000))
        return attrs.evolve(make_page(page, size, 4000), data=tuple(map(make_row, numbers)))

    inventory = read(answer)
    missing = set(range(4000)) - {row.id for row in inventory}
    assert not (inventory.complete and missing)


def test_order_by_status_is_not_taken_for_an_order_by_id() -> None:
    """Ids rise within each status, and even at a boundary of pages, but not over the list."""
    ids = [*range(0, 4000, 2), *range(1, 4000, 2)]

    def answer(page: int, size: int) -> AniPage:
        part = ids[(page - 1) * size : page * size]
        return attrs.evolve(make_page(page, size, 4000), data=tuple(map(make_row, part)))

    graph = OverlapGraph()
    graph.begin_pass(SIZE)
    for page in range(1, 5):
        graph.add_page(answer(page, SIZE))
    assert not graph.key_order.holds
    assert read(answer).complete  # the count proves it


def test_row_that_moves_behind_the_reader_is_not_lost_silently() -> None:
    """It moves in front in each pass, while another row comes and goes: no total shows it."""
    ids = [number * 7919 % 10007 for number in range(3000)]
    hidden = ids[2500]

    def answer(page: int, size: int) -> AniPage:
        listed = [id_ for id_ in ids if id_ != hidden]
        listed.insert(2500 if page == 1 else 10, hidden)  # ahead of the reader, then behind it
        part = listed[(page - 1) * size : page * size]
        return attrs.evolve(make_page(page, size, 3000), data=tuple(map(make_row, part)))

    inventory = read(answer)
    assert not (inventory.complete and hidden not in {row.id for row in inventory})
    if not inventory.complete:
        assert "not sorted by id or phone" in (inventory.why_incomplete or "")


def test_one_pass_says_that_it_proves_nothing() -> None:
    """The reason names the pages of the only pass."""
    inventory = read(listing_of(2500, 2500), on_drift="report")
    assert not inventory.complete
    assert inventory.why_incomplete == (
        "one pass over 3 pages proves nothing; 2,500 announced, 2,500 found"
    )


def test_reason_counts_what_was_seen() -> None:
    """The reason counts announced, found, repeated and reordered rows."""
    listing = UnsteadyListing("new order", 3000, seed=1, is_keyed=False)
    inventory = asyncio.run(read_inventory(listing.source(500, 4), "repair"))
    why = inventory.why_incomplete or ""
    assert not inventory.complete
    for words in (
        "not sorted by id or phone",
        "3,000 announced",
        "repeated within one pass",
        "changed their order",
    ):
        assert words in why
    assert why in repr(inventory)


def test_malformed_row_is_the_reason() -> None:
    """The reason counts the rows that cannot be decoded."""

    def answer(page: int, size: int) -> AniPage:
        rows = [{"id": 1, "phone": "1"}, {"id": None}]
        body = json.dumps({"data": rows if page == 1 else [], "total_anis": 2, "total_pages": 1})
        decoded = read_page(Response(200, body.encode()), page, size)
        assert isinstance(decoded, AniPage)
        return decoded

    inventory = read(answer)
    assert not inventory.complete
    assert inventory.why_incomplete == "1 row(s) could not be understood"


def test_still_list_in_any_order_costs_two_passes() -> None:
    """Without an order by a key, the count needs no more requests where nothing changes."""
    rows = tuple(Ani(number * 7919 % 10007, str(number * 31 % 9973)) for number in range(4500))
    requests = []

    def answer(page: int, size: int) -> AniPage:
        requests.append((page, size))
        part = rows[(page - 1) * size : page * size]
        return attrs.evolve(make_page(page, size, 4500), data=part)

    inventory = read(answer)
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, True, 2)
    assert inventory.rows == rows
    assert len(requests) == 5 + 5
