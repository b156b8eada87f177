"""Values of the API: frozen, comparable, hashable, and picklable."""

import pickle
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest

from nrm_async.errors import InvalidRequestError
from nrm_async.inventory import Inventory, matches_ani
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
    """A copy is equal and hashes alike, despite unhashable unknown fields."""
    copy = attrs.evolve(value)
    assert copy is not value
    assert {value, copy} == {value}


@each_value
def test_pickles(value: Any) -> None:
    """A value comes back equal from a pickle of every protocol."""
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(value, protocol)) == value


def test_unknown_fields_are_compared() -> None:
    """Rows that differ only in unknown fields are unequal."""
    assert attrs.evolve(ANI, extra={}) != ANI


def test_rows_have_their_own_extra() -> None:
    """Rows made by the constructor do not share their mapping of unknown fields."""
    assert Ani(1, "2345678901").extra is not Ani(2, "2345678901").extra


def test_only_id_and_phone_are_required() -> None:
    """A row needs only these two; every other field is None."""
    row = attrs.asdict(Ani(1, "2345678901"))
    given = {name: row.pop(name) for name in ("id", "phone", "extra", "repaired")}
    assert given == {"id": 1, "phone": "2345678901", "extra": {}, "repaired": {}}
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
    """Only the one documented status code is active."""
    assert Ani(1, "2345678901", status=status).is_active is is_active


def test_numeric_status_becomes_text() -> None:
    """A numeric status becomes text."""
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
    """A row is blocked at this rate or above, given enough calls and both figures."""
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
def test_matches_ani(phone: str, ani: Any, same: bool) -> None:
    """A row matches a number in any spelling of either, never by a prefix."""
    assert matches_ani(Ani(1, phone), ani) is same


def test_matches_ani_refuses_other_values() -> None:
    """An argument that is not a phone number raises instead of matching nothing."""
    with pytest.raises(InvalidRequestError, match=r"^ani must not be empty"):
        matches_ani(Ani(1, "2345678901"), "")
