"""Array storage for applied actions and requests.

A million applied actions use about 200 MB, and a million requests about 30 MB.
"""

from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, Literal, TypeAlias, TypeVar, get_args

from attrs import field, frozen

from nrm_async.sandbox.validation import index_in
from nrm_async.sandbox.values import ACTIONS, ENDPOINTS, ActionName, Endpoint

Extras: TypeAlias = tuple[str | None, str | None, str | None]
"""The optional fields of an action: carrier, note, date."""

Seen: TypeAlias = Literal["nothing yet", "answer", "part of it", "reset", "nothing", "left"]
"""How a request ended for the client.

``answer`` means a complete response, ``part of it`` a truncated response, and ``nothing`` no
response. ``left`` means that the client closed the connection before a response was sent.
"""

T = TypeVar("T")

_SEEN: Final[tuple[Seen, ...]] = get_args(Seen)
_NO_ENDPOINT: Final = len(ENDPOINTS)
_NO_EARLIER: Final = -1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@frozen
class AppliedAction:
    """An action that the sandbox accepted.

    Attributes:
        action: The action.
        ani: The number in canonical form.
        carrier: The carrier as sent, or None.
        note: The note as sent, or None.
        date: The date as sent, or None. For a remediation, always None.
        when: The time of acceptance, as an aware datetime in UTC.
        effective: The time at which the action takes effect. Later than ``when`` only for an
            action with a future date.
        request: The request number; 0 for an action without an HTTP request.
    """

    action: ActionName
    ani: str
    carrier: str | None
    note: str | None
    date: str | None
    when: datetime
    effective: datetime
    request: int = 0


@frozen
class Ending:
    """The outcome of a request.

    Attributes:
        ani: The phone number in the request, in canonical form, or None.
        status: The HTTP status of the response; 0 if no response was sent.
        words: The message in the response, such as ``paused`` or a refusal message.
        applied: Whether an action was applied.
        fault: The name of the fault that affected the request, or None.
        seen: How the request ended for the client.
    """

    ani: str | None = None
    status: int = 0
    words: str = ""
    applied: bool = False
    fault: str | None = None
    seen: Seen = "nothing yet"


@frozen
class RequestEntry:
    """A request and its outcome.

    Attributes:
        number: The request number, from 1 in order of arrival. The response header
            ``x-request-id`` contains it.
        endpoint: The endpoint; None for an unknown path.
        when: The arrival time on the sandbox's clock, as an aware datetime in UTC.
        in_flight: The number of requests in flight on arrival, including this one.
        ending: The outcome.
    """

    number: int
    endpoint: Endpoint | None
    when: datetime
    in_flight: int
    ending: Ending = field(factory=Ending)


def pack_phone(ani: str | None) -> int:
    """Pack a phone number into 64 bits, preserving leading zeros. None becomes 0."""
    return 0 if ani is None else int(f"1{ani}")


def unpack_phone(packed: int) -> str | None:
    """Unpack a phone number packed by :func:`pack_phone`."""
    return str(packed)[1:] or None if packed else None


