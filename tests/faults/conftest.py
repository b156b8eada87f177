"""What the fault tests share: a server of faults, a client of it, and what every row must keep."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import attrs
import pytest

from nrm_async import (
    Action,
    Activate,
    CallResult,
    ConfirmPolicy,
    NotSentError,
    NRMClient,
    NRMError,
    Outcome,
    OutcomeUnknownError,
    Pause,
    Remediate,
    RetryPolicy,
)
from nrm_async._transport import connector
from tests.faults.server import Fault, FaultServer, drop

KEY: Final = "a-key-of-the-fault-tests-0123456789"
ACTIVE_ANI: Final = "2000000001"
RESTING_ANI: Final = "2000000002"
SPARE_ANI: Final = "2999999999"
PAST: Final = "2025-01-26"

AT_ONCE: Final = RetryPolicy(max_retries=2, max_batch_retries=2, base=0)
SOON: Final = ConfirmPolicy(settle=0.001, reads=2)
TRIES: Final = AT_ONCE.max_retries + 1
KINDS: Final = ("pause", "activate", "remediate")
every_kind = pytest.mark.parametrize("kind", KINDS)
SHORT: Final = 0.25  # seconds: long enough for an honest answer on loopback


def make_action(kind: str, ani: str | None = None) -> Action:
    """An action that the API would take."""
    if kind == "activate":
        return Activate(ani or RESTING_ANI, date=PAST)
    return Pause(ani or ACTIVE_ANI) if kind == "pause" else Remediate(ani or ACTIVE_ANI)


def connect_to(server: FaultServer, **settings: Any) -> NRMClient:
    """A client that waits for nothing but answers."""
    chosen: dict[str, Any] = {
        "base_url": server.url,
        "retry": AT_ONCE,
        "confirm": SOON,
        "timeout": 5.0,
    }
    return NRMClient(KEY, **(chosen | settings))


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[FaultServer]:
    """A server of faults with a few numbers, for as long as it is needed."""
    server = FaultServer(active={ACTIVE_ANI: True, RESTING_ANI: False, SPARE_ANI: True}, **settings)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """What rate is learnt from refusals is tested on virtual time; nobody waits for it here."""
    monkeypatch.setattr("nrm_async._limits.rate.RateLimit.FLOOR", 10_000.0)


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A server of faults, over plain HTTP."""
    async with serving() as server:
        yield server


@pytest.fixture
async def client(server: FaultServer) -> AsyncIterator[NRMClient]:
    """A client of it."""
    async with connect_to(server) as nrm:
        yield nrm


@pytest.fixture
async def hasty(server: FaultServer) -> AsyncIterator[NRMClient]:
    """A client of it whose attempts time out soon."""
    async with connect_to(server, timeout=SHORT) as nrm:
        yield nrm


# --- what every row must keep --------------------------------------------------------------


def check_error(error: NRMError, method: str, path: str, attempts: int) -> None:
    """The error tells of its call, and shows the key nowhere."""
    assert (error.method, error.path, error.attempts) == (method, path, attempts)
    assert error.__cause__ is None
    assert error.__context__ is None
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    for text in (str(error), repr(error), repr(error.args), repr(vars(error)), *told.format()):
        assert KEY not in text


async def check_next_call(nrm: NRMClient, server: FaultServer) -> None:
    """What has befallen one call does not befall the next."""
    server.behave()
    assert (await nrm.pause(SPARE_ANI)).status == "paused"
    row = await nrm.find_ani(SPARE_ANI)
    assert row is not None
    assert not row.is_active


async def act(nrm: NRMClient, action: Action) -> CallResult:
    """Carry one action out; the result tells more than the receipt or the exception."""
    (result,) = await nrm.run_batch([action])
    return result


async def act_and_fail(nrm: NRMClient, action: Action, outcome: Outcome, attempts: int) -> NRMError:
    """Carry out one action that comes to no good; the checked error."""
    result = await act(nrm, action)
    assert result.outcome is outcome
    assert result.attempts == attempts
    assert not result.ok
    check_error(result.error, "POST", action.path, attempts)
    assert result.error.maybe_applied is (outcome is Outcome.UNKNOWN)
    return result.error


async def read_and_fail(nrm: NRMClient, kind: type[NRMError]) -> NRMError:
    """Read a page that comes to no good; the error."""
    with pytest.raises(kind) as caught:
        await nrm.list_anis()
    assert type(caught.value) is kind
    assert not caught.value.maybe_applied
    return caught.value


# --- answers that are lost -----------------------------------------------------------------


