"""A local emulator of the NRM API: the documented endpoints on a loopback port, no account needed.

It shares no code with the client, so that it can stand as an independent witness of the contract.
What it does because the documentation says so, because the vendor's SDKs say so, or because it had
to assume something, is listed in :data:`BEHAVIOURS`.
"""

from nrm_async.sandbox.behaviours import BEHAVIOURS, Basis, Behaviour
from nrm_async.sandbox.books import AppliedAction, Books
from nrm_async.sandbox.data import generate
from nrm_async.sandbox.server import Sandbox
from nrm_async.sandbox.state import State
from nrm_async.sandbox.values import (
    ActionName,
    ActionRequest,
    Answer,
    Applied,
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
    "Page",
    "Refused",
    "Row",
    "Sandbox",
    "State",
    "WithinCooldown",
    "generate",
]
