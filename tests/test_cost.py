"""The hot paths stay short: bytecodes are counted, not time, so that a noisy machine is no matter.

A count is of the bytecodes executed in this package's own code and in code that attrs or the page
decoder generate. It is the same in every run. If a change makes one grow and is worth it, raise
the figure; if it makes one shrink, lower it.
"""

import json
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses

import nrm_async
from nrm_async import NRMClient
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
PAUSE = 2_219  # one pause of a batch, from the input to the result
FETCH = 2_876  # one page of a listing, without decoding it


class Count:
    """Bytecodes so far."""

    bytecodes = 0


@contextmanager
def counted() -> Iterator[Count]:
    """Count the bytecodes of our own frames."""
    count = Count()

    def local(_frame: FrameType, event: str, _arg: Any) -> Any:
        count.bytecodes += event == "opcode"
        return local

    def trace(frame: FrameType, _event: str, _arg: Any) -> Any:
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


async def cost_of_pauses(count: int) -> int:
    def applied(_url: object, **request: Any) -> CallbackResult:
        return CallbackResult(
            payload={"status": "paused", "ani": json.loads(request["data"])["ani"]}
        )

    with aioresponses() as mock:
        mock.post("https://api.outboundiq.cloud/nrm/pause", callback=applied, repeat=True)
        async with NRMClient(API_KEY) as nrm:
            with counted() as counter:
                report = await nrm.pause_many(str(2_000_000_000 + n) for n in range(count))
    assert not report.failed
    return counter.bytecodes


async def cost_of_pages(count: int) -> int:
    with aioresponses() as mock:
        for page in range(1, count + 1):
            mock.get(
                f"https://api.outboundiq.cloud/nrm/anis?page={page}&page_size=1",
                payload={
                    "data": [{"id": page, "phone": "2345678901"}],
                    "total_pages": count,
                    "can_next_page": page < count,
                },
            )
        async with NRMClient(API_KEY) as nrm:
            with counted() as counter:
                assert len([ani async for ani in nrm.anis(page_size=1)]) == count
    return counter.bytecodes


@pytest.mark.parametrize(("cost", "most"), [(cost_of_pauses, PAUSE), (cost_of_pages, FETCH)])
async def test_a_call_is_cheap(cost: Callable[[int], Any], most: int) -> None:
    """Each further call costs no more bytecodes than it did, from the input to the result."""
    assert (await cost(300) - await cost(100)) / 200 <= most * TOLERANCE
