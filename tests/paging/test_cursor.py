"""Where a listing ends, decided from its pages alone."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import AniPage, ResponseError
from nrm_async._paging.cursor import PageCursor
from tests.conftest import make_page, make_row
from tests.paging.fakes import PAGE_SIZE

WRONG_VALUES: dict[str, tuple[Any, ...]] = {
    "count": (0, 1, 10**6, None),
    "total_anis": (0, 1, 10**12, None),
    "total_pages": (0, 1, 10**9, None),
    "can_next_page": (True, False, None),
    "can_prev_page": (True, False, None),
}
ONE_WRONG = [{field: wrong} for field, values in WRONG_VALUES.items() for wrong in values]
TWO_WRONG = [
    {one: wrong, other: also_wrong}
    for one, other in itertools.combinations(WRONG_VALUES, 2)
    for wrong in WRONG_VALUES[one]
    for also_wrong in WRONG_VALUES[other]
]


@given(total=st.integers(0, 80), data=st.data())
def test_read_to_the_end_with_other_wrong_fields_on_each_page(
    total: int, data: st.DataObject
) -> None:
    """Whichever one or two fields of each page are wrong, all rows are read, in finite time."""
    cursor = PageCursor(PAGE_SIZE)
    read: list[int | str] = []
    page_number = 0
    while cursor.has_more:
        page_number += 1
        assert page_number <= cursor.last_page
        assert page_number <= 8 + 8 + 1
        wrong = data.draw(st.sampled_from(ONE_WRONG + TWO_WRONG))
        page = make_page(page_number, PAGE_SIZE, total, **wrong)
        if cursor.observe(page):
            read.extend(row.id for row in page)
    assert read == list(range(total))


def test_endless_listing_raises() -> None:
    """A server that invents new rows forever raises instead of being read without end."""
    cursor = PageCursor(PAGE_SIZE)

    def read_on() -> None:
        for number in range(99_000, 200_000):
            rows = (make_row(number),)
            cursor.observe(AniPage(data=rows, page=number, page_size=PAGE_SIZE, can_next_page=True))

    with pytest.raises(ResponseError, match="does not end"):
        read_on()
    assert not cursor.has_more
