"""How soon the next call may start: found from refusals."""

from collections import deque
from math import inf
from typing import ClassVar, Final, Protocol

import attrs


class _Curve(Protocol):
    """Calls per second over time, from one refusal to the next."""

    @property
    def level(self) -> float:
        """The rate that the server is known to take."""

    def at(self, now: float, sent: float) -> float:
        """Calls per second now, where so many a second were really sent lately."""


@attrs.frozen(eq=False, repr=False)
class _Free:
    """Nothing was refused yet: calls are not spaced."""

    level: float = inf

    def at(self, _now: float, _sent: float) -> float:
        return inf


@attrs.frozen(eq=False, repr=False)
class _Search:
    """Twice as much each second, and no sooner than a few calls can tell whether it is borne.

    The first refusal came from a start, and no steady rate was refused yet. Or nothing at all
    was accepted for some time: a server that is closed does not say what it takes when open.
    """

    level: float
    since: float
    turn: int = 1

    _DOUBLING: ClassVar[float] = 1.0  # seconds, and
    _FEWEST: ClassVar[float] = 4.0  # calls
    _ABOVE_SENT: ClassVar[float] = 2.0  # not above so many times the rate really sent (as AWS)
    # What is refused before the search got anywhere is the aftermath of the start. It begins
    # again then, but not for ever.
    _SOON: ClassVar[float] = 1.5
    _TURNS: ClassVar[int] = 3

    def at(self, now: float, sent: float) -> float:
        doubling = max(self._DOUBLING, self._FEWEST / self.level)
        grown: float = self.level * 2.0 ** min((now - self.since) / doubling, 60.0)
        return max(self.level, min(grown, self._ABOVE_SENT * sent))

    def after(self, level: float, refused: float, now: float) -> "_Search | None":
        """The search that begins again after a refusal, unless this one has found something."""
        if refused >= self._SOON * self.level or self.turn >= self._TURNS:
            return None
        return _Search(level, now, self.turn + 1)


@attrs.frozen(eq=False, repr=False)
class _Climb:
    """Evenly from what was borne to what was refused, then faster and faster, as CUBIC."""

    level: float
    top: float
    since: float
    seconds: float

    _C: ClassVar[float] = 0.4  # calls/s per s**3, as AWS
    # AWS goes up to 2 times the rate really sent. But a rate must not run away where calls at
    # once are what holds the client back.
    _ABOVE_SENT: ClassVar[float] = 1.25

    def at(self, now: float, sent: float) -> float:
        past = now - self.since - self.seconds
        if past <= 0:
            return self.top + past / self.seconds * (self.top - self.level)
        return max(self.top, min(self.top + self._C * past**3, self._ABOVE_SENT * sent))


