"""The recorder: awaited before an item is sent and after it is decided."""

import asyncio
from collections.abc import Callable

import attrs
import pytest

from nrm_async import (
    Action,
    BatchReport,
    BatchStoppedError,
    CallResult,
    InvalidRequestError,
    NRMClient,
    Outcome,
)
from nrm_async.testing import Request
from tests.fakes import FakeAPI, Fate, make_action, numbers, open_client

ANIS = numbers(12)
PAUSES = [make_action("pause", ani, index) for index, ani in enumerate(ANIS)]


@attrs.define
class FakeRecorder:
    """Records calls, checks that nothing is sent meanwhile, and fails at the given items."""

    api: FakeAPI
    intents: list[int] = attrs.field(factory=list)
    outcomes: list[CallResult] = attrs.field(factory=list)
    fails_at_intent: int | None = None
    fails_at_outcome: int | None = None

    async def intent(self, index: int, action: Action) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
            assert self.api.sent[str(index)] == 0
        if index == self.fails_at_intent:
            raise OSError("the disk is full")
        self.intents.append(index)

    async def outcome(self, result: CallResult) -> None:
        sent = self.api.sent[str(result.index)]
        for _ in range(5):
            await asyncio.sleep(0)
            assert self.api.sent[str(result.index)] == sent == result.attempts
        self.outcomes.append(result)
        if result.index == self.fails_at_outcome:
            raise OSError("the disk is full")


def make_api() -> FakeAPI:
    return FakeAPI(dict.fromkeys(ANIS, True))


async def test_intent_is_awaited_before_sending_and_outcome_after() -> None:
    """Both are awaited for each item, whatever its outcome."""
    api = make_api()
    recorder = FakeRecorder(api)
    fates = iter([Fate.LOST_AFTER, Fate.NOT_SENT, Fate.THROTTLED, Fate.LOST_BEFORE])

    def fate(request: Request) -> Fate:
        assert not request.body or len(recorder.intents) > 0
        return next(fates, Fate.NORMAL)

    api.fate = fate
    async with open_client(api) as nrm:
        report = await nrm.run_batch(PAUSES, concurrency=3, recorder=recorder)
    assert sorted(recorder.intents) == list(range(12))
    assert sorted(recorder.outcomes, key=lambda result: result.index) == list(report)
    assert report.ok


async def test_a_bad_input_has_an_outcome_and_no_intent() -> None:
    """An invalid input is never sent, but it has a result."""
    api = make_api()
    recorder = FakeRecorder(api)
    async with open_client(api) as nrm:
        report = await nrm.run_batch(["no action", PAUSES[1]], recorder=recorder)  # type: ignore[list-item]
    assert recorder.intents == [1]
    assert sorted(result.index for result in recorder.outcomes) == [0, 1]
    assert isinstance(report.failed[0].error, InvalidRequestError)


async def test_an_item_that_is_not_started_has_an_outcome_and_no_intent() -> None:
    """After the batch has stopped, no intent is recorded."""
    api = make_api()
    recorder = FakeRecorder(api)
    async with open_client(api) as nrm:
        report = await nrm.run_batch(PAUSES, deadline=0, recorder=recorder)
    assert recorder.intents == []
    assert len(recorder.outcomes) == len(report) == 12
    assert not api.sent


async def run_and_fail(nrm: NRMClient, recorder: FakeRecorder) -> BatchReport:
    with pytest.raises(OSError, match="the disk is full") as caught:
        await nrm.run_batch(PAUSES, concurrency=1, recorder=recorder)
    report = caught.value.report  # type: ignore[attr-defined]
    assert isinstance(report, BatchReport)
    assert [result.index for result in report] == list(range(12))
    return report


async def stream_and_fail(nrm: NRMClient, recorder: FakeRecorder) -> BatchReport:
    results: list[CallResult] = []

    async def consume() -> None:
        async with nrm.stream_batch(PAUSES, concurrency=1, recorder=recorder) as stream:
            async for result in stream:
                results.append(result)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(OSError, match="the disk is full"):
        await consume()
    return BatchReport(tuple(results))


BOTH = pytest.mark.parametrize("run", [run_and_fail, stream_and_fail])


@BOTH
async def test_an_item_whose_intent_fails_is_not_sent(run: Callable[..., object]) -> None:
    """A failing intent stops the batch and is raised after the results."""
    api = make_api()
    recorder = FakeRecorder(api, fails_at_intent=4)
    async with open_client(api) as nrm:
        report = await run(nrm, recorder)  # type: ignore[misc]
    assert set(api.sent) == {"0", "1", "2", "3"}
    assert [result.outcome for result in report] == [Outcome.APPLIED] * 4 + (
        [Outcome.NOT_APPLIED] * 8
    )
    for failed in report.failed:
        assert isinstance(failed.error, BatchStoppedError)
        assert "the recorder failed: OSError" in str(failed.error)
    assert len(recorder.outcomes) == 12


@BOTH
async def test_a_result_whose_outcome_fails_is_kept(run: Callable[..., object]) -> None:
    """The result stands, nothing more is sent, and the error is raised after the results."""
    api = make_api()
    recorder = FakeRecorder(api, fails_at_outcome=4)
    async with open_client(api) as nrm:
        report = await run(nrm, recorder)  # type: ignore[misc]
    assert set(api.sent) == {"0", "1", "2", "3", "4"}
    assert [result.outcome for result in report] == [Outcome.APPLIED] * 5 + (
        [Outcome.NOT_APPLIED] * 7
    )


async def test_none_is_no_recorder() -> None:
    """``recorder=None`` records nothing."""
    api = make_api()
    async with open_client(api) as nrm:
        assert (await nrm.run_batch(PAUSES, recorder=None)).ok


async def test_a_recorder_that_raises_cancelled_error() -> None:
    """It does not pass for a cancelled batch: an error is raised, with all results so far."""

    class CancellingRecorder:
        async def intent(self, index: int, action: Action) -> None:
            if index == 3:
                raise asyncio.CancelledError

        async def outcome(self, result: CallResult) -> None: ...

    async with open_client(make_api()) as nrm:
        with pytest.raises(RuntimeError, match="cut short") as caught:
            await nrm.run_batch(PAUSES, recorder=CancellingRecorder(), concurrency=1)
    report = caught.value.report  # type: ignore[attr-defined]
    assert [result.outcome for result in report] == [Outcome.APPLIED] * 3 + [Outcome.NOT_APPLIED]
