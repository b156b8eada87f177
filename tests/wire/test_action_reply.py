"""Replies to actions: applied only with full proof, refused only by an explicit refusal."""

import json
from typing import Any, TypeAlias

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from nrm_async._wire import Response, read_receipt
from nrm_async.actions import Action, Activate, Pause, Remediate
from nrm_async.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    NRMError,
    OutcomeUnknownError,
    RateLimitError,
    RejectedError,
)
from nrm_async.models import Receipt
from tests.wire.conftest import make_response

Json: TypeAlias = dict[str, Any]

ANI = "2345678901"
DONE = {
    Pause(ANI): ["paused"],
    Activate(ANI, date="2026-05-27"): ["active"],
    Remediate(ANI): ["received request", "recieved request"],
}
ACTIONS: list[Action] = list(DONE)
each_action = pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.path)


def success(action: Action) -> Json:
    return {"status": DONE[action][0], "ani": ANI}


def check_unknown(error: Receipt | NRMError, status: int) -> None:
    assert type(error) is OutcomeUnknownError
    assert error.maybe_applied
    assert error.status == status
    assert "may have been applied" in error.message


HOSTILE = {
    "empty": b"",
    "html": b"<html>It works</html>",
    "null": b"null",
    "list": b'[{"status":"paused","ani":"2345678901"}]',
    "text": b'"paused"',
    "empty object": b"{}",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep beside success": b'{"status":"paused","ani":"2345678901","x":' + b"[" * 100_000,
    "long number": b'{"status":"paused","ani":' + b"2" * 5_000 + b"}",
    "nan": b'{"status":"paused","ani":NaN}',
    "lone surrogate": b'{"status":"paused","ani":"2345678901","note":"\\ud800"}',
    "no utf-8": b'{"status":"paused","ani":"2345678901","note":"\xff"}',
    "truncated": b'{"status":"paused","ani":"2345678901"',
    "two documents": b'{"status":"paused","ani":"2345678901"}{}',
}


@each_action
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_body_is_not_a_reply(body: bytes, action: Action) -> None:
    """Hostile JSON, HTML and an empty body under a 2xx leave the outcome unknown."""
    check_unknown(read_receipt(make_response(body), action), 200)


REFUSALS: dict[str, tuple[Json, str]] = {
    "v2": ({"success": False, "message": "Only active ones"}, "Only active ones"),
    "v2 about this number": ({"success": False, "message": "No", "ani": ANI}, "No"),
    "v1": ({"status": "failed", "reason": "not in inventory", "ani": ANI}, "not in inventory"),
    "cooldown": ({"status": "within cooldown"}, "within cooldown"),
    "cooldown in capitals": ({"status": " Within Cooldown "}, " Within Cooldown "),
    "no message": ({"success": False}, '{"success": false}'),
}


@each_action
@pytest.mark.parametrize("status", [200, 202, 400, 404, 409, 422])
@pytest.mark.parametrize("name", REFUSALS)
def test_refusal(name: str, status: int, action: Action) -> None:
    """A refusal of v1 or v2, as 2xx or 4xx, is rejected with the message of the API."""
    body, message = REFUSALS[name]
    error = read_receipt(make_response(body, status, {"x-request-id": "r-1"}), action)
    assert type(error) is RejectedError
    assert (error.status, error.message, error.request_id) == (status, message, "r-1")
    assert not error.maybe_applied


@each_action
@pytest.mark.parametrize(
    "ani",
    [
        *("9999999999", "23456789010", "234567890", "", "abc", None, True, 2345678901.5),
        *(9999999999, [ANI], {"phone": ANI}, -2345678901),
    ],
    ids=repr,
)
def test_other_number(ani: object, action: Action) -> None:
    """The right status with another number, or an invalid one, leaves the outcome unknown."""
    check_unknown(read_receipt(make_response(success(action) | {"ani": ani}), action), 200)


@each_action
def test_refusal_of_another_number(action: Action) -> None:
    """A refusal that names another number leaves the outcome unknown."""
    body = {"status": "failed", "reason": "no", "ani": "9999999999"}
    check_unknown(read_receipt(make_response(body), action), 200)


@each_action
def test_number_is_missing(action: Action) -> None:
    """The right status without a number leaves the outcome unknown."""
    check_unknown(read_receipt(make_response({"status": DONE[action][0]}), action), 200)


@each_action
@pytest.mark.parametrize("status", ["done", "ok", "success", "", None, True, 1, ["paused"]])
def test_unexpected_status(status: object, action: Action) -> None:
    """An unexpected status leaves the outcome unknown, even beside a claim of success."""
    body = {"success": True, "status": status, "ani": ANI}
    check_unknown(read_receipt(make_response(body), action), 200)


@each_action
def test_status_of_another_action(action: Action) -> None:
    """The success of one action is not the success of another."""
    for other in ACTIONS:
        if other is not action:
            check_unknown(read_receipt(make_response(success(other)), action), 200)


@each_action
def test_contradiction(action: Action) -> None:
    """A success that also says ``"success": false`` leaves the outcome unknown."""
    check_unknown(read_receipt(make_response(success(action) | {"success": False}), action), 200)


@each_action
@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 410, 413, 422])
def test_client_error(status: int, action: Action) -> None:
    """A 4xx without a message is rejected too, and shows its body."""
    error = read_receipt(make_response(b"<html>no</html>", status), action)
    assert type(error) is RejectedError
    assert (error.status, error.message, error.body) == (status, "<html>no</html>", error.message)


