"""Faults on purpose: described as values, decided from a seed, carried out elsewhere.

::

    kinds   what can go wrong, and which requests it hits
    rules   what their options must be
    spec    the same in writing: for a command line and for JSON
    draws   chance that is the same each time
    engine  which request meets which fault
"""

from nrm_async.sandbox.faults.engine import Engine, Injected, Moment, Plan
from nrm_async.sandbox.faults.kinds import (
    KINDS,
    ConcurrencyCap,
    Drift,
    Fault,
    Hang,
    Latency,
    RateCap,
    Reset,
    ServerFailure,
    TooManyRequests,
    Truncate,
)
from nrm_async.sandbox.faults.spec import fault_of, plain

__all__ = [
    "KINDS",
    "ConcurrencyCap",
    "Drift",
    "Engine",
    "Fault",
    "Hang",
    "Injected",
    "Latency",
    "Moment",
    "Plan",
    "RateCap",
    "Reset",
    "ServerFailure",
    "TooManyRequests",
    "Truncate",
    "fault_of",
    "plain",
]
