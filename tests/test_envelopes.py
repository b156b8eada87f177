"""A server that contradicts itself in its envelopes is read to the end, and no further."""

import asyncio
import itertools
import json
from functools import partial

import pytest

from nrm_async import AniPage
from nrm_async._wire import Response, read_page
from nrm_async.listing import Source, read_inventory
from nrm_async.listing.stream import ReadPage
from tests.conftest import make_page

SMALL = 40  # rows on a page: enough for pages to be stitched together
TOTAL = 130
WRONG: dict[str, tuple[object, ...]] = {
    "result": ("failure", None, 0),
    "count": (0, 10**6, None, "40"),
    "total_anis": (0, 1, 10**12, None, -1, "130", []),
    "total_pages": (0, 1, 10**9, None, -3, 3.7),
    "can_next_page": (True, False, None, "no", 0),
    "can_prev_page": (True, False, None),
}
LIES = [{field: lie} for field, lies in WRONG.items() for lie in lies]
LIES += [
    {one: lie, other: another}
    for one, other in itertools.combinations(WRONG, 2)
    for lie in WRONG[one]
    for another in WRONG[other]
]


def lying(said: dict[str, object]) -> Source:
    """Serves JSON with an envelope of lies around the right rows."""

    async def fetch(page: int, size: int) -> ReadPage:
        truth = make_page(page, size, TOTAL)
        rows = [{"id": row.id, "phone": row.phone} for row in truth]
        names = ("count", "total_anis", "total_pages", "can_next_page", "can_prev_page")
        envelope = {"result": "success"} | {name: getattr(truth, name) for name in names} | said
        body = json.dumps(envelope | {"data": rows})
        return partial(decode, body.encode(), page, size)

    def decode(body: bytes, page: int, size: int) -> AniPage:
        answer = read_page(Response(200, body), page, size)
        assert isinstance(answer, AniPage)
        return answer

    return Source(fetch, asyncio.create_task, SMALL, 4)


@pytest.mark.parametrize("said", LIES, ids=str)
async def test_a_server_that_lies_in_one_or_two_fields_is_read_completely(
    said: dict[str, object],
) -> None:
    """Every field of the envelope, one at a time and in pairs: all rows, and no loop."""
    inventory = await read_inventory(lying(said), "repair")
    assert [row.id for row in inventory] == list(range(TOTAL))
    assert inventory.consistent
    assert inventory.passes == 2
    assert inventory.complete is (said.get("total_anis") != 10**12)  # where rows are announced
    assert inventory.requests <= 2 * (4 + 8 + 4)  # pages, empty ones, and what was in flight