def to_micros(when: datetime) -> int:
    """Convert a datetime to microseconds since 1970: exact, unlike a float timestamp."""
    return (when - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Convert microseconds since 1970 to an aware datetime in UTC."""
    return _EPOCH + micros * _MICROSECOND


class _Interned(Generic[T]):
    """A pool of values, each stored once: most messages and notes are repeated many times."""

    def __init__(self) -> None:
        self._values: list[T] = []
        self._numbers: dict[T, int] = {}

    def __getitem__(self, number: int) -> T:
        return self._values[number]

    def number_of(self, value: T) -> int:
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self._values)
            self._values.append(value)
        return number


class AppliedColumns:
    """Applied actions in order of acceptance, with a linked list for each phone number."""

    def __init__(self) -> None:
        self._action = array("B")
        self._ani = array("q")
        self._when = array("q")
        self._effective = array("q")
        self._request = array("q")
        self._earlier = array("q")  # position of the previous entry for the same phone number
        self._extras_number = array("I")
        self._extras = _Interned[Extras]()
        self._last: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._ani)

    def append(self, entry: AppliedAction) -> None:
        """Append an entry."""
        ani, position = pack_phone(entry.ani), len(self._ani)
        self._action.append(ACTIONS.index(entry.action))
        self._ani.append(ani)
        self._when.append(to_micros(entry.when))
        self._effective.append(to_micros(entry.effective))
        self._request.append(entry.request)
        self._earlier.append(self._last.get(ani, _NO_EARLIER))
        self._last[ani] = position
        extras = (entry.carrier, entry.note, entry.date)
        self._extras_number.append(self._extras.number_of(extras))

    def select(
        self, action: ActionName | None, ani: str | None, since: int = 0
    ) -> Iterator[AppliedAction]:
        """Yield the matching entries from position ``since``; None matches any value."""
        wanted = None if action is None else index_in("action", action, ACTIONS)
        positions = range(since, len(self)) if ani is None else self._positions(pack_phone(ani))
        for position in positions:
            if position >= since and (wanted is None or self._action[position] == wanted):
                yield AppliedAction(
                    ACTIONS[self._action[position]],
                    unpack_phone(self._ani[position]) or "",
                    *self._extras[self._extras_number[position]],
                    from_micros(self._when[position]),
                    from_micros(self._effective[position]),
                    self._request[position],
                )

    def count(self, action: ActionName | None, ani: str | None) -> int:
        """Return the number of matching entries; None matches any value."""
        if action is None:
            return len(self) if ani is None else len(self._positions(pack_phone(ani)))
        wanted = index_in("action", action, ACTIONS)
        if ani is None:
            return self._action.count(wanted)
        return sum(
            self._action[position] == wanted for position in self._positions(pack_phone(ani))
        )

    def _positions(self, ani: int) -> list[int]:
        positions, position = [], self._last.get(ani, _NO_EARLIER)
        while position != _NO_EARLIER:
            positions.append(position)
            position = self._earlier[position]
        return positions[::-1]


class RequestColumns:
    """Requests in order of arrival, including those in flight."""

    def __init__(self) -> None:
        self._when = array("q")
        self._endpoint = array("B")
        self._in_flight = array("i")
        self._ani = array("q")
        self._status = array("H")
        self._words = array("H")
        self._applied = array("B")
        self._fault = array("H")
        self._seen = array("B")
        self._texts = _Interned[str]()
        self._texts.number_of("")  # number 0 is the default in the text columns

    def __len__(self) -> int:
        return len(self._when)

    def append(self, endpoint: Endpoint | None, when: datetime, in_flight: int) -> int:
        """Append a request, and return its number."""
        self._when.append(to_micros(when))
        self._endpoint.append(_NO_ENDPOINT if endpoint is None else ENDPOINTS.index(endpoint))
        self._in_flight.append(in_flight)
        for column in (self._ani, self._status, self._words):
            column.append(0)
        for column in (self._applied, self._fault, self._seen):
            column.append(0)
        return len(self._when)

    def finish(self, number: int, ending: Ending) -> None:
        """Store the outcome of a request."""
        position = number - 1
        self._ani[position] = pack_phone(ending.ani)
        self._status[position] = ending.status
        self._words[position] = self._texts.number_of(ending.words)
        self._applied[position] = ending.applied
        self._fault[position] = self._texts.number_of(ending.fault or "")
        self._seen[position] = _SEEN.index(ending.seen)

    def select(
        self, endpoint: Endpoint | None, ani: str | None, status: int | None, since: int = 0
    ) -> Iterator[RequestEntry]:
        """Yield the matching requests from position ``since``; None matches any value."""
        wanted = None if endpoint is None else index_in("endpoint", endpoint, ENDPOINTS)
        packed = pack_phone(ani)
        for position in range(since, len(self)):
            if (
                (wanted is None or self._endpoint[position] == wanted)
                and (ani is None or self._ani[position] == packed)
                and (status is None or self._status[position] == status)
            ):
                yield self.entry(position + 1)

    def count(self, endpoint: Endpoint | None) -> int:
        """Return the number of requests to ``endpoint``; None matches any path."""
        if endpoint is None:
            return len(self)
        return self._endpoint.count(index_in("endpoint", endpoint, ENDPOINTS))

    def entry(self, number: int) -> RequestEntry:
        """Return the request with this number."""
        position = number - 1
        endpoint = self._endpoint[position]
        return RequestEntry(
            number,
            None if endpoint == _NO_ENDPOINT else ENDPOINTS[endpoint],
            from_micros(self._when[position]),
            self._in_flight[position],
            Ending(
                unpack_phone(self._ani[position]),
                self._status[position],
                self._texts[self._words[position]],
                bool(self._applied[position]),
                self._texts[self._fault[position]] or None,
                _SEEN[self._seen[position]],
            ),
        )
