"""Support for testing code that uses the client: a mock transport and pytest fixtures.

``MockTransport`` responds to requests by calling a function, without a network. pytest
automatically discovers the fixtures ``nrm_sandbox`` and ``nrm_client`` (see
``nrm_async.testing.pytest_plugin``), which use a sandbox that keeps state like the real API.
"""

from typing import TYPE_CHECKING, Any

from nrm_async._context import CallContext
from nrm_async._transport import Transport
from nrm_async._wire import Request, Response
from nrm_async.testing.mock_transport import MockTransport, json_response

if TYPE_CHECKING:
    from nrm_async.testing.pytest_plugin import nrm_client as nrm_client
    from nrm_async.testing.pytest_plugin import nrm_sandbox as nrm_sandbox

# For ``pytest -p nrm_async.testing``; a string, so that pytest is not imported here.
pytest_plugins = ("nrm_async.testing.pytest_plugin",)

__all__ = [
    "CallContext",
    "MockTransport",
    "Request",
    "Response",
    "Transport",
    "json_response",
]


def __getattr__(name: str) -> Any:
    if name not in ("nrm_client", "nrm_sandbox"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imported lazily, because the mock transport does not require pytest.
    from nrm_async.testing import pytest_plugin  # noqa: PLC0415

    return getattr(pytest_plugin, name)
