"""Pages as they come in: all that can be read is kept, and what cannot is named."""

import copy
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrm_async._wire import Response, pages, read_page
from nrm_async._wire.fast import LearningDecoder
from nrm_async._wire.rows import NAME_ON_THE_WIRE
from nrm_async.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    NRMError,
    RateLimitError,
    RejectedError,
    ResponseError,
    ServerError,
    TransportError,
)
from nrm_async.models import Ani, AniPage, MalformedRow

Answer: TypeAlias = Callable[..., Response]
Row: TypeAlias = dict[str, Any]

FIELDS = [attribute.name for attribute in attrs.fields(Ani) if attribute.name != "extra"]
OPTIONAL = [name for name in FIELDS if name not in {"id", "phone"}]
NUMBERS = [
    *("frequency_assigned", "frequency_dialed", "frequency_contacted", "last_30_days_dials"),
    *("last_30_days_contacts", "contact_rate", "success_rate", "block_rate", "no_answer_rate"),
]
DATES = ["date_last_dialed", "date_activated", "date_deactivated", "date_inventoried"]
# An unknown field is learnt and read fast, unless no struct can have its name: so each rule can
# be tried on all ways.
UNSPEAKABLE = {'something"New': 1}
WAYS = [
    pytest.param({}, id="fast"),
    pytest.param({"somethingNew": 1}, id="learnt"),
    pytest.param(UNSPEAKABLE, id="slow"),
]


def row(**fields: Any) -> Row:
    return {"id": 1, "phone": "2345678901"} | fields


def read(answer: Answer, *rows: object, **envelope: Any) -> AniPage:
    page = read_page(answer({"data": rows} | envelope), 1, 1000)
    assert isinstance(page, AniPage), page
    return page


def read_one(answer: Answer, **fields: Any) -> Ani:
    page = read(answer, row(**fields))
    assert not page.malformed
    return page[0]


def test_wire_names_are_the_documented_keys(documented_page: dict[str, Any]) -> None:
    """The names derived from the fields of Ani are the 24 documented keys, in their order."""
    assert list(NAME_ON_THE_WIRE.values()) == list(documented_page["data"][0])
    assert len(NAME_ON_THE_WIRE) == 24


