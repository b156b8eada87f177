"""Shared by the tests of events: a recording observer, and APIs that fail on purpose."""

from collections.abc import Iterable
from typing import TypeVar

import attrs
import pytest

from nrm_async.events import CallFinished, CallStarted, Event
from tests.fakes import FakeAPI, numbers

E = TypeVar("E", bound=Event)

ANI, OTHER, *MORE = numbers(8)


@attrs.define
class Spy:
    """An observer that records its events."""

    events: list[Event] = attrs.field(factory=list)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    @property
    def kinds(self) -> list[type[Event]]:
        return [type(event) for event in self.events]

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def only(self, kind: type[E]) -> E:
        (event,) = self.all(kind)
        return event


@pytest.fixture
def spy() -> Spy:
    return Spy()


@pytest.fixture
def api() -> FakeAPI:
    """An API with a few active numbers and no faults."""
    return FakeAPI(active=dict.fromkeys([ANI, OTHER, *MORE], True))


def check_pairs(events: Iterable[Event]) -> None:
    """Check that each call has its own number, begins once, and then ends once."""
    in_progress, seen = dict[int, CallStarted](), set[int]()
    for event in events:
        if isinstance(event, CallStarted):
            assert event.call not in seen
            seen.add(event.call)
            in_progress[event.call] = event
        elif isinstance(event, CallFinished):
            started = in_progress.pop(event.call)
            assert (event.method, event.path) == (started.method, started.path)
    assert not in_progress
