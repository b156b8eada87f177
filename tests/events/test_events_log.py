"""Events in the log: one structured record each, with its level and without secrets."""

import json
import logging

import attrs
import pytest

from nrm_async import AuthenticationError, NRMClient, Pause
from nrm_async.events import BatchFinished, BreakerClosed, BreakerOpened, CallFinished, Event
from tests.events.conftest import ANI, OTHER, Spy
from tests.fakes import API_KEY, FakeAPI, Fate, StubAPI, first, open_client


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name.startswith("nrm_")}


async def test_each_event_is_one_record(
    api: FakeAPI, spy: Spy, caplog: pytest.LogCaptureFixture
) -> None:
    """Records are in order, have the event's level, and have each field as an attribute."""
    api.fate = first(Fate.NOT_SENT)
    with caplog.at_level(logging.DEBUG, "nrm_async"):
        async with open_client(api, on_event=spy) as nrm:
            await nrm.pause_many([ANI, "nonsense"])
            await nrm.list_anis(number=OTHER)
    assert len(caplog.records) == len(spy.events) > 8
    for record, event in zip(caplog.records, spy.events, strict=True):
        assert (record.name, record.levelno) == ("nrm_async", event.level)
        fields = fields_of(record)
        assert fields.pop("nrm_event") == type(event).__name__
        assert fields.keys() == {f"nrm_{name}" for name in event.fields()}
        json.dumps(fields)  # nothing but plain data
        assert record.getMessage().startswith(type(event).__name__)


async def test_values_of_fields(api: FakeAPI, caplog: pytest.LogCaptureFixture) -> None:
    """Numbers stay numbers; outcomes are logged by name, errors by message."""
    with caplog.at_level(logging.DEBUG, "nrm_async"):
        async with open_client(api) as nrm:
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


async def test_level_info_has_no_records_of_single_calls(
    api: FakeAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch of any size has two records."""
    with caplog.at_level(logging.INFO, "nrm_async"):
        async with open_client(api) as nrm:
            await nrm.run_batch([Pause(ANI), Pause(OTHER)])
            await nrm.list_anis(number=ANI)
    names = [fields_of(record)["nrm_event"] for record in caplog.records]
    assert names == ["BatchStarted", "BatchFinished"]


def test_levels() -> None:
    """The end of an outage is a warning too, so no log has only its beginning."""
    levels = {kind: kind.level for kind in (CallFinished, BatchFinished)}
    assert levels == {CallFinished: logging.DEBUG, BatchFinished: logging.INFO}
    assert BreakerOpened.level == BreakerClosed.level == logging.WARNING


async def test_no_event_and_no_record_has_the_key(
    stub_api: StubAPI, spy: Spy, caplog: pytest.LogCaptureFixture
) -> None:
    """It is redacted even where the server repeats it."""
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
    """Fields of an event cannot be set."""
    event, (name, *_) = kind.__new__(kind), attrs.fields_dict(kind)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(event, name, 1)
