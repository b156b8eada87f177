"""Observers: what they do wrong changes nothing, and where there is none nothing is built."""

import asyncio
import functools
import logging
from collections.abc import Callable
from operator import attrgetter

import pytest

import nrm_async
from nrm_async import ConfigurationError, NRMClient, Pause
from nrm_async.events import Event
from tests.events.conftest import ANI, OTHER, first
from tests.truth.conftest import Fate, World, open_client

PER_CALL = (
    "_calls.told.CallStarted",
    "_calls.told.CallFinished",
    "_calls.told.PageRead",
    "_session.conversation.RetryScheduled",
    "batch.watch.ItemFinished",
)


async def use(nrm: NRMClient) -> None:
    """Something of everything; all of it goes well."""
    assert (await nrm.pause(ANI)).status == "paused"
    await nrm.list_anis(number=OTHER)
    assert (await nrm.run_batch([Pause(OTHER)])).ok


@pytest.mark.parametrize("error", [ValueError("mine"), asyncio.CancelledError("mine")])
async def test_what_an_observer_raises_is_logged(
    world: World, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """It changes no outcome: not even cancellation, which would pass for the caller's."""

    def fail(event: Event) -> None:
        raise error

    async with open_client(world, on_event=fail) as nrm:
        await use(nrm)
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(records) == 10  # two ends of three calls and of a batch, its item, a page
    assert all(record.exc_info and record.exc_info[1] is error for record in records)
    assert {"CallStarted", "BatchFinished"} <= {vars(record)["nrm_event"] for record in records}


async def _awaited(event: Event) -> None: ...


class Awaited:
    async def __call__(self, event: Event) -> None: ...


@pytest.mark.parametrize("observer", [_awaited, Awaited(), functools.partial(_awaited)])
def test_async_observers_are_refused(observer: Callable[[Event], object]) -> None:
    """Nobody would await them; that is said when the client is made."""
    with pytest.raises(ConfigurationError, match="on_event must be a plain function"):
        NRMClient("key", on_event=observer)


def test_what_cannot_be_called_is_refused() -> None:
    """The message names the argument and the rule."""
    with pytest.raises(ConfigurationError, match="on_event must be callable, not str"):
        NRMClient("key", on_event="print")  # type: ignore[arg-type]


async def test_a_hidden_coroutine_is_told_of(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it could not be seen before, it is logged, and closed without a warning."""

    def hide(event: Event) -> object:
        return _awaited(event)

    async with open_client(world, on_event=hide) as nrm:
        await nrm.pause(ANI)
    assert [record.message for record in caplog.records] == [
        "on_event returned a coroutine, which nobody awaits"
    ] * 2


@pytest.mark.parametrize("name", PER_CALL)
async def test_nothing_is_built_where_nobody_listens(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Without an observer, and with a log at WARNING, there are no events of single calls."""
    built = 0
    kind = attrgetter(name)(nrm_async)

    def build(**fields: object) -> Event:
        nonlocal built
        built += 1
        event: Event = kind(**fields)
        return event

    monkeypatch.setattr(f"nrm_async.{name}", build)
    world.fate = first(Fate.NOT_SENT)
    with caplog.at_level(logging.WARNING, "nrm_async"):
        async with open_client(world) as nrm:
            await use(nrm)
            assert nrm.stats().attempts == 4
    assert built == 0
    world.active = dict.fromkeys(world.active, True)
    world.fate = first(Fate.NOT_SENT)
    async with open_client(world, on_event=lambda event: None) as nrm:
        await use(nrm)
    assert built > 0  # the name is the right one


class Broken(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("the disk is full")


async def test_a_log_that_raises_loses_nothing(world: World) -> None:
    """A handler of the caller's that fails does not take an outcome with it."""
    logger, broken = logging.getLogger("nrm_async"), Broken()
    logger.addHandler(broken)
    try:
        async with open_client(world, on_event=lambda event: 1 / 0) as nrm:
            await use(nrm)
    finally:
        logger.removeHandler(broken)
