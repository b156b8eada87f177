"""Servers that refuse a page behind the end of a listing instead of sending an empty one."""

from typing import Any

import attrs
import pytest

from nrm_async import AniPage, NRMError, RejectedError
from nrm_async._paging import find
from nrm_async._paging.cursor import PageCursor
from tests.conftest import make_page
from tests.paging.fakes import PAGE_SIZE, PageServer

VAGUE: dict[str, Any] = {"can_next_page": None, "total_pages": None, "total_anis": None}


def refusing(rows: int, status: int, refused: int, **envelope: Any) -> PageServer:
    """A server of full pages that refuses pages from this one on."""

    def page(number: int) -> AniPage:
        if number >= refused:
            raise RejectedError(status, "Invalid page")
        return attrs.evolve(make_page(number, PAGE_SIZE, rows), **envelope)

    return PageServer(page, latency=0)


ENDS: dict[str, dict[str, Any]] = {
    "nothing announced": VAGUE,
    "always more": {"can_next_page": True},
    "always more, no total": {"can_next_page": True, "total_anis": None},
    "always more, no pages": {"can_next_page": True, "total_pages": None},
    "only the total": VAGUE | {"total_anis": 30},
    "a total too large": {"total_anis": 35, "total_pages": None, "can_next_page": None},
}
every_refusal = pytest.mark.parametrize("status", [400, 404, 416, 422, 200])


@every_refusal
@pytest.mark.parametrize("envelope", list(ENDS.values())[:5], ids=list(ENDS)[:5])
async def test_refused_page_behind_the_end(status: int, envelope: dict[str, Any]) -> None:
    """It ends the listing: all rows are given out, and no page is missing."""
    server = refusing(30, status, 4, **envelope)
    async with server.stream() as pages:
        rows = [row.id async for page in pages for row in page]
        assert rows == list(range(30))
        assert pages.missing == ()
    assert max(server.requested) >= (4 if envelope.get("can_next_page") else 3)


@every_refusal
@pytest.mark.parametrize("refused", [2, 3])
@pytest.mark.parametrize("envelope", [{}, {"total_pages": None}, {"total_anis": None}], ids=repr)
async def test_refused_page_in_the_middle(
    status: int, refused: int, envelope: dict[str, Any]
) -> None:
    """Where more pages are announced, a refused page is an error: nothing is silently short."""
    async with refusing(50, status, refused, **envelope).stream() as pages:
        with pytest.raises(RejectedError, match="Invalid page"):
            _ = [row async for page in pages for row in page]


@pytest.mark.parametrize("status", [400, 404])
async def test_limit_on_pages_below_the_total(status: int) -> None:
    """A server that caps its pages' size and refuses before its total is reached is an error."""

    def page(number: int) -> AniPage:
        if number > 7:
            raise RejectedError(status, "Too deep")
        return attrs.evolve(
            make_page(number, PAGE_SIZE // 2, 100), page_size=PAGE_SIZE, total_pages=None
        )

    async with PageServer(page, latency=0).stream() as pages:
        with pytest.raises(RejectedError, match="Too deep"):
            _ = [row async for page in pages for row in page]


@every_refusal
async def test_first_page_is_refused(status: int) -> None:
    """A listing whose first page is refused is an error, not an empty one."""
    async with refusing(30, status, 1).stream() as pages:
        with pytest.raises(RejectedError):
            await anext(pages)


@pytest.mark.parametrize("status", [402, 405, 409, 413])
async def test_other_refusals_are_errors(status: int) -> None:
    """A refusal that is not about the page number is an error behind the end, too."""
    async with refusing(30, status, 4, can_next_page=True).stream() as pages:
        with pytest.raises(RejectedError):
            _ = [page async for page in pages]


async def test_listing_that_shrank() -> None:
    """The latest envelope counts: a page that was announced before rows left is behind the end."""

    def page(number: int) -> AniPage:
        if number == 4:
            raise RejectedError(404, "Not found")
        return attrs.evolve(make_page(number, PAGE_SIZE, 31 if number < 3 else 30))

    async with PageServer(page, latency=0).stream(prefetch=1) as pages:
        assert len([row async for page in pages for row in page]) == 30


@pytest.mark.parametrize(("status", "ends"), [(404, True), (400, False)])
def test_documented_example_is_refused(status: int, ends: bool) -> None:
    """One page of one row that announces 500 rows and a next page: only "not found" ends it."""
    cursor = PageCursor(1000)
    row = make_page(1, 1, 1).data
    cursor.observe(AniPage(row, 1, 1000, 1, 500, 1, can_next_page=True))
    assert cursor.has_more
    assert cursor.ends_before(2, status) is ends
    assert cursor.has_more is not ends


async def test_look_up_ends_there_too() -> None:
    """A number that is not on any page is not found, instead of raising the refusal."""
    server = refusing(30, 404, 4, can_next_page=True)
    assert await find(server.fetch_page, PAGE_SIZE, "9999999999") is None
    short = refusing(30, 404, 3)
    with pytest.raises(NRMError):
        await find(short.fetch_page, PAGE_SIZE, "9999999999")
