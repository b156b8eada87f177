"""Stopping a batch: fatal errors, too many refusals and deadlines, on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import attrs
import pytest

from nrm_async import (
    Action,
    APIError,
    AuthenticationError,
    BatchReport,
    BatchStoppedError,
    ConfigurationError,
    ConfirmPolicy,
    InvalidRequestError,
    NotSentError,
    NRMClient,
    NRMError,
    Outcome,
    OutcomeUnknownError,
    RetryPolicy,
    Timeouts,
)
from nrm_async.testing import CallContext, Request, Response
from tests.actions.audit import audit
from tests.fakes import FakeAPI, Fate, close_gate, make_action, numbers, open_client

ANIS = numbers(60)
PAUSES = [make_action("pause", ani, index) for index, ani in enumerate(ANIS)]
SECONDS = 1.0  # duration of each request

pytestmark = pytest.mark.looptime


def no_certificate() -> NotSentError:
    error = NotSentError("the request was not sent: certificate verify failed")
    error.permanent = True
    return error


def now() -> float:
    return asyncio.get_running_loop().time()


@attrs.define
class FailingAPI(FakeAPI):
    """Ends the action numbered ``at`` with ``end``, all others normally."""

    at: int = 10
    end: Callable[[], Response | NRMError] = no_certificate

    async def send(self, request: Request, context: CallContext) -> Response | NRMError:
        await asyncio.sleep(SECONDS)
        if f'"note":"{self.at}"' in (request.body or b"").decode():
            context.attempts += 1
            context.maybe_sent = False
            self.sent[str(self.at)] += 1
            return self.end()
        return await super().send(request, context)


def failing(end: Callable[[], Response | NRMError]) -> FailingAPI:
    return FailingAPI(dict.fromkeys(ANIS, True), end=end)


@pytest.mark.parametrize(
    ("end", "kind", "outcome"),
    [
        (lambda: Response(401, b"{}"), AuthenticationError, Outcome.NOT_APPLIED),
        (lambda: Response(403, b"{}"), AuthenticationError, Outcome.NOT_APPLIED),
        (no_certificate, NotSentError, Outcome.NOT_APPLIED),
        (lambda: Response(301, b""), ConfigurationError, Outcome.NOT_APPLIED),
        (lambda: Response(307, b""), ConfigurationError, Outcome.NOT_APPLIED),
        (lambda: Response(308, b""), ConfigurationError, Outcome.NOT_APPLIED),
        (lambda: Response(302, b""), OutcomeUnknownError, Outcome.UNKNOWN),
        (lambda: Response(303, b""), OutcomeUnknownError, Outcome.UNKNOWN),
    ],
    ids=["401", "403", "certificate", "301", "307", "308", "302", "303"],
)
async def test_a_fatal_error_stops_the_batch(
    end: Callable[[], Response | NRMError], kind: type[NRMError], outcome: Outcome
) -> None:
    """Items in flight complete, no other item is started, and each names the first cause."""
    api = failing(end)
    async with open_client(api, max_concurrency=4) as nrm:
        report = await nrm.run_batch(PAUSES)
    assert report[10].outcome is outcome
    cause = report.failed[0].error
    assert isinstance(cause, kind)
    assert report.counts[Outcome.APPLIED] in range(10, 14)
    assert len(api.sent) == report.counts[Outcome.APPLIED] + 1
    for failed in report.failed[1:]:
        assert failed.outcome is Outcome.NOT_APPLIED
        assert isinstance(failed.error, BatchStoppedError)
        assert failed.error.cause is cause
        assert failed.attempts == 0
    assert now() <= 4 * SECONDS


@pytest.mark.parametrize(
    "end",
    [lambda: Response(404, b"{}"), lambda: Response(502, b"{}"), lambda: NotSentError("refused")],
    ids=["404", "502", "not sent"],
)
async def test_an_error_of_one_item_does_not_stop_the_batch(
    end: Callable[[], Response | NRMError],
) -> None:
    """An error that says nothing about the other items fails its own item only."""
    api = failing(end)
    async with open_client(api, retry=RetryPolicy(max_retries=0)) as nrm:
        report = await nrm.run_batch(PAUSES, on_unknown="report")
    assert [result.index for result in report.failed] == [10]


@pytest.mark.parametrize(("share", "is_stopped"), [(None, False), (0.5, False), (0.4, True)])
async def test_too_many_refusals_stop_the_batch(share: float | None, is_stopped: bool) -> None:
    """A share above ``max_refused`` stops it after 20 answers; by default no share does."""
    api = FakeAPI({ani: index % 2 == 0 for index, ani in enumerate(ANIS)})
    async with open_client(api, max_concurrency=1) as nrm:
        report = await nrm.run_batch(PAUSES, max_refused=share)
    begun = 20 if is_stopped else 60
    assert len(api.sent) == begun
    assert report.counts[Outcome.REJECTED] == report.counts[Outcome.APPLIED] == begun // 2
    for result in report[begun:]:
        assert not result.ok
        assert isinstance(result.error, BatchStoppedError)
        assert "10 of 20 items were refused" in str(result.error)


def slow(fate: Fate = Fate.NORMAL) -> FakeAPI:
    """Return a api whose requests have three stages of a third of a second each."""
    return FakeAPI(
        dict.fromkeys(ANIS, True), lambda request: fate, wait=lambda: asyncio.sleep(SECONDS / 3)
    )


async def test_the_deadline_stops_the_batch() -> None:
    """No item starts after the deadline, items in flight complete, the rest is not applied."""
    api = slow()
    async with open_client(api, max_concurrency=4) as nrm:
        report = await nrm.run_batch(PAUSES, deadline=2.5)
    assert now() == pytest.approx(3 * SECONDS, abs=1e-3)
    assert report.counts == {
        Outcome.APPLIED: 12,
        Outcome.NOT_APPLIED: 48,
        Outcome.CONFIRMED: 0,
        Outcome.REJECTED: 0,
        Outcome.UNKNOWN: 0,
    }
    for failed in report.failed:
        assert isinstance(failed.error, BatchStoppedError)
        assert isinstance(failed.error.cause, NotSentError)
        assert "the deadline of the batch had passed" in str(failed.error)
    assert not audit(api, report)


TROUBLES: dict[str, tuple[Fate, dict[str, Any], Callable[[NRMClient], object]]] = {
    "sending": (Fate.NORMAL, {}, lambda nrm: None),
    "throttled": (Fate.THROTTLED, {}, lambda nrm: None),
    "not sent": (Fate.NOT_SENT, {}, lambda nrm: None),
    "the gate": (Fate.NORMAL, {}, lambda nrm: close_gate(nrm, 100)),
    "the pacer": (Fate.NORMAL, {"max_rate": 0.5}, lambda nrm: None),
    "lost": (Fate.LOST_BEFORE, {}, lambda nrm: None),
    "lost, read back slowly": (Fate.LOST_BEFORE, {"confirm": ConfirmPolicy(10)}, lambda nrm: None),
}


@pytest.mark.parametrize("name", TROUBLES)
@pytest.mark.parametrize("of_batch", [True, False], ids=["batch", "call"])
async def test_no_call_outlives_its_deadline(name: str, of_batch: bool) -> None:
    """Wherever a call waits, it ends at the deadline or with the attempt then in flight."""
    fate, settings, prepare = TROUBLES[name]
    api = slow(fate)
    api.fate = lambda request: fate if request.body else Fate.NORMAL
    chosen: dict[str, Any] = {"max_concurrency": 20, "retry": RetryPolicy(base=2)} | settings
    if not of_batch:
        chosen["timeout"] = Timeouts(call=4.5)
    async with open_client(api, **chosen) as nrm:
        prepare(nrm)
        report = await nrm.run_batch(PAUSES[:20], deadline=4.5 if of_batch else None)
    assert now() <= 4.5 + SECONDS
    assert not audit(api, report)


async def test_the_deadline_while_waiting_to_read_back() -> None:
    """Reading back is queued; a call does not wait there beyond its deadline."""
    api = slow()
    api.fate = lambda request: Fate.LOST_AFTER if request.body else Fate.NORMAL
    async with open_client(api, max_concurrency=15) as nrm:
        unlimited = asyncio.create_task(nrm.run_batch(PAUSES[:10], concurrency=10))
        await asyncio.sleep(0)
        limited = await nrm.run_batch(PAUSES[10:], deadline=1.5, concurrency=3)
        assert now() <= 1.5 + SECONDS
        assert limited.counts[Outcome.UNKNOWN] == 3
        assert (await unlimited).counts[Outcome.CONFIRMED] == 10
    assert not audit(api, [*limited, *unlimited.result()])


@pytest.mark.parametrize("hold", ["number", "pool"])
async def test_a_single_call_waits_no_longer_than_its_deadline(hold: str) -> None:
    """Waiting for its number or for a permit, it ends at the deadline and was not sent."""
    api = slow()
    async with open_client(api, max_concurrency=1, timeout=Timeouts(call=5)) as nrm:
        runtime = nrm._runtime
        await (
            runtime.number_locks.acquire(ANIS[0]) if hold == "number" else runtime.queue.acquire()
        )
        with pytest.raises(NotSentError, match="the deadline had passed"):
            await nrm.pause(ANIS[0])
        assert now() == pytest.approx(5, abs=1e-3)
        assert not api.sent


async def test_a_read_ends_at_its_deadline() -> None:
    """A page that never arrives is given up in time."""
    api = slow(Fate.LOST_BEFORE)
    settings = {"retry": RetryPolicy(base=1, max_retries=100), "timeout": Timeouts(call=5)}
    async with open_client(api, **settings) as nrm:
        with pytest.raises(NRMError):
            await nrm.list_anis()
    assert 3 < now() <= 5 + SECONDS


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"dead_line": 1}, TypeError, "unexpected keyword argument 'dead_line'"),
    ({"deadline": -1}, InvalidRequestError, "deadline must be at least 0"),
    ({"deadline": float("inf")}, InvalidRequestError, "deadline"),
    ({"deadline": "1"}, InvalidRequestError, "deadline must be a number"),
    ({"max_refused": 1.5}, InvalidRequestError, "max_refused must be from 0 to 1"),
    ({"on_unknown": "guess"}, ConfigurationError, "on_unknown must be"),
]


@pytest.mark.parametrize(("keywords", "kind", "words"), BAD)
async def test_an_invalid_option_is_refused(
    keywords: dict[str, Any], kind: type[Exception], words: str
) -> None:
    """Every batch method raises before anything is read or sent."""
    api = slow()
    unread = iter(PAUSES)
    async with open_client(api) as nrm:
        methods: list[Callable[..., Awaitable[BatchReport]]] = [
            nrm.run_batch,
            nrm.pause_many,
            nrm.remediate_many,
        ]
        for method in methods:
            with pytest.raises(kind, match=words):
                await method(unread, **keywords)
        with pytest.raises(kind, match=words):
            nrm.stream_batch(unread, **keywords)
    assert next(unread) is PAUSES[0]
    assert not api.sent
    assert not issubclass(kind, APIError)


async def test_inputs_that_raise_cancelled_error() -> None:
    """They do not pass for a finished batch: an error is raised, with all results so far."""

    async def inputs() -> AsyncIterator[Action]:
        for action in PAUSES[:10]:
            yield action
        raise asyncio.CancelledError

    async with open_client(slow()) as nrm:
        with pytest.raises(RuntimeError, match="cut short") as caught:
            await nrm.run_batch(inputs())
    report = caught.value.report  # type: ignore[attr-defined]
    assert isinstance(report, BatchReport)
    assert [result.action for result in report] == PAUSES[:10]
    assert report.ok
