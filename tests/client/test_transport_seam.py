"""``NRMClient(transport=...)``: custom transports, and ``MockTransport``."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from nrm_async import (
    APIError,
    BatchReport,
    ConfigurationError,
    ConfirmPolicy,
    NotSentError,
    NRMClient,
    NRMError,
    Outcome,
    OutcomeUnknownError,
    RejectedError,
    ResponseError,
    RetryPolicy,
    TransportError,
)
from nrm_async.events import CallFinished, CallStarted, Event, PageRead
from nrm_async.testing import CallContext, MockTransport, Request, Response, json_response

KEY = "a-key-of-the-transport-tests"
ANI = "2345678901"
FAST: dict[str, Any] = {
    "retry": RetryPolicy(max_retries=2, max_batch_retries=2, base=0.0),
    "confirm": ConfirmPolicy(settle=0.001, reads=1),
}


def connect(handler: Callable[[Request], Any], **settings: Any) -> NRMClient:
    return NRMClient(KEY, transport=MockTransport(handler), **(FAST | settings))


def applied(request: Request) -> Response:
    return json_response({"status": "paused", "ani": request.json["ani"]})


class Minimal:
    """A transport that does no more than its protocol requires."""

    most_connections: int | None = None

    def __init__(self, *replies: Response | NRMError) -> None:
        self.replies = list(replies)

    def __len__(self) -> int:
        return 0

    async def send(self, request: Request, context: CallContext) -> Response | NRMError:
        context.attempts += 1
        return self.replies.pop(0)

    async def aclose(self) -> None: ...

    def drop(self) -> None: ...


async def test_mock_transport_records_requests() -> None:
    """Requests arrive with method, path and JSON body; nothing else is needed for a receipt."""
    transport = MockTransport(applied)
    async with NRMClient(KEY, transport=transport) as nrm:
        receipt = await nrm.pause("(234) 567-8901", note="resting")
    assert receipt.ani == ANI
    assert [(r.method, r.path, r.json) for r in transport.requests] == [
        ("POST", "/pause", {"ani": ANI, "note": "resting"})
    ]


async def test_mock_transport_accepts_async_handlers_and_raised_errors() -> None:
    """A raised transport error is the same as a returned one."""

    async def handler(request: Request) -> Response:
        raise NotSentError("no route")

    async with connect(handler) as nrm:
        with pytest.raises(NotSentError, match="no route") as caught:
            await nrm.pause(ANI)
    assert caught.value.attempts == 3


async def test_header_names_of_responses_ignore_case() -> None:
    """``Retry-After`` is found in any spelling."""
    replies = [json_response({}, 429, {"RETRY-AFTER": "0", "X-Request-ID": "r1"}), None]

    def handler(request: Request) -> Response:
        return replies.pop(0) or applied(request)

    async with connect(handler) as nrm:
        assert (await nrm.pause(ANI)).ani == ANI


@pytest.mark.parametrize("reply", [None, {"status": "paused"}, 200])
async def test_a_handler_that_returns_something_else_is_a_mistake(reply: object) -> None:
    """The error names what a handler must return."""
    async with connect(lambda _request: reply) as nrm:
        with pytest.raises(TypeError, match="must return a Response or an NRMError"):
            await nrm.pause(ANI)


async def test_not_sent_by_a_minimal_transport_is_not_applied() -> None:
    """A transport need not touch ``maybe_sent``: ``NotSentError`` is proof enough."""
    transport = Minimal(*[NotSentError("no route") for _ in range(3)])
    async with NRMClient(KEY, transport=transport, **FAST) as nrm:
        report: BatchReport = await nrm.pause_many([ANI])
    assert [(r.outcome, r.attempts) for r in report] == [(Outcome.NOT_APPLIED, 3)]


async def test_refusal_after_not_sent_is_a_refusal() -> None:
    """An attempt that was not sent leaves no doubt about the next one."""
    refusal = json_response({"success": False, "message": "no"}, 400)
    transport = Minimal(NotSentError("no route"), refusal)
    async with NRMClient(KEY, transport=transport, **FAST) as nrm:
        with pytest.raises(RejectedError):
            await nrm.pause(ANI)


async def test_cancelled_in_a_minimal_transport_is_unknown() -> None:
    """Without a word from the transport, a cancelled action may have been applied."""
    entered = asyncio.Event()

    class Stuck(Minimal):
        async def send(self, request: Request, context: CallContext) -> Response | NRMError:
            context.attempts += 1
            entered.set()
            await asyncio.Event().wait()
            raise AssertionError

    async with NRMClient(KEY, transport=Stuck()) as nrm:
        batch = asyncio.create_task(nrm.pause_many([ANI]))
        await entered.wait()
        batch.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await batch
    report: BatchReport = caught.value.report  # type: ignore[attr-defined]
    assert report[0].outcome is Outcome.UNKNOWN


async def test_an_empty_transport_is_used() -> None:
    """A transport whose ``len()`` is 0 is still the one to send with."""
    async with NRMClient(KEY, transport=Minimal(applied(_pause()))) as nrm:
        assert (await nrm.pause(ANI)).ani == ANI


def _pause() -> Request:
    return Request("POST", "/pause", body=b'{"ani":"2345678901"}')


@pytest.mark.parametrize("wrong", [object(), MockTransport, Minimal, lambda request: None, "http"])
def test_what_is_not_a_transport_is_refused(wrong: Any) -> None:
    """The error comes when the client is created and names the protocol."""
    with pytest.raises(ConfigurationError, match=r"nrm_async\.testing\.Transport"):
        NRMClient(KEY, transport=wrong)


@pytest.mark.parametrize("setting", [{"proxy": "http://localhost:3128"}])
def test_transport_excludes_settings_of_aiohttp(setting: dict[str, Any]) -> None:
    """A proxy that would not be used is an error."""
    with pytest.raises(ConfigurationError, match="transport excludes"):
        NRMClient(KEY, transport=MockTransport(applied), **setting)


async def test_stale_retry_after_does_not_stop_a_resend() -> None:
    """The ``Retry-After`` of a response says nothing about an attempt without a response."""
    steps: list[Response | NRMError] = [
        json_response({}, 503, {"retry-after": "300"}),
        json_response({"data": [{"id": 1, "phone": ANI, "status": "ACTIVE_AND_BEING_MANAGED"}]}),
        NotSentError("refused"),
        applied(_pause()),
    ]
    async with NRMClient(KEY, transport=Minimal(*steps), **FAST) as nrm:
        assert (await nrm.pause(ANI)).confirmed is False


@pytest.mark.parametrize("status", [408, 421, 425])
async def test_retry_after_of_a_request_not_processed_is_ignored(status: int) -> None:
    """408, 421 and 425 are retried once, without waiting for a ``Retry-After``."""
    steps = [json_response({}, status, {"retry-after": "300"}), applied(_pause())]
    async with NRMClient(KEY, transport=Minimal(*steps), **FAST) as nrm:
        assert (await nrm.pause(ANI)).ani == ANI


async def test_events_carry_complete_errors() -> None:
    """An observer sees method, path, page and attempts of the error when the event arrives."""
    seen: list[str] = []

    def observe(event: Event) -> None:
        if isinstance(event, CallFinished | PageRead) and event.error is not None:
            seen.append(str(event.error))

    def handler(request: Request) -> Response:
        return (
            Response(500, b"oops") if (request.query or {})["page"] == "2" else Response(200, b"[]")
        )

    async with connect(handler, on_event=observe) as nrm:
        with pytest.raises(APIError):
            await nrm.list_anis(page=2)
        with pytest.raises(ResponseError):
            await nrm.list_anis(page=3)
    assert [text.split(":")[0] for text in seen] == ["GET /anis page 2", "GET /anis page 3"]


async def test_a_read_of_a_closed_client_emits_events() -> None:
    """The two events of a call come whatever stops it."""
    events: list[Event] = []
    nrm = connect(applied, on_event=events.append)
    await nrm.aclose()
    with pytest.raises(NRMError):
        await nrm.list_anis()
    assert [type(event) for event in events] == [CallStarted, CallFinished]


async def test_a_lost_response_is_read_back() -> None:
    """A transport error after sending leaves the outcome to the read-back."""

    def handler(request: Request) -> Response:
        if request.method == "POST":
            raise TransportError("reset")
        return json_response({"data": [{"id": 1, "phone": ANI, "status": "COOLING_OFF"}]})

    async with connect(handler) as nrm:
        assert (await nrm.pause(ANI)).confirmed
        with pytest.raises(OutcomeUnknownError):
            await nrm.pause(ANI, on_unknown="report")


def test_the_mock_needs_no_pytest() -> None:
    """Programs without pytest can use ``nrm_async.testing`` too."""
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from nrm_async.testing import *\n"
        "print(MockTransport.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "MockTransport"


async def test_an_exception_of_a_transport_loses_no_result() -> None:
    """A mistake in a custom transport is raised, and the report has a result for its item."""

    def handler(request: Request) -> Response:
        if request.json["ani"] == ANI:
            raise LookupError("a mistake of the test")
        return applied(request)

    async with connect(handler, max_concurrency=1) as nrm:
        with pytest.raises(LookupError) as caught:
            await nrm.pause_many(["2345678900", ANI, "2345678902"])
    report: BatchReport = caught.value.report  # type: ignore[attr-defined]
    assert [(r.ani, r.outcome) for r in report] == [
        ("2345678900", Outcome.APPLIED),
        (ANI, Outcome.UNKNOWN),
    ]
