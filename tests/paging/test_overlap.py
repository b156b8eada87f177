"""The proof that pages overlap, and the choice of pages that show it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import AniPage, ServerError
from nrm_async._paging.overlap import (
    MIN_OVERLAP,
    OverlapGraph,
    index_of,
    page_number_of,
    position_key,
    spot_around,
)
from tests.conftest import make_row


def page_of(numbers: range, page: int, **envelope: object) -> AniPage:
    return AniPage(tuple(map(make_row, numbers)), page=page, page_size=40, **envelope)  # type: ignore[arg-type]


def test_spot_read_is_not_the_end_because_its_total_is_too_small() -> None:
    """No request follows behind a spot read: if it is full or announces more, there may be more."""
    for more, total in itertools.product((True, False, None), (1, 60, None)):
        graph = OverlapGraph()
        graph.begin_pass(40)
        graph.add_page(page_of(range(40), 1))
        graph.add_spot_read(page_of(range(20, 60), 1, total_anis=total, can_next_page=more))
        assert not graph.is_connected


@pytest.mark.parametrize("is_missing", [True, False])
def test_pass_without_its_last_page_does_not_reach_the_end(is_missing: bool) -> None:
    """A short page may not be the last one, if the page behind it could not be read."""
    graph = OverlapGraph()
    current = graph.begin_pass(40)
    graph.add_page(page_of(range(30), 1))
    current.missing = (ServerError(500, "boom"),) if is_missing else ()
    graph.end_pass()
    assert graph.is_connected is not is_missing


@pytest.mark.parametrize(("shared", "is_overlap"), [(MIN_OVERLAP, True), (MIN_OVERLAP - 1, False)])
def test_overlap_takes_enough_consecutive_rows(shared: int, is_overlap: bool) -> None:
    """Rows that stand side by side in both runs connect them; too few do not."""
    graph = OverlapGraph()
    graph.begin_pass(40)
    graph.add_page(page_of(range(40), 1))
    graph.add_page(page_of(range(40, 50), 2, total_anis=50))
    graph.end_pass()
    assert graph.gaps() == [40]
    before = range(40 - shared, 40)
    rows = tuple(make_row(number) for number in (*before, *range(40, 40 + MIN_OVERLAP)))
    graph.add_spot_read(AniPage(rows, page=2, page_size=40 - shared, total_anis=50))
    assert graph.is_connected is is_overlap


@given(st.integers(1, 10**6), st.integers(0, 999))
def test_position_keys_are_consecutive_within_a_page_only(page_number: int, index: int) -> None:
    """A key gives its page and index back; keys of different pages are never consecutive."""
    key = position_key(page_number, index)
    assert (page_number_of(key), index_of(key)) == (page_number, index)
    assert position_key(page_number, index + 1) == key + 1
    assert position_key(page_number + 1, 0) > key + 1


@given(st.integers(0, 10**7), st.integers(32, 1000))
def test_spot_around_holds_the_position(position: int, max_page_size: int) -> None:
    """It is the largest page with the position near its middle, or the largest of all."""
    page_number, size = spot_around(position, max_page_size)
    sizes = [
        size
        for size in range(2 * MIN_OVERLAP + 1, max_page_size + 1)
        if 2 / 5 <= position % size / size <= 3 / 5
    ]
    assert size == max(sizes, default=max_page_size)
    assert (page_number - 1) * size <= position < page_number * size
