"""The books: an append-only record of every action that was applied, to hold answers against."""

from collections.abc import Iterator
from datetime import datetime

from attrs import frozen

from nrm_async.sandbox.values import ActionName


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
    """

    action: ActionName
    ani: str
    carrier: str | None
    note: str | None
    date: str | None
    when: datetime
    effective: datetime


class Books:
    """Everything that was applied, in order. Reads are snapshots.

    A client that reports the truth agrees with these books: one entry for each action it calls
    applied, none for those it calls refused or not applied.
    """

    def __init__(self) -> None:
        self._entries: list[AppliedAction] = []
        self._by_ani: dict[str, list[AppliedAction]] = {}

    def record(self, entry: AppliedAction) -> None:
        """Append one entry; the state does this, nobody else needs to."""
        self._entries.append(entry)
        self._by_ani.setdefault(entry.ani, []).append(entry)

    def applied(
        self, action: ActionName | None = None, ani: str | None = None
    ) -> tuple[AppliedAction, ...]:
        """The entries of this action and this ANI (ten digits), oldest first; None means any."""
        entries = self._entries if ani is None else self._by_ani.get(ani, ())
        return tuple(entry for entry in entries if action is None or entry.action == action)

    def times_applied(self, action: ActionName, ani: str) -> int:
        """How often ``action`` was applied to ``ani`` (ten digits)."""
        return len(self.applied(action, ani))

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[AppliedAction]:
        return iter(tuple(self._entries))

    def __repr__(self) -> str:
        return f"Books({len(self)} applied)"
