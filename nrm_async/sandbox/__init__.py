"""A local emulator of the NRM API: the documented endpoints on a loopback port, no account needed.

It shares no code with the client, so that it can stand as an independent witness of the contract;
only the files that the SDK saves are read by the SDK.
What it does because the documentation says so, because the vendor's SDKs say so, or because it had
to assume something, is listed in :data:`BEHAVIOURS`.

::

    sandbox     Sandbox: all of this behind one object
    http/       a port: requests in, answers or faults out; control and books beside the API
    api/        the API without HTTP: reading, judging and wording; its OpenAPI description
    faults/     what goes wrong on purpose, decided from a seed
    account     a state with its clock, and the file that keeps both
    state       what an action does, now or on its date
    events      everything that changes a state, and the journal that keeps it
    store       that journal in an SQLite file
    inventory/  the numbers: made from a seed or loaded, a million of them in little memory
    books/      what was asked and what was applied, and assertions about it
    clock       what time it is, in the sandbox
    behaviours  what the sandbox does, and on whose word
    checks      rules for arguments
    values      what passes between these rooms

A request goes http → api → state → inventory and books, and its answer back the same way; faults
decide beforehand what becomes of it.
"""

from nrm_async.sandbox.api import Switches
from nrm_async.sandbox.behaviours import BEHAVIOURS, Basis, Behaviour
from nrm_async.sandbox.books import AppliedAction, Books, Ending, RequestEntry
from nrm_async.sandbox.clock import Clock
from nrm_async.sandbox.faults import (
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
from nrm_async.sandbox.inventory import generate
from nrm_async.sandbox.sandbox import Sandbox
from nrm_async.sandbox.state import State
from nrm_async.sandbox.values import (
    ActionName,
    ActionRequest,
    Answer,
    Applied,
    Endpoint,
    Page,
    Refused,
    Row,
    WithinCooldown,
)

__all__ = [
    "BEHAVIOURS",
    "ActionName",
    "ActionRequest",
    "Answer",
    "Applied",
    "AppliedAction",
    "Basis",
    "Behaviour",
    "Books",
    "Clock",
    "ConcurrencyCap",
    "Drift",
    "Ending",
    "Endpoint",
    "Fault",
    "Hang",
    "Latency",
    "Page",
    "RateCap",
    "Refused",
    "RequestEntry",
    "Reset",
    "Row",
    "Sandbox",
    "ServerFailure",
    "State",
    "Switches",
    "TooManyRequests",
    "Truncate",
    "WithinCooldown",
    "generate",
]
