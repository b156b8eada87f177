"""Tests of the generated inventory: determinism, format and consistency."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async.sandbox import Row, generate

TODAY = date(2026, 5, 27)
KEYS = [
    *("id", "phone", "brand", "status", "statusLabel", "campaignName", "areaCode", "region"),
    *("state", "locality", "frequencyAssigned", "frequencyDialed", "frequencyContacted"),
    *("dateLastDialed", "dateActivated", "dateDeactivated", "dateInventoried", "createdAt"),
    *("last30DaysDials", "last30DaysContacts", "contactRate", "successRate", "blockRate"),
    "noAnswerRate",
]
RATES = ("contactRate", "successRate", "blockRate", "noAnswerRate")
DATES = ("dateLastDialed", "dateActivated", "dateDeactivated", "dateInventoried")
NULLABLE = {"brand", "campaignName", "region", "state", "locality", "createdAt", *DATES}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Return an inventory large enough to contain every kind of row."""
    return generate(5000, 1, TODAY)


def number(row: Row, name: str) -> float:
    value = row[name]
    assert isinstance(value, int | float)
    return value


def test_rows_have_the_documented_keys(rows: list[Row]) -> None:
    """Every row has the 24 documented keys, in the order of the documentation's example."""
    assert len(KEYS) == 24
    assert all(list(row) == KEYS for row in rows)


@given(st.integers(0, 200), st.integers())
def test_generate_is_deterministic(count: int, seed: int) -> None:
    """The same count, seed and date generate equal rows."""
    first = generate(count, seed, TODAY)
    assert len(first) == count
    assert first == generate(count, seed, TODAY)


def test_another_seed_gives_other_rows() -> None:
    """Different seeds generate different inventories."""
    assert generate(50, 1, TODAY) != generate(50, 2, TODAY)


def test_phones_are_unique_and_match_their_area(rows: list[Row]) -> None:
    """Phone numbers are unique, have ten digits and start with the area code, and ids ascend."""
    phones = [str(row["phone"]) for row in rows]
    assert len(set(phones)) == len(rows)
    assert all(phone.isdigit() and len(phone) == 10 for phone in phones)
    assert all(str(row["phone"]).startswith(str(row["areaCode"])) for row in rows)
    ids = [number(row, "id") for row in rows]
    assert ids == sorted(set(ids))


def test_area_code_has_one_place(rows: list[Row]) -> None:
    """Rows with the same area code have the same region and state."""
    places = {(row["areaCode"], row["region"], row["state"]) for row in rows}
    assert len(places) == len({row["areaCode"] for row in rows})


def test_rates_follow_from_counters(rows: list[Row]) -> None:
    """Rates are rounded percentages of the counters, and add up to at most 100."""
    for row in rows:
        dials, contacts = number(row, "last30DaysDials"), number(row, "last30DaysContacts")
        assert 0 <= contacts <= dials
        assert row["contactRate"] == (round(100 * contacts / dials, 2) if dials else 0)
        assert all(0 <= number(row, rate) <= 100 for rate in RATES)
        assert all(number(row, rate) == round(number(row, rate), 2) for rate in RATES)
        together = sum(number(row, rate) for rate in RATES if rate != "successRate")
        assert together <= 100
        successes = number(row, "successRate") * contacts / 100
        assert successes == pytest.approx(round(successes), abs=contacts / 10_000)


def test_share_of_unhealthy_rows_is_exact(rows: list[Row]) -> None:
    """Exactly 8 percent of the rows have a high block rate and many dials."""
    blocked = [row for row in rows if number(row, "blockRate") >= 25]
    assert len(blocked) == 400
    assert all(number(row, "blockRate") <= 60 for row in blocked)
    assert all(number(row, "last30DaysDials") >= 500 for row in blocked)


def test_cooling_rows_have_a_deactivation_date(rows: list[Row]) -> None:
    """Exactly 6 percent of the rows are in cooling off, and only these have a deactivation date."""
    cooling = [row for row in rows if row["status"] == "COOLING_OFF"]
    assert len(cooling) == 300
    assert {row["statusLabel"] for row in cooling} == {"Cooling Off"}
    assert [row for row in rows if row["dateDeactivated"] is not None] == cooling
    others = {(row["status"], row["statusLabel"]) for row in rows if row not in cooling}
    assert others == {("ACTIVE_AND_BEING_MANAGED", "Active and Being Managed")}


def test_only_nullable_fields_are_null(rows: list[Row]) -> None:
    """Every nullable field is null in some row, and no other field is ever null."""
    assert {name for row in rows for name, value in row.items() if value is None} == NULLABLE


def test_dates_are_ordered_and_not_in_the_future(rows: list[Row]) -> None:
    """Inventory, activation and deactivation dates are in order, and never after today."""
    for row in rows:
        days = [date.fromisoformat(str(row[name])) for name in DATES if row[name] is not None]
        assert all(TODAY - timedelta(days=900) <= day <= TODAY for day in days)
        order = [row["dateInventoried"], row["dateActivated"], row["dateDeactivated"]]
        known = [str(day) for day in order if day is not None]
        assert known == sorted(known)


def test_shares_are_exact_in_small_inventories() -> None:
    """An inventory of 25 rows contains unhealthy and cooling-off numbers."""
    rows = generate(25, 7, TODAY)
    assert sum(number(row, "blockRate") >= 25 for row in rows) == 2
    assert sum(row["status"] == "COOLING_OFF" for row in rows) == 2
