"""An adjustable clock, which follows the system clock until it is set, advanced or frozen."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen

from nrm_async.sandbox.validation import check_aware, check_seconds

_LAST_YEAR: Final = 9000  # margin before datetime.max, where a running clock would overflow


def _utc_now() -> datetime:
    return datetime.now(UTC)


@frozen
class ClockSetting:
    """A clock's offset from its source, or the instant at which the clock is frozen."""

    ahead: timedelta = timedelta(0)
    frozen_at: datetime | None = None


class Clock:
    """A clock that can be set, advanced and frozen.

    Dated actions take effect when this clock reaches their date.

    Args:
        source: The underlying clock; defaults to the system clock.

    Raises:
        ValueError: The source returns naive datetimes.

    Example:
        >>> clock = Clock()
        >>> clock.set(datetime(2026, 5, 27, tzinfo=UTC))
        >>> clock.freeze()
        >>> clock.advance(timedelta(days=3))
        >>> clock.now().isoformat()[:10]
        '2026-05-30'
    """

    def __init__(self, source: Callable[[], datetime] | None = None) -> None:
        self._source = source or _utc_now
        self._setting = ClockSetting()
        self._on_change: Callable[[datetime, ClockSetting], object] = lambda _at, _setting: None
        self._lock = threading.RLock()
        self.now()

    @property
    def setting(self) -> ClockSetting:
        """The current offset or frozen instant, which :meth:`restore` accepts."""
        return self._setting

    @property
    def is_frozen(self) -> bool:
        """Whether the clock is frozen."""
        return self._setting.frozen_at is not None

    def now(self) -> datetime:
        """Return the current time in UTC."""
        setting = self._setting
        if setting.frozen_at is not None:
            return setting.frozen_at
        return self._source_now() + setting.ahead

    def set(self, when: datetime) -> None:
        """Set the clock to ``when``, an aware datetime. A frozen clock stays frozen."""
        when = check_aware("when", when).astimezone(UTC)
        if when.year > _LAST_YEAR:
            raise ValueError(f"when must be before the year {_LAST_YEAR + 1}, not {when}")
        with self._lock:
            self._change(ClockSetting(frozen_at=when) if self.is_frozen else self._running(when))

    def advance(self, by: timedelta | float) -> None:
        """Move the clock forward by a timedelta or a number of seconds."""
        step = by if isinstance(by, timedelta) else timedelta(seconds=check_seconds("by", by))
        if step < timedelta(0):
            raise ValueError(f"by must not be negative, not {by!r}: use set() to go back")
        with self._lock:
            self.set(self.now() + step)

    def freeze(self) -> None:
        """Stop the clock at the current time."""
        with self._lock:
            self._change(ClockSetting(frozen_at=self.now()))

    def resume(self) -> None:
        """Restart a frozen clock from its current time."""
        with self._lock:
            self._change(self._running(self.now()))

    def on_change(self, callback: Callable[[datetime, ClockSetting], object]) -> None:
        """Call ``callback`` before each change, with the time before it and the new setting."""
        self._on_change = callback

    def restore(self, setting: ClockSetting) -> None:
        """Apply a setting saved earlier, without calling the callback."""
        self._setting = setting

    def _source_now(self) -> datetime:
        return check_aware("now", self._source()).astimezone(UTC)

    def _running(self, now: datetime) -> ClockSetting:
        return ClockSetting(ahead=now - self._source_now())

    def _change(self, setting: ClockSetting) -> None:
        self._on_change(self.now(), setting)
        self._setting = setting
