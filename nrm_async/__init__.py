"""Asyncio client for outboundIQ's NRM API: what users import, and nothing else.

Start at ``NRMClient``; what became of each action is in ``results``, what can go wrong in
``errors``. Files are in ``nrm_async.files``, the sandbox in ``nrm_async.sandbox``; neither is
loaded from here.
"""

from nrm_async._session import ClientState
from nrm_async._version import __version__
from nrm_async.actions import Action, Activate, Pause, Remediate, normalize_ani
from nrm_async.batch import BatchKeywords, Recorder
from nrm_async.client import NRMClient
from nrm_async.config import ConfirmPolicy, RetryPolicy, Timeouts
from nrm_async.errors import (
    APIError,
    AuthenticationError,
    BatchError,
    BatchStoppedError,
    ClientStateError,
    ClientTimeoutError,
    ConfigurationError,
    FileFormatError,
    InvalidRequestError,
    InventoryDriftError,
    NotSentError,
    NRMError,
    OutcomeUnknownError,
    RateLimitError,
    RejectedError,
    ResponseError,
    ServerError,
    TransportError,
)
from nrm_async.events import Event
from nrm_async.inventory import Change, Inventory, InventoryDiff, Summary, diff
from nrm_async.listing import AniStream, Drift, InventoryWatch, PageStream
from nrm_async.models import Ani, AniPage, MalformedRow, Receipt
from nrm_async.results import BatchReport, CallResult, Failed, Outcome, Succeeded
from nrm_async.stats import BreakerState, ClientStats

__all__ = [
    "APIError",
    "Action",
    "Activate",
    "Ani",
    "AniPage",
    "AniStream",
    "AuthenticationError",
    "BatchError",
    "BatchKeywords",
    "BatchReport",
    "BatchStoppedError",
    "BreakerState",
    "CallResult",
    "Change",
    "ClientState",
    "ClientStateError",
    "ClientStats",
    "ClientTimeoutError",
    "ConfigurationError",
    "ConfirmPolicy",
    "Drift",
    "Event",
    "Failed",
    "FileFormatError",
    "InvalidRequestError",
    "Inventory",
    "InventoryDiff",
    "InventoryDriftError",
    "InventoryWatch",
    "MalformedRow",
    "NRMClient",
    "NRMError",
    "NotSentError",
    "Outcome",
    "OutcomeUnknownError",
    "PageStream",
    "Pause",
    "RateLimitError",
    "Receipt",
    "Recorder",
    "RejectedError",
    "Remediate",
    "ResponseError",
    "RetryPolicy",
    "ServerError",
    "Succeeded",
    "Summary",
    "Timeouts",
    "TransportError",
    "__version__",
    "diff",
    "normalize_ani",
]
