"""Looking single numbers up."""

import asyncio

import attrs
import pytest

from nrm_async import Ani, AniPage, MalformedRow, ResponseError, ServerError
from nrm_async._paging import DecodePage, PageSource, find
from tests.conftest import make_page, make_row
from tests.paging.fakes import PAGE_SIZE, PageServer


async def find_row(server: PageServer, row: Ani) -> Ani | None:
    return await find(server.fetch_page, PAGE_SIZE, row.phone)


async def test_find_reads_pages_in_order_until_the_number_is_found() -> None:
    """No page is left out on the way, and none is requested after it."""
    server = PageServer(lambda number: make_page(number, PAGE_SIZE, 95), latency=0)
    assert await find_row(server, make_row(25)) == make_row(25)
    assert server.requested == [1, 2, 3]


async def test_find_returns_none_after_the_last_page() -> None:
    """A number that is on no page is not found."""
    server = PageServer(lambda number: make_page(number, PAGE_SIZE, 25), latency=0)
    assert await find_row(server, make_row(25)) is None
    assert server.requested == [1, 2, 3]


@pytest.mark.parametrize(
    ("phone", "is_ambiguous"), [(None, True), ("2000000099", True), ("2000000098", False)]
)
async def test_find_raises_if_a_malformed_row_may_be_the_one(
    phone: str | None, is_ambiguous: bool
) -> None:
    """A row that cannot be decoded is no proof that the number is absent."""

    def pages(number: int) -> AniPage:
        bad = MalformedRow("$.data[10].blockRate", "is odd", phone)
        return attrs.evolve(make_page(number, PAGE_SIZE, 20), malformed=(bad,))

    server = PageServer(pages, latency=0)
    if is_ambiguous:
        with pytest.raises(ResponseError, match=r"row of 2000000099 cannot be read: .*blockRate"):
            await find_row(server, make_row(99))
    else:
        assert await find_row(server, make_row(99)) is None


async def test_find_all_leaves_out_failed_look_ups() -> None:
    """An absent number is reported as ``None``, a number whose look-up failed not at all."""
    in_flight = max_in_flight = 0

    async def look_up(phone: str) -> Ani | None:
        nonlocal in_flight, max_in_flight
        in_flight += 1
        max_in_flight = max(max_in_flight, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1
        if phone == "failing":
            raise ServerError(500, "boom")
        return None if phone == "absent" else make_row(1)

    async def fetch_page(page_number: int, page_size: int) -> DecodePage:
        raise NotImplementedError

    source = PageSource(fetch_page, asyncio.create_task, PAGE_SIZE, 2, look_up)
    phones = {"a": "failing", "b": "absent", "c": "present"}
    assert await source.find_all(phones) == {"b": None, "c": make_row(1)}
    assert max_in_flight == 2
