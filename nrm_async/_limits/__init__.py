"""Waiting happens here, and nowhere else: one pool per client, in front of the network.

Whatever the client sends, a page, a single action or a batch item, is admitted by the pool
first, so the ceiling holds for all of them together and nothing queues further down. The clock
of an attempt starts after admission. How many may go at once, and how soon, nobody says: it is
learnt from the answers.

::

    concurrency  how many calls may be under way: found by trying
    rate         how soon the next call may start: found from refusals
    governor     both, the gate that a Retry-After closes, and what a 429 is evidence of
    pool         places for calls in flight; who waits for one, and in which order
    budget       how many retries a second there may be
    breaker      whether the API is down, and who asks whether it is back
    anis         one action at a time on each number

The first three decide and do nothing else: time is passed in, nothing in them waits.
"""

from nrm_async._limits.anis import AniLocks
from nrm_async._limits.breaker import Breaker
from nrm_async._limits.budget import RetryBudget
from nrm_async._limits.concurrency import ConcurrencyLimit
from nrm_async._limits.governor import Governor, Place
from nrm_async._limits.pool import Pool
from nrm_async._limits.rate import RateLimit

__all__ = [
    "AniLocks",
    "Breaker",
    "ConcurrencyLimit",
    "Governor",
    "Place",
    "Pool",
    "RateLimit",
    "RetryBudget",
]
