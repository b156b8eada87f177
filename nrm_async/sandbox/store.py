"""The state in an SQLite file: what it was made from, every event since, and every request.

Nothing else is kept: the state is what comes of the events, told again in order. Each is on its way
to the disk before anybody hears of it, so a killed process loses nothing that it has answered;
only a power failure may cost the last moments.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any, Final

import msgspec
from attrs import frozen

from nrm_async.sandbox.books import AppliedAction, RequestEntry
from nrm_async.sandbox.events import Event, Joined, Left, Turned

_APPLICATION: Final = 0x4E524D31  # "NRM1", in the header of the file
_VERSION: Final = 1
_PATIENCE: Final = 0.2  # seconds to wait for another sandbox to let go of the file

_TABLES: Final = f"""
BEGIN;
CREATE TABLE founding (body TEXT NOT NULL);
CREATE TABLE rows (body BLOB NOT NULL);
CREATE TABLE events (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE requests (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
COMMIT;
"""
_KINDS: Final[dict[str, type[Any]]] = {
    "applied": AppliedAction,
    "turned": Turned,
    "joined": Joined,
    "left": Left,
}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}


@frozen
class Founding:
    """What an inventory is made from: a seed and a day, or rows that were loaded, as JSON."""

    anis: int
    seed: int
    today: date
    rows: tuple[bytes, ...] | None = None


class Store:
    """A state file.

    Args:
        path: Where it is; made if it is not there.
        founding: What a new one holds; one that is there keeps its own.

    Raises:
        ValueError: It cannot be used; the message says why, in one line.
    """

    def __init__(self, path: str | Path, founding: Founding) -> None:
        self._path = Path(path)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        try:
            self.founding = self._founded(founding)
        except (sqlite3.Error, ValueError, TypeError) as error:
            self.close()
            raise ValueError(f"state file {self._path}: {_reason(error)}") from None

    def events(self) -> Iterator[Event]:
        """Every event so far, in order."""
        for kind, body in self._read("SELECT kind, body FROM events ORDER BY id"):
            yield msgspec.json.decode(body, type=_KINDS[kind])

    def requests(self) -> Iterator[RequestEntry]:
        """Every request so far that has ended, in order of arrival."""
        for (body,) in self._read("SELECT body FROM requests ORDER BY number"):
            yield msgspec.json.decode(body, type=RequestEntry)

    def write(self, event: Event) -> None:
        """Keep an event."""
        body = msgspec.json.encode(event).decode()
        self._write("INSERT INTO events (kind, body) VALUES (?, ?)", _NAMES[type(event)], body)

    def keep(self, request: RequestEntry) -> None:
        """Keep a request that has ended."""
        body = msgspec.json.encode(request).decode()
        self._write("INSERT OR REPLACE INTO requests VALUES (?, ?)", request.number, body)

    def clear(self) -> None:
        """Forget events and requests, and keep what the inventory was made from."""
        self._write("DELETE FROM events")
        self._write("DELETE FROM requests")

    def close(self) -> None:
        """Let go of the file; the next write takes it again."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _founded(self, founding: Founding) -> Founding:
        with self._lock:
            database = self._open()
            if _is_new(database):
                _found(database, founding)
                return founding
            with closing(database.execute("SELECT body FROM founding")) as found:
                (body,) = found.fetchone()
            kept = msgspec.json.decode(body, type=Founding)
            rows = tuple(row for (row,) in self._read("SELECT body FROM rows ORDER BY rowid"))
            return Founding(kept.anis, kept.seed, kept.today, rows or None)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connect(self._path)
        return self._connection

    def _read(self, query: str) -> Iterator[Any]:
        with closing(self._open().execute(query)) as rows:
            yield from rows

    def _write(self, statement: str, *values: object) -> None:
        with self._lock:
            self._open().execute(statement, values)


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        _check(database)
        # One process at a time; and no waiting for the disk at each write.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("BEGIN IMMEDIATE")  # takes the lock now, not at the first write
        database.execute("COMMIT")
    except BaseException:
        database.close()
        raise
    return database


def _check(database: sqlite3.Connection) -> None:
    """Look before anything is changed: it may be somebody else's file."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application == 0 and _is_new(database):
        return
    if application != _APPLICATION:
        raise ValueError("it is another program's database")
    if version != _VERSION:
        raise ValueError(f"it has format {version}, this version reads format {_VERSION}")


def _is_new(database: sqlite3.Connection) -> bool:
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return not tables


def _found(database: sqlite3.Connection, founding: Founding) -> None:
    database.executescript(_TABLES)
    bare = Founding(founding.anis, founding.seed, founding.today)
    with database:
        database.execute("BEGIN")
        rows = ((row,) for row in founding.rows or ())
        database.executemany("INSERT INTO rows VALUES (?)", rows)
        database.execute("INSERT INTO founding VALUES (?)", (msgspec.json.encode(bare).decode(),))


def _reason(error: Exception) -> str:
    if "locked" in str(error):
        return "another sandbox is using it"
    if "not a database" in str(error):
        return "it is no state file of this sandbox"
    return str(error)
