"""An account as it stands: what it was founded on, and everything that has happened to it since."""

import sqlite3
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import msgspec

from nrm_async.sandbox.clock import Clock
from nrm_async.sandbox.inventory import Inventory, Loaded, Made, Source, read_rows
from nrm_async.sandbox.state import State
from nrm_async.sandbox.store import Founding, Store
from nrm_async.sandbox.values import Row


class Account:
    """A state, its clock, and the file that keeps them, if any.

    Args:
        anis: How many numbers a new inventory holds.
        seed: What it is made from.
        inventory: A file to load it from, or rows in the wire form; None: it is made.
        file: The state file; None: in memory only. One that is there decides what the inventory
            is, whatever the other arguments say.
        now: The clock to run with.

    Raises:
        ValueError: Rows or file cannot be used.
        OSError: The file to load cannot be read.
    """

    def __init__(
        self,
        anis: int,
        seed: int,
        inventory: str | Path | Iterable[Row] | None,
        file: str | Path | None,
        now: Callable[[], datetime] | None,
    ) -> None:
        self.clock = Clock(now)
        self.founding = Founding(anis, seed, self.clock.now().date(), _rows(inventory))
        self.store: Store | None = None
        if file is not None:
            self.store = Store(file, self.founding)
            self.founding = self.store.founding
        self.state = State(self._inventory(), self.clock, self.store)
        if self.store is not None:
            self._catch_up(self.store, file)

    def reset(self) -> None:
        """Back to the beginning: inventory, clock and books."""
        self.state.reset(self._inventory())

    def close(self) -> None:
        """Let go of the file."""
        if self.store is not None:
            self.store.close()

    def _inventory(self) -> Inventory:
        return Inventory(source_of(self.founding))

    def _catch_up(self, store: Store, file: object) -> None:
        try:
            for event in store.events():
                self.state.replay(event)
            for entry in store.requests():
                self.state.books.restore(entry)
            for action in self.state.books.applied():
                self.state.books.pass_over(action.request, action.when)
        except (sqlite3.Error, ValueError, TypeError, LookupError) as error:
            store.close()
            raise ValueError(f"state file {file}: it is damaged: {error}") from None


def source_of(founding: Founding) -> Source:
    """Where the rows of an inventory begin."""
    count = founding.anis if founding.rows is None else 0
    made = Made(count, founding.seed, founding.today)
    return made if founding.rows is None else Loaded(founding.rows, made)


def _rows(inventory: str | Path | Iterable[Row] | None) -> tuple[bytes, ...] | None:
    """Encoded at once: as dictionaries they would take several times the memory."""
    if inventory is None:
        return None
    rows = read_rows(inventory) if isinstance(inventory, str | Path) else inventory
    return tuple(map(msgspec.json.encode, rows))
