"""Rows of a page: everything readable is kept, with its exact type, and bad fields are named."""

import copy
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrm_async._wire import page_reply
from nrm_async._wire.page_decoder import LearningDecoder
from nrm_async._wire.row_decoder import NAME_ON_THE_WIRE, ROW_FIELDS
from nrm_async.models import Ani, AniPage, MalformedRow
from tests.wire.conftest import make_response, make_row, read_page_reply, read_row, read_rows

Row: TypeAlias = dict[str, Any]

FIELDS = [attribute.name for attribute in ROW_FIELDS]
OPTIONAL = [name for name in FIELDS if name not in {"id", "phone"}]
NUMBERS = [
    *("frequency_assigned", "frequency_dialed", "frequency_contacted", "last_30_days_dials"),
    *("last_30_days_contacts", "contact_rate", "success_rate", "block_rate", "no_answer_rate"),
]
DATES = ["date_last_dialed", "date_activated", "date_deactivated", "date_inventoried"]
# An unknown field is learnt and decoded fast, unless a struct cannot have its name. So an extra
# field chooses the decoder, and each rule is tested with all of them.
UNLEARNABLE = {'something"New': 1}
each_decoder = pytest.mark.parametrize(
    "extra",
    [
        pytest.param({}, id="fast"),
        pytest.param({"somethingNew": 1}, id="learnt"),
        pytest.param(UNLEARNABLE, id="row by row"),
    ],
)


def test_wire_names_are_the_documented_keys(documented_page: dict[str, Any]) -> None:
    """The names derived from the fields of ``Ani`` are the 24 documented keys, in order."""
    assert list(NAME_ON_THE_WIRE.values()) == list(documented_page["data"][0])
    assert len(NAME_ON_THE_WIRE) == 24


