"""Adaptive limiter: both limits combined, and their reaction to 429 and ``Retry-After``."""

from math import inf
from typing import Final, NamedTuple

from nrm_async._limits.concurrency import ConcurrencyLimit
from nrm_async._limits.rate import RateLimit


class Permit(NamedTuple):
    """Permission for one call to be in flight.

    Attributes:
        started: Event loop time at which the permit was granted.
        in_flight: Calls in flight at that time, including this one.
        is_last: Whether this call reached the concurrency limit.
    """

    started: float
    in_flight: int
    is_last: bool


class AdaptiveLimiter:
    """Limiter that admits calls and adapts both limits to the responses.

    A refusal starts a *congestion event*. ``Retry-After`` closes the gate, and the event lasts
    until the gate opens. Without that header, the event lasts for one round trip, in which each
    accepted call admits another. By the end of the event, the calls that were in flight have
    finished, and a single decision covers all of them, so each limit is reduced at most once per
    round trip.

    A 429 does not reveal whether concurrency or rate was too high, so both are reduced to the
    sustained level: the rate always, the concurrency only if it was fully used. Reducing the
    wrong limit costs little: the sustained rate is the rate that the true limit allows, and it
    grows again.
    """

    _FULL_WINDOW: Final = 3  # refusals, without an accepted call, that indicate a full window

    def __init__(self, max_concurrency: int, max_rate: float | None = None) -> None:
        self.concurrency_limit = ConcurrencyLimit(max_concurrency)
        self.rate_limit = RateLimit(max_rate)
        self.decisions = 0
        self._random_refusals = RandomRefusalDetector()
        self._round_trip = 0.1
        self._in_congestion = False
        self._began_at = self._ends_at = self._opens_at = self._decided_at = -inf
        self._first_refused = Permit(inf, 0, is_last=False)
        self._answers: list[tuple[float, bool]] = []  # (start time, whether refused)
        self._credit = 0  # calls that may start during a congestion event

    def opens_in(self, now: float) -> float:
        """Return the seconds until the gate opens; 0 if it is open."""
        return max(0.0, self._opens_at - now)

    def admit(self, now: float, in_flight: int) -> Permit | float:
        """Return a permit, or the seconds to wait for one (``inf``: until a call finishes)."""
        if now < self._opens_at:
            return self._opens_at - now
        if self._in_congestion:
            if now >= self._ends_at:
                self._decide(now)
            elif self._credit <= 0:
                return self._ends_at - now
        limit = self.concurrency_limit.limit
        if in_flight >= limit:
            return inf
        if (wait := self.rate_limit.due - now) > 0:
            return wait
        self._credit -= 1
        self.rate_limit.sent(now)
        self.concurrency_limit.sent(now, in_flight + 1)
        # Equivalent to ``Permit(...)``, but faster: its ``__new__`` is a Python function.
        return tuple.__new__(Permit, (now, in_flight + 1, in_flight + 1 >= limit))

    def close_gate(self, until: float) -> None:
        """Admit no calls before ``until``."""
        self._opens_at = max(self._opens_at, until)

    def accepted(self, now: float, permit: Permit) -> None:
        """Record that the server accepted the call, regardless of the outcome."""
        self._round_trip += 0.1 * (now - permit.started - self._round_trip)
        self.rate_limit.accepted(permit.started)
        self._random_refusals.accepted()
        if self._in_congestion:
            self._answers.append((permit.started, False))
            self._credit += 1
            return
        self.concurrency_limit.accepted(now, permit.started, permit.in_flight)

    def refused(self, now: float, permit: Permit, retry_after: float | None = None) -> bool:
        """Record that the server refused the call; return whether a congestion event starts.

        Args:
            now: The current time.
            permit: The permit of the refused call.
            retry_after: Seconds to wait as requested by the server, including jitter.
        """
        if retry_after is not None:
            self.close_gate(now + retry_after)
        if permit.started < self._decided_at or now < self._random_refusals.ignore_until:
            return False  # started before the last decision, which covers it
        begins = not self._in_congestion
        if begins:
            self._begin(now)
        self._random_refusals.refused()
        self._answers.append((permit.started, True))
        self._first_refused = min(self._first_refused, permit)
        self._ends_at = max(self._ends_at, self._opens_at)
        return begins

    def _begin(self, now: float) -> None:
        self._in_congestion = True
        self._began_at, self._ends_at = now, now + self._round_trip
        self._first_refused = Permit(inf, 0, is_last=False)
        self._answers, self._credit = [], 0

    def _decide(self, now: float) -> None:
        self._in_congestion, self._decided_at = False, now
        self.decisions += 1
        rate = self._random_refusals.decide(now, self.rate_limit.sustained)
        if rate is None:
            # Measure to the scheduled end, not ``now``: the next call may arrive an hour later.
            self._reduce(now, self._ends_at - self._began_at)
        else:
            self.rate_limit.restart(rate, now, self._random_refusals.QUIET)
            self.concurrency_limit.resume_growth()
        self.concurrency_limit.ignore_before(now)

    def _reduce(self, now: float, cost: float) -> None:
        first = self._first_refused
        after = [refused for at, refused in self._answers if first.started < at <= self._began_at]
        # The calls of the initial burst (the first calls, and those that follow their responses)
        # start almost simultaneously. Refusals of these calls do not indicate the sustainable
        # concurrency.
        is_initial_burst = (
            not self.rate_limit.is_learnt and first.in_flight <= 2 * self.concurrency_limit.START
        )
        if first.is_last and not is_initial_burst:
            self.concurrency_limit.reduce(now, first.in_flight, cost)
        is_window_full = len(after) >= self._FULL_WINDOW and all(after)
        self.rate_limit.reduce(first.started, now, cost, is_window_full=is_window_full)


