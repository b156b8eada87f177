"""Stopping: what cannot succeed is not tried any more, and deadlines hold, on virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest

from nrm_async import (
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
from nrm_async._flight import Flight
from nrm_async._wire import Request, Response
from tests.truth.conftest import Fate, World, audit, make_action, numbers, open_client, shut_gate

ANIS = numbers(60)
PAUSES = [make_action("pause", ani, index) for index, ani in enumerate(ANIS)]
SECONDS = 1.0  # that each request takes

pytestmark = pytest.mark.looptime


def no_certificate() -> NotSentError:
    error = NotSentError("the request was not sent: certificate verify failed")
    error.permanent = True
    return error


def now() -> float:
    return asyncio.get_running_loop().time()


@attrs.define
class Doomed(World):
    """Ends the action numbered ``at`` in a way that would befall all others too."""

    at: int = 10
    end: Callable[[], Response | NRMError] = no_certificate

    async def exchange(self, request: Request, flight: Flight) -> Response | NRMError:
        await asyncio.sleep(SECONDS)
        if f'"note":"{self.at}"' in (request.body or b"").decode():
            self.sent[str(self.at)] += 1
            return self.end()
        return await super().exchange(request, flight)


def doomed(end: Callable[[], Response | NRMError]) -> Doomed:
    return Doomed(dict.fromkeys(ANIS, True), end=end)


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
async def test_what_would_befall_all_stops_the_batch(
    end: Callable[[], Response | NRMError], kind: type[NRMError], outcome: Outcome
) -> None:
    """Those in flight come to their end, the rest is not begun, and the first cause is named."""
    world = doomed(end)
    async with open_client(world, max_concurrency=4) as nrm:
        report = await nrm.run_batch(PAUSES)
    assert report[10].outcome is outcome
    cause = report.failed[0].error
    assert isinstance(cause, kind)
    assert report.counts[Outcome.APPLIED] in range(10, 14)
    assert len(world.sent) == report.counts[Outcome.APPLIED] + 1
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
async def test_what_may_befall_one_does_not_stop_the_batch(
    end: Callable[[], Response | NRMError],
) -> None:
    """One item's bad luck is its own."""
    world = doomed(end)
    async with open_client(world, retry=RetryPolicy(max_retries=0)) as nrm:
        report = await nrm.run_batch(PAUSES, on_unknown="report")
    assert [result.index for result in report.failed] == [10]


@pytest.mark.parametrize(("share", "is_stopped"), [(None, False), (0.5, False), (0.4, True)])
async def test_a_share_of_refusals_stops_the_batch(share: float | None, is_stopped: bool) -> None:
    """Above the limit, from 20 answers on; off by default."""
    world = World({ani: index % 2 == 0 for index, ani in enumerate(ANIS)})
    async with open_client(world, max_concurrency=1) as nrm:
        report = await nrm.run_batch(PAUSES, max_refused=share)
    begun = 20 if is_stopped else 60
    assert len(world.sent) == begun
    assert report.counts[Outcome.REJECTED] == report.counts[Outcome.APPLIED] == begun // 2
    for result in report[begun:]:
        assert not result.ok
        assert isinstance(result.error, BatchStoppedError)
        assert "10 of 20 items were refused" in str(result.error)


def slow(fate: Fate = Fate.NORMAL) -> World:
    """Each request takes three times a third of a second."""
    return World(
        dict.fromkeys(ANIS, True), lambda request: fate, pause=lambda: asyncio.sleep(SECONDS / 3)
    )


async def test_the_deadline_of_a_batch() -> None:
    """Nothing is begun after it, what is in flight ends, and the rest is not applied."""
    world = slow()
    async with open_client(world, max_concurrency=4) as nrm:
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
    assert not audit(world, report)


TROUBLES: dict[str, tuple[Fate, dict[str, Any], Callable[[NRMClient], object]]] = {
    "sending": (Fate.NORMAL, {}, lambda nrm: None),
    "throttled": (Fate.THROTTLED, {}, lambda nrm: None),
    "not sent": (Fate.NOT_SENT, {}, lambda nrm: None),
    "the gate": (Fate.NORMAL, {}, lambda nrm: shut_gate(nrm, 100)),
    "the pacer": (Fate.NORMAL, {"max_rate": 0.5}, lambda nrm: None),
    "lost": (Fate.LOST_BEFORE, {}, lambda nrm: None),
    "lost, read back slowly": (Fate.LOST_BEFORE, {"confirm": ConfirmPolicy(10)}, lambda nrm: None),
}


