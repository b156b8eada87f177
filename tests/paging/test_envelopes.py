"""A server whose envelopes contradict themselves is read to the end, and no further."""

import asyncio
import itertools
import json
from functools import partial

import pytest

from nrm_async import AniPage
from nrm_async._paging import DecodePage, PageSource, read_inventory
from nrm_async._wire import Response, read_page
from tests.conftest import make_page

PAGE_SIZE = 40  # large enough for pages to overlap
TOTAL = 130
FIELDS: dict[str, tuple[object, ...]] = {
    "result": ("failure", None, 0),
    "count": (0, 1, 10**6, None, "40"),
    "total_anis": (0, 1, 10**12, None, -1, "130", []),
    "total_pages": (0, 1, 10**9, None, -3, 3.7),
    "can_next_page": (True, False, None, "no", 0),
    "can_prev_page": (True, False, None),
}
WRONG = [{field: wrong} for field, values in FIELDS.items() for wrong in values]
WRONG += [
    {one: wrong, other: also_wrong}
    for one, other in itertools.combinations(FIELDS, 2)
    for wrong in FIELDS[one]
    for also_wrong in FIELDS[other]
]


def server_with(wrong: dict[str, object]) -> PageSource:
    """Serve JSON pages with the right rows and these fields of the envelope replaced."""

    async def fetch_page(page_number: int, page_size: int) -> DecodePage:
        page = make_page(page_number, page_size, TOTAL)
        rows = [{"id": row.id, "phone": row.phone} for row in page]
        names = ("count", "total_anis", "total_pages", "can_next_page", "can_prev_page")
        envelope = {"result": "success"} | {name: getattr(page, name) for name in names} | wrong
        body = json.dumps(envelope | {"data": rows})
        return partial(decode, body.encode(), page_number, page_size)

    def decode(body: bytes, page_number: int, page_size: int) -> AniPage:
        page = read_page(Response(200, body), page_number, page_size)
        assert isinstance(page, AniPage)
        return page

    return PageSource(fetch_page, asyncio.create_task, PAGE_SIZE, 4)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
async def test_one_or_two_wrong_fields_lose_no_rows(wrong: dict[str, object]) -> None:
    """Whichever one or two fields are wrong on every page, all rows are read, in finite time."""
    inventory = await read_inventory(server_with(wrong), "repair")
    assert [row.id for row in inventory] == list(range(TOTAL))
    assert inventory.consistent
    assert inventory.passes == 2
    assert inventory.complete
    said = wrong.get("total_anis")
    assert bool(inventory.notes) is (said in (0, 1, 10**12))  # the others are no totals at all
    assert inventory.requests <= 2 * (4 + 8 + 4)  # pages, empty pages, and those in flight
