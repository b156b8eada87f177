"""Servers as rules: whether a call that comes now, beside so many others, is taken.

What decides is passed in, nothing here waits: the benchmarks use these on virtual time, the
tests in a simulation.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

# Decides on a call that comes at this time, beside so many: None for accepted, else the seconds
# until another one is worth trying.
Server: TypeAlias = Callable[[float, int], float | None]


def bucket(rate: float, burst: float) -> Server:
    """A token bucket that holds this many seconds of its rate."""
    most = max(1.0, rate * burst)
    tokens, last = most, 0.0

    def decide(now: float, _in_flight: int) -> float | None:
        nonlocal tokens, last
        tokens, last = min(most, tokens + (now - last) * rate), now
        if tokens < 1 - 1e-9:
            return (1 - tokens) / rate
        tokens -= 1
        return None

    return decide


def sliding_window(rate: int) -> Server:
    """At most so many within any second."""
    times = deque[float]()

    def decide(now: float, _in_flight: int) -> float | None:
        while times and times[0] <= now - 1:
            times.popleft()
        if len(times) >= rate:
            return times[0] + 1 - now
        times.append(now)
        return None

    return decide


def fixed_window(rate: int) -> Server:
    """At most so many within each second of the clock."""
    counts = dict[int, int]()

    def decide(now: float, _in_flight: int) -> float | None:
        second = int(now)
        counts[second] = counts.get(second, 0) + 1
        return None if counts[second] <= rate else second + 1 - now

    return decide


def at_once(most: int) -> Server:
    """At most so many at the same time."""
    return lambda _now, in_flight: None if in_flight < most else 0.05


def at_random(share: float, dice: random.Random) -> Server:
    """Refuses whatever comes with this probability."""
    return lambda _now, _in_flight: 0.0 if dice.random() < share else None
