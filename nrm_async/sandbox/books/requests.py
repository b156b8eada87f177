"""Every request, in columns: a million of them take about 30 MB."""

from array import array
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal, TypeAlias, get_args

from attrs import field, frozen

from nrm_async.sandbox import checks
from nrm_async.sandbox.books.applied import from_micros, packed, to_micros, unpacked
from nrm_async.sandbox.values import ENDPOINTS, Endpoint

Seen: TypeAlias = Literal["nothing yet", "answer", "part of it", "reset", "nothing", "left"]
"""What the client has seen: the whole answer, a part of it, a reset connection, nothing at all;
or it had left before there was anything to see."""

_SEEN: Final[tuple[Seen, ...]] = get_args(Seen)
_NO_ENDPOINT: Final = len(ENDPOINTS)


@frozen
class Ending:
    """How a request ended.

    Attributes:
        ani: The number it was about, in canonical form; None where it names none.
        status: HTTP status of the answer; 0 where there was none.
        words: What the answer said: ``paused``, the words of a refusal or an error.
        applied: Whether an action was applied by it.
        fault: The name of the fault that it met, or None.
        seen: What the client has seen.
    """

    ani: str | None = None
    status: int = 0
    words: str = ""
    applied: bool = False
    fault: str | None = None
    seen: Seen = "nothing yet"


@frozen
class RequestEntry:
    """One request, as it came and as it ended.

    Attributes:
        number: From 1, in order of arrival; also in the answer's ``x-request-id``.
        endpoint: Which endpoint; None for a path that is none.
        when: When it came; aware, in UTC, by the sandbox's clock.
        in_flight: How many requests were being answered then, this one included.
        ending: How it ended.
    """

    number: int
    endpoint: Endpoint | None
    when: datetime
    in_flight: int
    ending: Ending = field(factory=Ending)


class RequestLog:
    """Requests in order of arrival; those in flight are there too."""

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
        self._texts = [""]  # the sandbox has few words: each is kept once
        self._text_at = {"": 0}

    def __len__(self) -> int:
        return len(self._when)

    def open(self, endpoint: Endpoint | None, when: datetime, in_flight: int) -> int:
        """A request has come; its number."""
        self._when.append(to_micros(when))
        self._endpoint.append(_NO_ENDPOINT if endpoint is None else ENDPOINTS.index(endpoint))
        self._in_flight.append(in_flight)
        for column in (self._ani, self._status, self._words):
            column.append(0)
        for column in (self._applied, self._fault, self._seen):
            column.append(0)
        return len(self._when)

    def close(self, number: int, ending: Ending) -> None:
        """It has ended like this."""
        at = number - 1
        self._ani[at] = packed(ending.ani)
        self._status[at] = ending.status
        self._words[at] = self._kept(ending.words)
        self._applied[at] = ending.applied
        self._fault[at] = self._kept(ending.fault or "")
        self._seen[at] = _SEEN.index(ending.seen)

    def find(
        self, endpoint: Endpoint | None, ani: str | None, status: int | None, since: int = 0
    ) -> Iterator[RequestEntry]:
        """The requests to this endpoint, about this number, answered so; None: any."""
        wanted = None if endpoint is None else checks.one_of("endpoint", endpoint, ENDPOINTS)
        about = packed(ani)
        for at in range(since, len(self)):
            if (
                (wanted is None or self._endpoint[at] == wanted)
                and (ani is None or self._ani[at] == about)
                and (status is None or self._status[at] == status)
            ):
                yield self.entry(at + 1)

    def count(self, endpoint: Endpoint | None) -> int:
        """How many came to this endpoint."""
        if endpoint is None:
            return len(self)
        return self._endpoint.count(checks.one_of("endpoint", endpoint, ENDPOINTS))

    def _kept(self, text: str) -> int:
        at = self._text_at.get(text)
        if at is None:
            at = self._text_at[text] = len(self._texts)
            self._texts.append(text)
        return at

    def entry(self, number: int) -> RequestEntry:
        """The request with this number."""
        at = number - 1
        endpoint = self._endpoint[at]
        return RequestEntry(
            number,
            None if endpoint == _NO_ENDPOINT else ENDPOINTS[endpoint],
            from_micros(self._when[at]),
            self._in_flight[at],
            Ending(
                unpacked(self._ani[at]),
                self._status[at],
                self._texts[self._words[at]],
                bool(self._applied[at]),
                self._texts[self._fault[at]] or None,
                _SEEN[self._seen[at]],
            ),
        )
