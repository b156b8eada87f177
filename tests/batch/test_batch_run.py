"""A batch run into a report: one result for each input, in input order."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import (
    Action,
    BatchReport,
    CallResult,
    InvalidRequestError,
    Outcome,
    Pause,
    Receipt,
    Succeeded,
)
from nrm_async._inputs import action_factory, given_action
from nrm_async.batch import BatchOptions, run
from tests.batch.conftest import ANIS, PAUSES, FakeCall, ReversedCall

SIX = BatchOptions(concurrency=6)


async def test_one_result_per_input_in_input_order() -> None:
    """The report holds one result for each input, made by ``concurrency`` tasks."""
    call = FakeCall()
    report = await run(PAUSES, given_action, call, BatchOptions(concurrency=7))
    assert [result.index for result in report] == list(range(100))
    assert [result.ani for result in report] == ANIS
    assert [result.input for result in report] == PAUSES
    assert call.most_in_flight == 7
    assert call.most_tasks == 7


@pytest.mark.looptime
async def test_input_order_when_the_last_completes_first() -> None:
    """The order of completion does not change the order of the report."""
    report = await run(PAUSES, given_action, ReversedCall(), BatchOptions(concurrency=100))
    assert [result.index for result in report] == list(range(100))
    assert report.elapsed == pytest.approx(1000)


@given(
    inputs=st.lists(st.sampled_from([*ANIS, "", "letters", None, 12, 2345678901]), max_size=40),
    concurrency=st.integers(1, 9),
)
def test_every_input_has_exactly_one_result(inputs: list[object], concurrency: int) -> None:
    """Invalid inputs have results too; no result is lost, duplicated or misplaced."""

    async def check() -> None:
        call = FakeCall()
        options = BatchOptions(concurrency=concurrency)
        report = await run(inputs, action_factory(Pause), call, options)
        assert [result.index for result in report] == list(range(len(inputs)))
        assert all(result.input is given for result, given in zip(report, inputs, strict=True))
        assert sorted(call.order) == [result.index for result in report.succeeded]
        for failed in report.failed:
            assert failed.outcome is Outcome.NOT_APPLIED
            assert isinstance(failed.error, InvalidRequestError)
            assert failed.action is None
            assert (failed.attempts, failed.elapsed) == (0, 0.0)

    asyncio.run(check())


def test_action_factory_accepts_numbers_actions_and_results() -> None:
    """Numbers become actions with the given options; actions of the kind pass unchanged."""
    to_action = action_factory(Pause, note="resting", date="2026-05-27")
    made = to_action("(234) 567-8901")
    assert made == Pause("2345678901", note="resting", date="2026-05-27")
    own = Pause("2345678901", note="its own")
    assert to_action(own) is own
    result = Succeeded(
        index=0, input="", action=own, outcome=Outcome.APPLIED, receipt=Receipt("", "paused")
    )
    assert to_action(result) is own
    assert given_action(result) is own
    with pytest.raises(InvalidRequestError, match="must be an action"):
        given_action("2345678901")


async def test_an_input_that_raises_unexpectedly_is_an_invalid_input() -> None:
    """What its own code raises is the error of its result, and keeps no frames alive."""

    class Unreadable:
        @property
        def phone(self) -> str:
            raise LookupError("no such column")

    report = await run([Unreadable(), ANIS[1]], action_factory(Pause), FakeCall(), SIX)
    (failed,) = report.failed
    assert failed.index == 0
    assert failed.error.message == "the input cannot be read: LookupError: no such column"
    assert failed.error.__traceback__ is None


# --- on_result -------------------------------------------------------------------------------


async def test_on_result_receives_every_result() -> None:
    """Plain and async callbacks are called once for each result."""
    plain: list[int] = []
    awaited: list[int] = []

    async def later(result: CallResult) -> None:
        await asyncio.sleep(0)
        awaited.append(result.index)

    await run(PAUSES, given_action, FakeCall(), SIX, on_result=lambda r: plain.append(r.index))
    await run(PAUSES, given_action, FakeCall(), SIX, on_result=later)
    assert sorted(plain) == sorted(awaited) == list(range(100))


async def test_on_result_that_raises_does_not_stop_the_batch() -> None:
    """It is called for every result, and its first error is raised at the end."""
    seen: list[int] = []

    def fail(result: CallResult) -> None:
        seen.append(result.index)
        raise ZeroDivisionError(f"at {len(seen)}")

    call = FakeCall()
    with pytest.raises(ZeroDivisionError, match=r"at 1$") as caught:
        await run(PAUSES, given_action, call, SIX, on_result=fail)
    assert sorted(seen) == sorted(call.order) == list(range(100))
    assert len(caught.value.report) == 100  # type: ignore[attr-defined]


async def test_on_result_and_the_inputs_raise() -> None:
    """The error of the inputs is raised, with a note of the callback's."""

    def inputs() -> Iterator[Pause]:
        yield from PAUSES[:3]
        raise LookupError("the list ends here")

    def fail(result: CallResult) -> None:
        raise ZeroDivisionError(f"at {result.index}")

    with pytest.raises(LookupError, match="ends here") as caught:
        await run(inputs(), given_action, FakeCall(), SIX, on_result=fail)
    (note,) = caught.value.__notes__
    assert note == "on_result had failed too: ZeroDivisionError('at 0')"
    assert len(caught.value.report) == 3  # type: ignore[attr-defined]


