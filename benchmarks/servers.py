"""Simulated servers with a limit: functions that accept or refuse a call.

Time and load are arguments, and nothing waits. The benchmarks use these functions on virtual time,
and the tests in a simulation.
"""

import random
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

# Receives the time of a call and the number of calls in flight. Returns ``None`` to accept the
# call, or the seconds to wait before the next one.
Server: TypeAlias = Callable[[float, int], float | None]


def token_bucket(rate: float, burst: float) -> Server:
    """Return a token bucket that holds ``burst`` seconds' worth of calls."""
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
    """Return a server that accepts at most ``rate`` calls in any one-second window."""
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
    """Return a server that accepts at most ``rate`` calls per second of the clock."""
    counts = dict[int, int]()

    def decide(now: float, _in_flight: int) -> float | None:
        second = int(now)
        counts[second] = counts.get(second, 0) + 1
        return None if counts[second] <= rate else second + 1 - now

    return decide


def concurrency_limit(most: int) -> Server:
    """Return a server that accepts at most ``most`` concurrent calls."""
    return lambda _now, in_flight: None if in_flight < most else 0.05


def random_refusals(share: float, dice: random.Random) -> Server:
    """Return a server that refuses each call with probability ``share``."""
    return lambda _now, _in_flight: 0.0 if dice.random() < share else None