def test_documented_page_takes_the_fast_way(
    answer: Answer, documented_page: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page as documented is read without the row-by-row way."""
    monkeypatch.setattr(pages, "read_row", None)
    assert isinstance(read_page(answer(documented_page), 1, 1000), AniPage)


@pytest.mark.parametrize("new", WAYS)
@pytest.mark.parametrize("value", [7, 0, "7", "a-b", 2**53 + 1, 2**70, -1, str(2**70)])
def test_id_is_kept_exactly(answer: Answer, value: int | str, new: Row) -> None:
    """An id stays the number or the text it is, beyond 2**53 too."""
    found = read_one(answer, id=value, **new).id
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("new", WAYS)
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
def test_status_is_open(answer: Answer, value: object, status: str | None, new: Row) -> None:
    """Unknown statuses are kept as they come, and a numeric one becomes its text."""
    assert read_one(answer, status=value, **new).status == status


@pytest.mark.parametrize("new", WAYS)
@pytest.mark.parametrize("value", [0, 12, 12.5, 0.0, 2**60, 1e-9])
@pytest.mark.parametrize("field", NUMBERS)
def test_numbers_may_be_fractional(
    answer: Answer, field: str, value: int | float, new: Row
) -> None:
    """Counters and rates are whole or fractional as sent: neither is turned into the other."""
    found = getattr(read_one(answer, **{NAME_ON_THE_WIRE[field]: value}, **new), field)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("new", WAYS)
@pytest.mark.parametrize("field", OPTIONAL)
def test_all_but_id_and_phone_may_be_null(answer: Answer, field: str, new: Row) -> None:
    """A null in any field but the two certain ones is None, and so is a field left out."""
    assert getattr(read_one(answer, **{NAME_ON_THE_WIRE[field]: None}, **new), field) is None
    assert getattr(read_one(answer, **new), field) is None


def test_unknown_fields_are_kept(answer: Answer) -> None:
    """Fields of a later API are kept under its names, whatever their shape."""
    later = {"riskScore": 0.5, "labels": ["spam", {"carrier": None}], "extra": 1, "area_code": "9"}
    ani = read_one(answer, areaCode="234", **later)
    assert ani.extra == later
    assert ani.area_code == "234"


def test_unknown_fields_do_not_slow_a_page_down(
    answer: Answer, documented_page: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fields of a later API are learnt, on all rows or on some, and rows without them have none."""
    monkeypatch.setattr(pages, "read_row", None)
    documented = documented_page["data"][0]
    later = {"riskScore": 0.5, "labels": ["spam", {"carrier": None}], "other_0": None}
    for _ in range(2):
        page = read(answer, documented, documented | later, documented | {"": "nameless"})
        assert [ani.extra for ani in page] == [{}, later, {"": "nameless"}]
    assert {type(ani) for ani in page} == {Ani}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        page[0].phone = ""  # type: ignore[misc]


def test_rows_share_nothing_that_can_change(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The empty ``extra`` that rows share stays empty, and copies and pickles like any other."""
    decoder = LearningDecoder()
    monkeypatch.setattr(pages, "_fast", lambda: decoder)
    extra = read_one(answer).extra
    assert extra is read_one(answer).extra
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
    ani = read_one(answer)
    for same in (copy.deepcopy(ani), pickle.loads(pickle.dumps(ani))):
        assert same == ani
        assert type(same.extra) is dict


def test_fields_without_end_are_kept(answer: Answer) -> None:
    """A server that makes up new names for every row loses nothing, and is not followed."""
    fields = [{f"made_up_{n}_{m}": m for m in range(30)} for n in range(20)]
    page = read(answer, *[row(**made_up) for made_up in fields])
    assert [ani.extra for ani in page] == fields
    assert len(pages._fast().others) <= 100


def test_known_fields_are_not_extra(answer: Answer, documented_page: dict[str, Any]) -> None:
    """Beside an unknown field, the 24 known ones do not show up as extra."""
    documented = documented_page["data"][0]
    assert read_one(answer, **documented, new=True).extra == {"new": True}
    assert read_one(answer, **documented).extra == {}


@pytest.mark.parametrize("new", WAYS)
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
def test_created_at_has_a_time_zone(answer: Answer, text: str, moment: datetime, new: Row) -> None:
    """A time keeps its zone, one without a zone is UTC, and both ways round fractions alike."""
    found = read_one(answer, createdAt=text, **new).created_at
    assert found == moment
    assert found.tzinfo is not None


@pytest.mark.parametrize("text", ["2025-01-15T23:30:00Z", "2025-01-15T23:30:00-05:00"])
@pytest.mark.parametrize("field", DATES)
def test_time_where_a_day_is_meant(answer: Answer, field: str, text: str) -> None:
    """A time where a day is meant keeps the day that is written."""
    ani = read_one(answer, **{NAME_ON_THE_WIRE[field]: text})
    found = getattr(ani, field)
    assert (type(found), found) == (date, date(2025, 1, 15))


def test_numbers_where_text_is_meant(answer: Answer) -> None:
    """A phone number or an area code sent as a number is taken as its text."""
    ani = read_one(answer, phone=2345678901, areaCode=234)
    assert (ani.phone, ani.area_code) == ("2345678901", "234")


BAD_VALUES: dict[str, list[object]] = {
    "id": [None, 1.5, True, [], {}],
    "phone": [None, 1.5, False, ["2345678901"]],
    "brand": [1.5, True, [], {}],
    "status": [True, [], {}],
    "blockRate": ["8", True, [], {}],
    "last30DaysDials": ["12", False],
    "dateActivated": ["", "soon", "2025-02-30", 20250115, True],
    "createdAt": ["", "soon", "2025-01-15T25:00:00Z", 1736899200, []],
}
BAD_FIELDS = [(field, value) for field, values in BAD_VALUES.items() for value in values]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS, ids=repr)
def test_bad_row_costs_only_itself(answer: Answer, field: str, value: object) -> None:
    """A field of the wrong type is named by its path, never coerced, and its neighbours stay."""
    rows = [row(id=index) for index in range(5)]
    rows[3][field] = value
    page = read(answer, *rows)
    assert [ani.id for ani in page] == [0, 1, 2, 4]
    assert [bad.path for bad in page.malformed] == [f"$.data[3].{field}"]


@pytest.mark.parametrize("field", ["id", "phone"])
def test_missing_certain_field(answer: Answer, field: str) -> None:
    """A row without its id or phone is malformed and says which of the two is missing."""
    bad = row()
    del bad[field]
    page = read(answer, row(), bad)
    phone = bad.get("phone")
    assert page.malformed == (MalformedRow(f"$.data[1].{field}", "is missing", phone),)
    assert len(page) == 1


@pytest.mark.parametrize(
    ("value", "kind"), [(None, "null"), (3, "int"), ("x", "text"), ([], "list"), (True, "bool")]
)
def test_row_that_is_no_object(answer: Answer, value: object, kind: str) -> None:
    """A row that is no object is named by its position, and its neighbours stay."""
    page = read(answer, row(id=1), value, row(id=2))
    assert [ani.id for ani in page] == [1, 2]
    assert page.malformed == (MalformedRow("$.data[1]", f"must be an object, not {kind}"),)


def test_several_bad_fields_in_one_row(answer: Answer) -> None:
    """A row with several bad fields is one malformed row: the first is named, the rest counted."""
    (bad,) = read(answer, row(brand=1.5, blockRate="8", createdAt=[])).malformed
    assert bad.path == "$.data[0].brand"
    assert bad.problem == "must be text, not float (and 2 more in this row)"
    assert bad.phone == "2345678901"


def test_malformed_row_is_fit_for_logs(answer: Answer) -> None:
    """What a bad row says quotes nothing of the server's but a number that looks like one."""
    (bad,) = read(answer, row(phone="2\x1b[31m", createdAt="\x1b\n" * 9999)).malformed
    assert bad.phone is None
    assert bad.problem == "must be a time or a day in ISO 8601"


COUNTS = ["count", "total_anis", "total_pages"]
FLAGS = ["can_next_page", "can_prev_page"]


@pytest.mark.parametrize("value", ["1", 1.5, True, -1, None, [], {}], ids=repr)
@pytest.mark.parametrize("field", COUNTS)
def test_envelope_count_of_wrong_type(answer: Answer, field: str, value: object) -> None:
    """A count that is no count becomes None and costs no row."""
    page = read(answer, row(), **{field: value})
    assert getattr(page, field) is None
    assert len(page) == 1


@pytest.mark.parametrize("value", ["true", 1, 0, None, [], {}], ids=repr)
@pytest.mark.parametrize("field", FLAGS)
def test_envelope_flag_of_wrong_type(answer: Answer, field: str, value: object) -> None:
    """A flag that is no flag becomes None and costs no row."""
    page = read(answer, row(), **{field: value})
    assert getattr(page, field) is None
    assert len(page) == 1


@pytest.mark.parametrize("rows", [[row()], [row(new=1)], []], ids=["fast", "slow", "empty"])
@pytest.mark.parametrize(
    ("field", "value"),
    [*[(field, value) for field in COUNTS for value in (0, 7)], *[(f, False) for f in FLAGS]],
)
def test_envelope_is_kept(answer: Answer, rows: list[Row], field: str, value: object) -> None:
    """Each envelope field arrives in its own place, zero and false too; those left out are None."""
    page = read(answer, *rows, **{field: value})
    expected = dict.fromkeys([*COUNTS, *FLAGS]) | {field: value}
    assert {name: getattr(page, name) for name in expected} == expected


def test_page_says_what_was_asked(answer: Answer) -> None:
    """The page's own number and size are those of the request, whatever the server says."""
    page = read_page(answer({"data": [], "page": 9, "page_size": 9}), 3, 50)
    assert isinstance(page, AniPage)
    assert (page.page, page.page_size) == (3, 50)


DEEP = b"[" * 100_000 + b"]" * 100_000
LONG = b"9" * 5_000
NO_PAGES = {
    "empty": b"",
    "html": b"<html>Bad Gateway</html>",
    "null": b"null",
    "number": b"5",
    "list": b"[]",
    "no data": b'{"count":0}',
    "data is null": b'{"data":null}',
    "data is an object": b'{"data":{}}',
    "data is text": b'{"data":"x"}',
    "byte order mark": b'\xef\xbb\xbf{"data":[]}',
    "utf-16": '{"data":[]}'.encode("utf-16"),
    "deep": DEEP,
    "deep in a row": b'{"data":[{"id":1,"phone":"2345678901","x":' + DEEP + b"}]}",
    "deep in the envelope": b'{"data":[],"count":' + DEEP + b"}",
    "deep and unknown": b'{"data":[],"x":' + DEEP + b"}",
    "long number": b'{"data":[{"id":' + LONG + b',"phone":"2345678901"}]}',
    "long count": b'{"data":[],"count":' + LONG + b"}",
    "nan": b'{"data":[{"id":1,"phone":"2345678901","blockRate":NaN}]}',
    "nan count": b'{"data":[],"count":NaN}',
    "infinity": b'{"data":[{"id":1,"phone":"2345678901","blockRate":Infinity}]}',
    "number beyond floats": b'{"data":[{"id":1,"phone":"2345678901","blockRate":1e999}]}',
    "lone surrogate": b'{"data":[{"id":1,"phone":"2345678901","brand":"\\ud800"}]}',
    "lone surrogate as a key": b'{"data":[{"id":1,"phone":"2345678901","\\ud800":1}]}',
    "encoded surrogate": b'{"data":[{"id":1,"phone":"2345678901","brand":"\xed\xa0\x80"}]}',
    "no utf-8": b'{"data":[{"id":1,"phone":"2345678901","brand":"\xff"}]}',
    "two documents": b'{"data":[]}{"data":[]}',
}


CUT = {
    "in a row": b'{"data":[{"id":1,"phone":"2345678901"',
    "in a text": b'{"data":[{"id":1,"phone":"23456',
    "in a text with braces": b'{"data":[{"id":1,"brand":"}}}',
    "after an escape": b'{"data":[{"id":1,"brand":"\\\\',
    "after a list of objects": b'{"data":[{"id":1,"labels":[{"spam":true}]}',
    "after a row": b'{"data":[{"id":1,"phone":"2345678901"}',
}


@pytest.mark.parametrize("body", CUT.values(), ids=CUT.keys())
def test_a_page_cut_short_can_be_read_again(answer: Answer, body: bytes) -> None:
    """A body that stops before its end is a fault of the way, not of the API: worth a retry."""
    error = read_page(answer(body, 200), 1, 1000)
    assert type(error) is TransportError


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("body", NO_PAGES.values(), ids=NO_PAGES.keys())
def test_no_page(answer: Answer, body: bytes, status: int) -> None:
    """A 2xx that is no page, hostile or not, is a ResponseError as a value, short and printable."""
    error = read_page(answer(body, status), 1, 1000)
    assert type(error) is ResponseError
    assert str(error).isprintable()
    assert len(str(error)) <= 300


@pytest.mark.parametrize("body", NO_PAGES.values(), ids=NO_PAGES.keys())
def test_hostile_error_answer(answer: Answer, body: bytes) -> None:
    """The same bodies under an error status do not hide what the status says."""
    error = read_page(answer(body, 500), 1, 1000)
    assert type(error) is ServerError
    assert len(str(error)) <= 2_100


@pytest.mark.parametrize(
    "body",
    [{"success": False, "message": "no access"}, {"status": "failed", "reason": "no access"}],
)
def test_refusal_in_a_2xx(answer: Answer, body: Row) -> None:
    """A refusal where a page was meant is a refusal, with the API's words."""
    error = read_page(answer(body), 1, 1000)
    assert type(error) is RejectedError
    assert error.message == "no access"


STATUS_CLASSES: list[tuple[type[NRMError], list[int]]] = [
    (AuthenticationError, [401, 403]),
    (RateLimitError, [429]),
    (RejectedError, [400, 404, 405, 409, 413, 418, 422]),
    (APIError, [408, 421, 425, 302, 303, 304]),
    (ServerError, [500, 502, 503, 504, 599]),
    (ConfigurationError, [301, 307, 308]),
]


@pytest.mark.parametrize(
    ("kind", "status"), [(kind, status) for kind, all_of in STATUS_CLASSES for status in all_of]
)
def test_error_status(answer: Answer, kind: type[NRMError], status: int) -> None:
    """Each status that is no success has its class of error, even with the body of a page."""
    error = read_page(answer({"data": [row()]}, status, {"x-request-id": "r-3"}), 1, 1000)
    assert type(error) is kind
    assert not error.maybe_applied
    if isinstance(error, APIError):
        assert (error.status, error.request_id) == (status, "r-3")
    else:
        assert str(status) in str(error)


def test_throttled_page_says_how_long(answer: Answer) -> None:
    """A 429 carries the server's Retry-After in seconds."""
    error = read_page(answer({"message": "slow"}, 429, {"Retry-After": "7"}), 1, 1000)
    assert isinstance(error, RateLimitError)
    assert (error.retry_after, error.message) == (7.0, "slow")


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
def test_fast_and_slow_way_agree(answer: Answer, rows: list[Row]) -> None:
    """A page says the same, value and type, whichever way it is read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "read_row", None)  # these must be fast
        fast = read(answer, *rows)
        learnt = read(answer, *[each | {"somethingNew": 1} for each in rows])
    slow = read(answer, *[each | UNSPEAKABLE for each in rows])
    for other, extra in ((learnt, {"somethingNew": 1}), (slow, UNSPEAKABLE)):
        assert all(ani.extra == extra for ani in other)
        same = attrs.evolve(other, data=tuple(attrs.evolve(ani, extra={}) for ani in other))
        assert same == fast
        assert repr(same) == repr(fast)


@given(body=st.binary() | st.sampled_from(list(NO_PAGES.values())), status=st.integers(100, 599))
def test_reading_never_raises(body: bytes, status: int) -> None:
    """Whatever comes back, reading it gives a value or an error as a value."""
    assert isinstance(read_page(Response(status, body), 1, 1000), AniPage | NRMError)
