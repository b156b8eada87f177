"""What became of an action whose answer was lost: every path to the truth, on virtual time."""

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
from nrm_async._confirm import Means, can_confirm, confirm
from nrm_async.models import ACTIVE

ANI = "2345678901"
PAUSE = Pause(ANI)
ACTIVATE = Activate(ANI, date="2025-01-26")
DOUBT = OutcomeUnknownError("no usable answer", None, "req-1")
REFUSAL = RejectedError(200, "not in that state")
IN_SERVICE = Ani(1, ANI, status=ACTIVE)
RESTING = Ani(1, ANI, status="COOLING_OFF")
NO_STATUS = Ani(1, ANI)
UNCLEAR = Ani(1, ANI, status="ACTIVE_NOT_MANAGED")
POLICY = ConfirmPolicy(settle=1, factor=3, reads=3)

Seen = Ani | NRMError | None

pytestmark = pytest.mark.looptime


@attrs.define
class Script:
    """Answers reads and the resend as it is told, and notes when they came."""

    reads: Sequence[Seen]
    answer: Receipt | NRMError | None = None
    seconds: float = 1e9
    was_active: bool | None = None
    read_at: list[float] = attrs.field(factory=list)
    resent_at: list[float] = attrs.field(factory=list)

    async def find(self, ani: str) -> Ani | None:
        assert ani == ANI
        self.read_at.append(asyncio.get_running_loop().time())
        seen = self.reads[len(self.read_at) - 1]
        if isinstance(seen, NRMError):
            raise seen
        return seen

    async def resend(self) -> Receipt | NRMError:
        self.resent_at.append(asyncio.get_running_loop().time())
        assert self.answer is not None, "nothing was to be sent again"
        return self.answer

    async def wait(self, seconds: float) -> bool:
        if asyncio.get_running_loop().time() + seconds >= self.seconds:
            return False
        await asyncio.sleep(seconds)
        return True

    async def tell(
        self, action: Action = PAUSE, refusal: NRMError | None = None
    ) -> Receipt | NRMError:
        find: Callable[[str], Awaitable[Ani | None]] = self.find
        means = Means(find, self.resend, self.wait, POLICY, self.was_active)
        return await confirm(action, DOUBT, refusal, means)


def confirmed(action: Action) -> Receipt:
    (word,) = action.done
    return Receipt(ANI, word, "req-1", confirmed=True, seen="no usable answer")


@pytest.mark.parametrize(("action", "shown"), [(PAUSE, RESTING), (ACTIVATE, IN_SERVICE)])
async def test_shown_at_once(action: Action, shown: Ani) -> None:
    """The first read settles it, after the API has had its time to settle."""
    script = Script([shown])
    assert await script.tell(action) == confirmed(action)
    assert script.read_at == [1]
    assert not script.resent_at


@pytest.mark.parametrize(("action", "before"), [(PAUSE, IN_SERVICE), (ACTIVATE, RESTING)])
async def test_shown_at_the_third_read(action: Action, before: Ani) -> None:
    """Delays grow as the policy says: after 1, then 3, then 9 seconds."""
    script = Script([before, before, RESTING if action is PAUSE else IN_SERVICE])
    assert await script.tell(action) == confirmed(action)
    assert script.read_at == [1, 4, 13]
    assert not script.resent_at


async def test_unchanged_and_then_applied() -> None:
    """One resend, whose own answer is as good as any."""
    receipt = Receipt(ANI, "paused", "req-2")
    script = Script([IN_SERVICE] * 3, receipt)
    assert await script.tell() is receipt
    assert script.read_at == [1, 4, 13]
    assert script.resent_at == [13]


async def test_refused_because_the_first_one_worked() -> None:
    """The resend is refused, and reading shows why: the state asked for is there."""
    script = Script([IN_SERVICE] * 3 + [RESTING], REFUSAL)
    assert await script.tell() == confirmed(PAUSE)
    assert script.read_at == [1, 4, 13, 14]