# --- what ends a batch early -----------------------------------------------------------------


async def test_inputs_that_raise_lose_no_earlier_result() -> None:
    """Earlier items are carried out, then the error is raised with the report."""

    def inputs() -> Iterator[Pause]:
        yield from PAUSES[:20]
        raise LookupError("the list ends here")

    call = FakeCall()
    with pytest.raises(LookupError, match="ends here") as caught:
        await run(inputs(), given_action, call, SIX)
    report = caught.value.report  # type: ignore[attr-defined]
    assert isinstance(report, BatchReport)
    assert [result.index for result in report] == list(range(20))
    assert report.ok
    assert sorted(call.order) == list(range(20))


async def test_inputs_that_cannot_be_iterated() -> None:
    """An error of ``__iter__`` itself is raised with an empty report."""

    class Closed:
        def __iter__(self) -> Iterator[Pause]:
            raise ConnectionError("the cursor is closed")

    with pytest.raises(ConnectionError, match="closed") as caught:
        await run(Closed(), given_action, FakeCall(), SIX)
    assert len(caught.value.report) == 0  # type: ignore[attr-defined]


async def test_an_exception_without_room_for_the_report() -> None:
    """An exception that refuses the attribute is raised without a report."""

    class FixedError(LookupError):
        report = property()  # it cannot be set

    def inputs() -> Iterator[Pause]:
        yield PAUSES[0]
        raise FixedError

    with pytest.raises(FixedError):
        await run(inputs(), given_action, FakeCall(), SIX)


async def test_inputs_and_the_recorder_raise() -> None:
    """The first error is raised, and every input that was read has a result."""

    class FailingRecorder:
        async def intent(self, index: int, action: Action) -> None:
            await asyncio.sleep(0)
            raise OSError("the disk is full")

        async def outcome(self, result: CallResult) -> None: ...

    def inputs() -> Iterator[Pause]:
        yield from PAUSES[:3]
        raise LookupError("the list ends here")

    options = BatchOptions(concurrency=6, recorder=FailingRecorder())
    with pytest.raises(LookupError, match="ends here") as caught:
        await run(inputs(), given_action, FakeCall(), options)
    assert len(caught.value.report.failed) == 3  # type: ignore[attr-defined]


async def test_a_cancelled_batch_keeps_its_results() -> None:
    """The cancellation carries a report of the results so far."""

    class Stuck(FakeCall):
        async def exchange(self, index: int) -> None:
            if index >= 10:
                await asyncio.Event().wait()

    ten_seen = asyncio.Event()

    def count(result: CallResult) -> None:
        if result.index == 9:
            ten_seen.set()

    batch = asyncio.create_task(
        run(PAUSES, given_action, Stuck(), BatchOptions(concurrency=1), on_result=count)
    )
    await ten_seen.wait()
    batch.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await batch
    report = caught.value.report  # type: ignore[attr-defined]
    assert [result.index for result in report] == list(range(11))
    assert [result.ok for result in report] == [True] * 10 + [False]
    assert report[10].outcome is Outcome.NOT_APPLIED  # it was never sent
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_bug_in_a_worker_is_raised() -> None:
    """A crash is not taken for the end of the batch, even if the inputs had failed before."""

    class Broken(FakeCall):
        async def exchange(self, index: int) -> None:
            if index == 30:
                await asyncio.sleep(0)
                raise AssertionError("a bug")

    def inputs() -> Iterator[Pause]:
        yield from PAUSES[:31]
        raise LookupError("the list ends here")

    for concurrency in (1, 6):
        with pytest.raises(AssertionError, match="a bug"):
            await run(inputs(), given_action, Broken(), BatchOptions(concurrency=concurrency))


# --- options ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("deadline", value) for value in (-1, float("nan"), float("inf"), 10**400, "1", True)],
        *[("max_refused", value) for value in (-0.1, 1.5, float("nan"), "half", False)],
    ],
)
def test_options_name_the_argument_that_breaks_a_rule(name: str, value: object) -> None:
    """A number out of range, and anything that is not a number, is refused."""
    options: dict[str, object] = {name: value}
    with pytest.raises(InvalidRequestError, match=rf"^{name} must be "):
        BatchOptions(concurrency=1, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, 0, 1, 0.5])
def test_options_accept_their_bounds(value: float | None) -> None:
    """Both bounds are allowed, and ``None`` for no limit."""
    options = BatchOptions(concurrency=1, deadline=value, max_refused=value)
    assert options.deadline is options.max_refused is value
