"""What a client learns of a server's limits, against servers of several kinds, in a simulation.

Sixty-four workers send calls that take 80 ms, and the governor admits them. Nothing sleeps: the
simulation is a heap of moments.
"""

import heapq
import itertools
import math
import random
from collections.abc import Callable

import attrs
import pytest

from benchmarks.servers import (
    Server,
    at_once,
    at_random,
    bucket,
    fixed_window,
    sliding_window,
)
from nrm_async._limits import ConcurrencyLimit, Governor, Place

LATENCY = 0.08
WORKERS = 64


@attrs.define
class Run:
    """One run of the simulation, and what came of it."""

    governor: Governor
    server: Server
    calls: int
    names_a_time: bool
    dice: random.Random
    switch_at: int | None = None
    switch_to: Server | None = None
    now: float = 0.0
    accepted: int = 0
    refused: int = 0
    most_in_flight: int = 0
    _in_flight: int = 0
    _inside: int = 0
    _waiting: int = WORKERS
    _bell: float = math.inf
    _moments: list[tuple[float, int, Callable[[], None]]] = attrs.field(factory=list)
    _numbers: "itertools.count[int]" = attrs.field(factory=itertools.count)

    def run(self) -> "Run":
        self._serve()
        while self.accepted < self.calls:
            self.now, _, happen = heapq.heappop(self._moments)
            happen()
        return self

    @property
    def refused_share(self) -> float:
        return self.refused / (self.accepted + self.refused)

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._moments, (when, next(self._numbers), happen))

    def _serve(self) -> None:
        while self._waiting:
            place = self.governor.admit(self.now, self._in_flight)
            if not isinstance(place, Place):
                self._ring_at(self.now + place)
                return
            self._waiting -= 1
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
            self._arrive(place)

    def _ring_at(self, when: float) -> None:
        if when < self._bell:
            self._bell = when
            self._at(when, self._ring)

    def _ring(self) -> None:
        if self.now >= self._bell:  # else it was put forward meanwhile
            self._bell = math.inf
            self._serve()

    def _arrive(self, place: Place) -> None:
        wait = self.server(self.now, self._inside)
        self._inside += wait is None
        takes = LATENCY * (1 + 0.02 * self.dice.random())
        self._at(self.now + takes, lambda: self._answer(place, wait))

    def _answer(self, place: Place, wait: float | None) -> None:
        self._in_flight -= 1
        if wait is None:
            self._inside -= 1
            self.accepted += 1
            self.governor.accepted(self.now, place)
            self._waiting += 1
            if self.accepted == self.switch_at and self.switch_to is not None:
                self.server = self.switch_to
        else:
            self.refused += 1
            asked = max(1, math.ceil(wait)) if self.names_a_time else None
            self.governor.refused(self.now, place, asked)
            self._at(self.now + self.dice.random() * 0.5 + (asked or 0), self._come_back)
        self._serve()

    def _come_back(self) -> None:
        self._waiting += 1
        self._serve()


def simulated(
    server: Server, calls: int, *, names_a_time: bool = False, ceiling: int = WORKERS
) -> Run:
    return Run(Governor(ceiling), server, calls, names_a_time, random.Random(7)).run()


RATE_LIMITED = {
    "a bucket with a small burst": lambda rate: bucket(rate, 0.05),
    "a bucket with a large burst": lambda rate: bucket(rate, 1.0),
    "a sliding window": sliding_window,
    "a fixed window": fixed_window,
}


@pytest.mark.parametrize("kind", RATE_LIMITED)
@pytest.mark.parametrize("rate", [20, 200])
def test_calls_per_second_are_found(kind: str, rate: int) -> None:
    """In two minutes 90 % of what the server takes is used at least, and 5 % refused at most."""
    run = simulated(RATE_LIMITED[kind](rate), 120 * rate)
    assert run.accepted / run.now >= 0.9 * rate
    assert run.refused_share <= 0.05


@pytest.mark.parametrize("kind", RATE_LIMITED)
def test_calls_per_second_are_found_behind_a_gate(kind: str) -> None:
    """Where each refusal costs a second of silence, they are few."""
    run = simulated(RATE_LIMITED[kind](200), 24_000, names_a_time=True)
    assert run.accepted / run.now >= 0.9 * 200
    assert run.refused_share <= 0.02


@pytest.mark.parametrize("most", [4, 20, 50])
@pytest.mark.parametrize("names_a_time", [False, True])
def test_calls_at_once_are_found(most: int, *, names_a_time: bool) -> None:
    """The same for a server that counts what is under way."""
    run = simulated(at_once(most), 400 * most, names_a_time=names_a_time)
    assert run.accepted / run.now >= (0.8 if names_a_time else 0.9) * most / (1.01 * LATENCY)
    assert run.refused_share <= 0.05


def test_no_burst_at_all_is_no_mystery() -> None:
    """A server that takes a call every 50 ms, and no two in a row, is not taken for one at once."""
    run = simulated(bucket(20, 0), 2_000)
    assert run.accepted / run.now >= 0.9 * 20
    assert run.refused_share <= 0.05


