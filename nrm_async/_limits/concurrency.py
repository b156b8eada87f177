"""How many calls may be under way: found by trying."""

from math import inf
from typing import Final

from nrm_async._limits.rate import RateLimit


class ConcurrencyLimit:
    """A slow start up to the first refusal, then a level, and single calls tried above it.

    The start is as TCP's (RFC 5681, 3.1), with half of one more for each answer, and only while
    the limit is used (RFC 7661). There is no multiplicative decrease after it: the first call
    that was refused was one too many, so the level is one below it.
    """

    # As TCP's initial window (RFC 6928).
    START: Final = 10
    # With a whole one, as TCP's, the first refusal comes so far above a cap of 20 at once that 90 %
    # of it are not reached in two minutes, where each refusal names a second to wait.
    _GROWTH: Final = 0.5
    # An answer that took longer than twice the usual is no reason to send more.
    _SLOW: Final = 2.0
    # The usual time is the least one seen, and follows where times stay longer. From nothing,
    # which is what a coarse clock may show, it could not.
    _FORGETTING: Final = 1.01
    _LEAST: Final = 0.001  # seconds
    # Before one more is tried again, a wait of this many times what a refusal costs, and at
    # least 2 s; twice as long after each try in vain. The first comes soon: it may be calls per
    # second after all.
    _PATIENCE: Final = 4.0
    _SHORTEST: Final = 2.0
    _MOST_DOUBLED: Final = 32

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._room = float(min(self.START, ceiling))
        self._is_growing = True
        self._extra = 0
        self._settled_at, self._probe_at = -inf, inf
        self._pause, self._doubled = 0.0, 1
        self._usual = inf
        self._used_at = -inf

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return int(self._room) + self._extra

    def sent(self, now: float, in_flight: int) -> None:
        """A call started as the last of so many; the one above the level is the only one."""
        if in_flight > int(self._room):
            self._extra = 0
        if in_flight >= int(self._room):
            self._used_at = now

    def accepted(self, now: float, started: float, in_flight: int) -> None:
        """A call that started as the last of so many was accepted."""
        took = now - started
        self._usual = min(max(took, self._LEAST), self._usual * self._FORGETTING)
        if started < self._settled_at or took > self._SLOW * self._usual:
            return
        level = int(self._room)
        if in_flight > level:  # more than the level: on as in the beginning
            self._is_growing, self._doubled = True, 1
        if level >= self._ceiling:
            return
        if self._is_growing:
            if self._used_at >= started:
                self._room = min(self._room + self._GROWTH, self._ceiling)
        elif in_flight >= level and now >= self._probe_at:
            # The call above the level may be lost, or be cut off: then it is tried again.
            self._extra, self._probe_at = 1, now + self._pause

    def settle(self, now: float, in_flight: int, cost: float) -> None:
        """Stay below so many, of which the last was refused; a refusal costs so many seconds."""
        level = int(self._room)
        in_vain = not self._is_growing and in_flight > level
        self._doubled = min(2 * self._doubled, self._MOST_DOUBLED) if in_vain else 1
        self._room = float(max(1, min(level, in_flight - 1)))
        self._is_growing = False
        pause = max(self._SHORTEST, self._PATIENCE * cost) * self._doubled
        self._pause = min(pause, RateLimit.LONGEST)
        self._probe_at = now + self._pause
        self.calm(now)

    def calm(self, now: float) -> None:
        """Draw no conclusion from calls that are under way."""
        self._extra, self._settled_at = 0, now

    def forget(self) -> None:
        """Grow again: refusals have nothing to do with it."""
        self._is_growing, self._doubled = True, 1
