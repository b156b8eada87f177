"""Observers: their errors change no outcome, and without one no events are built."""

import asyncio
import functools
import logging
from collections.abc import Callable
from operator import attrgetter

import pytest

import nrm_async
from nrm_async import ConfigurationError, NRMClient, Pause
from nrm_async.events import Event
from tests.events.conftest import ANI, OTHER
from tests.fakes import FakeAPI, Fate, first, open_client

PER_CALL = (
    "_engine.instrumentation.CallStarted",
    "_engine.instrumentation.CallFinished",
    "_engine.instrumentation.PageRead",
    "_engine.pipeline.RetryScheduled",
    "batch.options.ItemFinished",
)


async def use(nrm: NRMClient) -> None:
    """Make a single call, a listing and a batch, all of which succeed."""
    assert (await nrm.pause(ANI)).status == "paused"
    await nrm.list_anis(number=OTHER)
    assert (await nrm.run_batch([Pause(OTHER)])).ok


@pytest.mark.parametrize("error", [ValueError("mine"), asyncio.CancelledError("mine")])
async def test_an_exception_of_an_observer_is_logged(
    api: FakeAPI, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """It changes no outcome, even if it is a cancellation, which looks like the caller's."""

    def fail(event: Event) -> None:
        raise error

    async with open_client(api, on_event=fail) as nrm:
        await use(nrm)
    records = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(records) == 10  # start and end of 3 calls and of a batch; an item, a page
    assert all(record.exc_info and record.exc_info[1] is error for record in records)
    assert {"CallStarted", "BatchFinished"} <= {vars(record)["nrm_event"] for record in records}


async def _awaited(event: Event) -> None: ...


class Awaited:
    async def __call__(self, event: Event) -> None: ...


@pytest.mark.parametrize("observer", [_awaited, Awaited(), functools.partial(_awaited)])
def test_async_observers_are_refused(observer: Callable[[Event], object]) -> None:
    """They would not be awaited; making the client raises."""
    with pytest.raises(ConfigurationError, match="on_event must be a plain function"):
        NRMClient("key", on_event=observer)


def test_an_observer_that_is_not_callable() -> None:
    """The message names the argument and the rule."""
    with pytest.raises(ConfigurationError, match="on_event must be callable, not str"):
        NRMClient("key", on_event="print")  # type: ignore[arg-type]


async def test_a_returned_coroutine_is_logged(
    api: FakeAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """A plain function that returns one is logged; the coroutine is closed without a warning."""

    def hide(event: Event) -> object:
        return _awaited(event)

    async with open_client(api, on_event=hide) as nrm:
        await nrm.pause(ANI)
    assert [record.message for record in caplog.records] == [
        "on_event returned a coroutine, which is not awaited"
    ] * 2


@pytest.mark.parametrize("name", PER_CALL)
async def test_no_events_are_built_without_an_observer(
    api: FakeAPI, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """With the log at WARNING too, events of single calls are not built."""
    built = 0
    kind = attrgetter(name)(nrm_async)

    def build(**fields: object) -> Event:
        nonlocal built
        built += 1
        event: Event = kind(**fields)
        return event

    monkeypatch.setattr(f"nrm_async.{name}", build)
    api.fate = first(Fate.NOT_SENT)
    with caplog.at_level(logging.WARNING, "nrm_async"):
        async with open_client(api) as nrm:
            await use(nrm)
            assert nrm.stats().attempts == 4
    assert built == 0
    api.active = dict.fromkeys(api.active, True)
    api.fate = first(Fate.NOT_SENT)
    async with open_client(api, on_event=lambda event: None) as nrm:
        await use(nrm)
    assert built > 0  # the patched name is in use


class Broken(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("the disk is full")


async def test_a_log_handler_that_raises(api: FakeAPI) -> None:
    """It changes no outcome."""
    logger, broken = logging.getLogger("nrm_async"), Broken()
    logger.addHandler(broken)
    try:
        async with open_client(api, on_event=lambda event: 1 / 0) as nrm:
            await use(nrm)
    finally:
        logger.removeHandler(broken)
