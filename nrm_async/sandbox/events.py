"""Everything that changes a state, as values, and the journal that keeps them."""

from datetime import datetime
from typing import Protocol, TypeAlias

from attrs import frozen

from nrm_async.sandbox.books import AppliedAction, RequestEntry
from nrm_async.sandbox.clock import Setting


@frozen
class Turned:
    """The clock was turned at ``at``, by its old setting, to a new setting."""

    at: datetime
    setting: Setting


@frozen
class Joined:
    """A number joined the inventory."""


@frozen
class Left:
    """The number with this index left the inventory."""

    index: int


Event: TypeAlias = AppliedAction | Turned | Joined | Left
"""Everything that changes the state; the same events in a row make the same state."""


class Journal(Protocol):
    """Where events are kept."""

    def write(self, event: Event) -> None:
        """Keep it, for good, before this returns."""

    def keep(self, request: RequestEntry) -> None:
        """Keep a request that has ended."""

    def clear(self) -> None:
        """Forget everything that was kept."""
