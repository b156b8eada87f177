"""Streams: pages in order, prefetched concurrently, complete whatever the envelopes say."""

import asyncio
import gc
from collections.abc import Coroutine
from functools import partial
from typing import Any

import attrs
import pytest

from nrm_async import AniPage, AniStream, InvalidRequestError, MalformedRow, PageStream
from nrm_async._paging import DecodePage, PageSource
from nrm_async.errors import ClientStateError, ServerError
from tests.conftest import make_page
from tests.paging.fakes import PAGE_SIZE, PageServer, honest_server


async def ids_of(stream: PageStream) -> list[int | str]:
    return [row.id async for row in AniStream(stream)]


@pytest.mark.looptime
async def test_prefetch_window_is_always_full() -> None:
    """A hundred pages, ten in flight, take the time of page 1 and of ten rounds."""
    server = honest_server(100 * PAGE_SIZE)
    started = asyncio.get_running_loop().time()
    assert await ids_of(server.stream(prefetch=10)) == list(range(100 * PAGE_SIZE))
    elapsed = asyncio.get_running_loop().time() - started
    assert elapsed == pytest.approx(1.1)
    assert server.max_in_flight == 10
    assert server.requested == list(range(1, 101))


@pytest.mark.looptime
async def test_slow_reader_has_no_more_than_the_window_ahead() -> None:
    """Memory is bounded by ``prefetch`` while the reader does something else."""
    server = honest_server(100 * PAGE_SIZE)
    stream = server.stream(prefetch=5)
    await anext(stream)
    await asyncio.sleep(100)
    assert server.requested == [1, 2, 3, 4, 5, 6]
    await stream.aclose()


