"""What a stream detects of rows that shift between pages while it reads them."""

import logging

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import AniPage, AniStream, Drift, InventoryDriftError, NRMClient
from nrm_async._paging import OnStreamDrift
from nrm_async._paging.drift import DriftDetector
from nrm_async.sandbox import Sandbox
from tests.conftest import make_page, make_row
from tests.paging.fakes import PAGE_SIZE, PageServer, ShrinkingListing, honest_server

pages_of_ids = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=12)


@given(pages_of_ids, st.integers(1, 4))
def test_duplicates_are_rows_of_recent_pages(pages: list[list[int]], remembered: int) -> None:
    """Rows that one of the last few pages had are left out and counted, as a full memory shows."""
    detector, seen = DriftDetector(remembered), list[set[int]]()
    for number, ids in enumerate(pages, start=1):
        page = AniPage(page=number, page_size=6, data=tuple(map(make_row, ids)))
        before = set[int]().union(*seen[-remembered:])
        rows = detector.observe(page)
        assert [row.id for row in rows] == [id_ for id_ in ids if id_ not in before]
        seen.append(set(ids))
    total = sum(map(len, pages))
    assert detector.drift.came + detector.drift.repeated == total


def stream_of(server: PageServer, on_drift: OnStreamDrift = "report") -> AniStream:
    return AniStream(server.stream(prefetch=1), on_drift)


@pytest.mark.looptime
async def test_unchanged_listing_shows_no_drift(caplog: pytest.LogCaptureFixture) -> None:
    """There is no sign and no log record."""
    stream = stream_of(honest_server(57), "raise")
    assert len([row async for row in stream]) == 57
    assert stream.drift == Drift(totals=(57,), came=57, ended=True)
    assert not stream.drift
    assert str(stream.drift) == "nothing"
    assert caplog.records == []


async def test_changed_total_is_reported_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """The sign is in ``drift``, and one warning is logged."""
    stream = stream_of(PageServer(ShrinkingListing(deletions=1).page, latency=0))
    assert len([row async for row in stream]) == 49
    assert stream.drift.totals == (50, 49)
    assert stream.drift
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("nrm_async.listing", logging.WARNING)
    assert "total changed 50 -> 49" in record.getMessage()


def repeating(page_number: int) -> AniPage:
    """From page 2 on, the last row of the page before comes again."""
    shift = min(page_number - 1, 1)
    numbers = range((page_number - 1) * PAGE_SIZE - shift, min(page_number * PAGE_SIZE - shift, 50))
    rows = tuple(make_row(number) for number in numbers)
    return attrs.evolve(make_page(page_number, PAGE_SIZE, 50), data=rows, count=len(rows))


async def test_repeated_row_is_given_out_once_and_counted() -> None:
    """A row that comes again from the page before is left out."""
    stream = stream_of(PageServer(repeating, latency=0))
    assert [row.id async for row in stream] == list(range(49))
    assert stream.drift.repeated == 1
    assert "repeated rows: 1" in str(stream.drift)


async def test_short_page_in_the_middle_is_reported() -> None:
    """A page with fewer rows than others, though rows follow, has lost some."""

    def pages(number: int) -> AniPage:
        page = make_page(number, PAGE_SIZE, 50)
        return attrs.evolve(page, data=page.data[:7]) if number == 3 else page

    stream = stream_of(PageServer(pages, latency=0))
    assert len([row async for row in stream]) == 47
    assert stream.drift.short_pages == (3,)
    assert str(stream.drift) == "short pages: 3, 47 of 50 rows arrived"


async def test_empty_page_in_the_middle_is_a_short_page() -> None:
    """A page without any rows is not given out, but counts."""

    def pages(number: int) -> AniPage:
        page = make_page(number, PAGE_SIZE, 50)
        return attrs.evolve(page, data=()) if number == 3 else page

    stream = stream_of(PageServer(pages, latency=0))
    assert len([row async for row in stream]) == 40
    assert stream.drift.short_pages == (3,)


async def test_on_drift_raise_stops_at_the_first_sign() -> None:
    """The rows of the page with the sign are not given out, and the stream has ended."""
    stream = stream_of(PageServer(ShrinkingListing(deletions=1).page, latency=0), "raise")
    rows = [(await anext(stream)).id for _ in range(20)]
    assert rows == list(range(20))
    with pytest.raises(InventoryDriftError, match="total changed 50 -> 49"):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_on_drift_raise_raises_at_the_end_if_rows_are_missing() -> None:
    """Fewer rows than announced are a sign too."""
    server = PageServer(lambda number: make_page(number, PAGE_SIZE, 30, total_anis=31), latency=0)
    stream = stream_of(server, "raise")
    with pytest.raises(InventoryDriftError, match="30 of 31 rows arrived"):
        assert [row async for row in stream]


async def test_acting_while_streaming_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """``pause_many(anis())`` shifts the pages still to be read; earlier actions do not count."""
    async with Sandbox(anis=400) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url, max_concurrency=2) as nrm:
            await nrm.remediate(sandbox.phones[0])
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