class RandomRefusalDetector:
    """Detector of refusals that do not depend on the load.

    A server with a limit refuses nothing below that limit. A server that refuses at random, or
    for unrelated reasons, would slow the client down forever. If congestion events therefore
    follow one another although at least half of the calls are accepted, the rate is cut to a
    third as a trial. If calls are still refused, refusals are ignored for a while.
    """

    QUIET: Final = 25  # accepted calls after which the next decision is independent
    # A trial starts after this many consecutive decisions and this many seconds. A burst is
    # shorter, and refusals during a burst do not indicate the sustainable rate.
    _MIN_DECISIONS: Final = 6
    _MIN_DURATION: Final = 5.0
    _TRIAL_FACTOR: Final = 0.34
    _MAX_REFUSED: Final = 0.5  # as a share of the calls in that period
    _IGNORE_FOR: Final = (10.0, 300.0)  # seconds: initial and maximum; doubled each time

    def __init__(self) -> None:
        self.ignore_until = self._since = -inf
        self._ignore_for = self._IGNORE_FOR[0]
        self._rate = inf  # sustained rate at the first of the consecutive decisions
        self._is_trial = False
        self._quiet = self._accepted = self._refused = self._decisions = 0

    def accepted(self) -> None:
        """Count an accepted call."""
        self._accepted += 1
        self._quiet += 1

    def refused(self) -> None:
        """Count a refused call."""
        self._refused += 1

    def decide(self, now: float, rate: float) -> float | None:
        """Return the rate to restart from, or ``None`` if the refusals indicate congestion.

        Args:
            now: The time of the decision.
            rate: Calls per second that the server is known to sustain.
        """
        if self._quiet >= self.QUIET or self._rate == inf:
            self._rate, self._is_trial, self._since = rate, False, now
            self._accepted = self._refused = self._decisions = 0
        self._decisions += 1
        self._quiet = 0
        if self._refused > self._MAX_REFUSED * (self._accepted + self._refused):
            return None
        if self._is_trial:
            return self._ignore_refusals(now)
        if self._decisions < self._MIN_DECISIONS or now - self._since < self._MIN_DURATION:
            return None
        self._is_trial = True
        return self._TRIAL_FACTOR * rate

    def _ignore_refusals(self, now: float) -> float:
        rate, self._rate = self._rate, inf
        self.ignore_until = now + self._ignore_for
        self._ignore_for = min(2 * self._ignore_for, self._IGNORE_FOR[1])
        return rate