async def test_refused_and_unchanged() -> None:
    """The one contradicts the other: reads may lag, or the first may still come."""
    script = Script([IN_SERVICE] * 6, REFUSAL)
    value = await script.tell()
    assert isinstance(value, OutcomeUnknownError)
    assert value.message == "no usable answer; sent once more: not in that state"
    assert script.read_at == [1, 4, 13, 14, 17, 26]
    assert script.resent_at == [13]


@pytest.mark.parametrize(
    "answer",
    [OutcomeUnknownError("lost again"), NotSentError("no connection")],
    ids=["lost", "not sent"],
)
@pytest.mark.parametrize("is_shown", [True, False])
async def test_no_answer_again(answer: NRMError, is_shown: bool) -> None:
    """After the one resend the truth is looked for again, and nothing is sent any more."""
    script = Script([IN_SERVICE] * 5 + [RESTING if is_shown else IN_SERVICE], answer)
    value = await script.tell()
    assert value == confirmed(PAUSE) if is_shown else isinstance(value, OutcomeUnknownError)
    assert script.read_at == [1, 4, 13, 14, 17, 26]
    assert script.resent_at == [13]


@pytest.mark.parametrize("is_shown", [True, False])
async def test_a_repeat_that_was_refused_already(is_shown: bool) -> None:
    """Where a repeat was sent before, only reading is left: nothing is sent a third time."""
    script = Script([RESTING] if is_shown else [IN_SERVICE] * 3)
    value = await script.tell(refusal=REFUSAL)
    assert value == confirmed(PAUSE) if is_shown else isinstance(value, OutcomeUnknownError)
    assert not script.resent_at


@pytest.mark.parametrize("unseen", [TransportError("no answer"), NO_STATUS, UNCLEAR, None])
async def test_reads_that_show_nothing(unseen: Seen) -> None:
    """They are no sight of an unchanged number: nothing is sent again, and it stays unknown."""
    script = Script([unseen] * 3)
    assert await script.tell() is DOUBT
    assert script.read_at == [1, 4, 13]


async def test_a_read_that_fails_is_followed_by_the_next() -> None:
    """Failed reads cost time, not the truth."""
    script = Script([TransportError("no answer"), NO_STATUS, RESTING])
    assert await script.tell() == confirmed(PAUSE)


async def test_the_last_read_failing_forbids_the_resend() -> None:
    """An unchanged number seen earlier is no proof at the end."""
    script = Script([IN_SERVICE, IN_SERVICE, TransportError("no answer")])
    assert await script.tell() is DOUBT
    assert not script.resent_at


@pytest.mark.parametrize(("seconds", "reads"), [(0.5, []), (1.5, [1])])
async def test_no_time_left(seconds: float, reads: Sequence[float]) -> None:
    """What cannot be looked for any more stays unknown: a refusal then proves nothing."""
    refused = Script([], seconds=0.5)
    assert isinstance(await refused.tell(refusal=REFUSAL), OutcomeUnknownError)
    script = Script([IN_SERVICE], seconds=seconds)
    assert await script.tell() is DOUBT  # not looked at to the end: no resend either
    assert script.read_at == list(reads)
    assert not script.resent_at


@pytest.mark.parametrize(("action", "shown"), [(PAUSE, RESTING), (ACTIVATE, IN_SERVICE)])
@pytest.mark.parametrize("was_as_asked", [True, False, None])
async def test_a_number_that_was_so_before(
    action: Action, shown: Ani, was_as_asked: bool | None
) -> None:
    """That it is as asked now proves nothing, if it is known to have been so before."""
    was_active = None if was_as_asked is None else was_as_asked is (action is ACTIVATE)
    value = await Script([shown], was_active=was_active).tell(action)
    assert value is DOUBT if was_as_asked else value == confirmed(action)


async def test_what_can_be_seen() -> None:
    """Pause and activate, taking effect now, left open by anything but a redirect."""
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
