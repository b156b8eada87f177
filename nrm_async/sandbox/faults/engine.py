"""Select the faults for each request. This module performs no I/O.

A decision depends on the seed, the fault, the endpoint, and the number of requests to that endpoint
since the fault was injected. The same faults and requests therefore produce the same responses, and
requests to one endpoint do not affect decisions at another. Only caps depend on time and on the
number of requests in flight.
"""

import hashlib
import math
import threading
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final

from attrs import define, field, frozen

from nrm_async.sandbox.faults.kinds import ConcurrencyCap, Drift, Fault, Latency, RateCap
from nrm_async.sandbox.faults.spec import fault_to_dict
from nrm_async.sandbox.values import Endpoint

_TWO_TO_64: Final = 2.0**64
_NORMAL: Final = NormalDist()


def seeded_random(*key: object) -> float:
    """Return a pseudorandom number in [0, 1) derived only from ``key``.

    Example:
        >>> seeded_random(1, "pause", 7) == seeded_random(1, "pause", 7)
        True
        >>> seeded_random(1, "pause", 7) == seeded_random(1, "pause", 8)
        False
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") / _TWO_TO_64


def lognormal_quantile(median: float, sigma: float, probability: float) -> float:
    """Return a quantile of a lognormal distribution.

    Example:
        >>> lognormal_quantile(0.1, 0.5, 0.5)
        0.1
    """
    probability = min(max(probability, 1e-12), 1 - 1e-12)
    return median * math.exp(sigma * _NORMAL.inv_cdf(probability))


@frozen
class ServerLoad:
    """The monotonic time, and the number of requests in flight: in total and to one endpoint."""

    time: float
    in_flight: int
    in_flight_here: int


@frozen
class Plan:
    """The faults selected for a request.

    Attributes:
        delay: Seconds to wait before the response or failure.
        fault: The fault that determines the outcome, or None.
        drift: Inventory changes to make before reading the page, each with a random number.
    """

    delay: float = 0.0
    fault: Fault | None = None
    drift: tuple[tuple[Drift, float], ...] = ()

    @property
    def name(self) -> str | None:
        """The fault name to record in the history."""
        if self.fault is not None:
            return self.fault.name
        return Latency.name if self.delay else None


NO_FAULT: Final = Plan()


@define
class InjectedFault:
    """An active fault with its id, request counts and number of hits."""

    number: int
    fault: Fault
    hits: int = 0
    requests: Counter[str] = field(factory=Counter)
    tokens: float | None = None
    refilled_at: float = 0.0

    @property
    def is_ending(self) -> bool:
        """Whether the fault determines the outcome of a request, as only one fault can."""
        return not isinstance(self.fault, Latency | Drift)

    def decide(
        self, seed: int, endpoint: Endpoint, load: ServerLoad, *, is_ended: bool
    ) -> float | None:
        """Return a random number if the fault affects this request, otherwise None.

        ``is_ended`` means that another fault already determines the outcome of the request.
        """
        fault = self.fault
        if fault.endpoint not in (None, endpoint):
            return None
        if isinstance(fault, Drift) and endpoint != "anis":
            return None
        self.requests[endpoint] += 1
        key = (seed, self.number, endpoint, self.requests[endpoint])
        if not _is_selected(fault, key) or not self._exceeds_cap(load):
            return None
        if is_ended or (fault.count is not None and self.hits >= fault.count):
            return None
        self.hits += 1
        return seeded_random(*key, "how")

    def to_dict(self) -> dict[str, Any]:
        """Return the fault as a JSON-compatible dictionary, with its id and number of hits."""
        return {"id": self.number, **fault_to_dict(self.fault), "hits": self.hits}

    def _exceeds_cap(self, load: ServerLoad) -> bool:
        """Return whether the cap is exceeded, or True if the fault is not a cap."""
        fault = self.fault
        if isinstance(fault, ConcurrencyCap):
            in_flight = load.in_flight if fault.endpoint is None else load.in_flight_here
            return in_flight > fault.limit
        if isinstance(fault, RateCap):
            return not self._take_token(fault, load.time)
        return True

    def _take_token(self, cap: RateCap, time: float) -> bool:
        """Try to take a token from the bucket, and return whether one was available."""
        tokens = float(cap.burst) if self.tokens is None else self.tokens
        tokens = min(float(cap.burst), tokens + (time - self.refilled_at) * cap.rate)
        self.refilled_at = time
        self.tokens = tokens - 1 if tokens >= 1 else tokens
        return tokens >= 1


def _is_selected(fault: Fault, key: tuple[int, int, Endpoint, int]) -> bool:
    if fault.schedule is not None:
        number = key[-1]
        return any(
            first <= number and (last is None or number <= last) for first, last in fault.schedule
        )
    return fault.share is None or seeded_random(*key, "whether") < fault.share


class Engine:
    """A thread-safe engine that selects active faults for each request, in order of arrival.

    Args:
        seed: Seed for the random decisions.
        faults: Initial faults.
    """

    def __init__(self, seed: int, faults: Sequence[Fault] = ()) -> None:
        self._seed = seed
        self._lock = threading.RLock()
        self._injected: list[InjectedFault] = []
        self._next_number = 1
        self._initial = tuple(faults)
        self.reset()

    @property
    def injected(self) -> tuple[InjectedFault, ...]:
        """The active faults, oldest first."""
        return tuple(self._injected)

    @property
    def is_busy(self) -> bool:
        """Whether any fault is active."""
        return bool(self._injected)

    def inject(self, fault: Fault) -> int:
        """Activate a fault, and return its id."""
        with self._lock:
            number = self._next_number
            self._next_number += 1
            self._injected.append(InjectedFault(number, fault))
            return number

    def remove(self, number: int) -> bool:
        """Remove a fault by its id, and return whether it was active."""
        with self._lock:
            before = len(self._injected)
            self._injected = [one for one in self._injected if one.number != number]
            return len(self._injected) < before

    def clear(self) -> None:
        """Remove all faults, and restart ids from 1."""
        with self._lock:
            self._injected = []
            self._next_number = 1

    def reset(self) -> None:
        """Restore the initial faults."""
        with self._lock:
            self.clear()
            for fault in self._initial:
                self.inject(fault)

    def plan(self, endpoint: Endpoint, load: ServerLoad) -> Plan:
        """Select the faults for a request.

        Delays add up. If several faults would determine the outcome, the oldest is selected.
        """
        if not self._injected:
            return NO_FAULT
        with self._lock:
            delay, drift = 0.0, list[tuple[Drift, float]]()
            ending: Fault | None = None
            for one in self._injected:
                is_ended = one.is_ending and ending is not None
                random = one.decide(self._seed, endpoint, load, is_ended=is_ended)
                if random is None:
                    continue
                if isinstance(one.fault, Latency):
                    delay += _delay(one.fault, random)
                elif isinstance(one.fault, Drift):
                    drift.append((one.fault, random))
                else:
                    ending = one.fault
            return Plan(delay, ending, tuple(drift))


def _delay(latency: Latency, random: float) -> float:
    if latency.median is None:
        return latency.seconds or 0.0
    return lognormal_quantile(latency.median, latency.sigma, random)
