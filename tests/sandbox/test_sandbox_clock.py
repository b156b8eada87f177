"""Tests of the sandbox's clock."""

from datetime import UTC, datetime, timedelta

import pytest

from nrm_async.sandbox import Clock
from tests.sandbox.conftest import ACTIVE, COOLING, START, Caller

WHEN = datetime(2030, 1, 1, tzinfo=UTC)


class Ticking:
    """A clock source that advances by one second on each call."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def test_clock_set_and_advance() -> None:
    """The clock continues from the time that it was set or advanced to."""
    clock = Clock(Ticking())
    clock.set(WHEN)
    assert timedelta(0) < clock.now() - WHEN < timedelta(seconds=3)
    clock.advance(timedelta(days=2))
    assert timedelta(days=2) < clock.now() - WHEN < timedelta(days=2, seconds=9)
    clock.advance(3600)
    assert clock.now() - WHEN > timedelta(days=2, hours=1)


def test_clock_freeze_and_resume() -> None:
    """Only set and advance move a frozen clock, and resume restarts it from that time."""
    clock = Clock(Ticking())
    clock.freeze()
    assert (clock.is_frozen, clock.now()) == (True, clock.now())
    clock.set(WHEN)
    clock.advance(60)
    assert clock.now() == WHEN + timedelta(minutes=1)
    clock.resume()
    assert timedelta(0) < clock.now() - WHEN - timedelta(minutes=1) < timedelta(seconds=3)


def test_clock_rejects_invalid_times() -> None:
    """Naive datetimes, distant future datetimes and negative advances raise ValueError."""
    with pytest.raises(ValueError, match="when must be aware"):
        Clock().set(datetime(2030, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="when must be before the year 9001"):
        Clock().set(datetime(9999, 12, 31, tzinfo=UTC))
    with pytest.raises(ValueError, match="by must"):
        Clock().advance(-1)
    with pytest.raises(ValueError, match="by must not be negative"):
        Clock().advance(timedelta(days=-1))


async def test_dated_action_after_advance(caller: Caller) -> None:
    """A dated action takes effect when the clock is advanced to its date."""
    ani = caller.first(ACTIVE)
    await caller.act("pause", ani=ani, date="2026-06-01")
    assert caller.sandbox.status_of(ani) == ACTIVE
    caller.sandbox.clock.advance(timedelta(days=5))
    assert caller.sandbox.status_of(ani) == COOLING
