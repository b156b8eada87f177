"""Public values that hold counts can be pickled and copied, to be sent to another process."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from nrm_async import BatchReport, NRMClient, Outcome
from nrm_async.events import BatchFinished, Event
from nrm_async.testing import MockTransport, Response
from tests.conftest import API_KEY

Copy = Callable[[Any], Any]
copies = pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
)


@copies
def test_stats(copied: Copy) -> None:
    """A snapshot comes back equal, and its counts stay frozen."""
    stats = NRMClient(API_KEY).stats()
    made = copied(stats)
    assert made == stats
    assert made.outcomes == dict.fromkeys(Outcome, 0)
    assert API_KEY.encode() not in pickle.dumps(stats)
    with pytest.raises(TypeError):
        made.outcomes[Outcome.APPLIED] = 1


@copies
def test_counts_of_a_report(copied: Copy) -> None:
    """They come back by themselves, too."""
    counts = BatchReport(()).counts
    assert copied(counts) == counts == dict.fromkeys(Outcome, 0)
    assert repr(copied(counts)) == repr(dict(counts))


@copies
async def test_every_event(copied: Copy) -> None:
    """An event can be put on a queue between processes."""
    seen: list[Event] = []
    paused = Response(200, b'{"status": "paused", "ani": "2345678901"}')
    transport = MockTransport(lambda _: paused)
    async with NRMClient(API_KEY, transport=transport, on_event=seen.append) as nrm:
        await nrm.pause_many(["2345678901", "bad"])
    assert BatchFinished in map(type, seen)
    for event in seen:
        assert type(copied(event)) is type(event)
        assert API_KEY.encode() not in pickle.dumps(event)


@pytest.mark.parametrize("make", [copy.deepcopy, pickle.dumps])
def test_client_is_not_copied(make: Copy) -> None:
    """It holds connections: the error says what to do instead."""
    with pytest.raises(TypeError, match=r"create another one|pass the key"):
        make(NRMClient(API_KEY))
