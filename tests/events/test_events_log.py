"""Events in the log: one record each, structured, at a sensible level, without secrets."""

import json
import logging

import attrs
import pytest

from nrm_async import AuthenticationError, NRMClient, Pause
from nrm_async.events import BatchFinished, BreakerClosed, BreakerOpened, CallFinished, Event
from tests.conftest import API_KEY, StubAPI
from tests.events.conftest import ANI, OTHER, Spy, first
from tests.truth.conftest import Fate, World, open_client


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name.startswith("nrm_")}


async def test_each_event_is_one_record(
    world: World, spy: Spy, caplog: pytest.LogCaptureFixture
) -> None:
    """In order, at the event's level, with every field under a name of its own."""
    world.fate = first(Fate.NOT_SENT)
    with caplog.at_level(logging.DEBUG, "nrm_async"):
        async with open_client(world, on_event=spy) as nrm:
            await nrm.pause_many([ANI, "nonsense"])
            await nrm.list_anis(number=OTHER)
    assert len(caplog.records) == len(spy.events) > 8
    for record, event in zip(caplog.records, spy.events, strict=True):
        assert (record.name, record.levelno) == ("nrm_async", event.level)
        fields = fields_of(record)
        assert fields.pop("nrm_event") == type(event).__name__
        assert fields.keys() == {f"nrm_{name}" for name in event.fields()}
        json.dumps(fields)  # numbers, texts and nothing else
        assert record.getMessage().startswith(type(event).__name__)


async def test_numbers_stay_numbers(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A log can be searched for them; outcomes are their names, errors their words."""
    with caplog.at_level(logging.DEBUG, "nrm_async"):
        async with open_client(world) as nrm:
            await nrm.pause_many([ANI, ANI])
    items = [f for f in map(fields_of, caplog.records) if f["nrm_event"] == "ItemFinished"]
    assert [item["nrm_index"] for item in items] == [0, 1]
    assert [item["nrm_attempts"] for item in items] == [1, 1]
    assert [item["nrm_ani"] for item in items] == [ANI, ANI]
    assert [item["nrm_outcome"] for item in items] == ["applied", "rejected"]
    assert items[0]["nrm_error"] is None
    assert "not in that state" in str(items[1]["nrm_error"])
    end = fields_of(caplog.records[-1])
    assert end["nrm_counts"] == {
        "applied": 1,
        "confirmed": 0,
        "rejected": 1,
        "not_applied": 0,
        "unknown": 0,
    }


async def test_at_info_only_batches_and_the_client_speak(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Two records for a batch of any size, none for single calls."""
    with caplog.at_level(logging.INFO, "nrm_async"):
        async with open_client(world) as nrm:
            await nrm.run_batch([Pause(ANI), Pause(OTHER)])
            await nrm.list_anis(number=ANI)
    told = [fields_of(record)["nrm_event"] for record in caplog.records]
    assert told == ["BatchStarted", "BatchFinished"]


def test_levels() -> None:
    """An outage is a warning, and so is its end, so that no log is left without it."""
    levels = {kind: kind.level for kind in (CallFinished, BatchFinished)}
    assert levels == {CallFinished: logging.DEBUG, BatchFinished: logging.INFO}
    assert BreakerOpened.level == BreakerClosed.level == logging.WARNING


async def test_no_event_and_no_record_has_the_key(
    stub_api: StubAPI, spy: Spy, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where the server says it back."""
    stub_api.reply({"message": f"the key {API_KEY} is not known"}, status=401)
    with caplog.at_level(logging.DEBUG):
        async with NRMClient(API_KEY, base_url=stub_api.url, on_event=spy) as nrm:
            with pytest.raises(AuthenticationError):
                await nrm.pause(ANI)
            with pytest.raises(AuthenticationError):
                await nrm.list_anis()
            await nrm.pause_many([OTHER])
    assert len(spy.events) >= 8
    for event in spy.events:
        assert API_KEY not in repr(event)
        assert API_KEY not in repr(event.fields())
    for record in caplog.records:
        assert API_KEY not in record.getMessage()
        assert API_KEY not in repr(vars(record))


@pytest.mark.parametrize("kind", Event.__subclasses__())
def test_every_event_is_frozen(kind: type[Event]) -> None:
    """What was told cannot be changed."""
    event, (name, *_) = kind.__new__(kind), attrs.fields_dict(kind)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(event, name, 1)
