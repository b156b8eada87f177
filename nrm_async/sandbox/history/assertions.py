"""Assertions on the history, with detailed failure messages."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from nrm_async.sandbox.history.columns import RequestEntry
from nrm_async.sandbox.history.history import Books
from nrm_async.sandbox.validation import check_whole_number, parse_optional_phone
from nrm_async.sandbox.values import ActionName, Endpoint

_MOST_SHOWN: Final = 5  # entries in a message, to keep it readable


class Assertions:
    """Assertions on the history, for tests.

    Numbers may have any form that :class:`Books` accepts.

    Args:
        books: A callable that returns the history.
        status_of: A callable that returns the current status of an ANI, or raises KeyError if the
            ANI is not in the inventory.
    """

    def __init__(self, books: Callable[[], Books], status_of: Callable[[str], str]) -> None:
        self._books = books
        self._status_of = status_of

    def applied(self, action: ActionName, ani: Any, times: int | None) -> None:
        """Assert that ``action`` was applied, exactly ``times`` times if given."""
        if times is not None:
            check_whole_number("times", times, 0)
        phone = parse_optional_phone(ani)
        count = self._books().times_applied(action, phone)
        if count < 1 if times is None else count != times:
            expected = "" if times is None else f" {_times(times)}"
            found = "" if times is None else f" but {_times(count)}"
            raise AssertionError(
                f"{_describe(action, phone)} was not applied{expected}{found}; "
                + self._context(action, phone)
            )

    def not_applied(self, action: ActionName | None, ani: Any) -> None:
        """Assert that no matching action was applied."""
        phone = parse_optional_phone(ani)
        applied = self._books().applied(action, phone)
        if applied:
            shown = (f"{one.action} of {one.ani} by request #{one.request}" for one in applied)
            raise AssertionError(
                f"{_describe(action, phone)} was applied {_times(len(applied))}: {_listed(shown)}"
            )

    def requests(
        self,
        endpoint: Endpoint | None,
        ani: Any,
        status: int | None,
        times: int | None,
        at_most: int | None,
    ) -> None:
        """Assert the number of matching requests: at least one if no number is given."""
        for name, limit in (("times", times), ("at_most", at_most)):
            if limit is not None:
                check_whole_number(name, limit, 0)
        if status is not None:
            check_whole_number("status", status, 100, 599)
        phone = parse_optional_phone(ani)
        count = len(self._books().requests(endpoint, phone, status=status))
        if _is_allowed(count, times, at_most):
            return
        expected = _times(times) if times is not None else "at least once"
        if at_most is not None and times is None:
            expected = f"{_times(at_most)} at most"
        about = "" if phone is None else f" about {phone}"
        answered = "" if status is None else f" with the response status {status}"
        raise AssertionError(
            f"{endpoint or 'the API'} was requested{about}{answered} {_times(count)}, "
            f"not {expected}; {self._requests_shown(endpoint, phone)}"
        )

    def max_in_flight(self, most: int) -> None:
        """Assert that there were never more than ``most`` concurrent requests."""
        count = self._books().max_in_flight
        if count > most:
            peak = next(one for one in self._books().requests() if one.in_flight == count)
            raise AssertionError(
                f"{count} requests were in flight at the same time, not {most} at most; "
                f"first when request #{peak.number} ({_path(peak)}) arrived"
            )

    def _context(self, action: ActionName, phone: str | None) -> str:
        """Describe the requests and other actions recorded instead of ``action``."""
        parts = [self._requests_shown(action, phone)]
        others = Counter(one.action for one in self._books().applied(ani=phone))
        del others[action]
        if others:
            counts = ", ".join(f"{name} {_times(count)}" for name, count in others.items())
            parts.append(f"applied {'in all' if phone is None else 'to this number'}: {counts}")
        if phone is not None:
            try:
                status = self._status_of(phone)
            except KeyError:
                status = "not in the inventory"
            parts.append(f"its status: {status}")
        return "; ".join(parts)

    def _requests_shown(self, endpoint: Endpoint | None, phone: str | None) -> str:
        requests = self._books().requests(endpoint, phone)
        if not requests:
            return f"no such request arrived ({self._books().times_requested()} requests in all)"
        return "requests: " + _listed(map(_describe_request, requests))


def _is_allowed(count: int, times: int | None, at_most: int | None) -> bool:
    if times is None and at_most is None:
        return count >= 1
    return (times is None or count == times) and (at_most is None or count <= at_most)


def _describe(action: ActionName | None, phone: str | None) -> str:
    return f"{action or 'an action'} of {phone or 'any number'}"


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _listed(parts: Iterable[str]) -> str:
    texts = list(parts)
    more = f", and {len(texts) - _MOST_SHOWN} more" if len(texts) > _MOST_SHOWN else ""
    return ", ".join(texts[:_MOST_SHOWN]) + more


def _path(entry: RequestEntry) -> str:
    return entry.endpoint or "an unknown path"


def _describe_request(entry: RequestEntry) -> str:
    ending = entry.ending
    about = "" if ending.ani is None else f" {ending.ani}"
    fault = "" if ending.fault is None else f" by the fault {ending.fault}"
    seen = "" if ending.seen == "answer" else f" (the client saw: {ending.seen})"
    words = f' "{ending.words}"' if ending.words else ""
    answer = f"{ending.status}{words}" if ending.status else "no response"
    applied = ", applied" if ending.applied else ""
    return f"#{entry.number} {_path(entry)}{about}: {answer}{fault}{seen}{applied}"
