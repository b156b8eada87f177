"""Odd values in an answer: each costs a value or a row, and what was changed stays visible."""

import copy
import pickle
from datetime import date
from typing import Any

import attrs
import pytest

from nrm_async._wire import read_receipt, to_dict
from nrm_async.actions import Pause
from nrm_async.errors import AuthenticationError, RejectedError, TransportError
from nrm_async.models import Ani, AniPage, MalformedRow, Receipt
from tests.wire.conftest import make_response, make_row, read_page_reply, read_row, read_rows

BOM = b"\xef\xbb\xbf"
GOOD = b'{"id":1,"phone":"2345678901","brand":"Acme"}'


def read_raw(*rows: bytes) -> AniPage:
    """Decode a page of rows that are given as they are on the wire."""
    page = read_page_reply(make_response(b'{"count":2,"data":[' + b",".join(rows) + b"]}"))
    assert isinstance(page, AniPage), page
    assert page.count == 2
    return page


def raw_row(field: str, value: bytes) -> bytes:
    return b'{"id":2,"phone":"2345678902","%b":%b}' % (field.encode(), value)


ODD_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1.5e400"]
ODD_TEXTS = {
    "lone surrogate": (rb'"Acme \ud800"', "Acme \ufffd", r"Acme \ud800"),
    "cut pair": (rb'"\ud83dAcme"', "\ufffdAcme", r"\ud83dAcme"),
    "latin-1": (b'"Caf\xe9"', "Caf\ufffd", r"Caf\xe9"),
    "encoded surrogate": (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd", r"\xed\xa0\x80"),
    "both": (b'"\\udfff \xff"', "\ufffd \ufffd", r"\udfff \xff"),
}


@pytest.mark.parametrize("text", ODD_NUMBERS)
@pytest.mark.parametrize("field", ["blockRate", "last30DaysDials"])
def test_number_that_json_does_not_have(field: str, text: str) -> None:
    """A figure that is no finite number is ``None``; the page and the row are kept."""
    page = read_raw(GOOD, raw_row(field, text.encode()), GOOD)
    assert not page.malformed
    assert [ani.id for ani in page] == [1, 2, 1]
    name = {"blockRate": "block_rate"}.get(field, "last_30_days_dials")
    assert getattr(page[1], name) is None
    assert page[1].repaired == {name: text}
    assert page[0].repaired == {}


@pytest.mark.parametrize(("raw", "text", "came"), ODD_TEXTS.values(), ids=ODD_TEXTS.keys())
def test_text_that_is_not_unicode(raw: bytes, text: str, came: str) -> None:
    """What is not Unicode becomes U+FFFD, and stays visible, escaped, in ``repaired``."""
    page = read_raw(GOOD, raw_row("brand", raw))
    assert (page[1].brand, page[1].repaired) == (text, {"brand": came})
    assert page[0].brand == "Acme"


@pytest.mark.parametrize("control", [b"\x00", b"\t", b"\n", b"\x1b", b"\x1f"])
def test_raw_control_character(control: bytes) -> None:
    """A control character that should be escaped is kept as if it were."""
    page = read_raw(GOOD, raw_row("brand", b'"Ac%bme"' % control))
    assert page[1].brand == f"Ac{control.decode()}me"
    assert page[1].repaired == {}


@pytest.mark.parametrize("field", ["id", "phone"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"NaN", "must be a finite number"),
        (b"1e999", "must be a finite number"),
        (rb'"23456\ud800"', "must be valid Unicode"),
        (b'"234567\xe9"', "must be valid Unicode"),
    ],
)
def test_required_field_is_odd(field: str, value: bytes, problem: str) -> None:
    """A row whose id or number is odd is malformed and named; the others are kept."""
    fields = {"id": b"2", "phone": b'"2345678902"'} | {field: value}
    bad = b'{"id":%b,"phone":%b}' % (fields["id"], fields["phone"])
    page = read_raw(GOOD, bad, GOOD)
    assert len(page) == 2
    phone = None if field == "phone" else "2345678902"
    assert page.malformed == (MalformedRow(f"$.data[1].{field}", problem, phone),)


