"""Requests: exactly the documented fields, and nothing for those that are not set."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async._wire import MAX_PAGE_SIZE, action_request, page_request
from nrm_async.actions import Action, Activate, Pause, Remediate
from nrm_async.errors import InvalidRequestError

ANI = "2345678901"
DATE = "20250126120000"


class Text(str):
    """A subclass of ``str``, as data frames return."""

    __slots__ = ()


def body_of(action: Action) -> Any:
    body = action_request(action).body
    assert body is not None
    return json.loads(body)


@pytest.mark.parametrize(
    ("action", "body"),
    [
        (Pause(ANI), {"ani": ANI}),
        (Pause(ANI, carrier="130077"), {"ani": ANI, "carrier": "130077"}),
        (Pause(ANI, note="rest"), {"ani": ANI, "note": "rest"}),
        (Pause(ANI, date=DATE), {"ani": ANI, "date": DATE}),
        (
            Pause(ANI, carrier=130077, note="rest", date=DATE),
            {"ani": ANI, "carrier": "130077", "note": "rest", "date": DATE},
        ),
        (Activate(ANI, date="2026-05-27"), {"ani": ANI, "date": "2026-05-27"}),
        (
            Activate(ANI, date=DATE, carrier="130077", note="back"),
            {"ani": ANI, "carrier": "130077", "note": "back", "date": DATE},
        ),
        (Remediate(ANI), {"ani": ANI}),
        (
            Remediate(ANI, carrier="130077", note="spam"),
            {"ani": ANI, "carrier": "130077", "note": "spam"},
        ),
        (Pause(ANI, note=""), {"ani": ANI, "note": ""}),
    ],
)
def test_body_has_the_fields_that_are_set(action: Action, body: dict[str, str]) -> None:
    """A body has the fields that are set, as text, and no null for the others."""
    assert body_of(action) == body


@pytest.mark.parametrize(
    ("action", "path"),
    [
        (Pause(ANI), "/pause"),
        (Activate(ANI, date=DATE), "/activate"),
        (Remediate(ANI), "/remediate"),
    ],
)
def test_endpoint_of_an_action(action: Action, path: str) -> None:
    """An action is a POST to its own endpoint, without a query, and not safe."""
    request = action_request(action)
    assert (request.method, request.path, request.query) == ("POST", path, None)
    assert not request.safe


@given(note=st.text())
def test_note_is_sent_as_written(note: str) -> None:
    """Any valid text is sent as written."""
    assert body_of(Remediate(ANI, note=note)) == {"ani": ANI, "note": note}


def test_subclass_of_str_is_encoded() -> None:
    """A subclass of ``str`` in any field can be encoded."""
    action = Pause(Text(ANI), carrier=Text("130077"), note=Text("rest"), date=Text("2026-05-27"))
    assert body_of(action) == {
        "ani": ANI,
        "carrier": "130077",
        "note": "rest",
        "date": "2026-05-27",
    }


@given(page=st.integers(1, 10**6), page_size=st.integers(1, MAX_PAGE_SIZE))
def test_page_request(page: int, page_size: int) -> None:
    """A page is a safe GET of /anis with its number and size."""
    request = page_request(page, page_size, None)
    assert (request.method, request.path, request.body) == ("GET", "/anis", None)
    assert request.query == {"page": str(page), "page_size": str(page_size)}
    assert request.safe


def test_largest_page_is_the_documented_one() -> None:
    """The limit is the documented 1000 rows."""
    assert MAX_PAGE_SIZE == 1000


@pytest.mark.parametrize(
    ("number", "sent"),
    [
        ("234", "234"),
        ("(234) 567", "234567"),
        ("+1 (234)", "234"),
        ("12345678901", "2345678901"),
        ("1234567890", "1234567890"),
        ("+44 20", "4420"),
        ("1", "1"),
    ],
)
def test_number_prefix_is_normalised(number: str, sent: str) -> None:
    """The prefix is sent as digits, without a country code 1."""
    query = page_request(1, 10, number).query
    assert query is not None
    assert query["number"] == sent


@pytest.mark.parametrize("page", [0, -1, 1.0, True, "1", None])
def test_invalid_page(page: Any) -> None:
    """A page number that is not an ``int`` of at least 1 is refused."""
    with pytest.raises(InvalidRequestError, match=r"^page must be (a whole|at least 1)"):
        page_request(page, 10, None)


@pytest.mark.parametrize("page_size", [0, -5, 1001, 10.0, True, "10", None])
def test_invalid_page_size(page_size: Any) -> None:
    """A page size that is not an ``int`` from 1 to 1000 is refused."""
    with pytest.raises(InvalidRequestError, match=r"^page_size must be (a whole|from 1 to 1000)"):
        page_request(1, page_size, None)


@pytest.mark.parametrize(
    "number", ["", "  ", "+", "+1", "()", "23a", "２３４", True, 2.5, -234, b"234"]
)
def test_invalid_number_prefix(number: Any) -> None:
    """A prefix that is empty or not of digits is refused, before it could match all numbers."""
    with pytest.raises(InvalidRequestError, match=r"^number must "):
        page_request(1, 10, number)
