"""The sandbox's clock: it runs with the system's, until it is set, advanced or frozen."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen

from nrm_async.sandbox import checks

_LAST_YEAR: Final = 9000  # a clock that runs into the end of the calendar could not be read


def utc_now() -> datetime:
    """The system's clock, aware, in UTC."""
    return datetime.now(UTC)


@frozen
class Setting:
    """How a clock stands to its source: so far ahead of it, or standing still."""

    ahead: timedelta = timedelta(0)
    frozen_at: datetime | None = None


class Clock:
    """What time it is in the sandbox. Dated actions take effect when it reaches them.

    Args:
        source: The clock it runs with: answers aware datetimes, else ValueError.

    Example:
        >>> clock = Clock()
        >>> clock.set(datetime(2026, 5, 27, tzinfo=UTC))
        >>> clock.freeze()
        >>> clock.advance(timedelta(days=3))
        >>> clock.now().isoformat()[:10]
        '2026-05-30'
    """

    def __init__(self, source: Callable[[], datetime] | None = None) -> None:
        self._source = source or utc_now
        self._setting = Setting()
        self._watcher: Callable[[datetime, Setting], object] = lambda _at, _setting: None
        self._lock = threading.RLock()
        self.now()

    @property
    def setting(self) -> Setting:
        """How it stands to its source, for keeping."""
        return self._setting

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still."""
        return self._setting.frozen_at is not None

    def now(self) -> datetime:
        """The time, in UTC."""
        setting = self._setting
        if setting.frozen_at is not None:
            return setting.frozen_at
        return checks.aware("now", self._source()).astimezone(UTC) + setting.ahead

    def set(self, when: datetime) -> None:
        """Let it be ``when`` (aware); it goes on from there, unless it is frozen."""
        when = checks.aware("when", when).astimezone(UTC)
        if when.year > _LAST_YEAR:
            raise ValueError(f"when must be before the year {_LAST_YEAR + 1}, not {when}")
        with self._lock:
            self._turn(Setting(frozen_at=when) if self.is_frozen else self._from(when))

    def advance(self, by: timedelta | float) -> None:
        """Turn it forward by so much: a timedelta, or seconds."""
        step = by if isinstance(by, timedelta) else timedelta(seconds=checks.seconds("by", by))
        if step < timedelta(0):
            raise ValueError(f"by must not be negative, not {by!r}: set() turns a clock back")
        with self._lock:
            self.set(self.now() + step)

    def freeze(self) -> None:
        """Let it stand still from now on."""
        with self._lock:
            self._turn(Setting(frozen_at=self.now()))

    def resume(self) -> None:
        """Let it run on from where it stands."""
        with self._lock:
            self._turn(self._from(self.now()))

    def watch(self, watcher: Callable[[datetime, Setting], object]) -> None:
        """Call it just before each turn, with the time until then and the new setting."""
        self._watcher = watcher

    def restore(self, setting: Setting) -> None:
        """Stand as it stood when ``setting`` was kept."""
        self._setting = setting

    def _from(self, when: datetime) -> Setting:
        return Setting(ahead=when - checks.aware("now", self._source()).astimezone(UTC))

    def _turn(self, setting: Setting) -> None:
        self._watcher(self.now(), setting)
        self._setting = setting
