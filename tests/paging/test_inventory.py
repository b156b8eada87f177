"""An inventory as a value: look-ups, filters, groups, a summary, and a diff."""

import json
import pickle
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import Ani, InvalidRequestError, Inventory, InventoryDiff, NRMClient, diff
from nrm_async.errors import ServerError
from nrm_async.models import ACTIVE
from nrm_async.sandbox import Sandbox

ROWS = (
    Ani(1, "2345678901", status=ACTIVE, campaign_name="A", area_code="234", state="TX"),
    Ani("b", "(234) 567-8902", status="COOLING_OFF", campaign_name="A", area_code="234"),
    Ani(2**60, "3105678903", status=ACTIVE, area_code="310", state="CA"),
    Ani(4, "no number at all", status="9", campaign_name="B", state="TX"),
)


def inventory_of(*rows: Ani, **fields: Any) -> Inventory:
    known = {"complete": True, "consistent": True, "passes": 2, "pages": 2}
    return Inventory(rows, **known | fields)


INVENTORY = inventory_of(*ROWS)


@pytest.mark.parametrize(
    ("ani", "expected"),
    [
        ("2345678901", ROWS[0]),
        ("+1 (234) 567-8902", ROWS[1]),
        (3105678903, ROWS[2]),
        (Ani("x", "310-567-8903"), ROWS[2]),
        ("2345678909", None),
        ("234567890", None),
    ],
)
def test_by_phone_in_any_spelling(ani: Any, expected: Ani | None) -> None:
    """A number is found in any spelling of the row or the argument, never by a prefix."""
    assert INVENTORY.by_phone(ani) is expected


def test_by_phone_refuses_other_values() -> None:
    """The message names the argument."""
    with pytest.raises(InvalidRequestError, match=r"^ani must"):
        INVENTORY.by_phone("abc")


def test_by_id() -> None:
    """A row is found by its id as a number or as text."""
    assert INVENTORY.by_id(1) is INVENTORY.by_id("1") is ROWS[0]
    assert INVENTORY.by_id("b") is ROWS[1]
    assert INVENTORY.by_id(2**60) is ROWS[2]
    assert INVENTORY.by_id(2) is None


def test_by_phone_returns_the_first_row() -> None:
    """The first of several rows with one number is found."""
    again = Ani(9, "234.567.8901")
    assert inventory_of(ROWS[0], again).by_phone("2345678901") is ROWS[0]


def test_where() -> None:
    """All conditions must hold; several values may be given for one field."""
    assert INVENTORY.where(status=ACTIVE).rows == (ROWS[0], ROWS[2])
    assert INVENTORY.where(is_active=True, state="TX").rows == (ROWS[0],)
    assert INVENTORY.where(state=None).rows == (ROWS[1],)
    assert INVENTORY.where(state={"TX", "CA"}).rows == (ROWS[0], ROWS[2], ROWS[3])
    assert INVENTORY.where(lambda ani: ani.id == "b").rows == (ROWS[1],)
    assert INVENTORY.where(lambda ani: ani.id == "b", state="TX").rows == ()
    assert INVENTORY.where().rows == ROWS


def test_where_keeps_the_provenance() -> None:
    """A part of an inventory keeps its provenance, and can be filtered again."""
    partial = inventory_of(*ROWS, complete=False, missing=(ServerError(500, "boom"),))
    part = partial.where(campaign_name="A")
    assert (part.complete, part.missing) == (False, partial.missing)
    assert part.where(status="COOLING_OFF").by_id("b") is ROWS[1]


def test_group_by() -> None:
    """Groups by a field or a function keep the order of the rows."""
    groups = INVENTORY.group_by("campaign_name")
    assert {name: group.rows for name, group in groups.items()} == {
        "A": ROWS[:2],
        None: (ROWS[2],),
        "B": (ROWS[3],),
    }
    lengths = INVENTORY.group_by(lambda ani: len(ani.phone))
    assert list(lengths) == [10, 14, 16]


@pytest.mark.parametrize("name", ["block", "rows", "is_blocked_at"])
def test_unknown_field_is_refused(name: str) -> None:
    """A misspelt condition raises instead of matching nothing."""
    with pytest.raises(InvalidRequestError, match=f"'{name}' is not a field of Ani"):
        INVENTORY.where(**{name: 1})
    with pytest.raises(InvalidRequestError, match=f"'{name}' is not a field of Ani"):
        INVENTORY.group_by(name)


def test_missing_pages() -> None:
    """The numbers of missing pages come from the errors, in order."""
    errors = [ServerError(500, "boom") for _ in range(3)]
    for error, page in zip(errors, (7, 2, 7), strict=True):
        error.page = page
    assert inventory_of(missing=tuple(errors)).missing_pages == (2, 7)


def test_inventory_is_a_value() -> None:
    """It is frozen, compares, and survives a pickle with its look-ups."""
    INVENTORY.by_id(1)
    copy = pickle.loads(pickle.dumps(INVENTORY))
    assert copy == INVENTORY
    assert copy.by_id("b") == ROWS[1]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        copy.rows = ()


def test_summary_weighs_by_dials() -> None:
    """Numbers without dials or without a rate do not count in that rate."""
    rows = (
        Ani(1, "2345678901", status=ACTIVE, block_rate=30, last_30_days_dials=900),
        Ani(2, "2345678902", block_rate=10, contact_rate=50, last_30_days_dials=100),
        Ani(3, "2345678903", block_rate=99, last_30_days_dials=0, last_30_days_contacts=2.5),
        Ani(4, "2345678904", block_rate=99),
        Ani(5, "2345678905", last_30_days_dials=1000),
    )
    summary = inventory_of(*rows).summary()
    assert (summary.numbers, summary.active, summary.dials, summary.contacts) == (5, 1, 2000, 2.5)
    assert summary.block_rate == 28
    assert summary.contact_rate == 50
    assert summary.success_rate is None