@pytest.mark.parametrize("name", TROUBLES)
@pytest.mark.parametrize("of_batch", [True, False], ids=["batch", "call"])
async def test_no_call_outlives_its_deadline(name: str, of_batch: bool) -> None:
    """By more than the attempt in flight, wherever it waits."""
    fate, settings, prepare = TROUBLES[name]
    world = slow(fate)
    world.fate = lambda request: fate if request.body else Fate.NORMAL
    chosen: dict[str, Any] = {"max_concurrency": 20, "retry": RetryPolicy(base=2)} | settings
    if not of_batch:
        chosen["timeout"] = Timeouts(call=4.5)
    async with open_client(world, **chosen) as nrm:
        prepare(nrm)
        report = await nrm.run_batch(PAUSES[:20], deadline=4.5 if of_batch else None)
    assert now() <= 4.5 + SECONDS
    assert not audit(world, report)


async def test_reading_back_in_line_does_not_outlive_the_deadline() -> None:
    """Reads take turns; whose deadline comes while it is in line does not wait for its turn."""
    world = slow()
    world.fate = lambda request: Fate.LOST_AFTER if request.body else Fate.NORMAL
    async with open_client(world, max_concurrency=15) as nrm:
        patient = asyncio.create_task(nrm.run_batch(PAUSES[:10], concurrency=10))
        await asyncio.sleep(0)
        hurried = await nrm.run_batch(PAUSES[10:], deadline=1.5, concurrency=3)
        assert now() <= 1.5 + SECONDS
        assert hurried.counts[Outcome.UNKNOWN] == 3
        assert (await patient).counts[Outcome.CONFIRMED] == 10
    assert not audit(world, [*hurried, *patient.result()])


@pytest.mark.parametrize("hold", ["number", "pool"])
async def test_a_single_call_waits_no_longer_than_its_deadline(hold: str) -> None:
    """For its number and for its place: then it was provably not sent."""
    world = slow()
    async with open_client(world, max_concurrency=1, timeout=Timeouts(call=5)) as nrm:
        network = nrm._session.network()
        await (network.anis.acquire(ANIS[0]) if hold == "number" else network.pool.acquire())
        with pytest.raises(NotSentError, match="the deadline had passed"):
            await nrm.pause(ANIS[0])
        assert now() == pytest.approx(5, abs=1e-3)
        assert not world.sent


async def test_a_read_has_a_deadline_too() -> None:
    """A page that is never had is given up in time."""
    world = slow(Fate.LOST_BEFORE)
    settings = {"retry": RetryPolicy(base=1, max_retries=100), "timeout": Timeouts(call=5)}
    async with open_client(world, **settings) as nrm:
        with pytest.raises(NRMError):
            await nrm.list_anis()
    assert 3 < now() <= 5 + SECONDS


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"dead_line": 1}, TypeError, "unexpected keyword argument 'dead_line'"),
    ({"deadline": -1}, InvalidRequestError, "deadline must be a number from 0"),
    ({"deadline": float("nan")}, InvalidRequestError, "deadline"),
    ({"deadline": float("inf")}, InvalidRequestError, "deadline"),
    ({"deadline": "1"}, InvalidRequestError, "deadline"),
    ({"deadline": True}, InvalidRequestError, "deadline"),
    ({"max_refused": 1.5}, InvalidRequestError, "max_refused must be a number from 0 to 1"),
    ({"max_refused": -0.1}, InvalidRequestError, "max_refused"),
    ({"on_unknown": "guess"}, ConfigurationError, "on_unknown must be"),
]


@pytest.mark.parametrize(("keywords", "kind", "words"), BAD)
async def test_options_that_break_a_rule(
    keywords: dict[str, Any], kind: type[Exception], words: str
) -> None:
    """They are refused before anything is read or sent, by all ways to run a batch."""
    world = slow()
    unread = iter(PAUSES)
    async with open_client(world) as nrm:
        ways: list[Callable[..., Awaitable[BatchReport]]] = [
            nrm.run_batch,
            nrm.pause_many,
            nrm.remediate_many,
        ]
        for way in ways:
            with pytest.raises(kind, match=words):
                await way(unread, **keywords)
        with pytest.raises(kind, match=words):
            nrm.stream_batch(unread, **keywords)
    assert next(unread) is PAUSES[0]
    assert not world.sent
    assert not issubclass(kind, APIError)
