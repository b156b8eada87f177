"""A client and a model of the API side by side: hypothesis chooses what is done and what fails."""

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
from nrm_async._wire import Request
from nrm_async.models import ACTIVE
from nrm_async.results import conclude
from tests.truth.conftest import (
    PAST,
    Fate,
    World,
    audit,
    make_action,
    numbers,
    open_client,
)

ANIS = numbers(4)
SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda ani: ani,
    lambda ani: f"+1 ({ani[:3]}) {ani[3:6]}-{ani[6:]}",
    lambda ani: f"1{ani}",
)
FATES = st.lists(st.sampled_from(Fate), max_size=10)
THINGS_TO_DO = st.tuples(
    st.sampled_from(["pause", "activate", "remediate"]),
    st.sampled_from(ANIS),
    st.sampled_from(SPELLINGS),
)


async def ask(nrm: NRMClient, action: Action) -> Receipt:
    if isinstance(action, Pause):
        return await nrm.pause(action.ani, note=action.note)
    if isinstance(action, Activate):
        return await nrm.activate(action.ani, note=action.note, date=action.date)
    return await nrm.remediate(action.ani, note=action.note)


class Truth(RuleBasedStateMachine):
    """After each call, every label given so far agrees with the books."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=looptime.new_event_loop)
        self.stack = AsyncExitStack()
        self.results: list[CallResult] = []
        self.fates: list[Fate] = []
        self.made = 0

    @initialize(
        active=st.dictionaries(st.sampled_from(ANIS), st.booleans()), patience=st.integers(1, 4)
    )
    def open(self, active: dict[str, bool], patience: int) -> None:
        self.world = World(dict(active), self.next_fate, patience=lambda: patience)
        self.nrm = self.runner.run(self.stack.enter_async_context(open_client(self.world)))

    def next_fate(self, request: Request) -> Fate:
        return self.fates.pop(0) if self.fates else Fate.NORMAL

    def make(self, kind: str, ani: str, spell: Callable[[str], str]) -> Action:
        self.made += 1
        return make_action(kind, spell(ani), self.made)

    @rule(what=THINGS_TO_DO, fates=FATES)
    def call_once(self, what: tuple[str, str, Callable[[str], str]], fates: list[Fate]) -> None:
        action, self.fates = self.make(*what), fates
        value: Receipt | NRMError
        try:
            value = self.runner.run(ask(self.nrm, action))
            attempts = self.world.sent[action.note or ""]
        except NRMError as error:
            value, attempts = error, error.attempts
        self.results.append(conclude(0, action.ani, action, value, attempts, 0.0))
        self.check()

    @rule(
        what=st.lists(THINGS_TO_DO, min_size=1, max_size=8),
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
        assert audit(self.world, self.results) == []
        self.runner.run(self.look_at_rest())

    async def look_at_rest(self) -> None:
        network = self.nrm._session.network()
        assert network.anis._lines == {}
        assert network.pool.in_flight == 0
        assert network.confirming.value == 1

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()


TestTruth = Truth.TestCase
TestTruth.settings = settings(
    max_examples=80,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.xfail(
    strict=True,
    reason="CONFIRMED says that the state asked for is there; that this action brought it about "
    "cannot be known of a number whose state before is not known",
)
async def test_confirmed_always_means_applied_by_this_very_action() -> None:
    """A resting number, not known to be resting, is paused again and the refusal is lost."""
    world = World({ANIS[0]: False}, fate_of_first(Fate.LOST_AFTER))
    async with open_client(world) as nrm:
        (result,) = await nrm.run_batch([make_action("pause", ANIS[0], "a")])
    assert result.outcome is not Outcome.CONFIRMED or world.applied["a"]


async def test_confirmed_is_never_due_to_an_earlier_unknown_action() -> None:
    """The first pause is heard after its call has ended, just before the second one is lost."""
    world = World({ANIS[0]: True}, fate_of_first(Fate.LATE, Fate.LOST_AFTER))
    async with open_client(world) as nrm:
        first, second = await nrm.run_batch(
            [make_action("pause", ANIS[0], note) for note in "ab"], on_unknown="report"
        )
        assert first.outcome is second.outcome is Outcome.UNKNOWN
        world.fate = fate_of_first(Fate.LOST_AFTER)
        (third,) = await nrm.run_batch([make_action("pause", ANIS[0], "c")])
    assert third.outcome is not Outcome.CONFIRMED or world.applied["c"]


def fate_of_first(*fates: Fate) -> Callable[[Request], Fate]:
    """These befall the first actions; all else is normal."""
    waiting = list(fates)

    def fate(request: Request) -> Fate:
        return waiting.pop(0) if waiting and request.body else Fate.NORMAL

    return fate


async def test_what_this_client_knows_is_not_confirmed() -> None:
    """A pause of a number that this client had paused: the state asked for proves nothing."""
    world = World({ANIS[0]: True})
    async with open_client(world) as nrm:
        await nrm.pause(ANIS[0], note="a")
        world.fate = fate_of_first(Fate.LOST_AFTER)
        with pytest.raises(OutcomeUnknownError):
            await nrm.pause(ANIS[0], note="b")


async def test_what_the_callers_row_says_is_not_confirmed() -> None:
    """The number's own row said that it was resting before: neither does it prove anything."""
    world = World({ANIS[0]: False, ANIS[1]: True}, fate_of_first(Fate.LOST_AFTER, Fate.LOST_AFTER))
    rows = [Ani(1, ANIS[0], status="COOLING_OFF"), Ani(2, ANIS[1], status=ACTIVE)]
    async with open_client(world) as nrm:
        report = await nrm.pause_many(rows)
    assert [result.outcome for result in report] == [Outcome.UNKNOWN, Outcome.CONFIRMED]


