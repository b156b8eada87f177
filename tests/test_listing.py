"""Listing: pages in order, fetched concurrently, complete whatever the envelope says."""

import asyncio
import gc
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import (
    AniPage,
    AniStream,
    InventoryDriftError,
    MalformedRow,
    PageStream,
    ResponseError,
)
from nrm_async.errors import ServerError
from nrm_async.listing import Course, Source, read_inventory
from tests.conftest import make_page, make_row

PAGE_SIZE = 10


@attrs.define
class Server:
    """Serves pages after a while, and counts what is in flight."""

    pages: Callable[[int], AniPage]
    latency: float = 0.1
    asked: list[int] = attrs.field(factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def fetch(self, page: int, _size: int = PAGE_SIZE) -> Callable[[], AniPage]:
        self.asked.append(page)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
            return partial(self.pages, page)
        finally:
            self.in_flight -= 1

    def stream(self, prefetch: int = 4) -> PageStream:
        return self.source(prefetch).pages()

    def source(self, prefetch: int = 4) -> Source:
        return Source(self.fetch, asyncio.create_task, PAGE_SIZE, prefetch)


def honest(total: int) -> Server:
    return Server(lambda page: make_page(page, PAGE_SIZE, total))


async def ids_of(stream: PageStream) -> list[int | str]:
    return [row.id async for row in AniStream(stream)]


@pytest.mark.looptime
async def test_a_hundred_pages_ten_at_a_time_take_the_first_page_and_ten_rounds() -> None:
    """Concurrency is as good as it can be, and never more than the window."""
    server = honest(100 * PAGE_SIZE)
    started = asyncio.get_running_loop().time()
    assert await ids_of(server.stream(prefetch=10)) == list(range(100 * PAGE_SIZE))
    elapsed = asyncio.get_running_loop().time() - started
    assert elapsed == pytest.approx(1.1)
    assert server.most_in_flight == 10
    assert server.asked == list(range(1, 101))


@pytest.mark.looptime
async def test_the_first_page_is_read_alone() -> None:
    """Nothing is asked for before page 1 has announced it."""
    server = honest(PAGE_SIZE)
    assert len(await ids_of(server.stream(prefetch=10))) == PAGE_SIZE
    assert server.asked == [1]


@pytest.mark.looptime
async def test_pages_wait_for_the_reader() -> None:
    """Memory is bounded: a reader that pauses has no more than the window ahead of it."""
    server = honest(100 * PAGE_SIZE)
    stream = server.stream(prefetch=5)
    await anext(stream)
    await asyncio.sleep(100)
    assert server.asked == [1, 2, 3, 4, 5, 6]
    await stream.aclose()


@pytest.mark.looptime
@pytest.mark.parametrize("total", [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 95])
async def test_an_honest_server_is_read_with_no_request_too_many(total: int) -> None:
    """Where all announcements agree, exactly the announced pages are asked for."""
    server = honest(total)
    assert await ids_of(server.stream()) == list(range(total))
    assert len(server.asked) == max(1, -(-total // PAGE_SIZE))


LIES: dict[str, tuple[Any, ...]] = {
    "count": (0, 1, 10**6, None),
    "total_anis": (0, 1, 10**12, None),
    "total_pages": (0, 1, 10**9, None),
    "can_next_page": (True, False, None),
    "can_prev_page": (True, False, None),
}
SINGLE_LIES = [{field: lie} for field, lies in LIES.items() for lie in lies]
PAIRED_LIES = [
    {one: lie, other: another}
    for one, other in itertools.combinations(LIES, 2)
    for lie in LIES[one]
    for another in LIES[other]
]


@pytest.mark.looptime
@pytest.mark.parametrize("said", SINGLE_LIES + PAIRED_LIES, ids=str)
async def test_a_server_that_contradicts_itself_is_read_completely(said: dict[str, Any]) -> None:
    """No one or two fields of the envelope can stop the reading early or make it go on."""
    server = Server(lambda page: make_page(page, PAGE_SIZE, 57, **said))
    assert await ids_of(server.stream()) == list(range(57))
    assert len(server.asked) <= 6 + 8 + 4  # the pages, empty ones, and what was in flight


@given(total=st.integers(0, 80), data=st.data())
def test_lies_that_change_from_page_to_page_end_in_a_complete_read(
    total: int, data: st.DataObject
) -> None:
    """On each page another one or two fields may lie: the decisions alone still reach the end."""
    course = Course(PAGE_SIZE)
    read: list[int | str] = []
    page = 0
    while course.goes_on:
        page += 1
        assert page <= 8 + 8 + 1
        said = data.draw(st.sampled_from(SINGLE_LIES + PAIRED_LIES))
        answer = make_page(page, PAGE_SIZE, total, **said)
        if course.observe(answer):
            read.extend(row.id for row in answer)
    assert read == list(range(total))


@pytest.mark.looptime
async def test_an_empty_page_in_the_middle_is_not_the_end() -> None:
    """A page that lost its rows does not hide the ones behind it."""

    def pages(page: int) -> AniPage:
        whole = make_page(page, PAGE_SIZE, 50)
        return attrs.evolve(whole, data=()) if page == 3 else whole

    server = Server(pages)
    read = await ids_of(server.stream())
    assert read == [*range(20), *range(30, 50)]


@pytest.mark.looptime
@pytest.mark.parametrize("wraps_to", [1, 3], ids=["to the first page", "to the last page"])
async def test_a_server_that_repeats_itself_is_left_after_the_last_new_row(wraps_to: int) -> None:
    """Whether pages past the end wrap around or stick, each row is given out once."""

    def pages(page: int) -> AniPage:
        shown = page if page <= 3 else wraps_to
        rows = make_page(shown, PAGE_SIZE, 30).data
        return AniPage(data=rows, page=page, page_size=PAGE_SIZE, can_next_page=True)

    server = Server(pages)
    assert await ids_of(server.stream()) == list(range(30))


def test_a_listing_without_end_is_an_error() -> None:
    """A server that invents new rows for ever is told from a long inventory."""
    course = Course(PAGE_SIZE)

    def read_on() -> None:
        for page in range(1, 200_000):
            rows = (make_row(page),)
            course.observe(AniPage(data=rows, page=page, page_size=PAGE_SIZE, can_next_page=True))

    with pytest.raises(ResponseError, match="does not end"):
        read_on()
    assert not course.goes_on


@pytest.mark.looptime
async def test_breaking_off_leaves_no_task() -> None:
    """Five rows and out: what was fetched ahead is cancelled with the stream."""
    server = honest(1000)
    taken = 0
    async for _row in AniStream(server.stream(prefetch=8)):
        taken += 1
        if taken == 5:
            break
    gc.collect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert server.in_flight == 0


@pytest.mark.looptime
async def test_a_context_manager_waits_for_its_tasks() -> None:
    """Leaving ``async with`` means that nothing is left, at once; closing twice is fine."""
    server = honest(1000)
    async with AniStream(server.stream(prefetch=8)) as rows:
        await anext(rows)
        assert len(asyncio.all_tasks()) > 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await rows.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(rows.pages())


@pytest.mark.looptime
async def test_a_failing_page_is_raised_in_its_turn() -> None:
    """The rows before it are given out first; then the stream is over and leaves no task."""

    def pages(page: int) -> AniPage:
        if page == 4:
            raise ServerError(500, "boom")
        return make_page(page, PAGE_SIZE, 100)

    stream = Server(pages).stream(prefetch=8)
    read = [await anext(stream), await anext(stream), await anext(stream)]
    assert [page.page for page in read] == [1, 2, 3]
    with pytest.raises(ServerError, match="boom"):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.looptime
async def test_a_cancelled_reader_loses_no_page() -> None:
    """A time-out around one step is harmless: the stream is read on from where it was."""
    stream = honest(50).stream()
    first = await anext(stream)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.01)
    rest = [page.page async for page in stream]
    assert [first.page, *rest] == [1, 2, 3, 4, 5]


@pytest.mark.looptime
async def test_two_readers_at_once_are_refused() -> None:
    """One stream has one reader: a second one gets an error, not somebody else's pages."""
    stream = honest(50).stream()
    first = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already being read"):
        await anext(stream)
    assert (await first).page == 1
    await stream.aclose()


@pytest.mark.looptime
async def test_pages_carry_their_envelopes() -> None:
    """``pages()`` is the same listing, page by page."""
    pages = [page async for page in AniStream(honest(25).stream()).pages()]
    assert [(page.page, len(page), page.total_anis) for page in pages] == [
        (1, 10, 25),
        (2, 10, 25),
        (3, 5, 25),
    ]


@pytest.mark.looptime
async def test_rows_that_cannot_be_read_are_named_by_the_stream() -> None:
    """A bad row costs a row, and not without a word."""
    bad = MalformedRow("$.data[1].phone", "is missing")

    def pages(page: int) -> AniPage:
        return attrs.evolve(make_page(page, PAGE_SIZE, 20), malformed=(bad,))

    stream = AniStream(Server(pages).stream())
    assert len([row async for row in stream]) == 20
    assert stream.malformed == (bad, bad)


@pytest.mark.looptime
async def test_an_inventory_is_consistent_when_two_passes_agree() -> None:
    """Two equal passes make it complete and consistent."""
    inventory = await read_inventory(honest(57).source(), "repair")
    assert [row.id for row in inventory] == list(range(57))
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, True, 2)
    assert inventory.pages == 12
    assert inventory.elapsed > 0


class Shifting:
    """An inventory that loses its first row after page 2 of the first passes."""

    def __init__(self, shifts: int) -> None:
        self.rows = [make_row(number) for number in range(50)]
        self.shifts = shifts

    def page(self, page: int) -> AniPage:
        first = (page - 1) * PAGE_SIZE
        rows = tuple(self.rows[first : first + PAGE_SIZE])
        total = len(self.rows)
        if page == 2 and self.shifts:
            self.shifts -= 1
            del self.rows[0]
        truth = make_page(page, PAGE_SIZE, total)
        return attrs.evolve(truth, data=rows)

    def source(self) -> Source:
        return Server(self.page, latency=0).source(prefetch=1)


async def test_drift_is_repaired_by_reading_again() -> None:
    """A row that slipped between two pages is found by the next passes."""
    shifting = Shifting(shifts=1)
    inventory = await read_inventory(shifting.source(), "repair")
    assert [row.id for row in inventory] == list(range(1, 50))
    assert (inventory.complete, inventory.consistent, inventory.passes) == (True, True, 3)


async def test_endless_drift_ends_in_an_inventory_that_says_so() -> None:
    """After four passes it hands over what it has, and claims nothing."""
    inventory = await read_inventory(Shifting(shifts=100).source(), "repair")
    assert inventory.passes == 4
    assert not inventory.complete
    assert not inventory.consistent


async def test_drift_is_reported_without_repair() -> None:
    """One pass, and the moved total shows."""
    inventory = await read_inventory(Shifting(shifts=1).source(), "report")
    assert inventory.passes == 1
    assert not inventory.complete
    assert not inventory.consistent
    assert len(inventory) == 49  # row 20 slipped to the page before, unseen; row 0 is gone


async def test_drift_is_raised() -> None:
    """``"raise"`` gives no inventory that two passes do not agree on."""
    with pytest.raises(InventoryDriftError, match="changed while it was read"):
        await read_inventory(Shifting(shifts=1).source(), "raise")
    inventory = await read_inventory(Shifting(shifts=0).source(), "raise")
    assert inventory.complete


async def test_duplicates_are_dropped_and_counted() -> None:
    """A row that comes twice is kept once."""

    def pages(page: int) -> AniPage:
        whole = make_page(page, PAGE_SIZE, 20)
        extra = (make_row(0),) if page == 2 else ()
        return attrs.evolve(whole, data=whole.data + extra)

    inventory = await read_inventory(Server(pages, latency=0).source(), "report")
    assert len(inventory) == 20
    assert inventory.duplicates == 1
    assert not inventory.complete


CLAMPED = 5  # a server may give fewer rows on a page than it was asked for


@pytest.mark.looptime
@pytest.mark.parametrize(
    "said",
    [
        {"total_pages": None, "can_next_page": None},
        {"total_pages": 1},
        {"can_next_page": False},
        {"total_anis": None},
    ],
    ids=str,
)
async def test_a_server_with_smaller_pages_is_read_completely(said: dict[str, Any]) -> None:
    """Pages shorter than asked for are not taken for the end while anything says there is more."""

    def pages(page: int) -> AniPage:
        real = attrs.evolve(make_page(page, CLAMPED, 43), page_size=PAGE_SIZE)
        return attrs.evolve(real, **said)

    assert await ids_of(Server(pages).stream()) == list(range(43))


@pytest.mark.looptime
@pytest.mark.parametrize("unordered", [False, True])
async def test_a_server_that_ignores_the_page_is_left_soon(unordered: bool) -> None:
    """The same rows over and over, in whatever order, are given out once and end."""

    def pages(page: int) -> AniPage:
        rows = make_page(1, PAGE_SIZE, PAGE_SIZE).data
        if unordered:
            rows = rows[page % PAGE_SIZE :] + rows[: page % PAGE_SIZE]
        return AniPage(data=rows, page=page, page_size=PAGE_SIZE, can_next_page=True)

    server = Server(pages)
    assert sorted(await ids_of(server.stream())) == list(range(PAGE_SIZE))
    assert len(server.asked) <= 8


@pytest.mark.looptime
async def test_two_pages_in_turns_for_ever_are_left_soon() -> None:
    """A server that goes back and forth gives nothing new either."""
    server = Server(
        lambda page: attrs.evolve(
            make_page(1 + page % 2, PAGE_SIZE, 20), page=page, can_next_page=True, total_pages=None
        )
    )
    read = await ids_of(server.stream())
    assert set(read) == set(range(20))
    assert len(server.asked) <= 12


@pytest.mark.looptime
async def test_a_page_that_keeps_failing_is_named_in_a_partial_inventory() -> None:
    """The other pages are there, and it does not pass for complete; or the error is raised."""

    def pages(page: int) -> AniPage:
        if page == 4:
            raise ServerError(500, "boom")
        return make_page(page, PAGE_SIZE, 100)

    server = Server(pages)
    inventory = await read_inventory(server.source(), "report")
    assert [row.id for row in inventory] == [*range(30), *range(40, 100)]
    assert not inventory.complete
    assert [str(error) for error in inventory.missing] == ["HTTP 500: boom"]
    with pytest.raises(ServerError):
        await read_inventory(server.source(), "raise")


@pytest.mark.looptime
async def test_rows_that_were_announced_and_never_came_are_not_passed_over() -> None:
    """Two equal passes prove nothing about rows that neither of them had."""
    server = Server(lambda page: make_page(page, PAGE_SIZE, 30, total_anis=500, total_pages=3))
    inventory = await read_inventory(server.source(), "repair")
    assert len(inventory) == 30
    assert inventory.consistent
    assert not inventory.complete