class RateLimit:
    """Evenly spaced calls; no spacing before the first refusal, unless a rate is given.

    The CUBIC form of the AWS adaptive retry mode (botocore ``retries/throttling.py``, after
    RFC 9438, 4.2) with the part below the top changed. There a refusal cuts the rate by 0.7,
    and it climbs back to its top within K, steeply at first. Here it is cut to the rate that
    the accepted calls prove, and climbs to the top, the rate that was refused, evenly over the
    time after which one can afford to be refused again. Above the top it is theirs:
    ``C * (t - K)**3``. The first refusal starts a search before all that, and so does one by a
    server that accepted nothing for a while.
    """

    FLOOR: Final = 0.5  # calls/s, as theirs
    # The first call of all may be the one that is refused. That proves nothing, and its retry must
    # not wait for longer than its own backoff.
    _FIRST: Final = 10.0
    _BETA: Final = 0.7  # as theirs, where the level itself is refused
    # What a server lets through beyond its rate at once, in seconds of that rate. Buckets of
    # 0 to 0.1 s are common; for these the rate proven by 4 s is wrong by 2 % at most.
    _BURST: Final = 0.07
    _SPANS: Final = (4.0, 2.0, 1.0, 0.5, 0.25)  # seconds over which accepted calls are counted
    _WINDOW: Final = 1.0  # seconds that servers with a window count over
    # A climb takes this many times what a refusal costs, twice as long as the one before while
    # the refused rates are alike, and never fewer calls: one refusal in 100 calls is cheap.
    _PATIENCE: Final = (8.0, 32.0)
    LONGEST: Final = 600.0  # seconds; a limit that is lifted is to be noticed some day
    _SHORTEST: Final = 2.0
    _ALIKE: Final = 0.15
    _FEWEST: Final = 100
    # A rate that was refused far above the proven one says little of where the limit is.
    _NEAR: Final = 1.2
    # A rate this much above the proven one is tried, not known.
    _TRIED: Final = 1.05
    # A timer that rings late by less than this is made up for by the next interval. More would
    # let two calls start so close together that a server without a burst refuses the second.
    _CATCH_UP: Final = 0.001

    def __init__(self, max_rate: float | None = None) -> None:
        self._max = inf if max_rate is None else max_rate
        self._curve: _Curve = _Free()
        self._patience, self._refused_rate = self._PATIENCE[0], inf
        self._last = self.due = self._settled_at = -inf
        self._accepted: deque[float] = deque()
        self._bucket = self._count = 0
        self._sent_rate = 0.0

    @property
    def is_learnt(self) -> bool:
        """Whether a refusal has shown what rate the server takes."""
        return self._curve.level < inf

    def rate(self, now: float) -> float:
        """Calls per second; inf where they are not spaced."""
        return min(self._curve.at(now, self._sent_rate), self._max)

    def sent(self, now: float) -> None:
        """A call starts."""
        self._measure(now)
        if self._curve.level < inf or self._max < inf:
            self._last = now
            due = self.due if now - self.due < self._CATCH_UP else now
            self.due = due + 1 / self.rate(now)

    def _measure(self, now: float) -> None:
        self._count += 1
        if (bucket := int(2 * now)) > self._bucket:  # as AWS: half seconds, smoothed by 0.8
            measured = 2 * self._count / (bucket - self._bucket)
            self._sent_rate += 0.8 * (measured - self._sent_rate)
            self._bucket, self._count = bucket, 0

    def accepted(self, started: float) -> None:
        """A call that started then was accepted."""
        self._accepted.append(started)
        oldest = started - self._SPANS[0]
        while self._accepted[0] < oldest:
            self._accepted.popleft()

    def settle(self, at: float, now: float, cost: float, *, is_full: bool) -> None:
        """Go down after the call that started at ``at`` was refused, and climb again.

        Args:
            at: When the first refused call started.
            now: The time.
            cost: Seconds that being refused costs.
            is_full: Whether all calls after it were refused too.
        """
        refused = self.rate(at)
        level = max(self._proven(at, is_full=is_full), self._borne(at, refused), self.FLOOR)
        is_closed = not self._seen(at, self._SPANS[0])
        if is_closed or not self.is_learnt:
            self._curve = _Search(level, now)
        else:
            self._curve = self._next_curve(level, refused, now, cost)
        self._settled_at = now
        self.due = max(self.due, self._last + 1 / min(level, self._max))

    def _borne(self, at: float, refused: float) -> float:
        """What to go down to at most, however little has been accepted of late."""
        if not self.is_learnt:
            return self._FIRST
        level = self._curve.level
        # It was refused itself, or calls were sent at it for too short a time to prove it.
        is_shaken = refused <= self._TRIED * level or at - self._settled_at <= self._WINDOW
        return self._BETA * level if is_shaken else level

    def _next_curve(self, level: float, refused: float, now: float, cost: float) -> _Curve:
        if isinstance(self._curve, _Search) and (search := self._curve.after(level, refused, now)):
            return search
        self._patience = self._next_patience(refused)
        self._refused_rate = refused
        fewest = min(self._FEWEST / level, self._PATIENCE[1])
        seconds = min(max(self._patience * cost, fewest, self._SHORTEST), self.LONGEST)
        top = min(max(level, refused), self._NEAR * level)
        return _Climb(level, top, now, seconds)

    @property
    def level(self) -> float:
        """The rate that the server is known to take; inf before the first refusal."""
        return self._curve.level

    def restart(self, level: float, now: float, calls: int) -> None:
        """Search anew from this level, after so many calls at it."""
        level = max(level, self.FLOOR)
        self._curve, self._settled_at = _Search(level, now + calls / level), now

    def _next_patience(self, refused: float) -> float:
        least, most = self._PATIENCE
        is_alike = abs(refused - self._refused_rate) <= self._ALIKE * refused < inf
        return min(2 * self._patience, most) if is_alike else least

    def _proven(self, at: float, *, is_full: bool) -> float:
        """The rate that the calls accepted before ``at`` prove.

        A bucket lets ``n <= rate * (span + burst)`` calls through, so each span proves a rate
        of at least ``n / (span + burst)``; the best proof is near the truth. A window that is
        full refuses everything, and proves nothing in a shorter time than its own.
        """
        spans = [span for span in self._SPANS if span >= self._WINDOW or not is_full]
        return max(self._seen(at, span) / (span + self._BURST) for span in spans)

    def _seen(self, until: float, seconds: float) -> int:
        return sum(until - seconds < started <= until for started in self._accepted)
