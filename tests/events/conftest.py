"""What the tests of events share: an observer that remembers, and worlds that misbehave."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs
import pytest

from nrm_async._wire import Request
from nrm_async.events import CallFinished, CallStarted, Event
from tests.truth.conftest import Fate, World, numbers

E = TypeVar("E", bound=Event)

ANI, OTHER, *MORE = numbers(8)


@attrs.define
class Spy:
    """An observer that remembers what it was told."""

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
def world() -> World:
    """A few numbers in service, and nothing that goes wrong."""
    return World(active=dict.fromkeys([ANI, OTHER, *MORE], True))


def first(*fates: Fate) -> Callable[[Request], Fate]:
    """These for the first requests, in order; then all is well."""
    left = iter(fates)
    return lambda request: next(left, Fate.NORMAL)


async def forever() -> None:
    await asyncio.Event().wait()


async def settled(turns: int = 20) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


def check_pairs(events: Iterable[Event]) -> None:
    """Each call has a number of its own, begins once, and ends once, after it began."""
    under_way, seen = dict[int, CallStarted](), set[int]()
    for event in events:
        if isinstance(event, CallStarted):
            assert event.call not in seen
            seen.add(event.call)
            under_way[event.call] = event
        elif isinstance(event, CallFinished):
            started = under_way.pop(event.call)
            assert (event.method, event.path) == (started.method, started.path)
    assert not under_way
