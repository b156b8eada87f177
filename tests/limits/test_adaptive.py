"""The adaptive limiter against simulated servers with limits of several kinds.

Sixty-four workers make calls that take 80 ms. Nothing sleeps: the simulation is discrete-event,
a heap of times and actions.
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
    concurrency_limit,
    fixed_window,
    random_refusals,
    sliding_window,
    token_bucket,
)
from nrm_async._limits import AdaptiveLimiter, ConcurrencyLimit, Permit

LATENCY = 0.08
WORKERS = 64


@attrs.define
class Run:
    """One run of the simulation, and its results."""

    limiter: AdaptiveLimiter
    server: Server
    calls: int
    retry_after: bool
    rng: random.Random
    switch_at: int | None = None
    switch_to: Server | None = None
    now: float = 0.0
    accepted: int = 0
    refused: int = 0
    most_in_flight: int = 0
    _in_flight: int = 0
    _inside: int = 0
    _waiting: int = WORKERS
    _wake_timer: float = math.inf
    _events: list[tuple[float, int, Callable[[], None]]] = attrs.field(factory=list)
    _numbers: "itertools.count[int]" = attrs.field(factory=itertools.count)

    def run(self) -> "Run":
        self._serve()
        while self.accepted < self.calls:
            self.now, _, action = heapq.heappop(self._events)
            action()
        return self

    @property
    def refused_share(self) -> float:
        return self.refused / (self.accepted + self.refused)

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), action))

    def _serve(self) -> None:
        while self._waiting:
            permit = self.limiter.admit(self.now, self._in_flight)
            if not isinstance(permit, Permit):
                self._wake_at(self.now + permit)
                return
            self._waiting -= 1
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
            self._arrive(permit)

    def _wake_at(self, when: float) -> None:
        if when < self._wake_timer:
            self._wake_timer = when
            self._at(when, self._wake)

    def _wake(self) -> None:
        if self.now >= self._wake_timer:  # else an earlier timer has replaced it
            self._wake_timer = math.inf
            self._serve()

    def _arrive(self, permit: Permit) -> None:
        wait = self.server(self.now, self._inside)
        self._inside += wait is None
        takes = LATENCY * (1 + 0.02 * self.rng.random())
        self._at(self.now + takes, lambda: self._answer(permit, wait))

    def _answer(self, permit: Permit, wait: float | None) -> None:
        self._in_flight -= 1
        if wait is None:
            self._inside -= 1
            self.accepted += 1
            self.limiter.accepted(self.now, permit)
            self._waiting += 1
            if self.accepted == self.switch_at and self.switch_to is not None:
                self.server = self.switch_to
        else:
            self.refused += 1
            asked = max(1, math.ceil(wait)) if self.retry_after else None
            self.limiter.refused(self.now, permit, asked)
            self._at(self.now + self.rng.random() * 0.5 + (asked or 0), self._return)
        self._serve()

    def _return(self) -> None:
        self._waiting += 1
        self._serve()


def simulated(
    server: Server, calls: int, *, retry_after: bool = False, ceiling: int = WORKERS
) -> Run:
    return Run(AdaptiveLimiter(ceiling), server, calls, retry_after, random.Random(7)).run()


RATE_LIMITED = {
    "a bucket with a small burst": lambda rate: token_bucket(rate, 0.05),
    "a bucket with a large burst": lambda rate: token_bucket(rate, 1.0),
    "a sliding window": sliding_window,
    "a fixed window": fixed_window,
}


@pytest.mark.parametrize("kind", RATE_LIMITED)
@pytest.mark.parametrize("rate", [20, 200])
def test_a_rate_limit_is_found(kind: str, rate: int) -> None:
    """Over two minutes at least 90 % of the limit is used, and at most 5 % of calls are refused."""
    run = simulated(RATE_LIMITED[kind](rate), 120 * rate)
    assert run.accepted / run.now >= 0.9 * rate
    assert run.refused_share <= 0.05


@pytest.mark.parametrize("kind", RATE_LIMITED)
def test_a_rate_limit_with_retry_after_is_found(kind: str) -> None:
    """Where each refusal costs a second without calls, at most 2 % are refused."""
    run = simulated(RATE_LIMITED[kind](200), 24_000, retry_after=True)
    assert run.accepted / run.now >= 0.9 * 200
    assert run.refused_share <= 0.02


@pytest.mark.parametrize("most", [4, 20, 50])
@pytest.mark.parametrize("retry_after", [False, True])
def test_a_concurrency_limit_is_found(most: int, *, retry_after: bool) -> None:
    """At least 90 % of the limit is used, 80 % with ``Retry-After``; at most 5 % are refused."""
    run = simulated(concurrency_limit(most), 400 * most, retry_after=retry_after)
    assert run.accepted / run.now >= (0.8 if retry_after else 0.9) * most / (1.01 * LATENCY)
    assert run.refused_share <= 0.05


def test_a_rate_limit_without_a_burst_is_found() -> None:
    """A server that accepts one call every 50 ms does not look like one with a concurrency of 1."""
    run = simulated(token_bucket(20, 0), 2_000)
    assert run.accepted / run.now >= 0.9 * 20
    assert run.refused_share <= 0.05


def test_a_limit_that_changes_its_kind_is_found_again() -> None:
    """A rate limit is replaced by a concurrency limit during the run."""
    rng = random.Random(7)
    run = Run(
        AdaptiveLimiter(WORKERS),
        token_bucket(200, 0.05),
        20_000,
        retry_after=False,
        rng=rng,
        switch_at=10_000,
        switch_to=concurrency_limit(20),
    ).run()
    assert 0.9 * run.now <= 10_000 / 200 + 10_000 / (20 / LATENCY)
    assert run.refused_share <= 0.05


def test_a_limit_that_drops_is_followed() -> None:
    """A drop to a tenth costs 10 seconds at most."""
    run = Run(
        AdaptiveLimiter(WORKERS),
        token_bucket(200, 0.05),
        4_000 + 800,
        retry_after=False,
        rng=random.Random(7),
        switch_at=4_000,
        switch_to=token_bucket(20, 0.5),
    ).run()
    assert run.now <= 4_000 / 200 + 800 / 20 + 10
    assert run.refused_share <= 0.05


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_random_refusals_do_not_slow_down_forever(share: float) -> None:
    """They are recognised as independent of how much is sent, and ignored."""
    run = simulated(random_refusals(share, random.Random(1)), 30_000)
    assert run.accepted / run.now >= 0.2 * (1 - share) * WORKERS / LATENCY


def test_no_refusals() -> None:
    """The maximum is reached within five round trips, and calls are not spaced."""
    run = simulated(concurrency_limit(1_000), 2_000)
    assert run.most_in_flight == WORKERS
    assert run.now <= (2_000 / WORKERS + 5) * LATENCY * 1.02
    assert run.limiter.rate_limit.rate(run.now) == math.inf


def test_max_rate_is_never_exceeded() -> None:
    """It holds although the server would accept more."""
    limiter = AdaptiveLimiter(WORKERS, max_rate=50)
    run = Run(limiter, concurrency_limit(1_000), 500, retry_after=False, rng=random.Random(7)).run()
    assert run.now >= 499 / 50
    assert run.refused == 0


def test_refusals_in_one_round_trip_are_one_decision() -> None:
    """However many of the calls in flight are refused, the limits are reduced once."""
    limiter = AdaptiveLimiter(16)
    permits = [limiter.admit(0.0, number) for number in range(10)]
    now = 0.08
    for permit in permits:
        assert isinstance(permit, Permit)
        limiter.accepted(now, permit)
    refused = [limiter.admit(now, number) for number in range(15)]
    for permit in refused:
        assert isinstance(permit, Permit)
        limiter.refused(2 * now, permit)
    limiter.admit(10, 0)
    assert limiter.decisions == 1


def rate_a_minute_after(pause: float) -> float:
    """Return the rate a minute after a decision that came ``pause`` seconds after its refusal."""
    limiter, now = simulated(token_bucket(20, 0.5), 2_400).limiter, 1_000.0
    for is_refused in [False] * 10 + [True]:
        now += 1
        permit = limiter.admit(now, 0)
        assert isinstance(permit, Permit)
        if is_refused:
            limiter.refused(now + LATENCY, permit)
        else:
            limiter.accepted(now + LATENCY, permit)
    now += pause
    assert isinstance(limiter.admit(now, 0), Permit)
    return limiter.rate_limit.rate(now + 60)


def test_an_idle_hour_after_a_refusal_does_not_count_as_its_cost() -> None:
    """The decision made by the next call counts the round trip, not the hour."""
    assert rate_a_minute_after(3_600) == pytest.approx(rate_a_minute_after(1))


def test_a_server_that_refused_everything_is_not_taken_for_a_slow_one() -> None:
    """The rate recovers within a minute after ten minutes in which nothing was accepted."""
    inner, opens = token_bucket(20, 0.5), 610

    def closing(now: float, in_flight: int) -> float | None:
        return 5.0 if 10 <= now < opens else inner(now, in_flight)

    run = simulated(closing, 180 + 50 * 20, retry_after=True)
    assert run.now <= opens + 105  # seconds, of which the remaining calls take 50


def reduced_to(level: int) -> ConcurrencyLimit:
    """Return a limit reduced to a level at time 0; its next probe is due in 2 s."""
    limit = ConcurrencyLimit(WORKERS)
    for now in range(-20, 0):
        for number in range(1, limit.limit + 1):
            limit.sent(now, number)
            limit.accepted(now + LATENCY, now, number)
    limit.reduce(0, level + 1, LATENCY)
    return limit


def test_a_probe_without_an_answer_is_repeated() -> None:
    """The limit still grows after probes that got no answer."""
    limit, probes = reduced_to(20), 0
    for now in range(1, 60):
        limit.sent(now, 20)
        limit.accepted(now + LATENCY, now, 20)
        if limit.limit > 20:
            limit.sent(now + 0.5, 21)  # without an answer
            probes += 1
    assert probes > 10
    limit.accepted(60, 60 - LATENCY, 20)
    limit.sent(60, 21)
    limit.accepted(60 + LATENCY, 60, 21)
    for now in range(61, 70):
        limit.sent(now, limit.limit)
        limit.accepted(now + LATENCY, now, limit.limit)
    assert limit.limit > 22


def test_a_latency_below_the_resolution_of_the_clock() -> None:
    """An answer that seems to take no time does not make all later ones look slow."""
    limit = ConcurrencyLimit(WORKERS)
    limit.accepted(0, 0, 1)
    for now in range(1, 800):
        limit.sent(now, limit.limit)
        limit.accepted(now + LATENCY, now, limit.limit)
    assert limit.limit == WORKERS
