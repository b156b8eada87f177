"""Both limits, the gate, and what a 429 is evidence of."""

from math import inf
from typing import Final, NamedTuple

from nrm_async._limits.concurrency import ConcurrencyLimit
from nrm_async._limits.rate import RateLimit


class Place(NamedTuple):
    """A place for one call in flight.

    Attributes:
        started: When it was given, by the event loop's clock.
        in_flight: Calls under way then, with this one.
        is_last: Whether the limit left room for no other.
    """

    started: float
    in_flight: int
    is_last: bool


class Governor:
    """Admits calls, and learns from the answers to them.

    A refusal starts an *episode*: the gate shuts until the server's ``Retry-After``, or, where
    it names none, a call may start for each that is accepted, for one round trip. By then the
    calls that were under way have been answered, and one verdict is given on all of them, so
    that a limit goes down once per round trip at most.

    Nobody says whether it was calls at once or calls per second. So both are held to what was
    borne: the rate always, the number of calls where it was in use. The wrong one costs little:
    the rate that was borne is the one that the true limit allows, and it climbs on.
    """

    _FULL: Final = 3  # refused calls, and none accepted: a window that is full

    def __init__(self, max_concurrency: int, max_rate: float | None = None) -> None:
        self.calls = ConcurrencyLimit(max_concurrency)
        self.pace = RateLimit(max_rate)
        self.verdicts = 0
        self._doubt = _Doubt()
        self._round_trip = 0.1
        self._in_episode = False
        self._began_at = self._ends_at = self._opens_at = self._judged_at = -inf
        self._first = Place(inf, 0, is_last=False)  # the first of the calls refused
        self._answers: list[tuple[float, bool]] = []
        self._credit = 0

    def opens_in(self, now: float) -> float:
        """Seconds until the gate opens; 0 if it is open."""
        return max(0.0, self._opens_at - now)

    def admit(self, now: float, in_flight: int) -> Place | float:
        """A place; else the seconds until it is worth asking again, inf for after an answer."""
        if now < self._opens_at:
            return self._opens_at - now
        if self._in_episode:
            if now >= self._ends_at:
                self._judge(now)
            elif self._credit <= 0:
                return self._ends_at - now
        limit = self.calls.limit
        if in_flight >= limit:
            return inf
        if (wait := self.pace.due - now) > 0:
            return wait
        self._credit -= 1
        self.pace.sent(now)
        self.calls.sent(now, in_flight + 1)
        # As ``Place(...)``, without its way through Python.
        return tuple.__new__(Place, (now, in_flight + 1, in_flight + 1 >= limit))

    def shut(self, until: float) -> None:
        """Admit nobody until then."""
        self._opens_at = max(self._opens_at, until)

    def accepted(self, now: float, place: Place) -> None:
        """The call at this place was let in, whatever else became of it."""
        self._round_trip += 0.1 * (now - place.started - self._round_trip)
        self.pace.accepted(place.started)
        self._doubt.accepted()
        if self._in_episode:
            self._answers.append((place.started, False))
            self._credit += 1
            return
        self.calls.accepted(now, place.started, place.in_flight)

    def refused(self, now: float, place: Place, retry_after: float | None = None) -> bool:
        """The call at this place was refused; whether that starts an episode.

        Args:
            now: The time.
            place: The place that the call had.
            retry_after: Seconds that the server asked to wait, with the caller's jitter.
        """
        if retry_after is not None:
            self.shut(now + retry_after)
        if place.started < self._judged_at or now < self._doubt.deaf_until:
            return False  # sent before the last verdict, which was on calls like this one
        is_new = not self._in_episode
        if is_new:
            self._begin(now)
        self._doubt.refused()
        self._answers.append((place.started, True))
        self._first = min(self._first, place)
        self._ends_at = max(self._ends_at, self._opens_at)
        return is_new

    def _begin(self, now: float) -> None:
        self._in_episode = True
        self._began_at, self._ends_at = now, now + self._round_trip
        self._first = Place(inf, 0, is_last=False)
        self._answers, self._credit = [], 0

    def _judge(self, now: float) -> None:
        self._in_episode, self._judged_at = False, now
        self.verdicts += 1
        level = self._doubt.judge(now, self.pace.level)
        if level is None:
            # Not until now, which may be an hour later, when somebody asks again.
            self._settle(now, self._ends_at - self._began_at)
        else:
            self.pace.restart(level, now, self._doubt.CALM)
            self.calls.forget()
        self.calls.calm(now)

    def _settle(self, now: float, cost: float) -> None:
        first = self._first
        after = [refused for at, refused in self._answers if first.started < at <= self._began_at]
        # The first calls of all go off at once, and so do those that follow their answers: what
        # is refused of them says nothing about how many could be borne one after the other.
        is_volley = not self.pace.is_learnt and first.in_flight <= 2 * self.calls.START
        if first.is_last and not is_volley:
            self.calls.settle(now, first.in_flight, cost)
        is_full = len(after) >= self._FULL and all(after)
        self.pace.settle(first.started, now, cost, is_full=is_full)


class _Doubt:
    """Whether refusals have to do with how much is sent at all.

    Below a limit nothing is refused. A server that refuses at random, or for reasons of its own,
    would slow the client down for ever. So when one verdict follows another, although at least
    half of what is sent is accepted, the rate goes down to a third, for a trial. If there are
    refusals even then, they are not heeded for a while.
    """

    CALM: Final = 25  # accepted calls between two verdicts, for these to be apart
    _MANY: Final = 6  # verdicts in a row, over
    _LONG: Final = 5.0  # seconds: a burst is over by then, and not taken for a rate any more
    _THIRD: Final = 0.34
    _MOST: Final = 0.5  # of all calls refused meanwhile, at most
    _DEAF: Final = (10.0, 300.0)  # seconds, twice as long each time

    def __init__(self) -> None:
        self.deaf_until = self._since = -inf
        self._deaf_for = self._DEAF[0]
        self._level = inf
        self._is_trial = False
        self._calm = self._accepted = self._refused = self._verdicts = 0

    def accepted(self) -> None:
        """A call was accepted."""
        self._accepted += 1
        self._calm += 1

    def refused(self) -> None:
        """A call was refused."""
        self._refused += 1

    def judge(self, now: float, level: float) -> float | None:
        """The rate to go on with, where it is not the usual one after refusals at this level."""
        if self._calm >= self.CALM or self._level == inf:
            self._level, self._is_trial, self._since = level, False, now
            self._accepted = self._refused = self._verdicts = 0
        self._verdicts += 1
        self._calm = 0
        if self._refused > self._MOST * (self._accepted + self._refused):
            return None
        if self._is_trial:
            return self._be_deaf(now)
        if self._verdicts < self._MANY or now - self._since < self._LONG:
            return None
        self._is_trial = True
        return self._THIRD * level

    def _be_deaf(self, now: float) -> float:
        level, self._level = self._level, inf
        self.deaf_until = now + self._deaf_for
        self._deaf_for = min(2 * self._deaf_for, self._DEAF[1])
        return level