@pytest.mark.looptime
@pytest.mark.parametrize("total", [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 95])
async def test_consistent_envelopes_cost_no_extra_request(total: int) -> None:
    """Where all fields agree, exactly the announced pages are requested."""
    server = honest_server(total)
    assert await ids_of(server.stream(prefetch=10)) == list(range(total))
    assert len(server.requested) == max(1, -(-total // PAGE_SIZE))


async def test_pages_are_decoded_in_their_turn() -> None:
    """Pages that arrived together are decoded one by one, each when the reader takes it."""
    decoded: list[int] = []

    def decode(number: int) -> AniPage:
        decoded.append(number)
        return make_page(number, PAGE_SIZE, 50)

    async with PageServer(decode, latency=0).stream(prefetch=4) as stream:
        for number in (1, 2, 3):
            await anext(stream)
            await asyncio.sleep(0.001)
            assert decoded == list(range(1, number + 1))


@pytest.mark.looptime
async def test_empty_page_in_the_middle_is_not_the_end() -> None:
    """A page without rows does not hide the pages behind it."""

    def pages(number: int) -> AniPage:
        page = make_page(number, PAGE_SIZE, 50)
        return attrs.evolve(page, data=()) if number == 3 else page

    assert await ids_of(PageServer(pages).stream()) == [*range(20), *range(30, 50)]


@pytest.mark.looptime
@pytest.mark.parametrize("wraps_to", [1, 3], ids=["to the first page", "to the last page"])
async def test_pages_past_the_end_that_repeat_others_end_the_stream(wraps_to: int) -> None:
    """Each row is given out once, whether pages past the end wrap around or stay the last."""

    def pages(number: int) -> AniPage:
        rows = make_page(number if number <= 3 else wraps_to, PAGE_SIZE, 30).data
        return AniPage(data=rows, page=number, page_size=PAGE_SIZE, can_next_page=True)

    assert await ids_of(PageServer(pages).stream()) == list(range(30))


@pytest.mark.looptime
@pytest.mark.parametrize("is_shuffled", [False, True])
async def test_server_that_ignores_the_page_number_ends_the_stream(is_shuffled: bool) -> None:
    """The same rows over and over, in whatever order, are given out once."""

    def pages(number: int) -> AniPage:
        rows = make_page(1, PAGE_SIZE, PAGE_SIZE).data
        if is_shuffled:
            rows = rows[number % PAGE_SIZE :] + rows[: number % PAGE_SIZE]
        return AniPage(data=rows, page=number, page_size=PAGE_SIZE, can_next_page=True)

    server = PageServer(pages)
    assert sorted(await ids_of(server.stream())) == list(range(PAGE_SIZE))
    assert len(server.requested) <= 8


@pytest.mark.looptime
async def test_two_alternating_pages_end_the_stream() -> None:
    """A server that goes back and forth between two pages gives nothing new either."""
    server = PageServer(
        lambda number: attrs.evolve(
            make_page(1 + number % 2, PAGE_SIZE, 20),
            page=number,
            can_next_page=True,
            total_pages=None,
        )
    )
    assert set(await ids_of(server.stream())) == set(range(20))
    assert len(server.requested) <= 12


@pytest.mark.looptime
@pytest.mark.parametrize(
    "wrong",
    [
        {"total_pages": None, "can_next_page": None},
        {"total_pages": 1},
        {"can_next_page": False},
        {"total_anis": None},
    ],
    ids=str,
)
async def test_pages_smaller_than_requested_are_read_completely(wrong: dict[str, Any]) -> None:
    """A short page is not taken for the last one while any field announces more."""

    def pages(number: int) -> AniPage:
        return attrs.evolve(make_page(number, 5, 43), page_size=PAGE_SIZE, **wrong)

    assert await ids_of(PageServer(pages).stream()) == list(range(43))


@pytest.mark.looptime
async def test_breaking_out_of_the_loop_leaves_no_task() -> None:
    """Prefetched pages are cancelled with the abandoned stream."""
    server = honest_server(1000)
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
async def test_leaving_the_context_waits_for_all_tasks() -> None:
    """No task is left after ``async with``; closing twice is fine."""
    server = honest_server(1000)
    async with AniStream(server.stream(prefetch=8)) as rows:
        await anext(rows)
        assert len(asyncio.all_tasks()) > 1
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await rows.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(rows.pages())


@pytest.mark.looptime
async def test_failing_page_raises_in_its_turn() -> None:
    """The pages before it are given out first; then the stream has ended and left no task."""

    def pages(number: int) -> AniPage:
        if number == 4:
            raise ServerError(500, "boom")
        return make_page(number, PAGE_SIZE, 100)

    stream = PageServer(pages).stream(prefetch=8)
    read = [await anext(stream), await anext(stream), await anext(stream)]
    assert [page.page for page in read] == [1, 2, 3]
    with pytest.raises(ServerError, match="boom"):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_abandoned_failing_page_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The error of a prefetched page that is never read is dropped silently."""

    async def fetch_page(number: int, _page_size: int) -> DecodePage:
        if number > 1:
            raise ServerError(500, "boom")
        return partial(make_page, 1, PAGE_SIZE, 50)

    stream = PageSource(fetch_page, asyncio.create_task, PAGE_SIZE, 4).pages()
    await anext(stream)
    await asyncio.sleep(0)
    del stream
    gc.collect()
    assert caplog.records == []


@pytest.mark.looptime
async def test_cancelled_reader_loses_no_page() -> None:
    """After a time-out around one step the stream continues where it was."""
    stream = honest_server(50).stream()
    first = await anext(stream)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.01)
    rest = [page.page async for page in stream]
    assert [first.page, *rest] == [1, 2, 3, 4, 5]


@pytest.mark.looptime
async def test_cancelled_fetch_ends_the_stream() -> None:
    """A closing client cancels the tasks of its streams; their readers get a state error."""
    tasks: list[asyncio.Task[Any]] = []

    def spawn(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        tasks.append(asyncio.create_task(work))
        return tasks[-1]

    stream = attrs.evolve(honest_server(50).source(), spawn=spawn).pages()
    await anext(stream)
    for task in tasks:
        task.cancel()
    with pytest.raises(ClientStateError, match="client was closed"):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


@pytest.mark.looptime
async def test_second_concurrent_reader_is_refused() -> None:
    """A stream has one reader: another one gets an error instead of some of the pages."""
    stream = honest_server(50).stream()
    first = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="already being read"):
        await anext(stream)
    assert (await first).page == 1
    await stream.aclose()


@pytest.mark.looptime
async def test_pages_carry_their_envelopes() -> None:
    """``pages()`` is the same listing page by page."""
    pages = [page async for page in AniStream(honest_server(25).stream()).pages()]
    assert [(page.page, len(page), page.total_anis) for page in pages] == [
        (1, 10, 25),
        (2, 10, 25),
        (3, 5, 25),
    ]


@pytest.mark.looptime
async def test_stream_collects_malformed_rows() -> None:
    """A malformed row is left out and listed, and its neighbours are given out."""
    bad = MalformedRow("$.data[1].phone", "is missing")

    def pages(number: int) -> AniPage:
        return attrs.evolve(make_page(number, PAGE_SIZE, 20), malformed=(bad,))

    stream = AniStream(PageServer(pages).stream())
    assert len([row async for row in stream]) == 20
    assert stream.malformed == (bad, bad)


async def test_unknown_on_drift_is_refused() -> None:
    """The error names the argument and its choices."""
    with pytest.raises(InvalidRequestError, match="on_drift must be 'report' or 'raise'"):
        AniStream(honest_server(1).stream(), "repair")  # type: ignore[arg-type]