@each_action
@pytest.mark.parametrize("status", [401, 403])
def test_authentication(status: int, action: Action) -> None:
    """401 and 403 concern the key, whatever the body says, and nothing was applied."""
    for body in ({"success": False, "message": "Missing API key"}, success(action), b""):
        error = read_receipt(make_response(body, status), action)
        assert type(error) is AuthenticationError
        assert not error.maybe_applied


@each_action
@pytest.mark.parametrize("status", [408, 421, 425])
def test_not_taken_up(status: int, action: Action) -> None:
    """408, 421 and 425 are not refusals, and keep their status."""
    check_unknown(read_receipt(make_response({"message": "later"}, status), action), status)


@each_action
def test_throttled(action: Action) -> None:
    """A 429 has the seconds to wait and the message, and nothing was applied."""
    error = read_receipt(make_response({"message": "slow"}, 429, {"Retry-After": "2.5"}), action)
    assert type(error) is RateLimitError
    assert (error.status, error.message, error.retry_after) == (429, "slow", 2.5)
    assert not error.maybe_applied


@each_action
@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_server_error(status: int, action: Action) -> None:
    """A 5xx leaves the outcome unknown, whatever its body says."""
    for body in ({"success": False, "message": "no"}, success(action), b"<html>"):
        check_unknown(read_receipt(make_response(body, status), action), status)


@each_action
@pytest.mark.parametrize("status", [301, 307, 308])
def test_redirect_that_keeps_the_method(status: int, action: Action) -> None:
    """A redirect that keeps the method means that the base URL is wrong."""
    error = read_receipt(make_response(success(action), status), action)
    assert type(error) is ConfigurationError
    assert "base_url" in str(error)
    assert str(status) in str(error)


@each_action
@pytest.mark.parametrize("status", [300, 302, 303, 304])
def test_other_redirect(status: int, action: Action) -> None:
    """Other redirects leave the outcome unknown: they may follow an applied action."""
    check_unknown(read_receipt(make_response(success(action), status), action), status)


@each_action
@pytest.mark.parametrize(
    "ani", ["+12345678901", "12345678901", "+1 (234) 567-8901", 2345678901, 12345678901]
)
def test_number_in_another_format(ani: object, action: Action) -> None:
    """The number in another format is the same number; the receipt has the normalised one."""
    receipt = read_receipt(make_response(success(action) | {"ani": ani}), action)
    assert receipt == Receipt(ANI, DONE[action][0])


