"""Admission control: decide when to send a request and when to retry a failed one.

All requests of a client (pages, single actions and batch items) pass through one admission queue,
so the limits apply to all of them together and nothing queues further down. The time-out of an
attempt starts after admission. The server's limits need no configuration: the client learns them
from the responses.

::

    concurrency      limit on calls in flight, raised while calls are accepted
    rate             limit on calls per second, learnt from refusals
    adaptive         both limits combined, and their reaction to 429 and Retry-After
    admission        permits for calls in flight, and the queue of waiting calls
    retry_budget     limit on the number of retries
    circuit_breaker  outage detection, and probes for recovery
    keyed_lock       lock that allows one action at a time on each number
    waiting          waiting primitives: an interruptible sleep and a FIFO queue slot

The first three modules only make decisions: they receive the time as an argument and never wait.
"""

from nrm_async._limits.adaptive import AdaptiveLimiter, Permit
from nrm_async._limits.admission import AdmissionQueue
from nrm_async._limits.circuit_breaker import CircuitBreaker
from nrm_async._limits.concurrency import ConcurrencyLimit
from nrm_async._limits.keyed_lock import KeyedLock
from nrm_async._limits.rate import RateLimit
from nrm_async._limits.retry_budget import RetryBudget
from nrm_async._limits.waiting import sleep_until_set

__all__ = [
    "AdaptiveLimiter",
    "AdmissionQueue",
    "CircuitBreaker",
    "ConcurrencyLimit",
    "KeyedLock",
    "Permit",
    "RateLimit",
    "RetryBudget",
    "sleep_until_set",
]
