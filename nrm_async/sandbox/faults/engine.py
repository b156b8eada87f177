"""Which request meets which fault: decisions only, nothing is sent or waited for here.

A decision depends on the seed, the fault, the endpoint and how many requests have come to it since
the fault was injected. So the same faults on the same requests give the same answers again, and
requests to one endpoint do not change what happens at another. Caps alone depend on time and on
what is in flight, as they must.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

from attrs import define, field, frozen

from nrm_async.sandbox.faults.draws import draw, lognormal
from nrm_async.sandbox.faults.kinds import (
    ConcurrencyCap,
    Drift,
    Fault,
    Latency,
    RateCap,
)
from nrm_async.sandbox.faults.spec import plain
from nrm_async.sandbox.values import Endpoint


@frozen
class Moment:
    """When a request came: seconds on a clock that never steps, and what was in flight then."""

    time: float
    in_flight: int
    in_flight_here: int


@frozen
class Plan:
    """What is to happen to one request.

    Attributes:
        delay: Seconds before the answer, or before what comes instead.
        ending: The fault that decides how it ends, or None.
        drift: What happens to the inventory before, each with a draw of its own.
    """

    delay: float = 0.0
    ending: Fault | None = None
    drift: tuple[tuple[Drift, float], ...] = ()

    @property
    def name(self) -> str | None:
        """The fault to be named in the books."""
        if self.ending is not None:
            return self.ending.name
        return Latency.name if self.delay else None


NO_FAULT = Plan()


@define
class Injected:
    """A fault at work: its number, the requests that it saw, and how many it hit."""

    number: int
    fault: Fault
    hits: int = 0
    seen: Counter[str] = field(factory=Counter)
    tokens: float | None = None
    last: float = 0.0

    @property
    def is_ending(self) -> bool:
        """Whether it decides how a request ends; only one fault can."""
        return not isinstance(self.fault, Latency | Drift)

    def meets(
        self, seed: int, endpoint: Endpoint, moment: Moment, *, is_over: bool
    ) -> float | None:
        """A draw if this request is hit, else None; ``is_over``: another one ends it already."""
        fault = self.fault
        if fault.endpoint not in (None, endpoint):
            return None
        if isinstance(fault, Drift) and endpoint != "anis":
            return None
        self.seen[endpoint] += 1
        nth = self.seen[endpoint]
        if not _is_chosen(fault, seed, self.number, endpoint, nth) or not self._is_exceeded(moment):
            return None
        if is_over or (fault.count is not None and self.hits >= fault.count):
            return None
        self.hits += 1
        return draw(seed, self.number, endpoint, nth, "how")

    def _is_exceeded(self, moment: Moment) -> bool:
        """Whether a cap is exceeded; every other fault always is."""
        fault = self.fault
        if isinstance(fault, ConcurrencyCap):
            here = moment.in_flight if fault.endpoint is None else moment.in_flight_here
            return here > fault.limit
        if isinstance(fault, RateCap):
            return not self._takes_token(fault, moment.time)
        return True

    def _takes_token(self, cap: RateCap, time: float) -> bool:
        full = float(cap.burst) if self.tokens is None else self.tokens
        tokens = min(float(cap.burst), full + (time - self.last) * cap.rate)
        self.last = time
        self.tokens = tokens - 1 if tokens >= 1 else tokens
        return tokens >= 1

    def told(self) -> dict[str, Any]:
        """For JSON: the fault, its number, and what it did so far."""
        return {"id": self.number, **plain(self.fault), "hits": self.hits}


def _is_chosen(fault: Fault, seed: int, number: int, endpoint: Endpoint, nth: int) -> bool:
    if fault.schedule is not None:
        return any(first <= nth and (last is None or nth <= last) for first, last in fault.schedule)
    return fault.share is None or draw(seed, number, endpoint, nth, "whether") < fault.share


class Engine:
    """The faults at work, asked once for each request, in order of arrival.

    Args:
        seed: What chance is drawn from.
        faults: Those at work from the beginning.
    """

    def __init__(self, seed: int, faults: Sequence[Fault] = ()) -> None:
        self._seed = seed
        self._lock = threading.RLock()
        self._injected: list[Injected] = []
        self._next_number = 1
        self._first = tuple(faults)
        self.reset()

    @property
    def injected(self) -> tuple[Injected, ...]:
        """The faults at work, oldest first."""
        return tuple(self._injected)

    @property
    def is_busy(self) -> bool:
        """Whether any fault is at work."""
        return bool(self._injected)

    def inject(self, fault: Fault) -> int:
        """Put a fault to work from the next request on; its number."""
        with self._lock:
            number = self._next_number
            self._next_number += 1
            self._injected.append(Injected(number, fault))
            return number

    def remove(self, number: int) -> bool:
        """End a fault; whether it was there."""
        with self._lock:
            before = len(self._injected)
            self._injected = [one for one in self._injected if one.number != number]
            return len(self._injected) < before

    def clear(self) -> None:
        """End all faults, and begin to count anew: as if none had ever been injected."""
        with self._lock:
            self._injected = []
            self._next_number = 1

    def reset(self) -> None:
        """Begin anew, with the faults of the beginning."""
        with self._lock:
            self.clear()
            for fault in self._first:
                self.inject(fault)

    def plan(self, endpoint: Endpoint, moment: Moment) -> Plan:
        """What is to happen to this request: delays add up, the oldest other fault decides."""
        if not self._injected:
            return NO_FAULT
        with self._lock:
            delay, drift = 0.0, list[tuple[Drift, float]]()
            ending: Fault | None = None
            for one in self._injected:
                is_over = one.is_ending and ending is not None
                drawn = one.meets(self._seed, endpoint, moment, is_over=is_over)
                if drawn is None:
                    continue
                if isinstance(one.fault, Latency):
                    delay += _delay(one.fault, drawn)
                elif isinstance(one.fault, Drift):
                    drift.append((one.fault, drawn))
                else:
                    ending = one.fault
            return Plan(delay, ending, tuple(drift))


def _delay(latency: Latency, drawn: float) -> float:
    if latency.median is None:
        return latency.seconds or 0.0
    return lognormal(latency.median, latency.sigma, drawn)
