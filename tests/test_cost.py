"""The hot paths stay short: bytecodes are counted, not time, so that a noisy machine is no matter.

A count is of the bytecodes executed in this package's own code and in code that attrs or the page
decoder generate. It is the same in every run. If a change makes one grow and is worth it, raise
the figure; if it makes one shrink, lower it.
"""

import asyncio
import json
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import aiohttp
import pytest

import nrm_async
from nrm_async import NRMClient
from nrm_async._transport import support
from nrm_async._wire import Response, pages, read_page
from nrm_async._wire.fast import LearningDecoder
from nrm_async.models import AniPage
from tests.conftest import API_KEY

pytestmark = pytest.mark.skipif(
    (platform.python_implementation(), *sys.version_info[:2]) != ("CPython", 3, 11),
    reason="the figures are those of CPython 3.11: other versions have other bytecodes",
)

PACKAGE = str(Path(nrm_async.__file__).parent)
TOLERANCE = 1.05

ROW = 113  # one row of a page as documented
ROW_WITH_NEW_FIELD = 125  # the same with a field that this version does not know
PAGE = 464  # a page of one row
PAUSE = 2_203  # one pause of a batch, from the input to the result
FETCH = 3_029  # one page of a listing, without decoding it


class Count:
    """Bytecodes so far, and whether aiohttp's session was asked."""

    bytecodes = 0
    saw_session = False


@contextmanager
def counted() -> Iterator[Count]:
    """Count the bytecodes of our own frames."""
    count = Count()
    asked = aiohttp.ClientSession._request.__code__

    def local(_frame: FrameType, event: str, _arg: Any) -> Any:
        count.bytecodes += event == "opcode"
        return local

    def trace(frame: FrameType, _event: str, _arg: Any) -> Any:
        count.saw_session |= frame.f_code is asked
        if not frame.f_code.co_filename.startswith((PACKAGE, "<")):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return local

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(before)


def page_of(documented: dict[str, Any], rows: int, **new: object) -> Response:
    body = documented | {"data": [documented["data"][0] | new] * rows}
    return Response(200, json.dumps(body, separators=(",", ":")).encode())


def cost_of_reading(answer: Response) -> int:
    assert isinstance(read_page(answer, 1, 1000), AniPage)  # learns, and warms up
    with counted() as count:
        read_page(answer, 1, 1000)
    return count.bytecodes


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fields that other tests made up cost nothing here."""
    decoder = LearningDecoder()
    monkeypatch.setattr(pages, "_fast", lambda: decoder)


@pytest.fixture(scope="module")
def documented() -> dict[str, Any]:
    """The documentation's example of a page."""
    contract = Path(__file__).parent / "contract" / "anis-success.json"
    page: dict[str, Any] = json.loads(contract.read_bytes())
    return page


def test_a_row_is_cheap(documented: dict[str, Any]) -> None:
    """Each further row of a page costs no more bytecodes than it did."""
    few, many = (cost_of_reading(page_of(documented, rows)) for rows in (100, 200))
    assert (many - few) / 100 <= ROW * TOLERANCE


def test_a_row_with_a_new_field_is_cheap(documented: dict[str, Any]) -> None:
    """A field of a later API costs a few bytecodes for each row, not the slow way."""
    few, many = (cost_of_reading(page_of(documented, rows, score=1)) for rows in (100, 200))
    assert (many - few) / 100 <= ROW_WITH_NEW_FIELD * TOLERANCE


def test_a_page_is_cheap(documented: dict[str, Any]) -> None:
    """What a page costs, however few rows it has, does not grow either."""
    assert cost_of_reading(page_of(documented, 1)) <= PAGE * TOLERANCE


class Wire(asyncio.Transport):
    """Answers each request in the next turn of the loop: sockets would bring chance into it."""

    def __init__(self, protocol: Any, answer: Callable[[bytes], dict[str, Any]]) -> None:
        super().__init__()
        self._protocol = protocol
        self._answer = answer

    def write(self, data: Any) -> None:
        body = json.dumps(self._answer(data)).encode()
        said = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        asyncio.get_running_loop().call_soon(self._protocol.data_received, said)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)


@contextmanager
def answered(answer: Callable[[bytes], dict[str, Any]]) -> Iterator[None]:
    """Whatever is sent is answered so."""

    async def connect(self: Any, *_: object) -> Any:
        protocol = self._factory()
        protocol.connection_made(Wire(protocol, answer))
        return protocol

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aiohttp.TCPConnector, "_create_connection", connect)
        yield


def paused(request: bytes) -> dict[str, Any]:
    body = json.loads(request.partition(b"\r\n\r\n")[2])
    return {"status": "paused", "ani": body["ani"]}


async def cost_of_pauses(count: int) -> Count:
    with answered(paused):
        async with NRMClient(API_KEY) as nrm:
            with counted() as counter:
                report = await nrm.pause_many(str(2_000_000_000 + n) for n in range(count))
    assert not report.failed
    return counter


async def cost_of_pages(count: int) -> Count:
    def page(request: bytes) -> dict[str, Any]:
        number = int(request.partition(b"?page=")[2].partition(b"&")[0])
        row = {"id": number, "phone": "2345678901"}
        return {"data": [row], "total_pages": count, "can_next_page": number < count}

    with answered(page):
        async with NRMClient(API_KEY) as nrm:
            with counted() as counter:
                assert len([ani async for ani in nrm.anis(page_size=1)]) == count
    return counter


@pytest.mark.parametrize(("cost", "most"), [(cost_of_pauses, PAUSE), (cost_of_pages, FETCH)])
async def test_a_call_is_cheap(cost: Callable[[int], Any], most: int) -> None:
    """Each further call costs no more bytecodes than it did, from the input to the result."""
    more = ((await cost(300)).bytecodes - (await cost(100)).bytecodes) / 200
    assert more <= most * TOLERANCE, more


@pytest.mark.skipif(
    not aiohttp.__version__.startswith(support.KNOWN_VERSIONS),
    reason="a version of aiohttp that is not known is used with its session",
)
@pytest.mark.parametrize("cost", [cost_of_pauses, cost_of_pages])
async def test_a_call_does_without_the_session(cost: Callable[[int], Any]) -> None:
    """aiohttp's session, which would take most of a call, is not asked."""
    assert not (await cost(10)).saw_session
