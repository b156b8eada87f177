"""Fixtures and hooks of the whole suite; the fakes are in ``tests/fakes.py``."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from unittest import mock

import pytest

from nrm_async import NRMClient
from nrm_async._transport import transport
from tests.fakes import API_KEY, StubAPI, connect, make_page, make_row

__all__ = ["API_KEY", "StubAPI", "make_page", "make_row"]  # tests of paging import them from here

# Set in some environments, and it costs each process that a test starts 0.3 s of compiling.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Return the event loop to run on: asyncio's, or uvloop if NRM_TEST_LOOP says so.

    Virtual time always needs asyncio's.
    """
    if os.environ.get("NRM_TEST_LOOP") == "uvloop" and not item.get_closest_marker("looptime"):
        import uvloop  # noqa: PLC0415 - only if it is requested

        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


def pytest_configure() -> None:
    """Send everything through aiohttp's session if NRM_TEST_PATH says so."""
    if os.environ.get("NRM_TEST_PATH") == "session":
        mock.patch.object(transport, "is_direct_path_safe", return_value=False).start()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let ``-k fault07`` select the tests of row 7 of faults, and speed up virtual time."""
    for marker in item.iter_markers("fault"):
        item.extra_keyword_matches.add(f"fault{marker.args[0]:02}")
    if item.get_closest_marker("looptime"):
        # These tests wait for no I/O: spare the loop 42 idle turns before each step of the clock.
        item.add_marker(pytest.mark.looptime(noop_cycles=0))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out long runs unless they are requested."""
    if "soak" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def pytest_collection_finish() -> None:
    """Unset the current event loop before the first test runs.

    looptime asks for the current loop around every test; before the first coroutine test that
    would create one that is never closed, and a later test would fail over its ResourceWarning.
    """
    asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove a key or base URL that the environment may set."""
    monkeypatch.delenv("OUTBOUNDIQ_API_KEY", raising=False)
    monkeypatch.delenv("NRM_BASE_URL", raising=False)


@pytest.fixture
async def stub_api() -> AsyncIterator[StubAPI]:
    """An HTTP server on loopback that gives the reply a test sets."""
    async with StubAPI().serve() as stub:
        yield stub


@pytest.fixture
async def client(stub_api: StubAPI) -> AsyncIterator[NRMClient]:
    """A client of the stub API."""
    async with connect(stub_api.url) as nrm:
        yield nrm


@pytest.fixture
def silent_url(unused_tcp_port: int) -> str:
    """A base URL at which no server listens."""
    return f"http://127.0.0.1:{unused_tcp_port}/nrm"
