"""Rate limit: calls per second, learnt from refusals."""

from collections import deque
from math import inf
from typing import ClassVar, Final, Protocol

import attrs


class _Curve(Protocol):
    """The rate as a function of time between two congestion events."""

    @property
    def sustained(self) -> float:
        """Rate that the server is known to sustain."""

    def at(self, now: float, sent: float) -> float:
        """Return the current rate, given the rate at which calls were recently sent."""


@attrs.frozen(eq=False, repr=False)
class _Unlimited:
    """The unlimited rate before the first refusal."""

    sustained: float = inf

    def at(self, _now: float, _sent: float) -> float:
        return inf


@attrs.frozen(eq=False, repr=False)
class _SlowStart:
    """A rate that doubles every second, or every 4 calls at low rates.

    It applies after the first refusal, because the rate was unlimited before, and after refusals
    by a server that accepted nothing for some time, because such a server does not reveal its
    limit.
    """

    sustained: float
    since: float
    attempt: int = 1

    _DOUBLING: ClassVar[float] = 1.0  # seconds per doubling
    _MIN_CALLS: ClassVar[float] = 4.0  # calls per doubling, enough to provoke a refusal
    _ABOVE_SENT: ClassVar[float] = 2.0  # maximum multiple of the rate actually sent (as in AWS)
    # A refusal before the rate has grown by half is an after-effect of the first refusal, so slow
    # start is repeated, at most twice.
    _MIN_GAIN: ClassVar[float] = 1.5
    _MAX_ATTEMPTS: ClassVar[int] = 3

    def at(self, now: float, sent: float) -> float:
        doubling = max(self._DOUBLING, self._MIN_CALLS / self.sustained)
        grown: float = self.sustained * 2.0 ** min((now - self.since) / doubling, 60.0)
        return max(self.sustained, min(grown, self._ABOVE_SENT * sent))

    def repeated(self, sustained: float, refused: float, now: float) -> "_SlowStart | None":
        """Return a repeated slow start, or ``None`` if slow start is over."""
        if refused >= self._MIN_GAIN * self.sustained or self.attempt >= self._MAX_ATTEMPTS:
            return None
        return _SlowStart(sustained, now, self.attempt + 1)


@attrs.frozen(eq=False, repr=False)
class _CubicGrowth:
    """A rate that grows linearly from the sustained to the refused rate, then as in CUBIC."""

    sustained: float
    top: float
    since: float
    seconds: float  # time from ``sustained`` to ``top``; CUBIC's K

    _C: ClassVar[float] = 0.4  # calls/s per s**3, as in AWS
    # AWS allows twice the rate actually sent. Here the factor is lower, so that the rate does not
    # run away while concurrency limits the client.
    _ABOVE_SENT: ClassVar[float] = 1.25

    def at(self, now: float, sent: float) -> float:
        past = now - self.since - self.seconds
        if past <= 0:
            return self.top + past / self.seconds * (self.top - self.sustained)
        return max(self.top, min(self.top + self._C * past**3, self._ABOVE_SENT * sent))


