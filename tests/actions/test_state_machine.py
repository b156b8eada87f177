"""A client and the fake API side by side: hypothesis chooses the calls and the faults."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import looptime
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from nrm_async import (
    Action,
    Activate,
    Ani,
    CallResult,
    NRMClient,
    NRMError,
    Outcome,
    OutcomeUnknownError,
    Pause,
    Receipt,
)
from nrm_async._engine.actions import StateCache
from nrm_async.models import ACTIVE
from nrm_async.results import make_result
from nrm_async.testing import Request
from tests.actions.audit import audit
from tests.fakes import PAST, FakeAPI, Fate, first_actions, make_action, numbers, open_client

ANIS = numbers(4)
SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda ani: ani,
    lambda ani: f"+1 ({ani[:3]}) {ani[3:6]}-{ani[6:]}",
    lambda ani: f"1{ani}",
)
FATES = st.lists(st.sampled_from(Fate), max_size=10)
CALLS = st.tuples(
    st.sampled_from(["pause", "activate", "remediate"]),
    st.sampled_from(ANIS),
    st.sampled_from(SPELLINGS),
)


async def call(nrm: NRMClient, action: Action) -> Receipt:
    if isinstance(action, Pause):
        return await nrm.pause(action.ani, note=action.note)
    if isinstance(action, Activate):
        return await nrm.activate(action.ani, note=action.note, date=action.date)
    return await nrm.remediate(action.ani, note=action.note)


class ClientAgainstAPI(RuleBasedStateMachine):
    """After each call, every outcome so far agrees with the API's records."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=looptime.new_event_loop)
        self.stack = AsyncExitStack()
        self.results: list[CallResult] = []
        self.fates: list[Fate] = []
        self.count = 0

    @initialize(
        active=st.dictionaries(st.sampled_from(ANIS), st.booleans()), patience=st.integers(1, 4)
    )
    def open(self, active: dict[str, bool], patience: int) -> None:
        self.api = FakeAPI(dict(active), self.next_fate, patience=lambda: patience)
        self.nrm = self.runner.run(self.stack.enter_async_context(open_client(self.api)))

    def next_fate(self, request: Request) -> Fate:
        return self.fates.pop(0) if self.fates else Fate.NORMAL

    def make(self, kind: str, ani: str, spell: Callable[[str], str]) -> Action:
        self.count += 1
        return make_action(kind, spell(ani), self.count)

    @rule(what=CALLS, fates=FATES)
    def call_once(self, what: tuple[str, str, Callable[[str], str]], fates: list[Fate]) -> None:
        action, self.fates = self.make(*what), fates
        value: Receipt | NRMError
        try:
            value = self.runner.run(call(self.nrm, action))
            attempts = self.api.sent[action.note or ""]
        except NRMError as error:
            value, attempts = error, error.attempts
        self.results.append(make_result(0, action.ani, action, value, attempts, 0.0))
        self.check()

    @rule(
        what=st.lists(CALLS, min_size=1, max_size=8),
        fates=FATES,
        concurrency=st.integers(1, 8),
        on_unknown=st.sampled_from(["confirm", "confirm", "report"]),
    )
    def call_many(
        self,
        what: list[tuple[str, str, Callable[[str], str]]],
        fates: list[Fate],
        concurrency: int,
        on_unknown: str,
    ) -> None:
        self.fates = fates
        actions = [self.make(*one) for one in what]
        report = self.runner.run(
            self.nrm.run_batch(actions, concurrency=concurrency, on_unknown=on_unknown)  # type: ignore[arg-type]
        )
        assert [result.action for result in report] == actions
        self.results.extend(report)
        self.check()

    def check(self) -> None:
        assert audit(self.api, self.results) == []
        self.check_released()

    def check_released(self) -> None:
        runtime = self.nrm._runtime
        assert runtime.number_locks._waiters == {}
        assert runtime.queue.in_flight == 0
        assert runtime.confirming.value == 1

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()


