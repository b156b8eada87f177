"""Pytest plugin that provides a sandbox and a client as fixtures, without configuration.

``nrm_sandbox`` is a running :class:`~nrm_async.sandbox.Sandbox`. While the test runs, environment
variables point to it, so code that creates its own ``NRMClient()`` uses the sandbox instead of live
numbers. ``nrm_client`` is a client for the sandbox. Both are synchronous fixtures: the sandbox runs
in a separate thread with its own event loop, and the client opens in the event loop of the test.
They therefore work with pytest-asyncio in both modes, with the anyio plugin, and in tests without
an event loop.

The marker ``nrm`` accepts keyword arguments for ``Sandbox``, and ``client=``, a dict of keyword
arguments for ``NRMClient``. A marker on a function takes precedence over markers on its class or
module.

Example::

    @pytest.mark.nrm(anis=50, faults=["429:endpoint=pause,share=0.2,retry_after=0.01"])
    async def test_pauses_get_through(nrm_sandbox, nrm_client):
        report = await nrm_client.pause_many(nrm_sandbox.phones)
        assert len(nrm_sandbox.books) == len(report.succeeded)

Disable the plugin with ``-p no:nrm_async``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from nrm_async import NRMClient

if TYPE_CHECKING:
    from nrm_async.sandbox import Sandbox

__all__ = ["nrm_client", "nrm_sandbox"]

MARKER: Final = "nrm"
_CLIENT: Final = "client"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, for ``--strict-markers`` and ``--markers``."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(anis=500, seed=1, faults=[], ..., client={{}}): configure the fixtures "
        "nrm_sandbox and nrm_client with arguments for Sandbox and NRMClient",
    )


def _asked_for(request: pytest.FixtureRequest) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for marker in request.node.iter_markers(MARKER):  # the closest first
        if marker.args:
            raise pytest.UsageError(f"the marker {MARKER} takes keyword arguments only")
        settings = {**marker.kwargs, **settings}
    return settings


@pytest.fixture
def nrm_sandbox(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    """Run a sandbox with 500 numbers, or as configured by the marker ``nrm``.

    ``OUTBOUNDIQ_API_KEY`` and ``NRM_BASE_URL`` point to the sandbox until the test ends.
    """
    # Imported lazily: every pytest run imports this file, but few need a server.
    from nrm_async.sandbox import Sandbox  # noqa: PLC0415

    settings = _asked_for(request)
    settings.pop(_CLIENT, None)
    try:
        sandbox = Sandbox(**settings)
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(f"the marker {MARKER} on {request.node.nodeid}: {error}") from None
    with sandbox:
        monkeypatch.setenv("OUTBOUNDIQ_API_KEY", sandbox.api_key)
        monkeypatch.setenv("NRM_BASE_URL", sandbox.url)
        yield sandbox


@pytest.fixture
def nrm_client(request: pytest.FixtureRequest, nrm_sandbox: Sandbox) -> Iterator[NRMClient]:
    """Return a client for the sandbox. The first call opens the client in the test's event loop."""
    settings = {"base_url": nrm_sandbox.url, **_asked_for(request).get(_CLIENT, {})}
    client = NRMClient(nrm_sandbox.api_key, **settings)
    with _loop_held(request):
        yield client
        _close(client)


@contextmanager
def _loop_held(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep the test's event loop open until the client is closed.

    Connections must be closed in the event loop that opened them. pytest-asyncio and anyio create
    the event loop last and close it first, unless it is already in use.
    """
    for name in request.fixturenames:
        if name.endswith("_scoped_runner"):  # pytest-asyncio: one fixture per loop scope
            request.getfixturevalue(name)
    if "anyio_backend" not in request.fixturenames:
        yield
        return
    # anyio keeps its runner open while the runner has users, so add one.
    from anyio import pytest_plugin  # noqa: PLC0415 - only if the plugin is in use

    backend, options = pytest_plugin.extract_backend_and_options(
        request.getfixturevalue("anyio_backend")
    )
    with pytest_plugin.get_runner(backend, options):
        yield


def _close(client: NRMClient) -> None:
    """Close the client in its own event loop, or drop its connections if that loop is unusable."""
    own = getattr(client._runtime, "loop", None)  # noqa: SLF001 - no public attribute has the loop
    if own is not None and not own.is_closed() and not own.is_running():
        own.run_until_complete(client.aclose())
        return
    # Do not set this loop as the current one, which other plugins may use.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(client.aclose())
    finally:
        loop.close()