def test_odd_values_in_unknown_fields() -> None:
    """Odd values in ``extra``, nested ones and names too, are replaced and shown."""
    row = rb'{"id":2,"phone":"2345678902","tags":["a",{"x":NaN}],"\ud800":1,"fine":[1]}'
    ani = read_raw(row)[0]
    assert ani.extra == {"tags": ["a", {"x": None}], "\ufffd": 1, "fine": [1]}
    assert ani.repaired == {"extra": {"tags": ["a", {"x": "NaN"}], r"\ud800": 1}}


def test_odd_row_and_odd_envelope() -> None:
    """An odd value instead of a row is named; one in the envelope is ``None``."""
    body = b'{"total_anis":NaN,"can_next_page":"\xff","data":[%b,NaN]}' % GOOD
    page = read_page_reply(make_response(body))
    assert isinstance(page, AniPage)
    assert (page.total_anis, page.can_next_page, len(page)) == (None, None, 1)
    assert page.malformed == (MalformedRow("$.data[1]", "must be an object, not null"),)


def test_deep_row_beside_an_odd_value() -> None:
    """A row that is nested too deeply is named, or the body is no page; nothing is raised."""
    for depth in range(100, 1_200, 50):
        deep = b"[" * depth + b"]" * depth
        body = b'{"data":[%b,%b]}' % (raw_row("blockRate", b"NaN"), raw_row("x", deep))
        read_page_reply(make_response(body))


def test_thousand_rows_with_one_odd_value() -> None:
    """One odd value leaves the other 999 rows as they are."""
    rows = [b'{"id":%d,"phone":"%d"}' % (n, 2_000_000_000 + n) for n in range(1_000)]
    rows[500] = rows[500][:-1] + b',"brand":"caf\xe9"}'
    page = read_raw(*rows)
    assert [ani.id for ani in page] == list(range(1_000))
    assert [ani.id for ani in page if ani.repaired] == [500]


@pytest.mark.parametrize(
    "value", ["", "  ", "0000-00-00", "0000-00-00 00:00:00", "0000-00-00T00:00:00.000Z", "N/A"]
)
@pytest.mark.parametrize("field", ["dateActivated", "dateLastDialed", "createdAt"])
def test_date_that_is_none(field: str, value: str) -> None:
    """An empty date and one of zeros are ``None``."""
    name = {"dateActivated": "date_activated", "dateLastDialed": "date_last_dialed"}.get(
        field, "created_at"
    )
    ani = read_row(**{field: value})
    assert getattr(ani, name) is None
    assert ani.repaired == {name: value}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        *[("", None), (" ", None), ("N/A", None), ("n/a", None), ("NULL", None), ("-", None)],
        *[("NaN", None), ("-Infinity", None), ("1e999", None), (False, None)],
        *[("36.0", 36.0), (" 36.50 ", 36.5), ("12", 12), ("-3", -3), ("1e3", 1000.0)],
    ],
)
def test_figure_as_text(value: object, kept: float | None) -> None:
    """A figure as text is a number, and ``None`` where it says that there is none."""
    ani = read_row(contactRate=value)
    assert (type(ani.contact_rate), ani.contact_rate) == (type(kept), kept)
    assert ani.repaired == {"contact_rate": value}


@pytest.mark.parametrize("value", ["36%", "1,250", "1_000", "0x1f", "many", "٣٦", "9" * 400])
def test_text_that_is_no_figure(value: str) -> None:
    """Text that may mean several numbers is not guessed at."""
    (bad,) = read_rows(make_row(contactRate=value)).malformed
    assert bad.path == "$.data[0].contactRate"


@pytest.mark.parametrize("field", ["brand", "status", "statusLabel", "areaCode", "locality"])
def test_text_that_is_false(field: str) -> None:
    """``false`` instead of a text, as PHP has it for what is not there, is ``None``."""
    ani = read_row(**{field: False})
    assert list(ani.repaired.values()) == [False]
    assert getattr(ani, next(iter(ani.repaired))) is None


def test_empty_text_is_kept() -> None:
    """An empty text in a field of text is a text."""
    ani = read_row(brand="", status="", dateActivated="")
    assert (ani.brand, ani.status) == ("", "")
    assert ani.repaired == {"date_activated": ""}


@pytest.mark.parametrize(
    ("text", "is_lossy"),
    [
        ("2025-01-15T23:30:00Z", True),
        ("2025-01-15 00:00:01", True),
        ("2025-01-15T00:00:00.000Z", False),
        ("2025-01-15T00:00:00+02:00", False),
        ("2025-01-15", False),
    ],
)
def test_time_that_a_day_loses(text: str, is_lossy: bool) -> None:
    """The time of day that a field of days cannot keep stays visible, unless it is midnight."""
    ani = read_row(dateActivated=text)
    assert ani.date_activated == date(2025, 1, 15)
    assert ani.repaired == ({"date_activated": text} if is_lossy else {})


