"""Assertions about the books, whose messages say what happened instead."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from nrm_async.sandbox import checks
from nrm_async.sandbox.books.books import Books
from nrm_async.sandbox.books.requests import Ending, RequestEntry
from nrm_async.sandbox.values import ActionName, Endpoint

_SHOWN: Final = 5  # entries in a message; more would hide what matters


class Assertions:
    """What a test may demand of the books.

    Args:
        books: The books.
        status_of: The status of an ANI now; KeyError when it is not in the inventory.

    Numbers may be written in any way, or be values with a ``phone`` or an ``ani``. Each failure
    is an AssertionError.
    """

    def __init__(self, books: Callable[[], Books], status_of: Callable[[str], str]) -> None:
        self._books = books
        self._status_of = status_of

    def applied(self, action: ActionName, ani: Any, times: int | None) -> None:
        """``action`` was applied so often; at least once where ``times`` is None."""
        _check_count("times", times)
        phone = checks.phone_or_any(ani)
        found = self._books().times_applied(action, phone)
        if found < 1 if times is None else found != times:
            wanted = "" if times is None else f" {_times(times)}"
            raise AssertionError(
                f"{_what(action, phone)} was not applied{wanted}: it was applied {_times(found)}; "
                + self._instead(action, phone)
            )

    def not_applied(self, action: ActionName | None, ani: Any) -> None:
        """Nothing of the kind was applied."""
        phone = checks.phone_or_any(ani)
        found = self._books().applied(action, phone)
        if found:
            shown = (f"{one.action} of {one.ani} by request #{one.request}" for one in found)
            raise AssertionError(
                f"{_what(action, phone)} was applied {_times(len(found))}: {_listed(shown)}"
            )

    def requests(
        self,
        endpoint: Endpoint | None,
        ani: Any,
        status: int | None,
        times: int | None,
        at_most: int | None,
    ) -> None:
        """So many requests came; at least one where neither number is given."""
        _check_count("times", times)
        _check_count("at_most", at_most)
        if status is not None:
            checks.whole_number("status", status, 100, 599)
        phone = checks.phone_or_any(ani)
        found = len(self._books().requests(endpoint, phone, status=status))
        if _fits(found, times, at_most):
            return
        rule = _times(times) if times is not None else "at least once"
        if at_most is not None and times is None:
            rule = f"{_times(at_most)} at most"
        about = "" if phone is None else f" about {phone}"
        answered = "" if status is None else f" answered {status}"
        raise AssertionError(
            f"{endpoint or 'the API'}{about} was asked {_times(found)}{answered}, not {rule}; "
            + self._asked(endpoint, phone)
        )

    def max_in_flight(self, most: int) -> None:
        """No more than ``most`` requests were ever in flight at once."""
        found = self._books().max_in_flight
        if found > most:
            peak = next(one for one in self._books().requests() if one.in_flight == found)
            raise AssertionError(
                f"{found} requests were in flight at once, not {most} at most; "
                f"the first time when request #{peak.number} ({_path(peak)}) came"
            )

    def _instead(self, action: ActionName, phone: str | None) -> str:
        said = [self._asked(action, phone)]
        others = Counter(one.action for one in self._books().applied(ani=phone))
        del others[action]
        if others:
            done = ", ".join(f"{name} {_times(count)}" for name, count in others.items())
            said.append(f"applied {'in all' if phone is None else 'to this number'}: {done}")
        if phone is not None:
            said.append(f"its status: {self._status(phone)}")
        return "; ".join(said)

    def _asked(self, endpoint: Endpoint | None, phone: str | None) -> str:
        asked = self._books().requests(endpoint, phone)
        if not asked:
            total = self._books().times_requested()
            return f"nobody asked for it ({total} requests came in all)"
        return "what came: " + _listed(_told(one) for one in asked)

    def _status(self, phone: str) -> str:
        try:
            return self._status_of(phone)
        except KeyError:
            return "not in the inventory"


def _check_count(name: str, count: int | None) -> None:
    if count is not None:
        checks.whole_number(name, count, 0)


def _fits(found: int, times: int | None, at_most: int | None) -> bool:
    if times is None and at_most is None:
        return found >= 1
    return (times is None or found == times) and (at_most is None or found <= at_most)


def _what(action: ActionName | None, phone: str | None) -> str:
    return f"{action or 'an action'} of {phone or 'any number'}"


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _listed(parts: Iterable[str]) -> str:
    said = list(parts)
    more = f", and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    return ", ".join(said[:_SHOWN]) + more


def _path(entry: RequestEntry) -> str:
    return entry.endpoint or "an unknown path"


def _told(entry: RequestEntry) -> str:
    ending: Ending = entry.ending
    about = "" if ending.ani is None else f" {ending.ani}"
    fault = "" if ending.fault is None else f" by the fault {ending.fault}"
    seen = "" if ending.seen == "answer" else f" (the client saw: {ending.seen})"
    words = f' "{ending.words}"' if ending.words else ""
    answer = f"{ending.status}{words}" if ending.status else "no answer"
    applied = ", applied" if ending.applied else ""
    return f"#{entry.number} {_path(entry)}{about}: {answer}{fault}{seen}{applied}"