TestClientAgainstAPI = ClientAgainstAPI.TestCase
TestClientAgainstAPI.settings = settings(
    max_examples=80,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.xfail(
    strict=True,
    reason="CONFIRMED says that the number is in the desired state; whether this action caused it "
    "cannot be known if the state before is unknown",
)
async def test_confirmed_means_applied_by_this_action() -> None:
    """A number of unknown state that already rests is paused, and the refusal is lost."""
    api = FakeAPI({ANIS[0]: False}, first_actions(Fate.LOST_AFTER))
    async with open_client(api) as nrm:
        (result,) = await nrm.run_batch([make_action("pause", ANIS[0], "a")])
    assert result.outcome is not Outcome.CONFIRMED or api.applied["a"]


async def test_confirmed_is_not_due_to_an_earlier_unknown_action() -> None:
    """The first pause is applied late, just before the second one is lost."""
    api = FakeAPI({ANIS[0]: True}, first_actions(Fate.LATE, Fate.LOST_AFTER))
    async with open_client(api) as nrm:
        first, second = await nrm.run_batch(
            [make_action("pause", ANIS[0], note) for note in "ab"], on_unknown="report"
        )
        assert first.outcome is second.outcome is Outcome.UNKNOWN
        api.fate = first_actions(Fate.LOST_AFTER)
        (third,) = await nrm.run_batch([make_action("pause", ANIS[0], "c")])
    assert third.outcome is not Outcome.CONFIRMED or api.applied["c"]


async def test_a_state_that_the_client_knew_confirms_nothing() -> None:
    """The client itself paused the number before, so a lost pause stays unknown."""
    api = FakeAPI({ANIS[0]: True})
    async with open_client(api) as nrm:
        await nrm.pause(ANIS[0], note="a")
        api.fate = first_actions(Fate.LOST_AFTER)
        with pytest.raises(OutcomeUnknownError):
            await nrm.pause(ANIS[0], note="b")


async def test_a_state_that_the_row_showed_confirms_nothing() -> None:
    """The caller's row already showed the desired state, so a lost pause stays unknown."""
    api = FakeAPI({ANIS[0]: False, ANIS[1]: True}, first_actions(Fate.LOST_AFTER, Fate.LOST_AFTER))
    rows = [Ani(1, ANIS[0], status="COOLING_OFF"), Ani(2, ANIS[1], status=ACTIVE)]
    async with open_client(api) as nrm:
        report = await nrm.pause_many(rows)
    assert [result.outcome for result in report] == [Outcome.UNKNOWN, Outcome.CONFIRMED]


async def test_an_unknown_remediation_keeps_the_known_state() -> None:
    """A remediation does not change the status, so the client still knows it."""
    api = FakeAPI({ANIS[0]: True})
    async with open_client(api) as nrm:
        await nrm.pause(ANIS[0], note="a")
        api.fate = first_actions(Fate.LOST_AFTER, Fate.LOST_AFTER)
        report = await nrm.run_batch(
            [make_action("remediate", ANIS[0], "b"), make_action("pause", ANIS[0], "c")]
        )
    assert [result.outcome for result in report] == [Outcome.UNKNOWN, Outcome.UNKNOWN]


async def test_an_action_with_a_future_date_keeps_the_known_state() -> None:
    """An activation in the next century leaves a paused number paused."""
    api = FakeAPI({ANIS[0]: True})
    async with open_client(api) as nrm:
        await nrm.pause(ANIS[0], note="a")
        await nrm.activate(ANIS[0], date="2125-01-26", note="b")
        api.active[ANIS[0]] = False  # the fake API applies dates immediately
        api.fate = first_actions(Fate.LOST_AFTER)
        with pytest.raises(OutcomeUnknownError):
            await nrm.pause(ANIS[0], note="c")


async def test_a_remediation_is_not_resent_after_408() -> None:
    """A gateway may send the 408 after it passed the request on."""
    api = FakeAPI({ANIS[0]: True}, first_actions(Fate.TIMED_OUT_AFTER))
    async with open_client(api) as nrm:
        with pytest.raises(OutcomeUnknownError):
            await nrm.remediate(ANIS[0], note="a")
    assert api.received["a"] == 1


async def test_one_number_in_three_spellings() -> None:
    """Its actions are sent one after the other, in order."""
    api = FakeAPI({ANIS[0]: True})
    kinds = ["pause", "activate", "pause", "activate", "pause", "activate"]
    actions = [
        make_action(kind, SPELLINGS[index % 3](ANIS[0]), index) for index, kind in enumerate(kinds)
    ]
    async with open_client(api) as nrm:
        report = await nrm.run_batch(actions)
    assert report.ok
    assert not audit(api, report)
    assert api.arrivals == {ANIS[0]: [str(index) for index in range(6)]}
    assert PAST in str(actions[1])


def test_a_dated_action_leaves_the_state_unknown() -> None:
    """A pause with a date may be the one that a later read shows, so nothing is known."""
    known = StateCache()
    known.record(Pause(ANIS[0], date="2999-01-01"), Receipt(ANIS[0], "paused"))
    assert known.was_active(Pause(ANIS[0]), None) is False
    known.record(Pause(ANIS[0]), Receipt(ANIS[0], "paused"))
    assert known.was_active(Pause(ANIS[0]), None) is False