@attrs.frozen
class Loss:
    """One case of a lost answer, and what it must come to.

    Attributes:
        kind: The action.
        applied: Whether the server applied it.
        is_blind: Whether the number cannot be read back either.
    """

    kind: str
    applied: bool
    is_blind: bool = False

    @property
    def outcome(self) -> Outcome:
        if self.kind == "remediate" or self.is_blind:
            return Outcome.UNKNOWN
        return Outcome.CONFIRMED if self.applied else Outcome.APPLIED

    @property
    def attempts(self) -> int:
        """One, and the one resend of what stands unchanged."""
        return 2 if self.outcome is Outcome.APPLIED else 1

    def __str__(self) -> str:
        how = "applied" if self.applied else "not-applied"
        return f"{self.kind}-{how}{'-blind' if self.is_blind else ''}"


LOSSES: Final = (
    *(
        Loss(kind, applied)
        for kind in ("pause", "activate", "remediate")
        for applied in (True, False)
    ),
    Loss("pause", applied=True, is_blind=True),
    Loss("activate", applied=False, is_blind=True),
)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=str)


async def check_loss(
    nrm: NRMClient,
    server: FaultServer,
    loss: Loss,
    fault: Callable[..., Fault],
    *,
    status: int | Literal["any"] | None = None,
) -> None:
    """An action whose answer is lost by this fault comes to what is true.

    Args:
        nrm: The client.
        server: The server.
        loss: The case.
        fault: Makes the fault, given ``applied``.
        status: HTTP status that an error must tell of.
    """
    action = make_action(loss.kind)
    server.then("POST", fault(applied=loss.applied))
    if loss.is_blind:
        server.always("GET", drop("reset", applied=False))
    result = await act(nrm, action)
    assert result.outcome is loss.outcome
    assert server.applied[action.path, action.ani] == (loss.applied or result.ok)
    assert result.attempts == server.posts == loss.attempts
    assert (server.gets > 0) is (loss.kind != "remediate")
    if not result.ok:
        check_error(result.error, "POST", action.path, 1)
        assert isinstance(result.error, OutcomeUnknownError)
        assert result.error.maybe_applied
        assert status == "any" or result.error.status == status
        assert result.error.seen or result.error.status  # what was seen stays on it
    await check_next_call(nrm, server)


async def check_read_again(
    nrm: NRMClient, server: FaultServer, fault: Fault, kind: type[NRMError]
) -> NRMError:
    """A read that meets this fault once is read again; one that always does, ends in an error."""
    server.then("GET", fault)
    page = await nrm.list_anis()
    assert len(page) == 3
    assert server.gets == 2
    server.requests.clear()
    server.always("GET", fault)
    error = await read_and_fail(nrm, kind)
    check_error(error, "GET", "/anis", server.gets)
    assert server.gets >= AT_ONCE.max_retries + 1
    await check_next_call(nrm, server)
    return error


async def check_read_fails(
    nrm: NRMClient, server: FaultServer, fault: Fault, kind: type[NRMError], *, requests: int = 1
) -> NRMError:
    """A read that meets this fault ends in an error at once: to repeat it would not help."""
    server.always("GET", fault)
    error = await read_and_fail(nrm, kind)
    assert server.gets == requests
    check_error(error, "GET", "/anis", requests)
    await check_next_call(nrm, server)
    return error


# --- requests that are not sent --------------------------------------------------------------


async def check_not_sent(nrm: NRMClient, server: FaultServer, kind: str) -> NotSentError:
    """An action and a read are tried again, and then said not to have been sent."""
    error = await act_and_fail(nrm, make_action(kind), Outcome.NOT_APPLIED, TRIES)
    assert isinstance(error, NotSentError)
    assert error.seen
    assert not error.permanent
    check_error(await read_and_fail(nrm, NotSentError), "GET", "/anis", TRIES)
    assert server.requests == []
    assert not server.applied
    return error


async def check_sent_at_last(nrm: NRMClient, server: FaultServer, kind: str) -> None:
    """An action that could not be sent, and then could, was applied once."""
    action = make_action(kind)
    result = await act(nrm, action)
    assert (result.outcome, result.attempts) == (Outcome.APPLIED, TRIES), result
    assert server.applied == {(action.path, action.ani): 1}
    assert server.posts == 1


# --- waiting ---------------------------------------------------------------------------------


async def cancel(task: "asyncio.Task[Any]") -> asyncio.CancelledError:
    """Cancel a task; its cancellation, which must have passed through."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


async def idle(turns: int = 200) -> None:
    """Let everything happen that needs no time to pass."""
    for _ in range(turns):
        await asyncio.sleep(0)


Hook = Callable[[int], Awaitable[None]]


@pytest.fixture
def on_connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[Hook], None]:
    """Have something happen before the client's n-th attempt, counted from 1."""

    def install(hook: Hook) -> None:
        acquire = connector.Connector.acquire
        count = 0

        async def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            await hook(count)
            return await acquire(self, *args, **kwargs)

        monkeypatch.setattr(connector.Connector, "acquire", hooked)

    return install