@each_action
def test_status_in_another_spelling(action: Action) -> None:
    """Capitals, spaces around it and the known misspelling do not change the status."""
    for word in DONE[action]:
        receipt = read_receipt(
            make_response({"status": f" {word.upper()} ", "ani": ANI}, 201), action
        )
        assert receipt == Receipt(ANI, DONE[action][0])


def is_applied(status: int, payload: object, action: Action) -> bool:
    """Restate the rule: 2xx, the status of this action, this number, and no refusal."""
    return (
        200 <= status < 300
        and isinstance(payload, dict)
        and payload.get("success", True) is True
        and payload.get("status") in DONE[action]
        and isinstance(payload.get("ani"), str | int)
        and payload["ani"] in (ANI, int(ANI), f"+1{ANI}")
    )


words = st.sampled_from(["paused", "active", "received request", "recieved request", "failed"])
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers() | finite | st.text()
anything = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
near_misses = st.fixed_dictionaries(
    {},
    optional={
        "status": words | anything,
        "ani": st.sampled_from([ANI, int(ANI), f"+1{ANI}", "9999999999"]) | anything,
        "success": st.booleans() | anything,
        "message": anything,
    },
)
statuses = st.sampled_from([200, 200, 200, 201, 204, 299, 400, 500]) | st.integers(100, 599)


@settings(max_examples=400)
@given(status=statuses, payload=near_misses | anything, action=st.sampled_from(ACTIONS))
def test_receipt_by_the_rule_only(status: int, payload: object, action: Action) -> None:
    """For any status and any JSON, there is a receipt exactly if the rule holds."""
    value = read_receipt(Response(status, json.dumps(payload).encode()), action)
    expected = is_applied(status, payload, action)
    event(f"applied: {expected}")
    assert isinstance(value, Receipt) is expected
    assert expected or isinstance(value, NRMError)


@given(status=statuses, body=st.binary(), action=st.sampled_from(ACTIONS))
def test_bytes_are_never_a_receipt(status: int, body: bytes, action: Action) -> None:
    """For any status and any bytes, decoding never raises and never returns a receipt."""
    assert isinstance(read_receipt(Response(status, body), action), NRMError)


NASTY = "\x1b[2J\r\nSet-Cookie: \x00\u202e\ud800"


@each_action
@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
@pytest.mark.parametrize(
    "body", [{"message": NASTY}, {"success": False, "message": NASTY}, b"\x1b\n\xff"]
)
def test_error_is_printable(status: int, body: object, action: Action) -> None:
    """Control characters of the body are escaped wherever an error shows them."""
    error = read_receipt(make_response(body, status, {"x-request-id": "a\r\nb"}), action)
    assert isinstance(error, APIError | OutcomeUnknownError)
    assert str(error).isprintable()
    assert error.request_id == r"a\r\nb"
    assert (getattr(error, "body", None) or "").isprintable()


@each_action
@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
@pytest.mark.parametrize("fill", ["x", "\x00", "\U000e0001"])
def test_error_is_bounded(status: int, fill: str, action: Action) -> None:
    """However long the body, an error keeps at most 500 characters of it."""
    for body in (
        {"success": False, "message": fill * 100_000},
        {"status": fill * 100_000, "ani": ANI},
        (fill * 100_000).encode(),
    ):
        error = read_receipt(make_response(body, status), action)
        assert isinstance(error, NRMError)
        assert len(str(error)) <= 500 * len(r"\U000e0001") + 100
        assert len(getattr(error, "body", None) or "") <= 500


def test_nesting_at_the_recursion_limit() -> None:
    """JSON that is barely readable, or barely not, is classified all the same."""
    for depth in range(800, 1200):
        body = b'{"message":"no","deep":' + b"[" * depth + b"]" * depth + b"}"
        assert isinstance(read_receipt(Response(400, body), ACTIONS[0]), RejectedError)
