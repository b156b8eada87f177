"""Concurrency limit: raised while calls are accepted, reduced after refusals."""

from math import inf
from typing import Final

from nrm_async._limits.rate import RateLimit


class ConcurrencyLimit:
    """Limit on calls in flight: slow start until the first refusal, then a window with probes.

    A probe is one additional call above the window. Slow start follows TCP (RFC 5681, section
    3.1), but adds only half a call per response, and only while the limit is fully used (RFC
    7661). There is no multiplicative decrease: the first refused call was one too many, so the
    window is reduced to one call less.
    """

    # TCP's initial window (RFC 6928).
    START: Final = 10
    # With one call per response, as in TCP, the first refusal occurs far above a server limit of 20
    # calls in flight. If each refusal requests a wait of one second, the client then does not
    # reach 90 % of that limit within two minutes.
    _GROWTH: Final = 0.5
    # A response that took longer than this multiple of the usual latency does not raise the limit.
    _SLOW: Final = 2.0
    # The usual latency is the lowest one observed, raised by 1 % per response so that it follows a
    # lasting increase. The minimum is above zero, because a latency of zero, which a coarse clock
    # may report, could not be raised.
    _AGEING: Final = 1.01
    _MIN_LATENCY: Final = 0.001  # seconds
    # The wait from a refusal to the next probe is the cost of the refusal times this factor, at
    # least 2 seconds, and doubles after each refused probe. The first wait is short because the
    # server may in fact limit calls per second.
    _PROBE_FACTOR: Final = 4.0
    _MIN_INTERVAL: Final = 2.0
    _MAX_BACKOFF: Final = 32

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._window = float(min(self.START, ceiling))
        self._is_growing = True
        self._probe = 0  # 1 while a call above the window may start
        self._ignored_before, self._probe_at = -inf, inf
        self._probe_interval, self._backoff = 0.0, 1
        self._usual_latency = inf
        self._full_at = -inf

    @property
    def limit(self) -> int:
        """Current limit on calls in flight."""
        return int(self._window) + self._probe

    def sent(self, now: float, in_flight: int) -> None:
        """Record that a call started, bringing the calls in flight to ``in_flight``."""
        if in_flight > int(self._window):
            self._probe = 0  # one call above the window is enough
        if in_flight >= int(self._window):
            self._full_at = now

    def accepted(self, now: float, started: float, in_flight: int) -> None:
        """Record that a call was accepted, given its start time and the calls then in flight."""
        latency = now - started
        self._usual_latency = min(
            max(latency, self._MIN_LATENCY), self._usual_latency * self._AGEING
        )
        if started < self._ignored_before or latency > self._SLOW * self._usual_latency:
            return
        window = int(self._window)
        if in_flight > window:  # the probe succeeded
            self.resume_growth()
        if window >= self._ceiling:
            return
        if self._is_growing:
            if self._full_at >= started:
                self._window = min(self._window + self._GROWTH, self._ceiling)
        elif in_flight >= window and now >= self._probe_at:
            # A probe may fail or be cancelled; another one then follows.
            self._probe, self._probe_at = 1, now + self._probe_interval

    def reduce(self, now: float, in_flight: int, cost: float) -> None:
        """Stop growing, and reduce the window below the refused number of calls in flight.

        Args:
            now: The current time.
            in_flight: Calls in flight when the refused call started, including that call.
            cost: Seconds that a refusal costs.
        """
        window = int(self._window)
        is_probe = not self._is_growing and in_flight > window
        self._backoff = min(2 * self._backoff, self._MAX_BACKOFF) if is_probe else 1
        self._window = float(max(1, min(window, in_flight - 1)))
        self._is_growing = False
        interval = max(self._MIN_INTERVAL, self._PROBE_FACTOR * cost) * self._backoff
        self._probe_interval = min(interval, RateLimit.MAX_INTERVAL)
        self._probe_at = now + self._probe_interval
        self.ignore_before(now)

    def ignore_before(self, now: float) -> None:
        """Ignore the results of calls that started before ``now``."""
        self._probe, self._ignored_before = 0, now

    def resume_growth(self) -> None:
        """Resume growth as in slow start."""
        self._is_growing, self._backoff = True, 1
