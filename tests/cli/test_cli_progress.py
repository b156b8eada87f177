"""Progress bars driven by client events."""

import io

import pytest
from rich.console import Console

from nrm_async import Pause
from nrm_async.cli.console import ProgressBars
from nrm_async.events import Event, PageRead
from tests.fakes import FakeAPI, numbers, open_client

ANIS = numbers(5)


def shown(bars: ProgressBars) -> list[tuple[str, float, float | None]]:
    return [(task.description, task.completed, task.total) for task in bars._progress.tasks]


@pytest.fixture
def screen() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm"})


async def test_batch_has_a_bar_until_it_finishes(screen: Console) -> None:
    """The bar advances with each item, even a bad input, and is removed when the batch ends."""
    seen = list[list[tuple[str, float, float | None]]]()

    def watch(event: Event) -> None:
        bars(event)
        seen.append(shown(bars))

    with ProgressBars(screen) as bars:
        async with open_client(FakeAPI(active=dict.fromkeys(ANIS, True)), on_event=watch) as nrm:
            await nrm.pause_many([*ANIS, "nonsense"])
            await nrm.run_batch([Pause(ani) for ani in ANIS])
    assert seen[0] == [("Acting", 0, 6)]
    assert [("Acting", 6, 6)] in seen
    assert [("Acting", 5, 5)] in seen
    assert seen[-1] == []


def test_listing_has_a_bar_until_all_rows_are_read(screen: Console) -> None:
    """The bar advances with each page and is reset by the next listing."""
    bars = ProgressBars(screen)
    for page, expected in [(1, [("Listing", 4, 10)]), (2, [("Listing", 8, 10)])]:
        bars(PageRead(call=page, page=page, rows=4, total_anis=10))
        assert shown(bars) == expected
    bars(PageRead(call=3, page=1, rows=4, total_anis=9))
    assert shown(bars) == [("Listing", 4, 9)]
    bars(PageRead(call=4, page=2, rows=5, total_anis=9))
    assert shown(bars) == []


async def test_no_bar_without_a_terminal() -> None:
    """No bar is drawn if the output is a file."""
    file = io.StringIO()
    with ProgressBars(Console(file=file)) as bars:
        async with open_client(FakeAPI(active=dict.fromkeys(ANIS, True)), on_event=bars) as nrm:
            assert (await nrm.pause_many(ANIS)).ok
    assert file.getvalue() == ""