class RateLimit:
    """Limit on calls per second, applied by spacing calls evenly.

    Calls are not spaced before the first refusal, unless ``max_rate`` is set.

    The algorithm is the CUBIC form of AWS's adaptive retry mode (botocore
    ``retries/throttling.py``, after RFC 9438, section 4.2), modified below the maximum. In AWS, a
    refusal multiplies the rate by 0.7, and the rate returns to its maximum within K seconds,
    steeply at first. Here, a refusal reduces the rate to the one proven by the accepted calls, and
    the rate then grows linearly to the refused rate, over the time after which another refusal is
    affordable. Above the refused rate, the growth is the same: ``C * (t - K)**3``. After the first
    refusal, and after refusals by a server that accepted nothing for some time, slow start
    precedes this growth.
    """

    FLOOR: Final = 0.5  # calls/s, as in AWS
    # The very first call may be refused. This does not indicate the rate, and its retry must not
    # wait longer than its own backoff.
    _INITIAL: Final = 10.0
    _BETA: Final = 0.7  # as in AWS; used if the sustained rate itself is refused
    # Assumed burst size of the server, in seconds of its rate. Token buckets of 0 to 0.1 s are
    # common; for these, the rate proven over 4 s is off by at most 2 %.
    _BURST: Final = 0.07
    _SPANS: Final = (4.0, 2.0, 1.0, 0.5, 0.25)  # seconds over which accepted calls are counted
    _WINDOW: Final = 1.0  # seconds in the usual counting window of a server
    # Growth to the top takes the cost of a refusal times this factor (initial and maximum), which
    # doubles while similar rates are refused. Growth takes at least 100 calls, because one refusal
    # in 100 is cheap.
    _GROWTH_FACTOR: Final = (8.0, 32.0)
    MAX_INTERVAL: Final = 600.0  # seconds, so that the client notices a lifted limit
    _MIN_INTERVAL: Final = 2.0
    _SIMILAR: Final = 0.15
    _MIN_CALLS: Final = 100
    # A refused rate far above the sustained one reveals little about the limit.
    _MAX_TOP: Final = 1.2
    # A refused rate within this factor of the sustained one disproves the sustained one.
    _AT_SUSTAINED: Final = 1.05
    # A timer delay of less than this many seconds shortens the next interval. A longer delay
    # would place two calls so close together that a server without bursts refuses the second.
    _CATCH_UP: Final = 0.001

    def __init__(self, max_rate: float | None = None) -> None:
        self._max_rate = inf if max_rate is None else max_rate
        self._curve: _Curve = _Unlimited()
        self._growth_factor, self._refused_rate = self._GROWTH_FACTOR[0], inf
        self._last_start = self.due = self._reduced_at = -inf
        self._accepted: deque[float] = deque()
        self._bucket = self._count = 0
        self._sent_rate = 0.0

    @property
    def sustained(self) -> float:
        """Rate that the server is known to sustain; ``inf`` before the first refusal."""
        return self._curve.sustained

    @property
    def is_learnt(self) -> bool:
        """Whether a refusal has shown the rate that the server sustains."""
        return self._curve.sustained < inf

    def rate(self, now: float) -> float:
        """Return the limit in calls per second; ``inf`` for no limit."""
        return min(self._curve.at(now, self._sent_rate), self._max_rate)

    def sent(self, now: float) -> None:
        """Record that a call started, and schedule the next one."""
        self._count += 1
        if (bucket := int(2 * now)) > self._bucket:  # as in AWS: half seconds, smoothed by 0.8
            measured = 2 * self._count / (bucket - self._bucket)
            self._sent_rate += 0.8 * (measured - self._sent_rate)
            self._bucket, self._count = bucket, 0
        if self._curve.sustained < inf or self._max_rate < inf:
            self._last_start = now
            due = self.due if now - self.due < self._CATCH_UP else now
            self.due = due + 1 / self.rate(now)

    def accepted(self, started: float) -> None:
        """Record that a call that started at ``started`` was accepted."""
        self._accepted.append(started)
        oldest = started - self._SPANS[0]
        while self._accepted[0] < oldest:
            self._accepted.popleft()

    def reduce(self, at: float, now: float, cost: float, *, is_window_full: bool) -> None:
        """Reduce the rate after a refusal, and grow from there.

        Args:
            at: Start time of the first refused call.
            now: The current time.
            cost: Seconds that a refusal costs.
            is_window_full: Whether all calls after the first refused one were refused too.
        """
        refused = self.rate(at)
        proven = self._proven(at, is_window_full=is_window_full)
        sustained = max(proven, self._lower_bound(at, refused), self.FLOOR)
        is_closed = not self._count_accepted(at, self._SPANS[0])
        if is_closed or not self.is_learnt:
            self._curve = _SlowStart(sustained, now)
        else:
            self._curve = self._next_curve(sustained, refused, now, cost)
        self._reduced_at = now
        self.due = max(self.due, self._last_start + 1 / min(sustained, self._max_rate))

    def restart(self, rate: float, now: float, calls: int) -> None:
        """Begin a slow start from ``rate``, after sending ``calls`` calls at that rate."""
        rate = max(rate, self.FLOOR)
        self._curve, self._reduced_at = _SlowStart(rate, now + calls / rate), now

    def _lower_bound(self, at: float, refused: float) -> float:
        """Return the minimum for the reduced rate, even if few calls were recently accepted."""
        if not self.is_learnt:
            return self._INITIAL
        sustained = self._curve.sustained
        # The sustained rate was itself refused, or was used too briefly to be proven.
        is_disproved = (
            refused <= self._AT_SUSTAINED * sustained or at - self._reduced_at <= self._WINDOW
        )
        return self._BETA * sustained if is_disproved else sustained

    def _next_curve(self, sustained: float, refused: float, now: float, cost: float) -> _Curve:
        if isinstance(self._curve, _SlowStart) and (
            repeated := self._curve.repeated(sustained, refused, now)
        ):
            return repeated
        least, most = self._GROWTH_FACTOR
        is_similar = abs(refused - self._refused_rate) <= self._SIMILAR * refused < inf
        self._growth_factor = min(2 * self._growth_factor, most) if is_similar else least
        self._refused_rate = refused
        of_calls = min(self._MIN_CALLS / sustained, most)
        seconds = min(
            max(self._growth_factor * cost, of_calls, self._MIN_INTERVAL), self.MAX_INTERVAL
        )
        top = min(max(sustained, refused), self._MAX_TOP * sustained)
        return _CubicGrowth(sustained, top, now, seconds)

    def _proven(self, at: float, *, is_window_full: bool) -> float:
        """Return the rate proven by the calls accepted before ``at``.

        A token bucket accepts ``n <= rate * (span + burst)`` calls, so each span proves a rate of
        at least ``n / (span + burst)``; the highest of these is the best estimate. A server with
        a full window refuses everything, so spans shorter than the window prove nothing.
        """
        spans = [span for span in self._SPANS if span >= self._WINDOW or not is_window_full]
        return max(self._count_accepted(at, span) / (span + self._BURST) for span in spans)

    def _count_accepted(self, until: float, seconds: float) -> int:
        return sum(until - seconds < started <= until for started in self._accepted)