def test_a_limit_that_changes_its_kind_is_found_again() -> None:
    """First calls per second, then calls at once, without notice."""
    dice = random.Random(7)
    run = Run(
        Governor(WORKERS),
        bucket(200, 0.05),
        20_000,
        names_a_time=False,
        dice=dice,
        switch_at=10_000,
        switch_to=at_once(20),
    ).run()
    assert 0.9 * run.now <= 10_000 / 200 + 10_000 / (20 / LATENCY)
    assert run.refused_share <= 0.05


def test_a_limit_that_comes_down_is_followed() -> None:
    """To a tenth, and within a few seconds."""
    run = Run(
        Governor(WORKERS),
        bucket(200, 0.05),
        4_000 + 800,
        names_a_time=False,
        dice=random.Random(7),
        switch_at=4_000,
        switch_to=bucket(20, 0.5),
    ).run()
    assert run.now <= 4_000 / 200 + 800 / 20 + 10
    assert run.refused_share <= 0.05


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_refusals_at_random_do_not_slow_down_for_ever(share: float) -> None:
    """They have nothing to do with how much is sent, and that is found out."""
    run = simulated(at_random(share, random.Random(1)), 60_000)
    assert run.accepted / run.now >= 0.2 * (1 - share) * WORKERS / LATENCY


def test_without_refusals_nothing_holds_back() -> None:
    """The ceiling is reached within five round trips, and calls are not spaced."""
    run = simulated(at_once(1_000), 2_000)
    assert run.most_in_flight == WORKERS
    assert run.now <= (2_000 / WORKERS + 5) * LATENCY * 1.02
    assert run.governor.pace.rate(run.now) == math.inf


def test_max_rate_is_never_exceeded() -> None:
    """Whatever the server would take."""
    governor = Governor(WORKERS, max_rate=50)
    run = Run(governor, at_once(1_000), 500, names_a_time=False, dice=random.Random(7)).run()
    assert run.now >= 499 / 50
    assert run.refused == 0


def test_answers_to_one_round_trip_cut_once() -> None:
    """However many of the calls under way are refused, one verdict is given."""
    governor = Governor(16)
    places = [governor.admit(0.0, number) for number in range(10)]
    now = 0.08
    for place in places:
        assert isinstance(place, Place)
        governor.accepted(now, place)
    refused = [governor.admit(now, number) for number in range(15)]
    for place in refused:
        assert isinstance(place, Place)
        governor.refused(2 * now, place)
    governor.admit(10, 0)
    assert governor.verdicts == 1


def rate_a_minute_after(pause: float) -> float:
    """The rate a minute after a refusal was judged, which was so many seconds after it."""
    governor, now = simulated(bucket(20, 0.5), 2_400).governor, 1_000.0
    for is_refused in [False] * 10 + [True]:
        now += 1
        place = governor.admit(now, 0)
        assert isinstance(place, Place)
        if is_refused:
            governor.refused(now + LATENCY, place)
        else:
            governor.accepted(now + LATENCY, place)
    now += pause
    assert isinstance(governor.admit(now, 0), Place)
    return governor.pace.rate(now + 60)


def test_a_refusal_before_a_quiet_hour_costs_no_more_than_another() -> None:
    """When somebody asks again, the verdict counts the round trip, not the hour."""
    assert rate_a_minute_after(3_600) == pytest.approx(rate_a_minute_after(1))


def test_a_server_that_was_closed_is_not_taken_for_a_slow_one() -> None:
    """Refusing everything for ten minutes says nothing of what it takes when it opens again."""
    inner, opens = bucket(20, 0.5), 610

    def closing(now: float, in_flight: int) -> float | None:
        return 5.0 if 10 <= now < opens else inner(now, in_flight)

    run = simulated(closing, 180 + 50 * 20, names_a_time=True)
    assert run.now <= opens + 105  # fifty of them for the calls


def levelled(level: int) -> ConcurrencyLimit:
    """A limit that has found a level, at time 0; the next trial is due in 2 s."""
    limit = ConcurrencyLimit(WORKERS)
    for now in range(-20, 0):
        for number in range(1, limit.limit + 1):
            limit.sent(now, number)
            limit.accepted(now + LATENCY, now, number)
    limit.settle(0, level + 1, LATENCY)
    return limit


def test_a_trial_that_comes_to_nothing_is_repeated() -> None:
    """The call above the level may be lost: that must not hold the limit down for ever."""
    limit, tried = levelled(20), 0
    for now in range(1, 60):
        limit.sent(now, 20)
        limit.accepted(now + LATENCY, now, 20)
        if limit.limit > 20:
            limit.sent(now + 0.5, 21)  # and no answer comes
            tried += 1
    assert tried > 10
    limit.accepted(60, 60 - LATENCY, 20)
    limit.sent(60, 21)
    limit.accepted(60 + LATENCY, 60, 21)
    for now in range(61, 70):
        limit.sent(now, limit.limit)
        limit.accepted(now + LATENCY, now, limit.limit)
    assert limit.limit > 22


def test_a_clock_that_shows_no_time_at_all_does_not_stop_the_growth() -> None:
    """An answer within the resolution of the clock is not what later ones are measured by."""
    limit = ConcurrencyLimit(WORKERS)
    limit.accepted(0, 0, 1)
    for now in range(1, 800):
        limit.sent(now, limit.limit)
        limit.accepted(now + LATENCY, now, limit.limit)
    assert limit.limit == WORKERS