def test_documented_page_is_decoded_fast(
    documented_page: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The documented page is not decoded row by row."""
    monkeypatch.setattr(page_reply, "read_row", None)
    assert isinstance(read_page_reply(make_response(documented_page)), AniPage)


@each_decoder
@pytest.mark.parametrize("value", [7, 0, "7", "a-b", 2**53 + 1, 2**70, -1, str(2**70)])
def test_id_is_kept_exactly(value: int | str, extra: Row) -> None:
    """An id keeps its type and value, beyond 2**53 too."""
    found = read_row(id=value, **extra).id
    assert (type(found), found) == (type(value), value)


@each_decoder
@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("COOLING_OFF", "COOLING_OFF"),
        ("never seen before", "never seen before"),
        ("", ""),
        (3, "3"),
        (3.5, "3.5"),
        (None, None),
    ],
)
def test_status_is_open(value: object, status: str | None, extra: Row) -> None:
    """An unknown status is kept, and a numeric one becomes text."""
    assert read_row(status=value, **extra).status == status


@each_decoder
@pytest.mark.parametrize("value", [0, 12, 12.5, 0.0, 2**60, 1e-9])
@pytest.mark.parametrize("field", NUMBERS)
def test_number_keeps_its_type(field: str, value: int | float, extra: Row) -> None:
    """Counters and rates stay ``int`` or ``float`` as sent."""
    found = getattr(read_row(**{NAME_ON_THE_WIRE[field]: value}, **extra), field)
    assert (type(found), found) == (type(value), value)


@each_decoder
@pytest.mark.parametrize("field", OPTIONAL)
def test_optional_field_is_null_or_missing(field: str, extra: Row) -> None:
    """An optional field that is null or left out is ``None``."""
    assert getattr(read_row(**{NAME_ON_THE_WIRE[field]: None}, **extra), field) is None
    assert getattr(read_row(**extra), field) is None


def test_unknown_fields_are_kept() -> None:
    """Unknown fields are in ``extra`` under the names of the API, whatever their type."""
    later = {"riskScore": 0.5, "labels": ["spam", {"carrier": None}], "extra": 1, "area_code": "9"}
    ani = read_row(areaCode="234", **later)
    assert ani.extra == later
    assert ani.area_code == "234"


def test_unknown_fields_are_decoded_fast(
    documented_page: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown fields, on all rows or on some, are not decoded row by row."""
    monkeypatch.setattr(page_reply, "read_row", None)
    documented = documented_page["data"][0]
    later = {"riskScore": 0.5, "labels": ["spam", {"carrier": None}], "extra_0": None}
    for _ in range(2):
        page = read_rows(documented, documented | later, documented | {"": "nameless"})
        assert [ani.extra for ani in page] == [{}, later, {"": "nameless"}]
    assert {type(ani) for ani in page} == {Ani}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        page[0].phone = ""  # type: ignore[misc]


def test_shared_empty_extra_is_immutable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The empty ``extra`` that rows share cannot be changed, and can be copied and pickled."""
    decoder = LearningDecoder()
    monkeypatch.setattr(page_reply, "_decoder", lambda: decoder)
    extra = read_row().extra
    assert extra is read_row().extra
    for name, args in (
        ("__setitem__", ("a", 1)),
        ("__ior__", ({"a": 1},)),
        ("setdefault", ("a",)),
        ("update", ({"a": 1},)),
    ):
        with pytest.raises(TypeError, match="cannot be changed"):
            getattr(extra, name)(*args)
    assert extra == {}
    assert repr(extra) == "{}"
    ani = read_row()
    for same in (copy.deepcopy(ani), pickle.loads(pickle.dumps(ani))):
        assert same == ani
        assert type(same.extra) is dict


def test_new_field_names_in_every_row() -> None:
    """A server that invents names for each row loses no field, and is not learnt from for ever."""
    fields = [{f"made_up_{n}_{m}": m for m in range(30)} for n in range(20)]
    page = read_rows(*[make_row(**made_up) for made_up in fields])
    assert [ani.extra for ani in page] == fields
    assert len(page_reply._decoder().unknown_fields) <= 100


def test_documented_fields_are_not_extra(documented_page: dict[str, Any]) -> None:
    """Beside an unknown field, the documented fields are not in ``extra``."""
    documented = documented_page["data"][0]
    assert read_row(**documented, new=True).extra == {"new": True}
    assert read_row(**documented).extra == {}


@each_decoder
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-01-15T08:30:00", datetime(2025, 1, 15, 8, 30, tzinfo=UTC)),
        ("2025-01-15T08:30:00.250", datetime(2025, 1, 15, 8, 30, 0, 250_000, tzinfo=UTC)),
        ("2025-01-15", datetime(2025, 1, 15, tzinfo=UTC)),
        ("2025-01-15T08:30:00Z", datetime(2025, 1, 15, 8, 30, tzinfo=UTC)),
        ("2025-01-15T08:30:00+02:00", datetime(2025, 1, 15, 6, 30, tzinfo=UTC)),
        (
            "2025-01-15T08:30:00.123456789Z",
            datetime(2025, 1, 15, 8, 30, 0, 123_457, tzinfo=UTC),
        ),
    ],
)
def test_created_at_has_a_time_zone(text: str, moment: datetime, extra: Row) -> None:
    """A time keeps its zone, is UTC without one, and is rounded alike by all decoders."""
    found = read_row(createdAt=text, **extra).created_at
    assert found == moment
    assert found.tzinfo is not None


@pytest.mark.parametrize("text", ["2025-01-15T23:30:00Z", "2025-01-15T23:30:00-05:00"])
@pytest.mark.parametrize("field", DATES)
def test_time_in_a_date_field(field: str, text: str) -> None:
    """A time in a date field becomes the day as written."""
    ani = read_row(**{NAME_ON_THE_WIRE[field]: text})
    found = getattr(ani, field)
    assert (type(found), found) == (date, date(2025, 1, 15))


def test_number_in_a_text_field() -> None:
    """A phone number or an area code that is sent as a number becomes text."""
    ani = read_row(phone=2345678901, areaCode=234)
    assert (ani.phone, ani.area_code) == ("2345678901", "234")


BAD_VALUES: dict[str, list[object]] = {
    "id": [None, 1.5, True, [], {}],
    "phone": [None, 1.5, False, ["2345678901"]],
    "brand": [1.5, True, [], {}],
    "status": [True, [], {}],
    "blockRate": ["8 %", True, [], {}],
    "last30DaysDials": ["a dozen", True],
    "dateActivated": ["soon", "2025-02-30", 20250115, True],
    "createdAt": ["soon", "2025-01-15T25:00:00Z", 1736899200, []],
}
BAD_FIELDS = [(field, value) for field, values in BAD_VALUES.items() for value in values]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS, ids=repr)
def test_field_of_wrong_type(field: str, value: object) -> None:
    """A field of the wrong type is named by its path, never coerced; the other rows are kept."""
    rows = [make_row(id=index) for index in range(5)]
    rows[3][field] = value
    page = read_rows(*rows)
    assert [ani.id for ani in page] == [0, 1, 2, 4]
    assert [bad.path for bad in page.malformed] == [f"$.data[3].{field}"]


@pytest.mark.parametrize("field", ["id", "phone"])
def test_required_field_is_missing(field: str) -> None:
    """A row without its id or phone is malformed and names the missing field."""
    bad = make_row()
    del bad[field]
    page = read_rows(make_row(), bad)
    phone = bad.get("phone")
    assert page.malformed == (MalformedRow(f"$.data[1].{field}", "is missing", phone),)
    assert len(page) == 1


@pytest.mark.parametrize(
    ("value", "kind"), [(None, "null"), (3, "int"), ("x", "text"), ([], "list"), (True, "bool")]
)
def test_row_is_not_an_object(value: object, kind: str) -> None:
    """A row that is not an object is named by its position; the other rows are kept."""
    page = read_rows(make_row(id=1), value, make_row(id=2))
    assert [ani.id for ani in page] == [1, 2]
    assert page.malformed == (MalformedRow("$.data[1]", f"must be an object, not {kind}"),)


def test_several_bad_fields_in_one_row() -> None:
    """A row with several bad fields names the first and counts the rest."""
    (bad,) = read_rows(make_row(brand=1.5, blockRate="8 %", createdAt=[])).malformed
    assert bad.path == "$.data[0].brand"
    assert bad.problem == "must be text, not float (and 2 more in this row)"
    assert bad.phone == "2345678901"


def test_malformed_row_quotes_no_untrusted_text() -> None:
    """A malformed row repeats no text of the server, except a valid phone number."""
    (bad,) = read_rows(make_row(phone="2\x1b[31m", createdAt="\x1b\n" * 9999)).malformed
    assert bad.phone is None
    assert bad.problem == "must be a time or a day in ISO 8601"


texts = st.text(max_size=20)
numbers = st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
days = st.dates().map(date.isoformat)
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(timezones=zones).map(datetime.isoformat)


def values_of(name: str) -> st.SearchStrategy[Any]:
    if name == "status":
        return texts | numbers
    if name == "created_at":
        return moments
    if name in DATES:
        return days
    return numbers if name in NUMBERS else texts


rows_as_documented = st.fixed_dictionaries(
    {"id": st.integers(-(2**80), 2**80) | texts, "phone": texts},
    optional={NAME_ON_THE_WIRE[name]: st.none() | values_of(name) for name in OPTIONAL},
)


@settings(max_examples=150)
@given(rows=st.lists(rows_as_documented, max_size=3))
def test_decoders_agree(rows: list[Row]) -> None:
    """All decoders return the same values and types for a page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_reply, "read_row", None)  # these must be fast
        fast = read_rows(*rows)
        learnt = read_rows(*[each | {"somethingNew": 1} for each in rows])
    slow = read_rows(*[each | UNLEARNABLE for each in rows])
    for other, extra in ((learnt, {"somethingNew": 1}), (slow, UNLEARNABLE)):
        assert all(ani.extra == extra for ani in other)
        same = attrs.evolve(other, data=tuple(attrs.evolve(ani, extra={}) for ani in other))
        assert same == fast
        assert repr(same) == repr(fast)
