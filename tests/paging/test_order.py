"""Whether answers show one order by a unique key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import Ani
from nrm_async._paging.order import KeyOrder, count_displaced


def holds(*pages: list[int | str], phones: str = "") -> bool:
    """Return whether pages with these ids, and phones in no order, show one order."""
    order = KeyOrder()
    order.begin_pass()
    for ids in pages:
        rows = [Ani(id_, phones or str(hash((id_, 1)) % 10**9)) for id_ in ids]
        order.add_page(rows, [str(id_) for id_ in ids])
    return order.holds


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([[8, 9, 10], [11, 100]], True),
        ([[100, 11], [10, 9, 8]], True),
        ([["8", "9", "10"], ["11", "100"]], True),
        ([["10", "100", "11"], ["8", "9"]], True),
        ([["a1", "b0"], ["b1", "c"]], True),
        ([[8], [9], [10]], True),
        ([[8, 9], [9, 10]], True),
        ([[8, "9", 10]], False),
        ([[], [1, 2]], True),
        ([[8, 9], [11, 10]], False),
        ([[8, 9, 9]], False),
        ([[1, 5, 9], [2, 3, 8]], False),
        ([[9], [8], [95]], False),
        ([[], [1]], False),
        ([[1, 2], [4, 3]], False),
        ([["a1", "b0"], ["a0", "c"]], False),
    ],
)
def test_order_of_ids(pages: list[list[int | str]], expected: bool) -> None:
    """Up or down, as numbers or as text, within pages and from page to page."""
    assert holds(*pages, phones="same") is expected


def test_order_of_phones() -> None:
    """Rows in order of their phones need no order of ids."""
    order = KeyOrder()
    order.begin_pass()
    order.add_page([Ani("x", "20"), Ani("a", "21")], ["x", "a"])
    order.add_page([Ani("m", "22"), Ani("b", "23")], ["m", "b"])
    assert order.holds


def test_new_pass_begins_in_front() -> None:
    """Only within a pass do pages follow one another; a spot read follows none."""
    order = KeyOrder()
    for _ in range(2):
        order.begin_pass()
        order.add_page([Ani(1, "2"), Ani(3, "1")], ["1", "3"])
        order.add_page([Ani(4, "2"), Ani(6, "1")], ["4", "6"])
    order.add_spot_read([Ani(2, "3"), Ani(3, "1")], ["2", "3"])
    assert order.holds
    order.add_spot_read([Ani(3, "3"), Ani(2, "4")], ["3", "2"])
    assert not order.holds


@given(st.sets(st.integers(10, 99), min_size=2), st.integers(1, 10), st.data())
def test_any_two_rows_out_of_order_show(numbers: set[int], size: int, data: st.DataObject) -> None:
    """Pages of sorted rows hold; with two rows of one page exchanged they do not."""
    ids: list[int | str] = sorted(numbers, reverse=data.draw(st.booleans()))
    assert holds(*[ids[at : at + size] for at in range(0, len(ids), size)], phones="same")
    one, two = sorted(data.draw(st.permutations(range(len(ids))))[:2])
    ids[one], ids[two] = ids[two], ids[one]
    if ids not in (sorted(numbers), sorted(numbers, reverse=True)):
        assert not holds(ids, phones="same")


def test_count_displaced() -> None:
    """Rows that only one of the orders has do not count."""
    assert count_displaced(["a", "b", "c", "x"], {"c": 0, "y": 1, "a": 2, "b": 3}) == 1
