"""Documented and observed payloads, as data files: each decodes to its documented meaning."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from nrm_async._wire import Response, action_request, read_receipt
from nrm_async._wire.row_decoder import ROW_FIELDS
from nrm_async.actions import Action, Activate, Pause, Remediate
from nrm_async.errors import (
    APIError,
    AuthenticationError,
    NRMError,
    OutcomeUnknownError,
    RejectedError,
    ServerError,
)
from nrm_async.models import Ani, AniPage, Receipt
from tests.wire.conftest import CONTRACT, make_response, read_page_reply

EXCHANGES: list[dict[str, Any]] = json.loads((CONTRACT / "actions.json").read_bytes())
QUIRKS: list[dict[str, Any]] = json.loads((CONTRACT / "quirks.json").read_bytes())
KINDS: dict[str, type[Action]] = {
    "/pause": Pause,
    "/activate": Activate,
    "/remediate": Remediate,
}
ANI = "1234567890"
ACTIONS: list[Action] = [Pause(ANI), Activate(ANI, date="2026-05-27"), Remediate(ANI)]

THE_ROW = Ani(
    id=12345,
    phone="2345678901",
    brand="Acme",
    status="ACTIVE_AND_BEING_MANAGED",
    status_label="Active and Being Managed",
    campaign_name="Campaign Name",
    area_code="234",
    region="Region",
    state="ST",
    locality="City",
    frequency_assigned=3,
    frequency_dialed=120,
    frequency_contacted=45,
    date_last_dialed=date(2026, 5, 27),
    date_activated=date(2025, 1, 15),
    date_deactivated=None,
    date_inventoried=date(2025, 1, 15),
    created_at=datetime(2025, 1, 15, tzinfo=UTC),
    last_30_days_dials=1250,
    last_30_days_contacts=450,
    contact_rate=36.0,
    success_rate=62.22,
    block_rate=8.0,
    no_answer_rate=56.0,
)


def by_endpoint(exchange: dict[str, Any]) -> str:
    return str(exchange["endpoint"])


def by_what(quirk: dict[str, Any]) -> str:
    return str(quirk["what"])


def as_bytes(body: object) -> object:
    """A text in these files is the whole body, not a JSON string."""
    return body.encode() if isinstance(body, str) else body


def action_of(exchange: dict[str, Any]) -> Action:
    return KINDS[exchange["endpoint"]](**exchange["request"])


def test_documented_page(documented_page: dict[str, Any]) -> None:
    """The documented page, with its contradictory envelope, is decoded value by value."""
    page = read_page_reply(make_response(documented_page, headers={"x-request-id": "r-1"}))
    assert page == AniPage(
        data=(THE_ROW,),
        page=1,
        page_size=1000,
        count=1,
        total_anis=500,
        total_pages=1,
        can_next_page=True,
        can_prev_page=False,
        malformed=(),
        request_id="r-1",
    )


@pytest.mark.parametrize("field", [a.name for a in ROW_FIELDS])
def test_documented_row_has_exact_types(documented_page: dict[str, Any], field: str) -> None:
    """Each of the 24 fields has its exact type, not one that only compares equal."""
    page = read_page_reply(make_response(documented_page))
    assert isinstance(page, AniPage)
    value, expected = getattr(page[0], field), getattr(THE_ROW, field)
    assert (type(value), value) == (type(expected), expected)


def test_every_endpoint_is_covered() -> None:
    """The data files cover all three endpoints."""
    assert {by_endpoint(exchange) for exchange in EXCHANGES} == set(KINDS)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=by_endpoint)
def test_documented_request(exchange: dict[str, Any]) -> None:
    """An action with the documented arguments is encoded as the documented body."""
    request = action_request(action_of(exchange))
    assert request.body is not None
    assert (request.method, request.path) == ("POST", exchange["endpoint"])
    assert json.loads(request.body) == exchange["request"]


@pytest.mark.parametrize("exchange", EXCHANGES, ids=by_endpoint)
def test_documented_success(exchange: dict[str, Any]) -> None:
    """The documented success is a receipt for this number."""
    payload = exchange["success"]
    response = make_response(payload, headers={"x-request-id": "r-2"})
    expected = Receipt(payload["ani"], payload["status"], "r-2")
    assert read_receipt(response, action_of(exchange)) == expected


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("exchange", EXCHANGES, ids=by_endpoint)
def test_documented_failure(exchange: dict[str, Any], status: int) -> None:
    """The documented failure is a refusal, whichever status carries it."""
    error = read_receipt(make_response(exchange["failure"], status), action_of(exchange))
    assert type(error) is RejectedError
    assert (error.status, error.message) == (status, exchange["failure"]["message"])
    assert not error.maybe_applied


def check_refused(response: Response, action: Action) -> None:
    error = read_receipt(response, action)
    assert type(error) is RejectedError
    assert error.status == response.status


def check_applied(response: Response, action: Action) -> None:
    expected = Receipt(ANI, "received request")
    if isinstance(action, Remediate):
        assert read_receipt(response, action) == expected
    else:  # the status of another action proves nothing
        assert type(read_receipt(response, action)) is OutcomeUnknownError


def check_authentication(response: Response, action: Action) -> None:
    for error in (read_receipt(response, action), read_page_reply(response)):
        assert type(error) is AuthenticationError
        assert error.status == response.status


def check_unknown(response: Response, action: Action) -> None:
    error = read_receipt(response, action)
    assert type(error) is OutcomeUnknownError
    assert error.maybe_applied
    assert error.status == response.status


def check_unknown_or_retry(response: Response, action: Action) -> None:
    check_unknown(response, action)
    error: AniPage | NRMError = read_page_reply(response)
    assert type(error) is ServerError
    assert isinstance(error, APIError)
    assert error.status == response.status


CHECKS: dict[str, Callable[[Response, Action], None]] = {
    "refused": check_refused,
    "applied": check_applied,
    "authentication": check_authentication,
    "unknown": check_unknown,
    "unknown for an action, retry for a read": check_unknown_or_retry,
}


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.path)
@pytest.mark.parametrize("quirk", QUIRKS, ids=by_what)
def test_observed_quirk(quirk: dict[str, Any], action: Action) -> None:
    """Each observed oddity is decoded to its documented meaning."""
    response = make_response(as_bytes(quirk["body"]), quirk["status"])
    CHECKS[quirk["means"]](response, action)
