"""What the API says, as values: frozen, comparable, hashable, and fit for pickling."""

import pickle
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest

from nrm_async.errors import InvalidRequestError
from nrm_async.inventory import Inventory, is_number
from nrm_async.models import ACTIVE, Ani, AniPage, MalformedRow, Receipt

ANI = Ani(
    2**70,
    "2345678901",
    status=ACTIVE,
    date_activated=date(2025, 1, 15),
    created_at=datetime(2025, 1, 15, tzinfo=UTC),
    block_rate=31.0,
    last_30_days_dials=900,
    extra={"labels": ["spam"]},
)
BAD = MalformedRow("$.data[3].blockRate", "must be a number, not text", "2345678902")
PAGE = AniPage((ANI, Ani("x", "2345678902")), 1, 1000, count=2, malformed=(BAD,))
RECEIPT = Receipt("2345678901", "paused", "r-1")
INVENTORY = Inventory(PAGE.data, complete=True, consistent=True, passes=2, pages=4)
each_value = pytest.mark.parametrize(
    "value", [ANI, BAD, PAGE, RECEIPT, INVENTORY], ids=lambda value: type(value).__name__
)


@each_value
def test_frozen(value: Any) -> None:
    """No field can be set, and none can be added."""
    for name in (attrs.fields(type(value))[0].name, "something_new"):
        with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
            setattr(value, name, None)


@each_value
def test_equal_values_hash_alike(value: Any) -> None:
    """A copy is equal and hashes alike, unhashable unknown fields notwithstanding."""
    copy = attrs.evolve(value)
    assert copy is not value
    assert {value, copy} == {value}


@each_value
def test_pickles(value: Any) -> None:
    """A value goes through pickle as it is, by every protocol."""
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(value, protocol)) == value


def test_unknown_fields_tell_rows_apart() -> None:
    """Rows that differ only in unknown fields are not equal."""
    assert attrs.evolve(ANI, extra={}) != ANI


def test_rows_do_not_share_extra() -> None:
    """Each row has its own mapping of unknown fields."""
    assert Ani(1, "2345678901").extra is not Ani(2, "2345678901").extra


def test_only_id_and_phone_are_certain() -> None:
    """A row can be made of these two, and all else is None."""
    row = attrs.asdict(Ani(1, "2345678901"))
    given = {"id": row.pop("id"), "phone": row.pop("phone"), "extra": row.pop("extra")}
    assert given == {"id": 1, "phone": "2345678901", "extra": {}}
    assert set(row.values()) == {None}


@pytest.mark.parametrize(
    ("status", "is_active"),
    [
        ("ACTIVE_AND_BEING_MANAGED", True),
        ("COOLING_OFF", False),
        ("active_and_being_managed", False),
        ("", False),
        (None, False),
    ],
)
def test_is_active(status: str | None, is_active: bool) -> None:
    """Only the one documented status is active."""
    assert Ani(1, "2345678901", status=status).is_active is is_active


def test_numeric_status_becomes_text() -> None:
    """A status that is a number is kept as its text."""
    assert Ani(1, "2345678901", status=7).status == "7"


@pytest.mark.parametrize(
    ("rate", "dials", "percent", "min_dials", "expected"),
    [
        (31.0, 900, 25, 0, True),
        (25, 900, 25, 0, True),
        (24.99, 900, 25, 0, False),
        (31.0, 900, 25, 900, True),
        (31.0, 900, 25, 901, False),
        (31.0, 0, 25, 0, True),
        (0.0, 900, 0, 0, True),
        (None, 900, 25, 0, False),
        (None, 900, 0, 0, False),
        (31.0, None, 25, 0, False),
    ],
)
def test_is_blocked_at(
    rate: float | None, dials: int | None, percent: float, min_dials: int, expected: bool
) -> None:
    """A row is blocked from this rate on, if it has enough calls and both figures are known."""
    row = Ani(1, "2345678901", block_rate=rate, last_30_days_dials=dials)
    assert row.is_blocked_at(percent, min_dials=min_dials) is expected


def test_page_is_a_container_of_rows() -> None:
    """A page counts, iterates, indexes and slices its rows."""
    assert len(PAGE) == 2
    assert list(PAGE) == list(PAGE.data)
    assert PAGE[0] is ANI
    assert PAGE[-1].id == "x"
    assert PAGE[:1] == (ANI,)


def test_inventory_is_a_sequence() -> None:
    """An inventory counts, iterates, indexes and slices its rows, and its repr stays short."""
    assert len(INVENTORY) == 2
    assert list(INVENTORY) == list(PAGE.data)
    assert INVENTORY[0] is ANI
    assert INVENTORY[:1] == (ANI,)
    assert list(reversed(INVENTORY)) == [PAGE[1], ANI]
    assert ANI in INVENTORY
    assert "2 numbers, complete=True, consistent=True, passes=2" in repr(INVENTORY)


@pytest.mark.parametrize(
    ("phone", "ani", "same"),
    [
        ("2345678901", "+1 (234) 567-8901", True),
        ("+1 234 567 8901", 2345678901, True),
        ("12345678901", "2345678901", True),
        ("2345678901", Ani(9, "2345678901"), True),
        ("23456789012", "2345678901", False),
        ("2345678902", "2345678901", False),
        ("unreadable", "2345678901", False),
        ("", "2345678901", False),
    ],
)
def test_is_number(phone: str, ani: Any, same: bool) -> None:
    """A row is a number when the whole of it is, in any spelling of either; never by prefix."""
    assert is_number(Ani(1, phone), ani) is same


def test_is_number_checks_what_is_asked() -> None:
    """Asking for what is no number is an error, not a row that is not found."""
    with pytest.raises(InvalidRequestError, match=r"^ani must not be empty"):
        is_number(Ani(1, "2345678901"), "")
