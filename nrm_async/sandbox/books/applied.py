"""Every action that was applied, in columns: a million of them take about 200 MB."""

from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from attrs import frozen

from nrm_async.sandbox import checks
from nrm_async.sandbox.values import ACTIONS, ActionName

Saying: TypeAlias = tuple[str | None, str | None, str | None]
"""What was sent along: carrier, note, date."""

_NOWHERE: Final = -1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@frozen
class AppliedAction:
    """One action that the sandbox said yes to; written once, never changed.

    Attributes:
        action: Which action.
        ani: The number in canonical form.
        carrier: As sent, or None.
        note: As sent, or None.
        date: As sent, or None (a date sent with a remediation is ignored).
        when: When it was accepted; aware, in UTC.
        effective: When it takes effect; later than ``when`` only for a future date.
        request: The number of the request that asked for it; 0 when none came over HTTP.
    """

    action: ActionName
    ani: str
    carrier: str | None
    note: str | None
    date: str | None
    when: datetime
    effective: datetime
    request: int = 0


def packed(ani: str | None) -> int:
    """The digits as a number of 64 bits that keeps leading zeros; 0 for None."""
    return 0 if ani is None else int(f"1{ani}")


def unpacked(number: int) -> str | None:
    """What :func:`packed` was given."""
    return str(number)[1:] or None if number else None


def to_micros(when: datetime) -> int:
    """Whole microseconds since 1970: exact, where a float of seconds is not."""
    return (when - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """What :func:`to_micros` was given, in UTC."""
    return _EPOCH + micros * _MICROSECOND


class AppliedActions:
    """Entries in order of acceptance, and those of one number without looking at the others."""

    def __init__(self) -> None:
        self._action = array("B")
        self._ani = array("q")
        self._when = array("q")
        self._effective = array("q")
        self._request = array("q")
        self._earlier = array("q")  # the entry before this one of the same number
        self._said = array("I")
        self._sayings: list[Saying] = []  # runs say the same thing about many numbers: kept once
        self._saying_at: dict[Saying, int] = {}
        self._last: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._ani)

    def append(self, entry: AppliedAction) -> None:
        """Add one entry."""
        ani, at = packed(entry.ani), len(self._ani)
        self._action.append(ACTIONS.index(entry.action))
        self._ani.append(ani)
        self._when.append(to_micros(entry.when))
        self._effective.append(to_micros(entry.effective))
        self._request.append(entry.request)
        self._earlier.append(self._last.get(ani, _NOWHERE))
        self._last[ani] = at
        self._said.append(self._kept((entry.carrier, entry.note, entry.date)))

    def find(
        self, action: ActionName | None, ani: str | None, since: int = 0
    ) -> Iterator[AppliedAction]:
        """The entries of this action and this number from position ``since`` on; None: any."""
        wanted = None if action is None else checks.one_of("action", action, ACTIONS)
        positions = range(since, len(self)) if ani is None else self._of(packed(ani))
        for at in positions:
            if at >= since and (wanted is None or self._action[at] == wanted):
                yield self._entry(at)

    def count(self, action: ActionName | None, ani: str | None) -> int:
        """How many entries :meth:`find` would give."""
        if action is None:
            return len(self) if ani is None else len(self._of(packed(ani)))
        wanted = checks.one_of("action", action, ACTIONS)
        if ani is None:
            return self._action.count(wanted)
        return sum(self._action[at] == wanted for at in self._of(packed(ani)))

    def _of(self, ani: int) -> list[int]:
        found, at = [], self._last.get(ani, _NOWHERE)
        while at != _NOWHERE:
            found.append(at)
            at = self._earlier[at]
        return found[::-1]

    def _kept(self, saying: Saying) -> int:
        at = self._saying_at.get(saying)
        if at is None:
            at = self._saying_at[saying] = len(self._sayings)
            self._sayings.append(saying)
        return at

    def _entry(self, at: int) -> AppliedAction:
        return AppliedAction(
            ACTIONS[self._action[at]],
            unpacked(self._ani[at]) or "",
            *self._sayings[self._said[at]],
            from_micros(self._when[at]),
            from_micros(self._effective[at]),
            self._request[at],
        )