async def test_a_remediation_in_doubt_leaves_the_status_known() -> None:
    """Remediation does not change the status, so what was known of it is known still."""
    world = World({ANIS[0]: True})
    async with open_client(world) as nrm:
        await nrm.pause(ANIS[0], note="a")
        world.fate = fate_of_first(Fate.LOST_AFTER, Fate.LOST_AFTER)
        report = await nrm.run_batch(
            [make_action("remediate", ANIS[0], "b"), make_action("pause", ANIS[0], "c")]
        )
    assert [result.outcome for result in report] == [Outcome.UNKNOWN, Outcome.UNKNOWN]


async def test_an_action_for_later_changes_nothing_that_is_known() -> None:
    """An activation for next century leaves a paused number paused."""
    world = World({ANIS[0]: True})
    async with open_client(world) as nrm:
        await nrm.pause(ANIS[0], note="a")
        await nrm.activate(ANIS[0], date="2125-01-26", note="b")
        world.active[ANIS[0]] = False  # the model knows no dates: it is not 2125 yet
        world.fate = fate_of_first(Fate.LOST_AFTER)
        with pytest.raises(OutcomeUnknownError):
            await nrm.pause(ANIS[0], note="c")


async def test_a_remediation_that_the_server_timed_out_is_not_sent_again() -> None:
    """A 408 may come from something in front of the API, which had passed the request on."""
    world = World({ANIS[0]: True}, fate_of_first(Fate.TIMED_OUT_AFTER))
    async with open_client(world) as nrm:
        with pytest.raises(OutcomeUnknownError):
            await nrm.remediate(ANIS[0], note="a")
    assert world.handed["a"] == 1


async def test_a_number_is_one_number_in_any_spelling() -> None:
    """Pause and activate of one number, spelt three ways, come one after the other."""
    world = World({ANIS[0]: True})
    kinds = ["pause", "activate", "pause", "activate", "pause", "activate"]
    actions = [
        make_action(kind, SPELLINGS[index % 3](ANIS[0]), index) for index, kind in enumerate(kinds)
    ]
    async with open_client(world) as nrm:
        report = await nrm.run_batch(actions)
    assert report.ok
    assert not audit(world, report)
    assert world.arrivals == {ANIS[0]: [str(index) for index in range(6)]}
    assert PAST in str(actions[1])
