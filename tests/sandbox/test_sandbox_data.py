"""The generated inventory: repeatable, in the documented form, and consistent with itself."""

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
    """An inventory large enough for every kind of row to be in it."""
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
def test_the_seed_decides_everything(count: int, seed: int) -> None:
    """The same count, seed and day give equal rows, as many as were asked for."""
    first = generate(count, seed, TODAY)
    assert len(first) == count
    assert first == generate(count, seed, TODAY)


def test_another_seed_gives_other_rows() -> None:
    """Two seeds do not give the same inventory."""
    assert generate(50, 1, TODAY) != generate(50, 2, TODAY)


def test_phones_are_unique_and_belong_to_their_area(rows: list[Row]) -> None:
    """Phones are unique, ten digits, and begin with the row's area code; ids ascend."""
    phones = [str(row["phone"]) for row in rows]
    assert len(set(phones)) == len(rows)
    assert all(phone.isdigit() and len(phone) == 10 for phone in phones)
    assert all(str(row["phone"]).startswith(str(row["areaCode"])) for row in rows)
    ids = [number(row, "id") for row in rows]
    assert ids == sorted(set(ids))


def test_an_area_code_is_always_in_the_same_place(rows: list[Row]) -> None:
    """Area code, region and state of all rows agree with one another."""
    places = {(row["areaCode"], row["region"], row["state"]) for row in rows}
    assert len(places) == len({row["areaCode"] for row in rows})


def test_rates_add_up(rows: list[Row]) -> None:
    """Rates are percent to two places, follow from the counters, and stay within 100 together."""
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


def test_about_one_in_twelve_is_unhealthy(rows: list[Row]) -> None:
    """Exactly the promised share is blocked a lot, on a good number of dials."""
    blocked = [row for row in rows if number(row, "blockRate") >= 25]
    assert len(blocked) == 400
    assert all(number(row, "blockRate") <= 60 for row in blocked)
    assert all(number(row, "last30DaysDials") >= 500 for row in blocked)


def test_cooling_rows_say_since_when(rows: list[Row]) -> None:
    """Six percent are cooling off; they and only they have been deactivated."""
    cooling = [row for row in rows if row["status"] == "COOLING_OFF"]
    assert len(cooling) == 300
    assert {row["statusLabel"] for row in cooling} == {"Cooling Off"}
    assert [row for row in rows if row["dateDeactivated"] is not None] == cooling
    others = {(row["status"], row["statusLabel"]) for row in rows if row not in cooling}
    assert others == {("ACTIVE_AND_BEING_MANAGED", "Active and Being Managed")}


def test_nulls_stand_where_the_contract_allows_them(rows: list[Row]) -> None:
    """Every nullable field is null somewhere, and no other field anywhere."""
    assert {name for row in rows for name, value in row.items() if value is None} == NULLABLE


def test_dates_are_in_order_and_in_the_past(rows: list[Row]) -> None:
    """An ANI is inventoried, then activated, then deactivated, none of it after today."""
    for row in rows:
        days = [date.fromisoformat(str(row[name])) for name in DATES if row[name] is not None]
        assert all(TODAY - timedelta(days=900) <= day <= TODAY for day in days)
        order = [row["dateInventoried"], row["dateActivated"], row["dateDeactivated"]]
        known = [str(day) for day in order if day is not None]
        assert known == sorted(known)


def test_small_inventories_have_bad_numbers_too() -> None:
    """The shares are exact, not left to chance: a few dozen rows show every kind."""
    rows = generate(25, 7, TODAY)
    assert sum(number(row, "blockRate") >= 25 for row in rows) == 2
    assert sum(row["status"] == "COOLING_OFF" for row in rows) == 2
