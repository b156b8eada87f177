"""Requests as they go out: exactly the documented fields, and nothing for what is not set."""

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
    """Text of a subclass, as data frames give it."""

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
def test_body_holds_what_is_set(action: Action, body: dict[str, str]) -> None:
    """A body holds the fields that are set, in text, and no null for the others."""
    assert body_of(action) == body


@pytest.mark.parametrize(
    ("action", "path"),
    [
        (Pause(ANI), "/pause"),
        (Activate(ANI, date=DATE), "/activate"),
        (Remediate(ANI), "/remediate"),
    ],
)
def test_action_goes_to_its_endpoint(action: Action, path: str) -> None:
    """An action is a POST without a query to its own endpoint, and not to be repeated lightly."""
    request = action_request(action)
    assert (request.method, request.path, request.query) == ("POST", path, None)
    assert not request.repeatable


@given(note=st.text())
def test_note_arrives_as_written(note: str) -> None:
    """Any valid text arrives as it was written."""
    assert body_of(Remediate(ANI, note=note)) == {"ani": ANI, "note": note}


def test_subclasses_of_text_can_be_sent() -> None:
    """Text of a subclass of str, in every field, makes an action that can be encoded."""
    action = Pause(Text(ANI), carrier=Text("130077"), note=Text("rest"), date=Text("2026-05-27"))
    assert body_of(action) == {
        "ani": ANI,
        "carrier": "130077",
        "note": "rest",
        "date": "2026-05-27",
    }


@given(page=st.integers(1, 10**6), page_size=st.integers(1, MAX_PAGE_SIZE))
def test_page_is_asked_for_by_number_and_size(page: int, page_size: int) -> None:
    """A page is a repeatable GET of /anis with its number and size, and no number filter."""
    request = page_request(page, page_size, None)
    assert (request.method, request.path, request.body) == ("GET", "/anis", None)
    assert request.query == {"page": str(page), "page_size": str(page_size)}
    assert request.repeatable


def test_largest_page_is_the_documented_one() -> None:
    """The documentation's maximum of 1000 rows a page is the limit here."""
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
def test_number_filter_is_normalised(number: str, sent: str) -> None:
    """The prefix goes out as digits, without a country code 1."""
    query = page_request(1, 10, number).query
    assert query is not None
    assert query["number"] == sent


@pytest.mark.parametrize("page", [0, -1, 1.0, True, "1", None])
def test_page_rule(page: Any) -> None:
    """A page number that is not whole and at least 1 is refused by name."""
    with pytest.raises(InvalidRequestError, match=r"^page must be a whole number of at least 1"):
        page_request(page, 10, None)


@pytest.mark.parametrize("page_size", [0, -5, 1001, 10.0, True, "10", None])
def test_page_size_rule(page_size: Any) -> None:
    """A page size that is not whole and from 1 to 1000 is refused by name."""
    with pytest.raises(InvalidRequestError, match=r"^page_size must be a whole number from 1 to"):
        page_request(1, page_size, None)


@pytest.mark.parametrize(
    "number", ["", "  ", "+", "+1", "()", "23a", "２３４", True, 2.5, -234, b"234"]
)
def test_number_rule(number: Any) -> None:
    """A prefix that is empty or not of digits is refused by name, before it could match all."""
    with pytest.raises(InvalidRequestError, match=r"^number must "):
        page_request(1, 10, number)
