"""A local emulator of the NRM API: the documented endpoints on a loopback port, no account needed.

The sandbox shares no code with the client, so tests of one against the other are independent. The
only part of the SDK that it uses is the inventory file reader. :data:`BEHAVIOURS` lists every
behaviour with its source: the API documentation, the vendor's SDKs, or an assumption. For a user
guide, see the README in this directory.

::

    sandbox     Sandbox: the public entry point
    http/       the HTTP server: the API, fault responses, control and history endpoints
    api/        the API without HTTP: parsing, endpoints, replies and the OpenAPI document
    faults/     seeded fault injection
    state       the state machine: applies actions, immediately or on their date
    store       the account, and the SQLite file that persists its state
    inventory/  the rows: generated from a seed or imported, with low memory use
    history/    the record of requests and applied actions (the "books"), and assertions on it
    clock       an adjustable clock
    behaviours  the table of behaviours and their sources
    validation  argument checks
    values      values shared by these modules

A request passes through http, api and state to the inventory and the history; the reply returns the
same way. Before the request is processed, the fault engine plans its faults.
"""

from nrm_async.sandbox.api import Switches
from nrm_async.sandbox.behaviours import BEHAVIOURS, Basis, Behaviour
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
from nrm_async.sandbox.history import AppliedAction, Books, Ending, RequestEntry
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
