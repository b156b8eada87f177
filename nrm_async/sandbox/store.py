"""The account, and the SQLite file that persists its state.

The file contains the origin of the inventory, every state change and every request. Replaying the
changes in order restores the state. Each record is written before the response is sent, so no
acknowledged action is lost if the process is killed. A power failure may lose the latest records.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from attrs import frozen

from nrm_async.sandbox.clock import Clock
from nrm_async.sandbox.history import AppliedAction, RequestEntry
from nrm_async.sandbox.inventory import GeneratedRows, ImportedRows, Inventory, read_rows
from nrm_async.sandbox.state import ClockChanged, NumberAdded, NumberRemoved, State, StateChange
from nrm_async.sandbox.values import Row

_APPLICATION_ID: Final = 0x4E524D31  # "NRM1", in the header of the file
_FORMAT: Final = 1
_LOCK_TIMEOUT: Final = 0.2  # seconds to wait for another process to release the file

# Table, column and kind names are part of format 1.
_SCHEMA: Final = f"""
BEGIN;
CREATE TABLE founding (body TEXT NOT NULL);
CREATE TABLE rows (body BLOB NOT NULL);
CREATE TABLE events (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE requests (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_FORMAT};
COMMIT;
"""
_TYPES: Final[dict[str, type[Any]]] = {
    "applied": AppliedAction,
    "turned": ClockChanged,
    "joined": NumberAdded,
    "left": NumberRemoved,
}
_KINDS: Final = {change: kind for kind, change in _TYPES.items()}


@frozen
class Origin:
    """The origin of an inventory: a size, a seed and a date, or imported rows as JSON."""

    anis: int
    seed: int
    today: date
    rows: tuple[bytes, ...] | None = None


class Account:
    """A state with its clock and an optional state file.

    Args:
        anis: Size of a generated inventory.
        seed: Seed for a generated inventory.
        inventory: A file to import, or rows in wire format. If None, an inventory is generated.
        file: The state file. If None, the state is kept in memory only. If the file exists, its
            origin takes precedence over the other arguments.
        now: The underlying clock.

    Raises:
        ValueError: The rows or the state file are invalid.
        OSError: The inventory file cannot be read.
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
        self.origin = Origin(anis, seed, self.clock.now().date(), _encoded_rows(inventory))
        self._store: Store | None = None
        if file is not None:
            self._store = Store(file, self.origin)
            self.origin = self._store.origin
        try:
            self.state = State(self._new_inventory(), self.clock, self._store)
            if self._store is not None:
                self._replay(self._store)
        except BaseException:
            self.close()
            raise

    def reset(self) -> None:
        """Restore the original inventory and clock, and clear the history."""
        self.state.reset(self._new_inventory())

    def close(self) -> None:
        """Close the state file."""
        if self._store is not None:
            self._store.close()

    def _new_inventory(self) -> Inventory:
        origin = self.origin
        if origin.rows is None:
            return Inventory(GeneratedRows(origin.anis, origin.seed, origin.today))
        additions = GeneratedRows(0, origin.seed, origin.today)
        return Inventory(ImportedRows(origin.rows, additions))

    def _replay(self, store: "Store") -> None:
        try:
            for change in store.changes():
                self.state.replay(change)
            for entry in store.requests():
                self.state.books.restore(entry)
            for action in self.state.books.applied():
                self.state.books.skip_to(action.request, action.when)
        except (sqlite3.Error, ValueError, TypeError, LookupError) as error:
            raise ValueError(f"state file {store.path}: the file is damaged: {error}") from None


def _encoded_rows(inventory: str | Path | Iterable[Row] | None) -> tuple[bytes, ...] | None:
    """Encode the rows one at a time: as dictionaries, they would use several times the memory."""
    if inventory is None:
        return None
    rows = read_rows(inventory) if isinstance(inventory, str | Path) else inventory
    return tuple(map(msgspec.json.encode, rows))


class Store:
    """A state file.

    Args:
        path: The path of the file, which is created if it does not exist.
        origin: The origin to write to a new file. An existing file keeps its own origin.

    Raises:
        ValueError: The file cannot be used as a state file.
    """

    def __init__(self, path: str | Path, origin: Origin) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        try:
            self.origin = self._load_origin(origin)
        except (sqlite3.Error, ValueError, TypeError) as error:
            self.close()
            raise ValueError(f"state file {self.path}: {_reason(error)}") from None

    def changes(self) -> Iterator[StateChange]:
        """Yield all state changes, in order."""
        for kind, body in self._query("SELECT kind, body FROM events ORDER BY id"):
            yield msgspec.json.decode(body, type=_TYPES[kind])

    def requests(self) -> Iterator[RequestEntry]:
        """Yield all finished requests, in order of arrival."""
        for (body,) in self._query("SELECT body FROM requests ORDER BY number"):
            yield msgspec.json.decode(body, type=RequestEntry)

    def write(self, change: StateChange) -> None:
        """Save a state change."""
        body = msgspec.json.encode(change).decode()
        self._execute("INSERT INTO events (kind, body) VALUES (?, ?)", _KINDS[type(change)], body)

    def write_request(self, request: RequestEntry) -> None:
        """Save a finished request."""
        body = msgspec.json.encode(request).decode()
        self._execute("INSERT OR REPLACE INTO requests VALUES (?, ?)", request.number, body)

    def clear(self) -> None:
        """Delete all state changes and requests, but keep the origin."""
        self._execute("DELETE FROM events")
        self._execute("DELETE FROM requests")

    def close(self) -> None:
        """Close the file. The next write reopens it."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _load_origin(self, new: Origin) -> Origin:
        with self._lock:
            database = self._open()
            if _is_empty(database):
                _create(database, new)
                return new
            ((body,),) = self._query("SELECT body FROM founding LIMIT 1")
            saved = msgspec.json.decode(body, type=Origin)
            rows = tuple(row for (row,) in self._query("SELECT body FROM rows ORDER BY rowid"))
            return Origin(saved.anis, saved.seed, saved.today, rows or None)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connect(self.path)
        return self._connection

    def _query(self, query: str) -> Iterator[Any]:
        with closing(self._open().execute(query)) as rows:
            yield from rows

    def _execute(self, statement: str, *values: object) -> None:
        with self._lock:
            self._open().execute(statement, values)


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        path, timeout=_LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    try:
        _check_format(database)
        # Allow one process at a time, and skip the fsync after each write.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("BEGIN IMMEDIATE")  # acquire the lock now rather than at the first write
        database.execute("COMMIT")
    except BaseException:
        database.close()
        raise
    return database


def _check_format(database: sqlite3.Connection) -> None:
    """Raise ValueError unless the file is empty or a state file in the current format."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application == 0 and _is_empty(database):
        return
    if application != _APPLICATION_ID:
        raise ValueError("the file is another program's database")
    if version != _FORMAT:
        raise ValueError(f"the file has format {version}, but this version reads format {_FORMAT}")


def _is_empty(database: sqlite3.Connection) -> bool:
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return not tables


def _create(database: sqlite3.Connection, origin: Origin) -> None:
    database.executescript(_SCHEMA)
    without_rows = msgspec.json.encode(Origin(origin.anis, origin.seed, origin.today)).decode()
    with database:
        database.execute("BEGIN")
        database.executemany("INSERT INTO rows VALUES (?)", ((row,) for row in origin.rows or ()))
        database.execute("INSERT INTO founding VALUES (?)", (without_rows,))


def _reason(error: Exception) -> str:
    if "locked" in str(error):
        return "another sandbox is using it"
    if "not a database" in str(error):
        return "the file is not a sandbox state file"
    return str(error)
