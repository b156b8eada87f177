"""The outcome of an action whose reply was lost, for every sequence of reads, on virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

import attrs
import pytest

from nrm_async import (
    Action,
    Activate,
    Ani,
    ConfirmPolicy,
    NotSentError,
    NRMError,
    OutcomeUnknownError,
    Pause,
    Receipt,
    RejectedError,
    Remediate,
    TransportError,
)
from nrm_async._engine.reconciler import ReadBack, can_confirm, confirm
from nrm_async.models import ACTIVE

ANI = "2345678901"
PAUSE = Pause(ANI)
ACTIVATE = Activate(ANI, date="2025-01-26")
AMBIGUOUS = OutcomeUnknownError("no usable answer", None, "req-1")
REFUSAL = RejectedError(200, "not in that state")
ACTIVE_ROW = Ani(1, ANI, status=ACTIVE)
RESTING_ROW = Ani(1, ANI, status="COOLING_OFF")
ROW_WITHOUT_STATUS = Ani(1, ANI)
ROW_NOT_MANAGED = Ani(1, ANI, status="ACTIVE_NOT_MANAGED")
POLICY = ConfirmPolicy(settle=1, factor=3, reads=3)

Read = Ani | NRMError | None

pytestmark = pytest.mark.looptime


@attrs.define
class ScriptedReads:
    """Returns scripted reads and a scripted reply to the resend, and records their times."""

    reads: Sequence[Read]
    answer: Receipt | NRMError | None = None
    seconds: float = 1e9
    was_active: bool | None = None
    read_at: list[float] = attrs.field(factory=list)
    resent_at: list[float] = attrs.field(factory=list)

    async def find(self, ani: str) -> Ani | None:
        assert ani == ANI
        self.read_at.append(asyncio.get_running_loop().time())
        row = self.reads[len(self.read_at) - 1]
        if isinstance(row, NRMError):
            raise row
        return row

    async def resend(self) -> Receipt | NRMError:
        self.resent_at.append(asyncio.get_running_loop().time())
        assert self.answer is not None, "nothing may be resent"
        return self.answer

    async def wait(self, seconds: float) -> bool:
        if asyncio.get_running_loop().time() + seconds >= self.seconds:
            return False
        await asyncio.sleep(seconds)
        return True

    async def reconcile(
        self, action: Action = PAUSE, refusal: NRMError | None = None
    ) -> Receipt | NRMError:
        find: Callable[[str], Awaitable[Ani | None]] = self.find
        read_back = ReadBack(find, self.resend, self.wait, POLICY, self.was_active)
        return await confirm(action, AMBIGUOUS, refusal, read_back)


def confirmed(action: Action) -> Receipt:
    (word,) = action.done
    return Receipt(ANI, word, "req-1", confirmed=True, seen="no usable answer")


@pytest.mark.parametrize(("action", "row"), [(PAUSE, RESTING_ROW), (ACTIVATE, ACTIVE_ROW)])
async def test_first_read_confirms(action: Action, row: Ani) -> None:
    """The first read decides, after the settling time."""
    script = ScriptedReads([row])
    assert await script.reconcile(action) == confirmed(action)
    assert script.read_at == [1]
    assert not script.resent_at


@pytest.mark.parametrize(("action", "before"), [(PAUSE, ACTIVE_ROW), (ACTIVATE, RESTING_ROW)])
async def test_third_read_confirms(action: Action, before: Ani) -> None:
    """Delays grow as the policy says: reads come after 1, 4 and 13 seconds."""
    script = ScriptedReads([before, before, RESTING_ROW if action is PAUSE else ACTIVE_ROW])
    assert await script.reconcile(action) == confirmed(action)
    assert script.read_at == [1, 4, 13]
    assert not script.resent_at


async def test_unchanged_then_resent() -> None:
    """An unchanged number is resent once, and the reply to that decides."""
    receipt = Receipt(ANI, "paused", "req-2")
    script = ScriptedReads([ACTIVE_ROW] * 3, receipt)
    assert await script.reconcile() is receipt
    assert script.read_at == [1, 4, 13]
    assert script.resent_at == [13]


async def test_resend_refused_and_read_confirms() -> None:
    """The resend is refused because the first attempt was applied, as a read shows."""
    script = ScriptedReads([ACTIVE_ROW] * 3 + [RESTING_ROW], REFUSAL)
    assert await script.reconcile() == confirmed(PAUSE)
    assert script.read_at == [1, 4, 13, 14]


async def test_resend_refused_and_unchanged() -> None:
    """Reads may lag, or the first attempt may still be applied, so it stays unknown."""
    script = ScriptedReads([ACTIVE_ROW] * 6, REFUSAL)
    value = await script.reconcile()
    assert isinstance(value, OutcomeUnknownError)
    assert value.message == "no usable answer; sent once more: not in that state"
    assert script.read_at == [1, 4, 13, 14, 17, 26]
    assert script.resent_at == [13]


@pytest.mark.parametrize(
    "answer",
    [OutcomeUnknownError("lost again"), NotSentError("no connection")],
    ids=["lost", "not sent"],
)
@pytest.mark.parametrize("is_applied", [True, False])
async def test_reply_to_the_resend_is_lost(answer: NRMError, is_applied: bool) -> None:
    """After the one resend only reads follow, and nothing more is sent."""
    script = ScriptedReads([ACTIVE_ROW] * 5 + [RESTING_ROW if is_applied else ACTIVE_ROW], answer)
    value = await script.reconcile()
    assert value == confirmed(PAUSE) if is_applied else isinstance(value, OutcomeUnknownError)
    assert script.read_at == [1, 4, 13, 14, 17, 26]
    assert script.resent_at == [13]


@pytest.mark.parametrize("is_applied", [True, False])
async def test_retry_that_was_already_refused(is_applied: bool) -> None:
    """After an earlier retry only reads follow: nothing is sent a third time."""
    script = ScriptedReads([RESTING_ROW] if is_applied else [ACTIVE_ROW] * 3)
    value = await script.reconcile(refusal=REFUSAL)
    assert value == confirmed(PAUSE) if is_applied else isinstance(value, OutcomeUnknownError)
    assert not script.resent_at


@pytest.mark.parametrize(
    "read", [TransportError("no answer"), ROW_WITHOUT_STATUS, ROW_NOT_MANAGED, None]
)
async def test_inconclusive_reads(read: Read) -> None:
    """They do not show an unchanged number: nothing is resent, and it stays unknown."""
    script = ScriptedReads([read] * 3)
    assert await script.reconcile() is AMBIGUOUS
    assert script.read_at == [1, 4, 13]


async def test_failed_read_is_followed_by_the_next() -> None:
    """A failed read costs time only."""
    script = ScriptedReads([TransportError("no answer"), ROW_WITHOUT_STATUS, RESTING_ROW])
    assert await script.reconcile() == confirmed(PAUSE)


async def test_no_resend_after_a_failed_last_read() -> None:
    """An unchanged number seen earlier proves nothing about the end."""
    script = ScriptedReads([ACTIVE_ROW, ACTIVE_ROW, TransportError("no answer")])
    assert await script.reconcile() is AMBIGUOUS
    assert not script.resent_at


@pytest.mark.parametrize(("seconds", "reads"), [(0.5, []), (1.5, [1])])
async def test_deadline_during_reads(seconds: float, reads: Sequence[float]) -> None:
    """An action that cannot be read back in time stays unknown, after a refusal too."""
    refused = ScriptedReads([], seconds=0.5)
    assert isinstance(await refused.reconcile(refusal=REFUSAL), OutcomeUnknownError)
    script = ScriptedReads([ACTIVE_ROW], seconds=seconds)
    assert await script.reconcile() is AMBIGUOUS  # not read to the end, so no resend either
    assert script.read_at == list(reads)
    assert not script.resent_at


@pytest.mark.parametrize(("action", "row"), [(PAUSE, RESTING_ROW), (ACTIVATE, ACTIVE_ROW)])
@pytest.mark.parametrize("was_already", [True, False, None])
async def test_number_already_in_the_desired_state(
    action: Action, row: Ani, was_already: bool | None
) -> None:
    """Its state proves nothing if it is known to have been the same before."""
    was_active = None if was_already is None else was_already is (action is ACTIVATE)
    value = await ScriptedReads([row], was_active=was_active).reconcile(action)
    assert value is AMBIGUOUS if was_already else value == confirmed(action)


async def test_actions_that_can_be_read_back() -> None:
    """Pause and activate that take effect now, unless the reply was a redirect."""
    now = datetime(2026, 5, 27, 12, 0, 0, tzinfo=UTC)

    def can(action: Action, status: int | None = None) -> bool:
        return can_confirm(action, OutcomeUnknownError("lost", status), now)

    assert can(Pause(ANI))
    assert can(Pause(ANI, date="2026-05-27"))
    assert can(Activate(ANI, date="20260527120000"))
    assert can(Activate(ANI, date="2025-12-31"), 502)
    assert not can(Activate(ANI, date="20260527120001"))
    assert not can(Activate(ANI, date="2026-05-28"))
    assert not can(Pause(ANI, date="2027-01-01"))
    assert not can(Remediate(ANI))
    assert not can(Pause(ANI), 302)
    assert not can(Pause(ANI), 303)
