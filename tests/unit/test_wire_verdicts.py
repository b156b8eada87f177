"""What an answer to an action means: applied only with full proof, refused only if so said."""

import json
from collections.abc import Callable
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

Answer: TypeAlias = Callable[..., Response]
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
def test_2xx_that_is_no_answer(answer: Answer, body: bytes, action: Action) -> None:
    """Hostile JSON, HTML and nothing at all under a 2xx prove nothing: never applied."""
    check_unknown(read_receipt(answer(body), action), 200)


REFUSALS: dict[str, tuple[Json, str]] = {
    "v2": ({"success": False, "message": "Only active ones"}, "Only active ones"),
    "v2 about this number": ({"success": False, "message": "No", "ani": ANI}, "No"),
    "v1": ({"status": "failed", "reason": "not in inventory", "ani": ANI}, "not in inventory"),
    "cooldown": ({"status": "within cooldown"}, "within cooldown"),
    "cooldown in capitals": ({"status": " Within Cooldown "}, " Within Cooldown "),
    "no words": ({"success": False}, '{"success": false}'),
}


@each_action
@pytest.mark.parametrize("status", [200, 202, 400, 404, 409, 422])
@pytest.mark.parametrize("name", REFUSALS)
def test_refusal(answer: Answer, name: str, status: int, action: Action) -> None:
    """A refusal in either dialect, under a 2xx or a 4xx, is rejected in the API's own words."""
    body, words = REFUSALS[name]
    error = read_receipt(answer(body, status, {"x-request-id": "r-1"}), action)
    assert type(error) is RejectedError
    assert (error.status, error.message, error.request_id) == (status, words, "r-1")
    assert not error.maybe_applied


@each_action
@pytest.mark.parametrize(
    "ani",
    [
        *("9999999999", "23456789010", "234567890", "", "abc", None, True, 2345678901.0),
        *(9999999999, [ANI], {"phone": ANI}, -2345678901),
    ],
    ids=repr,
)
def test_answer_about_another_number(answer: Answer, ani: object, action: Action) -> None:
    """The right word about another number, or about none, proves nothing."""
    check_unknown(read_receipt(answer(success(action) | {"ani": ani}), action), 200)


@each_action
def test_refusal_of_another_number(answer: Answer, action: Action) -> None:
    """A refusal that names another number is no refusal of this one."""
    body = {"status": "failed", "reason": "no", "ani": "9999999999"}
    check_unknown(read_receipt(answer(body), action), 200)


@each_action
def test_answer_without_the_number(answer: Answer, action: Action) -> None:
    """The right word that names no number proves nothing."""
    check_unknown(read_receipt(answer({"status": DONE[action][0]}), action), 200)


@each_action
@pytest.mark.parametrize("status", ["done", "ok", "success", "", None, True, 1, ["paused"]])
def test_answer_with_another_status(answer: Answer, status: object, action: Action) -> None:
    """A status that is not this action's proves nothing, even beside a claim of success."""
    body = {"success": True, "status": status, "ani": ANI}
    check_unknown(read_receipt(answer(body), action), 200)


@each_action
def test_status_of_another_action(answer: Answer, action: Action) -> None:
    """The success of one action is no success of another."""
    for other in ACTIONS:
        if other is not action:
            check_unknown(read_receipt(answer(success(other)), action), 200)


@each_action
def test_answer_that_says_yes_and_no(answer: Answer, action: Action) -> None:
    """An answer that contradicts itself proves nothing."""
    check_unknown(read_receipt(answer(success(action) | {"success": False}), action), 200)


@each_action
@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 410, 413, 422])
def test_client_error(answer: Answer, status: int, action: Action) -> None:
    """A 4xx without the API's words is rejected all the same, and says what was in it."""
    error = read_receipt(answer(b"<html>no</html>", status), action)
    assert type(error) is RejectedError
    assert (error.status, error.message, error.body) == (status, "<html>no</html>", error.message)


@each_action
@pytest.mark.parametrize("status", [401, 403])
def test_authentication(answer: Answer, status: int, action: Action) -> None:
    """401 and 403 are about the key, whatever the body says, and nothing was applied."""
    for body in ({"success": False, "message": "Missing API key"}, success(action), b""):
        error = read_receipt(answer(body, status), action)
        assert type(error) is AuthenticationError
        assert not error.maybe_applied


@each_action
@pytest.mark.parametrize("status", [408, 421, 425])
def test_not_taken_up(answer: Answer, status: int, action: Action) -> None:
    """Statuses of a request that was not taken up are no refusal, and say which they were."""
    check_unknown(read_receipt(answer({"message": "later"}, status), action), status)


@each_action
def test_throttled(answer: Answer, action: Action) -> None:
    """A 429 carries the seconds to wait and the API's words, and nothing was applied."""
    error = read_receipt(answer({"message": "slow"}, 429, {"Retry-After": "2.5"}), action)
    assert type(error) is RateLimitError
    assert (error.status, error.message, error.retry_after) == (429, "slow", 2.5)
    assert not error.maybe_applied


