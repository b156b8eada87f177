"""Asyncio client for outboundIQ's NRM API: what users import, and nothing else.

Start at ``NRMClient``. Outcomes of actions are in ``results``, all errors in ``errors``. Files
are in ``nrm_async.files``, the sandbox in ``nrm_async.sandbox``, mocks and fixtures in
``nrm_async.testing``; none of them is loaded from here.
"""

from nrm_async._engine import ClientState
from nrm_async._inputs import ActionInput, ActionInputs, AniInput, AniInputs
from nrm_async._paging import (
    AniStream,
    Drift,
    InventoryWatch,
    OnDrift,
    OnError,
    OnStreamDrift,
    PageStream,
)
from nrm_async._version import __version__
from nrm_async.actions import (
    Action,
    ActionDate,
    Activate,
    AniLike,
    Pause,
    Remediate,
    normalize_ani,
)
from nrm_async.batch import BatchKeywords, OnResult, Recorder
from nrm_async.client import NRMClient
from nrm_async.config import ConfirmPolicy, OnUnknown, RetryPolicy, Timeouts
from nrm_async.errors import (
    APIError,
    AuthenticationError,
    BatchError,
    BatchStoppedError,
    ClientStateError,
    ClientTimeoutError,
    ConfigurationError,
    FileFormatError,
    FirewallError,
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
from nrm_async.events import Event, Observer
from nrm_async.inventory import Change, Inventory, InventoryDiff, Summary, diff
from nrm_async.models import Ani, AniPage, MalformedRow, Receipt
from nrm_async.results import BatchReport, CallResult, Failed, Outcome, Succeeded
from nrm_async.stats import BreakerState, ClientStats

__all__ = [
    "APIError",
    "Action",
    "ActionDate",
    "ActionInput",
    "ActionInputs",
    "Activate",
    "Ani",
    "AniInput",
    "AniInputs",
    "AniLike",
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
    "FirewallError",
    "InvalidRequestError",
    "Inventory",
    "InventoryDiff",
    "InventoryDriftError",
    "InventoryWatch",
    "MalformedRow",
    "NRMClient",
    "NRMError",
    "NotSentError",
    "Observer",
    "OnDrift",
    "OnError",
    "OnResult",
    "OnStreamDrift",
    "OnUnknown",
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
