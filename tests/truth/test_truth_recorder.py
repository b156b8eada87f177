"""The recorder: intent before any byte leaves, outcome after, and nothing unrecorded is sent."""

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
from nrm_async._wire import Request
from tests.truth.conftest import Fate, World, make_action, numbers, open_client

ANIS = numbers(12)
PAUSES = [make_action("pause", ani, index) for index, ani in enumerate(ANIS)]


@attrs.define
class Journal:
    """Notes what it is told and what the API had been sent by then; fails where it is told to."""

    world: World
    intents: list[int] = attrs.field(factory=list)
    outcomes: list[CallResult] = attrs.field(factory=list)
    fails_at_intent: int | None = None
    fails_at_outcome: int | None = None

    async def intent(self, index: int, action: Action) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
            assert self.world.sent[str(index)] == 0
        if index == self.fails_at_intent:
            raise OSError("the disk is full")
        self.intents.append(index)

    async def outcome(self, result: CallResult) -> None:
        sent = self.world.sent[str(result.index)]
        for _ in range(5):
            await asyncio.sleep(0)
            assert self.world.sent[str(result.index)] == sent == result.attempts
        self.outcomes.append(result)
        if result.index == self.fails_at_outcome:
            raise OSError("the disk is full")


def a_world() -> World:
    return World(dict.fromkeys(ANIS, True))


async def test_intent_comes_before_and_outcome_after() -> None:
    """Both are awaited, for each item, whatever becomes of it."""
    world = a_world()
    journal = Journal(world)
    fates = iter([Fate.LOST_AFTER, Fate.NOT_SENT, Fate.THROTTLED, Fate.LOST_BEFORE])

    def fate(request: Request) -> Fate:
        assert not request.body or len(journal.intents) > 0
        return next(fates, Fate.NORMAL)

    world.fate = fate
    async with open_client(world) as nrm:
        report = await nrm.run_batch(PAUSES, concurrency=3, recorder=journal)
    assert sorted(journal.intents) == list(range(12))
    assert sorted(journal.outcomes, key=lambda result: result.index) == list(report)
    assert report.ok


async def test_a_bad_input_has_an_outcome_and_no_intent() -> None:
    """There is nothing to intend, and yet it is decided."""
    world = a_world()
    journal = Journal(world)
    async with open_client(world) as nrm:
        report = await nrm.run_batch(["no action", PAUSES[1]], recorder=journal)  # type: ignore[list-item]
    assert journal.intents == [1]
    assert sorted(result.index for result in journal.outcomes) == [0, 1]
    assert isinstance(report.failed[0].error, InvalidRequestError)


async def test_an_item_that_is_not_begun_has_an_outcome_and_no_intent() -> None:
    """After the batch was stopped nothing is intended any more."""
    world = a_world()
    journal = Journal(world)
    async with open_client(world) as nrm:
        report = await nrm.run_batch(PAUSES, deadline=0, recorder=journal)
    assert journal.intents == []
    assert len(journal.outcomes) == len(report) == 12
    assert not world.sent


async def run_and_fail(nrm: NRMClient, journal: Journal) -> BatchReport:
    with pytest.raises(OSError, match="the disk is full") as caught:
        await nrm.run_batch(PAUSES, concurrency=1, recorder=journal)
    report = caught.value.report  # type: ignore[attr-defined]
    assert isinstance(report, BatchReport)
    assert [result.index for result in report] == list(range(12))
    return report


async def stream_and_fail(nrm: NRMClient, journal: Journal) -> BatchReport:
    results: list[CallResult] = []

    async def consume() -> None:
        async with nrm.stream_batch(PAUSES, concurrency=1, recorder=journal) as stream:
            async for result in stream:
                results.append(result)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(OSError, match="the disk is full"):
        await consume()
    return BatchReport(tuple(results))


BOTH = pytest.mark.parametrize("run", [run_and_fail, stream_and_fail])


@BOTH
async def test_what_is_not_recorded_is_not_sent(run: Callable[..., object]) -> None:
    """A failing intent sends nothing, stops the batch, and is raised when all is decided."""
    world = a_world()
    journal = Journal(world, fails_at_intent=4)
    async with open_client(world) as nrm:
        report = await run(nrm, journal)  # type: ignore[misc]
    assert set(world.sent) == {"0", "1", "2", "3"}
    assert [result.outcome for result in report] == [Outcome.APPLIED] * 4 + (
        [Outcome.NOT_APPLIED] * 8
    )
    for failed in report.failed:
        assert isinstance(failed.error, BatchStoppedError)
        assert "the recorder failed: OSError" in str(failed.error)
    assert len(journal.outcomes) == 12


@BOTH
async def test_an_outcome_that_cannot_be_recorded_stands(run: Callable[..., object]) -> None:
    """The result is kept as it is, nothing more is sent, and the error is raised at the end."""
    world = a_world()
    journal = Journal(world, fails_at_outcome=4)
    async with open_client(world) as nrm:
        report = await run(nrm, journal)  # type: ignore[misc]
    assert set(world.sent) == {"0", "1", "2", "3", "4"}
    assert [result.outcome for result in report] == [Outcome.APPLIED] * 5 + (
        [Outcome.NOT_APPLIED] * 7
    )


async def test_no_recorder_is_a_recorder_that_does_nothing() -> None:
    """``None`` may be said."""
    world = a_world()
    async with open_client(world) as nrm:
        assert (await nrm.run_batch(PAUSES, recorder=None)).ok
