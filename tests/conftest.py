"""What several tests share: a stub API on loopback, and rows and pages as values."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias
from unittest import mock

import attrs
import pytest
from aiohttp import web

from nrm_async import Ani, AniPage, ConfirmPolicy, NRMClient
from nrm_async._transport import transport

API_KEY = "test-key-0123456789"

# Looks for the truth about lost answers without waiting for it.
SOON = ConfirmPolicy(settle=0.001, reads=2)

Answer: TypeAlias = Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]


@attrs.define
class StubAPI:
    """Answers every request with what ``answer`` says, and remembers what it saw."""

    url: str = ""
    answer: Answer = attrs.field(default=lambda request: web.json_response({}))
    requests: list[web.Request] = attrs.field(factory=list)
    bodies: list[bytes] = attrs.field(factory=list)

    def reply(
        self, body: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer with this body from now on: JSON, or text as it is."""
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/html" if isinstance(body, str) else "application/json"
        self.answer = lambda request: web.Response(
            text=text, status=status, content_type=kind, headers=headers
        )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        answer = self.answer(request)
        return answer if isinstance(answer, web.StreamResponse) else await answer


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loop that tests run on: asyncio's own, or uvloop where NRM_TEST_LOOP says so.

    Virtual time needs a loop of asyncio's own in any case.
    """
    if os.environ.get("NRM_TEST_LOOP") == "uvloop" and not item.get_closest_marker("looptime"):
        import uvloop  # noqa: PLC0415 - only where it is asked for

        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


def pytest_configure() -> None:
    """Send everything through aiohttp's session where NRM_TEST_PATH says so."""
    if os.environ.get("NRM_TEST_PATH") == "session":
        mock.patch.object(transport, "is_supported", return_value=False).start()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave long runs out unless they are asked for."""
    if "soak" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def pytest_collection_finish() -> None:
    """Say that there is no event loop yet, before the first test runs.

    looptime asks for the current loop around every test; ahead of the first coroutine test that
    would make one that nobody closes, and some later test would fail over its ResourceWarning.
    """
    asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on a key or an address that somebody has exported."""
    monkeypatch.delenv("OUTBOUNDIQ_API_KEY", raising=False)
    monkeypatch.delenv("NRM_BASE_URL", raising=False)


@pytest.fixture
async def stub_api() -> AsyncIterator[StubAPI]:
    """A real HTTP server on loopback that says what a test tells it to."""
    stub = StubAPI()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stub.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    stub.url = f"http://{host}:{port}/nrm"
    try:
        yield stub
    finally:
        await runner.cleanup()


@pytest.fixture
async def client(stub_api: StubAPI) -> AsyncIterator[NRMClient]:
    """A client of the stub API."""
    async with NRMClient(API_KEY, base_url=stub_api.url, confirm=SOON) as nrm:
        yield nrm


@pytest.fixture
def silent_url(unused_tcp_port: int) -> str:
    """A base URL at which nobody listens."""
    return f"http://127.0.0.1:{unused_tcp_port}/nrm"


def make_row(number: int, **fields: Any) -> Ani:
    """The ``number``-th row of an inventory."""
    return Ani(id=number, phone=str(2_000_000_000 + number), **fields)


def make_page(page: int, page_size: int, total: int, **said: Any) -> AniPage:
    """A page of an inventory of ``total`` rows; ``said`` replaces parts of the envelope."""
    numbers = range((page - 1) * page_size, min(page * page_size, total))
    pages = -(-total // page_size)
    truth: dict[str, Any] = {
        "count": len(numbers),
        "total_anis": total,
        "total_pages": pages,
        "can_next_page": page < pages,
        "can_prev_page": page > 1,
    }
    rows = tuple(make_row(number) for number in numbers)
    return AniPage(data=rows, page=page, page_size=page_size, **(truth | said))
