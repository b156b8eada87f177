"""Checks and fixtures of the fault tests: a server with faults, and what each row promises."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import attrs
import pytest

from nrm_async import (
    Action,
    CallResult,
    NotSentError,
    NRMClient,
    NRMError,
    Outcome,
    OutcomeUnknownError,
)
from nrm_async._transport import connector
from tests.fakes import ACTIVE_ANI, API_KEY, FAST_RETRY, RESTING_ANI, connect, make_action
from tests.faults.server import Fault, FaultServer, drop

__all__ = ["ACTIVE_ANI"]  # tests of listings import it from here

SPARE_ANI: Final = "2999999999"
TRIES: Final = FAST_RETRY.max_retries + 1
KINDS: Final = ("pause", "activate", "remediate")
every_kind = pytest.mark.parametrize("kind", KINDS)
SHORT: Final = 0.4  # seconds until an attempt times out: a reply takes 1 ms, a busy machine 100


def connect_to(server: FaultServer, **settings: Any) -> NRMClient:
    """Return a client that retries and reads back without waiting."""
    chosen: dict[str, Any] = {"url": server.url, "timeout": 5.0} | settings
    return connect(**chosen)


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[FaultServer]:
    """Run a server that has a few numbers."""
    server = FaultServer(active={ACTIVE_ANI: True, RESTING_ANI: False, SPARE_ANI: True}, **settings)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture(autouse=True)
def no_learnt_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not slow down after refusals: the rate learnt from them is tested on virtual time."""
    monkeypatch.setattr("nrm_async._limits.rate.RateLimit.FLOOR", 10_000.0)


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A server with faults, over plain HTTP."""
    async with serving() as server:
        yield server


@pytest.fixture
async def client(server: FaultServer) -> AsyncIterator[NRMClient]:
    """A client of the server."""
    async with connect_to(server) as nrm:
        yield nrm


@pytest.fixture
async def hasty(server: FaultServer) -> AsyncIterator[NRMClient]:
    """A client whose attempts time out soon."""
    async with connect_to(server, timeout=SHORT) as nrm:
        yield nrm


# --- what every row promises ------------------------------------------------------------------


def check_error(error: NRMError, method: str, path: str, attempts: int) -> None:
    """Check that the error describes its call and does not show the key."""
    assert (error.method, error.path, error.attempts) == (method, path, attempts)
    assert error.__cause__ is None
    assert error.__context__ is None
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    for text in (str(error), repr(error), repr(error.args), repr(vars(error)), *report.format()):
        assert API_KEY not in text


async def check_next_call(nrm: NRMClient, server: FaultServer) -> None:
    """Check that the fault of one call does not affect the next."""
    server.clear_faults()
    assert (await nrm.pause(SPARE_ANI)).status == "paused"
    row = await nrm.find_ani(SPARE_ANI)
    assert row is not None
    assert not row.is_active


async def act(nrm: NRMClient, action: Action) -> CallResult:
    """Carry out one action as a batch: its result says more than a receipt or an exception."""
    (result,) = await nrm.run_batch([action])
    return result


async def act_and_fail(nrm: NRMClient, action: Action, outcome: Outcome, attempts: int) -> NRMError:
    """Carry out an action that fails with this outcome, and return the checked error."""
    result = await act(nrm, action)
    assert result.outcome is outcome
    assert result.attempts == attempts
    assert not result.ok
    check_error(result.error, "POST", action.path, attempts)
    assert result.error.maybe_applied is (outcome is Outcome.UNKNOWN)
    return result.error


async def read_and_fail(nrm: NRMClient, kind: type[NRMError]) -> NRMError:
    """Read a page, which fails with this error, and return the error."""
    with pytest.raises(kind) as caught:
        await nrm.list_anis()
    assert type(caught.value) is kind
    assert not caught.value.maybe_applied
    return caught.value


# --- lost replies ----------------------------------------------------------------------------


@attrs.frozen
class Loss:
    """An action whose reply is lost, and the outcome that it must have.

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
        """One, and a resend of an action whose number is unchanged."""
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
    """Check that an action whose reply is lost has its true outcome.

    Args:
        nrm: The client.
        server: The server.
        loss: The case.
        fault: Returns the fault, given ``applied``.
        status: HTTP status that an error must have.
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
        assert result.error.seen or result.error.status  # the evidence is kept
    await check_next_call(nrm, server)


async def check_read_again(
    nrm: NRMClient, server: FaultServer, fault: Fault, kind: type[NRMError]
) -> NRMError:
    """Check that a read is retried after this fault, and fails if the fault persists."""
    server.then("GET", fault)
    page = await nrm.list_anis()
    assert len(page) == 3
    assert server.gets == 2
    server.requests.clear()
    server.always("GET", fault)
    error = await read_and_fail(nrm, kind)
    check_error(error, "GET", "/anis", server.gets)
    assert server.gets >= FAST_RETRY.max_retries + 1
    await check_next_call(nrm, server)
    return error


async def check_read_fails(
    nrm: NRMClient, server: FaultServer, fault: Fault, kind: type[NRMError], *, requests: int = 1
) -> NRMError:
    """Check that a read fails after this fault without a retry."""
    server.always("GET", fault)
    error = await read_and_fail(nrm, kind)
    assert server.gets == requests
    check_error(error, "GET", "/anis", requests)
    await check_next_call(nrm, server)
    return error


# --- requests that are not sent --------------------------------------------------------------


async def check_not_sent(nrm: NRMClient, server: FaultServer, kind: str) -> NotSentError:
    """Check that an action and a read are retried and then reported as not sent."""
    error = await act_and_fail(nrm, make_action(kind), Outcome.NOT_APPLIED, TRIES)
    assert isinstance(error, NotSentError)
    assert error.seen
    assert not error.permanent
    check_error(await read_and_fail(nrm, NotSentError), "GET", "/anis", TRIES)
    assert server.requests == []
    assert not server.applied
    return error


async def check_sent_at_last(nrm: NRMClient, server: FaultServer, kind: str) -> None:
    """Check that an action that can be sent at its last attempt is applied once."""
    action = make_action(kind)
    result = await act(nrm, action)
    assert (result.outcome, result.attempts) == (Outcome.APPLIED, TRIES), result
    assert server.applied == {(action.path, action.ani): 1}
    assert server.posts == 1


# --- waiting ---------------------------------------------------------------------------------


async def cancel(task: "asyncio.Task[Any]") -> asyncio.CancelledError:
    """Cancel a task and return its cancellation, which must have passed through."""
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
    """Run a hook before each of the client's attempts, with its number, from 1."""

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