@each_action
@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_server_error(answer: Answer, status: int, action: Action) -> None:
    """A 5xx proves nothing either way, whatever its body says."""
    for body in ({"success": False, "message": "no"}, success(action), b"<html>"):
        check_unknown(read_receipt(answer(body, status), action), status)


@each_action
@pytest.mark.parametrize("status", [301, 307, 308])
def test_moved(answer: Answer, status: int, action: Action) -> None:
    """A redirect that keeps the method means that the base URL is wrong."""
    error = read_receipt(answer(success(action), status), action)
    assert type(error) is ConfigurationError
    assert "base_url" in str(error)
    assert str(status) in str(error)


@each_action
@pytest.mark.parametrize("status", [300, 302, 303, 304])
def test_see_other(answer: Answer, status: int, action: Action) -> None:
    """Other redirects prove nothing: the action may have been applied before it."""
    check_unknown(read_receipt(answer(success(action), status), action), status)


@each_action
@pytest.mark.parametrize(
    "ani", ["+12345678901", "12345678901", "+1 (234) 567-8901", 2345678901, 12345678901]
)
def test_same_number_in_another_spelling(answer: Answer, ani: object, action: Action) -> None:
    """The number in another spelling is the same number, and the receipt has the normal one."""
    receipt = read_receipt(answer(success(action) | {"ani": ani}), action)
    assert receipt == Receipt(ANI, DONE[action][0])


@each_action
def test_status_in_another_spelling(answer: Answer, action: Action) -> None:
    """Capitals, blanks around it and the old misspelling do not change the API's word."""
    for word in DONE[action]:
        receipt = read_receipt(answer({"status": f" {word.upper()} ", "ani": ANI}, 201), action)
        assert receipt == Receipt(ANI, DONE[action][0])


def applied(status: int, said: object, action: Action) -> bool:
    """The rule, said once more: 2xx, the status of this action, this number, and no "no"."""
    return (
        200 <= status < 300
        and isinstance(said, dict)
        and said.get("success", True) is True
        and said.get("status") in DONE[action]
        and isinstance(said.get("ani"), str | int)
        and said["ani"] in (ANI, int(ANI), f"+1{ANI}")
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
@given(status=statuses, said=near_misses | anything, action=st.sampled_from(ACTIONS))
def test_receipt_only_by_the_rule(status: int, said: object, action: Action) -> None:
    """Over any status and any JSON, there is a receipt if the rule for one holds, and only then."""
    value = read_receipt(Response(status, json.dumps(said).encode()), action)
    is_applied = applied(status, said, action)
    event(f"applied: {is_applied}")
    assert isinstance(value, Receipt) is is_applied
    assert is_applied or isinstance(value, NRMError)


@given(status=statuses, body=st.binary(), action=st.sampled_from(ACTIONS))
def test_bytes_are_never_a_receipt(status: int, body: bytes, action: Action) -> None:
    """Over any status and any bytes, reading never raises and never finds a receipt."""
    assert isinstance(read_receipt(Response(status, body), action), NRMError)


NASTY = "\x1b[2J\r\nSet-Cookie: \x00\u202e\ud800"


@each_action
@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
@pytest.mark.parametrize(
    "body", [{"message": NASTY}, {"success": False, "message": NASTY}, b"\x1b\n\xff"]
)
def test_errors_are_fit_for_logs(answer: Answer, status: int, body: object, action: Action) -> None:
    """Control characters of the answer are escaped wherever an error shows them."""
    error = read_receipt(answer(body, status, {"x-request-id": "a\r\nb"}), action)
    assert isinstance(error, APIError | OutcomeUnknownError)
    assert str(error).isprintable()
    assert error.request_id == r"a\r\nb"
    assert (getattr(error, "body", None) or "").isprintable()


@each_action
@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
@pytest.mark.parametrize("fill", ["x", "\x00", "\U000e0001"])
def test_errors_are_bounded(answer: Answer, status: int, fill: str, action: Action) -> None:
    """However long the answer is, what an error keeps of it is not."""
    for body in (
        {"success": False, "message": fill * 100_000},
        {"status": fill * 100_000, "ani": ANI},
        (fill * 100_000).encode(),
    ):
        error = read_receipt(answer(body, status), action)
        assert isinstance(error, NRMError)
        assert len(str(error)) <= 500 * len(r"\U000e0001") + 100
        assert len(getattr(error, "body", None) or "") <= 500


def test_no_depth_of_nesting_raises() -> None:
    """Where JSON can just be read, or just not any more, the answer is classified all the same."""
    for depth in range(800, 1200):
        body = b'{"message":"no","deep":' + b"[" * depth + b"]" * depth + b"}"
        assert isinstance(read_receipt(Response(400, body), ACTIONS[0]), RejectedError)
