"""Seeded fault injection. This package plans the faults; ``http`` produces them.

::

    kinds   the fault classes and their options
    spec    conversion from text and JSON, and to JSON
    engine  the selection of faults for each request
"""

from nrm_async.sandbox.faults.engine import Engine, InjectedFault, Plan, ServerLoad
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
from nrm_async.sandbox.faults.spec import fault_to_dict, parse_fault

__all__ = [
    "KINDS",
    "ConcurrencyCap",
    "Drift",
    "Engine",
    "Fault",
    "Hang",
    "InjectedFault",
    "Latency",
    "Plan",
    "RateCap",
    "Reset",
    "ServerFailure",
    "ServerLoad",
    "TooManyRequests",
    "Truncate",
    "fault_to_dict",
    "parse_fault",
]
