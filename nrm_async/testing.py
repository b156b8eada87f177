"""A pytest plugin: a sandbox and a client for each test that asks for them. No configuration.

``nrm_sandbox`` is a running :class:`~nrm_async.sandbox.Sandbox`, and while the test runs the
environment points at it: whatever makes its own ``NRMClient()`` acts on the sandbox, not on live
numbers. ``nrm_client`` is a client of it. Both are plain fixtures: the sandbox has a thread and a
loop of its own, the client opens in whichever loop the test runs. So they work with pytest-asyncio
in both modes, with anyio's plugin, and in tests without any loop.

The marker says what sandbox the test gets: arguments of ``Sandbox``, and with ``client=`` those of
``NRMClient``; nearer markers win over those of a class or a module.

Example::

    @pytest.mark.nrm(anis=50, faults=["429:endpoint=pause,share=0.2,retry_after=0.01"])
    async def test_pauses_get_through(nrm_sandbox, nrm_client):
        report = await nrm_client.pause_many(nrm_sandbox.phones)
        assert len(nrm_sandbox.books) == len(report.succeeded)

Switch it off with ``-p no:nrm_async``.
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
    """Make the marker known, for --strict-markers and --markers."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(anis=500, seed=1, faults=[], ..., client={{}}): the sandbox that the fixtures "
        "nrm_sandbox and nrm_client give this test, by arguments of Sandbox and of NRMClient",
    )


def _asked_for(request: pytest.FixtureRequest) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for marker in request.node.iter_markers(MARKER):  # the nearest first
        if marker.args:
            raise pytest.UsageError(f"the marker {MARKER} takes keyword arguments only")
        settings = {**marker.kwargs, **settings}
    return settings


@pytest.fixture
def nrm_sandbox(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    """A running sandbox of 500 numbers, or as the marker ``nrm`` says.

    ``OUTBOUNDIQ_API_KEY`` and ``NRM_BASE_URL`` point at it until the test is over.
    """
    # Not at the top: every run of pytest imports this file, few need a server.
    from nrm_async.sandbox import Sandbox  # noqa: PLC0415

    settings = _asked_for(request)
    settings.pop(_CLIENT, None)
    try:
        sandbox = Sandbox(**settings)
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(f"the marker {MARKER} of {request.node.nodeid}: {error}") from None
    with sandbox:
        monkeypatch.setenv("OUTBOUNDIQ_API_KEY", sandbox.api_key)
        monkeypatch.setenv("NRM_BASE_URL", sandbox.url)
        yield sandbox


@pytest.fixture
def nrm_client(request: pytest.FixtureRequest, nrm_sandbox: Sandbox) -> Iterator[NRMClient]:
    """A client of the sandbox, not open yet: its first call opens it in the loop of the test."""
    settings = {"base_url": nrm_sandbox.url, **_asked_for(request).get(_CLIENT, {})}
    client = NRMClient(nrm_sandbox.api_key, **settings)
    with _loop_held(request):
        yield client
        _close(client)


@contextmanager
def _loop_held(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep the loop of the test until the client is closed: connections end in their own loop.

    Both plugins make it last and close it first, unless somebody holds it from before.
    """
    for name in request.fixturenames:
        if name.endswith("_scoped_runner"):  # pytest-asyncio: a fixture, for each scope of loops
            request.getfixturevalue(name)
    if "anyio_backend" not in request.fixturenames:
        yield
        return
    # anyio: a lease, counted.
    from anyio import pytest_plugin  # noqa: PLC0415 - only where it is at work anyway

    backend, options = pytest_plugin.extract_backend_and_options(
        request.getfixturevalue("anyio_backend")
    )
    with pytest_plugin.get_runner(backend, options):
        yield


def _close(client: NRMClient) -> None:
    """Close it in its own loop while there is one; else let it drop its connections."""
    network = client._session._network  # noqa: SLF001 - nobody else knows which loop it is
    own = None if network is None else network.loop
    if own is not None and not own.is_closed() and not own.is_running():
        own.run_until_complete(client.aclose())
        return
    # In a loop that is nobody's current one, so that no other plugin's is disturbed.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(client.aclose())
    finally:
        loop.close()