def test_repaired_is_shared_frozen_and_not_compared() -> None:
    """Rows share one empty ``repaired``; no row's can be changed; it does not make rows unequal."""
    fast, slow = read_row(), read_row(dateActivated="")
    assert fast.repaired is Ani(1, "2345678901").repaired
    for ani in (fast, slow):
        for change in ("clear", "popitem"):
            with pytest.raises(TypeError, match="cannot be changed"):
                getattr(ani.repaired, change)()
        with pytest.raises(TypeError, match="cannot be changed"):
            ani.repaired["a"] = 1  # type: ignore[index]
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            ani.repaired = {}  # type: ignore[misc]
    assert fast == slow
    assert hash(attrs.evolve(fast)) == hash(slow)


def test_repaired_survives_copies() -> None:
    """A copy, a pickle and a dict of a row hold what was repaired."""
    ani = read_row(dateActivated="0000-00-00", contactRate="36.0")
    came = {"date_activated": "0000-00-00", "contact_rate": "36.0"}
    for same in (copy.deepcopy(ani), pickle.loads(pickle.dumps(ani)), attrs.evolve(ani)):
        assert same.repaired == came
    assert to_dict(ani)["repaired"] == came
    assert "0000-00-00" in repr(ani)


# --- before JSON, and instead of a list ------------------------------------------------------


@pytest.mark.parametrize("before", [BOM, BOM * 2, BOM + b"\r\n", b"\n" + BOM])
def test_byte_order_mark_before_a_page(before: bytes) -> None:
    """A byte order mark is skipped, also before unknown fields and odd values."""
    for row in (GOOD, raw_row("brandNew", b"1"), raw_row("blockRate", b"NaN")):
        page = read_page_reply(make_response(before + b'{"data":[' + row + b"]}"))
        assert isinstance(page, AniPage), page
        assert len(page) == 1
        assert not page.malformed


def test_page_with_byte_order_mark_is_cut_short() -> None:
    """A page that is cut is recognised behind a byte order mark, and is read again."""
    error = read_page_reply(make_response(BOM + b'{"data":[{"id":1,"phone":"2345678901"'))
    assert type(error) is TransportError


def test_byte_order_mark_before_other_answers() -> None:
    """A byte order mark before the reply to an action, a refusal and an error is skipped."""
    action = Pause("2345678901")
    applied = read_receipt(make_response(BOM + b'{"status":"paused","ani":"2345678901"}'), action)
    assert isinstance(applied, Receipt)
    refused = read_receipt(make_response(BOM + b'{"success":false,"message":"no"}'), action)
    assert isinstance(refused, RejectedError)
    assert refused.message == "no"
    error = read_receipt(make_response(BOM + b'{"message":"bad key"}', 403), action)
    assert type(error) is AuthenticationError
    assert error.message == "bad key"


@pytest.mark.parametrize(
    "envelope",
    [
        {"data": None, "count": 0, "total_anis": 0},
        {"data": None, "count": 0},
        {"data": None, "total_anis": 0},
        {"data": {}, "count": 0, "total_anis": 0},
        {"data": None, "count": 0, "total_anis": 500, "total_pages": 5},
    ],
    ids=repr,
)
def test_no_list_but_a_count_of_zero(envelope: dict[str, Any]) -> None:
    """A page without a list of rows that says that it has none is empty."""
    page = read_page_reply(make_response(envelope))
    assert isinstance(page, AniPage), page
    assert len(page) == 0
    assert page.total_anis == envelope.get("total_anis")


@pytest.mark.parametrize(
    "envelope",
    [
        {"data": None},
        {"data": None, "count": 3, "total_anis": 0},
        {"data": None, "total_anis": 3},
        {"data": "", "count": 0},
        {"count": 0, "total_anis": 0},
        {"data": None, "count": False},
    ],
    ids=repr,
)
def test_no_list_and_no_count_of_zero(envelope: dict[str, Any]) -> None:
    """Without a list and a clear count of zero it is no page, and never an empty inventory."""
    assert not isinstance(read_page_reply(make_response(envelope)), AniPage)
