"""The hot paths stay short: bytecodes are counted, not time, so that load does not matter.

A count covers the bytecodes run in this package's own code and in code that attrs or the page
decoder generate. It is the same in every run. If a change increases one and is worth it, raise
the figure; if it decreases one, lower it.
"""

import asyncio
import json
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import aiohttp
import pytest

import nrm_async
from nrm_async import NRMClient
from nrm_async._transport import compat
from nrm_async._wire import Response, page_reply, read_page
from nrm_async._wire.page_decoder import LearningDecoder
from nrm_async.models import AniPage
from tests.fakes import API_KEY

pytestmark = pytest.mark.skipif(
    (platform.python_implementation(), *sys.version_info[:2]) != ("CPython", 3, 11),
    reason="the figures are those of CPython 3.11: other versions have other bytecodes",
)

PACKAGE = str(Path(nrm_async.__file__).parent)
TOLERANCE = 1.05

ROW = 113  # one row of a page as documented
ROW_WITH_NEW_FIELD = 125  # the same with a field that this version does not know
PAGE = 415  # a page of one row
PAUSE = 2_090  # one pause of a batch, from the input to the result
FETCH = 2_800  # one page of a listing, without decoding it
FUNCTIONS = 65  # functions that one more item of a batch runs
MODULES = 27  # modules that these functions are in


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
def fresh_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the fields that other tests made up."""
    decoder = LearningDecoder()
    monkeypatch.setattr(page_reply, "_decoder", lambda: decoder)


@pytest.fixture(scope="module")
def documented() -> dict[str, Any]:
    """The documentation's example of a page."""
    contract = Path(__file__).parent / "contract" / "anis-success.json"
    page: dict[str, Any] = json.loads(contract.read_bytes())
    return page


def test_a_row_is_cheap(documented: dict[str, Any]) -> None:
    """Each further row of a page runs no more bytecodes than before."""
    few, many = (cost_of_reading(page_of(documented, rows)) for rows in (100, 200))
    assert (many - few) / 100 <= ROW * TOLERANCE


def test_a_row_with_a_new_field_is_cheap(documented: dict[str, Any]) -> None:
    """A field of a later API costs a few bytecodes per row, not the slow decoder."""
    few, many = (cost_of_reading(page_of(documented, rows, score=1)) for rows in (100, 200))
    assert (many - few) / 100 <= ROW_WITH_NEW_FIELD * TOLERANCE


def test_a_page_is_cheap(documented: dict[str, Any]) -> None:
    """The cost of a page does not grow, however few rows it has."""
    assert cost_of_reading(page_of(documented, 1)) <= PAGE * TOLERANCE


class FakeWire(asyncio.Transport):
    """Replies to each request in the next turn of the loop; sockets would make the count random."""

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
    """Reply to every request with this function."""

    async def connect(self: Any, *_: object) -> Any:
        protocol = self._factory()
        protocol.connection_made(FakeWire(protocol, answer))
        return protocol

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aiohttp.TCPConnector, "_create_connection", connect)
        yield


def paused(request: bytes) -> dict[str, Any]:
    body = json.loads(request.partition(b"\r\n\r\n")[2])
    return {"status": "paused", "ani": body["ani"]}


def phones(count: int) -> Iterator[str]:
    return (str(2_000_000_000 + number) for number in range(count))


async def cost_of_pauses(count: int) -> Count:
    with answered(paused):
        async with NRMClient(API_KEY) as nrm:
            with counted() as counter:
                report = await nrm.pause_many(phones(count))
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
    not aiohttp.__version__.startswith(compat.KNOWN_VERSIONS),
    reason="a version of aiohttp that is not known is used with its session",
)
@pytest.mark.parametrize("cost", [cost_of_pauses, cost_of_pages])
async def test_a_call_does_without_the_session(cost: Callable[[int], Any]) -> None:
    """aiohttp's session, which would take most of a call, is not asked."""
    assert not (await cost(10)).saw_session


def functions_run(count: int) -> Counter[tuple[str, str]]:
    """Return how often each function of the package runs while so many numbers are paused."""
    runs = Counter[tuple[str, str]]()

    def profile(frame: FrameType, event: str, _arg: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            runs[code.co_filename, code.co_qualname] += 1

    async def pause() -> None:
        with answered(paused):
            async with NRMClient(API_KEY) as nrm:
                sys.setprofile(profile)
                try:
                    await nrm.pause_many(phones(count), concurrency=1)
                finally:
                    sys.setprofile(None)

    asyncio.run(pause())
    return runs


def test_a_further_item_runs_few_functions() -> None:
    """A reader who follows one more item of a batch meets no more functions and modules."""
    few, many = functions_run(50), functions_run(100)
    functions = {function for function in many if many[function] - few[function] >= 25}
    modules = {module for module, _ in functions}
    assert len(functions) <= FUNCTIONS, sorted(functions)
    assert len(modules) <= MODULES, sorted(modules)