def test_summary_counts() -> None:
    """Counts by status, campaign and area code come most frequent first, in plain data too."""
    summary = INVENTORY.summary()
    assert list(summary.by_status.items()) == [(ACTIVE, 2), ("COOLING_OFF", 1), ("9", 1)]
    assert summary.by_campaign == {"A": 2, None: 1, "B": 1}
    assert summary.by_area_code == {"234": 2, "310": 1, None: 1}
    assert json.loads(json.dumps(summary.as_dict()))["by_campaign"] == {"A": 2, "": 1, "B": 1}
    assert inventory_of().summary().as_dict()["block_rate"] is None


@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(0, 100),
            st.none() | st.integers(0, 10**6),
        )
    )
)
def test_weighted_rate_lies_between_the_rates(
    rows: list[tuple[float | None, int | None]],
) -> None:
    """It is a mean of the rates that count, whatever is missing."""
    anis = [
        Ani(index, str(2_000_000_000 + index), block_rate=rate, last_30_days_dials=dials)
        for index, (rate, dials) in enumerate(rows)
    ]
    counted = [rate for rate, dials in rows if rate is not None and dials]
    found = inventory_of(*anis).summary().block_rate
    if not counted:
        assert found is None
    else:
        assert found is not None
        assert min(counted) - 1e-9 <= found <= max(counted) + 1e-9


# --- diff ------------------------------------------------------------------------------------


def test_empty_diff_is_falsy() -> None:
    """The diff of equal inventories is empty and falsy."""
    found = diff(INVENTORY, INVENTORY)
    assert not found
    assert found == InventoryDiff()


def test_diff_compares_by_id() -> None:
    """A number under another id is another row; an id as text is the same one."""
    old = inventory_of(Ani(1, "2345678901"), Ani(2, "2345678902"))
    new = inventory_of(Ani("1", "2345678901"), Ani(3, "2345678902"))
    found = diff(old, new)
    assert [row.id for row in found.added] == [3]
    assert [row.id for row in found.removed] == [2]
    assert found.changed == ()
    assert len(found) == 2


def test_changes_of_status_come_first() -> None:
    """Each change has its field and both values, and changes of status come first."""
    old = [
        Ani(1, "2345678901", brand="X", date_activated=date(2026, 1, 1)),
        Ani(2, "2345678902", status="A", status_label="a", block_rate=1.0),
    ]
    new = [
        Ani(1, "2345678901", brand="Y", date_activated=None),
        Ani(2, "2345678902", status="B", status_label="b", block_rate=2.0),
    ]
    found = diff(old, new)
    assert [(change.id, change.field, change.old, change.new) for change in found.changed] == [
        (2, "status", "A", "B"),
        (2, "status_label", "a", "b"),
        (1, "brand", "X", "Y"),
        (1, "date_activated", date(2026, 1, 1), None),
        (2, "block_rate", 1.0, 2.0),
    ]
    assert found.status_changes == found.changed[:2]
    assert str(found.changed[0]) == "2345678902 status: A -> B"


def test_diff_of_unknown_fields() -> None:
    """New, removed and changed unknown fields are changes too."""
    old = [Ani(1, "2345678901", extra={"a": 1, "b": 2})]
    new = [Ani(1, "2345678901", extra={"b": 3, "c": 4})]
    changes = diff(old, new).changed
    assert [(change.field, change.old, change.new) for change in changes] == [
        ("extra.a", 1, None),
        ("extra.b", 2, 3),
        ("extra.c", None, 4),
    ]


def test_diff_of_incomplete_inventories() -> None:
    """A diff is complete only if both inventories are."""
    partial = inventory_of(complete=False)
    assert not diff(INVENTORY, partial).complete
    assert not diff(partial, INVENTORY).complete
    assert diff(INVENTORY, []).complete


def test_diff_as_dict() -> None:
    """Days and times are ISO 8601 text, and rows are keyed by their field names."""
    moment = datetime(2026, 5, 27, 12, tzinfo=UTC)
    old = [Ani(1, "2345678901", created_at=moment), Ani(2, "2345678902", extra={"a": 1})]
    new = [Ani(1, "2345678901", date_last_dialed=date(2026, 5, 27))]
    plain = json.loads(json.dumps(diff(old, new).as_dict()))
    assert plain["complete"] is True
    assert plain["removed"][0]["extra"] == {"a": 1}
    assert {change["field"]: (change["old"], change["new"]) for change in plain["changed"]} == {
        "date_last_dialed": (None, "2026-05-27"),
        "created_at": ("2026-05-27T12:00:00+00:00", None),
    }


@given(st.lists(st.sampled_from(ROWS), unique=True), st.lists(st.sampled_from(ROWS), unique=True))
def test_diff_leads_from_old_to_new(old: list[Ani], new: list[Ani]) -> None:
    """Removing the removed and adding the added rows gives the new inventory."""
    found = diff(old, new)
    ids = {row.id for row in old} - {row.id for row in found.removed}
    assert ids | {row.id for row in found.added} == {row.id for row in new}


async def test_inventory_counts_requests_and_time() -> None:
    """It has as many requests as the server answered, and a time span in UTC."""
    before = datetime.now(UTC)
    async with Sandbox(anis=250) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            inventory = await nrm.inventory(page_size=100)
        served = sandbox.requests
    assert inventory.complete
    assert inventory.requests == inventory.pages == served
    assert inventory.started is not None
    assert inventory.ended is not None
    assert before <= inventory.started <= inventory.ended <= datetime.now(UTC)
    assert inventory.started.tzinfo is UTC
    assert inventory.elapsed > 0
