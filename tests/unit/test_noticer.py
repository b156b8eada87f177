"""What a stream remembers of the pages just before, held against a memory without tricks."""

from hypothesis import given
from hypothesis import strategies as st

from nrm_async import AniPage
from nrm_async.listing.drift import Noticer
from tests.conftest import make_row

pages_of_ids = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=12)


@given(pages_of_ids, st.integers(1, 4))
def test_repeats_are_those_of_the_last_pages(pages: list[list[int]], remembered: int) -> None:
    """A row is a repeat if one of the last so many pages had it, or its own, and given out once."""
    noticer, seen = Noticer(remembered), list[set[str]]()
    for number, ids in enumerate(pages, start=1):
        page = AniPage(page=number, page_size=6, data=tuple(map(make_row, ids)))
        before = set[str]().union(*seen[-remembered:])
        noticer.observe(page)
        here = {str(key) for key in ids}
        assert noticer.repeats == here & before
        kept = noticer.first_time(page.data)
        assert [str(row.id) for row in kept if str(row.id) in before] == []
        seen.append(here)
    came = sum(map(len, pages))
    assert noticer.drift.came + noticer.drift.repeated == came
