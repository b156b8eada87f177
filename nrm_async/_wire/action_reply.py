"""Classify the response to an action: applied, rejected, rate-limited, or inconclusive."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from nrm_async._validation import printable
from nrm_async._values import mutable_twin
from nrm_async._wire.messages import Response, json_object
from nrm_async.actions import Action, normalize_ani
from nrm_async.errors import (
    NOT_TAKEN_UP,
    APIError,
    AuthenticationError,
    ConfigurationError,
    FirewallError,
    InvalidRequestError,
    NRMError,
    OutcomeUnknownError,
    RateLimitError,
    RejectedError,
)
from nrm_async.models import Receipt

_METHOD_KEEPING_REDIRECTS: Final = frozenset({301, 307, 308})
_REFUSAL_STATUSES: Final = frozenset({"failed", "within cooldown"})  # v1; remediate

# Number of bytes of an error page that are searched for a message.
_MOST_TEXT: Final = 65_536


def api_error(
    kind: type[APIError],
    response: Response,
    payload: Mapping[str, Any] | None,
    **extra: float | None,
) -> APIError:
    """Create an error of this class with the message, request ID and body of the response."""
    message = _message(response, payload)
    body = printable(_body_text(response, payload))
    return kind(response.status, message, response.request_id, body, **extra)


def _message(response: Response, payload: Mapping[str, Any] | None) -> str:
    for key in ("message", "reason", "status"):
        text = (payload or {}).get(key)
        if isinstance(text, str) and text:
            return printable(response.redact(text))
    text = _body_text(response, None).strip()
    return printable(text, 200) if text else "empty body"


def _body_text(response: Response, payload: Mapping[str, Any] | None) -> str:
    """Return the body as text, with secrets redacted.

    JSON is re-encoded first, because redaction would miss a secret written with escapes.
    """
    try:
        body = response.body if payload is None else msgspec.json.encode(payload)
    except RecursionError:  # the encoder's limit is lower than the decoder's
        return "the body is nested too deeply to show"
    return response.redact(body[:_MOST_TEXT].decode("utf-8", "replace"))


_TITLE: Final = r"(?is)<(title|h1)\b[^>]*>(.*?)</\1>"


def _firewall_error(response: Response) -> FirewallError:
    text = _body_text(response, None)
    title = re.search(_TITLE, text)
    shown = " ".join((title[2] if title else text).split())
    message = f"blocked by a firewall or proxy, not by the API: {printable(shown, 200)}"
    return FirewallError(
        response.status, message, response.request_id, printable(text), response.retry_after
    )


def common_error(response: Response, payload: Mapping[str, Any] | None) -> NRMError | None:
    """Return the error for a status that reads and actions handle alike, or ``None``."""
    status = response.status
    if payload is None and response.is_block_page:
        return _firewall_error(response)
    if status in (401, 403):  # including a 401 as HTML: a retry cannot help
        return api_error(AuthenticationError, response, payload)
    if status == 429:
        return api_error(RateLimitError, response, payload, retry_after=response.retry_after)
    if status in _METHOD_KEEPING_REDIRECTS:
        return ConfigurationError(
            f"base_url does not point to the API: HTTP {status}, and redirects are not followed"
        )
    if 400 <= status < 500 and status not in NOT_TAKEN_UP:
        return api_error(RejectedError, response, payload)
    return None


def is_refusal(payload: Mapping[str, Any]) -> bool:
    """Return whether the payload reports a rejection, in the v1 or v2 format."""
    return payload.get("success") is False or _status_word(payload) in _REFUSAL_STATUSES


def _status_word(payload: Mapping[str, Any]) -> str:
    status = payload.get("status")
    return status.strip().lower() if isinstance(status, str) else ""


def read_receipt(response: Response, action: Action) -> Receipt | NRMError:
    """Decode the response to an action.

    Returns:
        A ``Receipt`` for a 2xx JSON response with a success status for this action and this
        number; ``RejectedError`` for a rejection in the v1 or v2 format, sent as 2xx or 4xx;
        the error from ``common_error`` for a status that has one. Any other response is an
        ``OutcomeUnknownError``: a 5xx is inconclusive even if its body reports a rejection.
    """
    payload = json_object(response.body)
    if payload is not None and (receipt := _documented_success(response, payload, action)):
        return receipt
    is_about_the_call = response.status not in (401, 403, 429)
    if payload is not None and is_about_the_call and _is_other_ani(payload, action):
        return _unknown(response, "the response is about another number")
    if error := common_error(response, payload):
        return error
    if not 200 <= response.status < 300:
        return _unknown(response, f"HTTP {response.status}: {_message(response, payload)}")
    if payload is None:
        return _unknown(response, "the response is not a JSON object")
    return _read_payload(response, payload, action)


_MutableReceipt: Final = mutable_twin(Receipt)


def _documented_success(
    response: Response, payload: Mapping[str, Any], action: Action
) -> Receipt | None:
    """Return a receipt if the response is exactly as documented, which is the usual case."""
    status = action.done[0]
    if (
        response.status != 200
        or payload.get("status") != status
        or payload.get("ani") != action.ani
        or "success" in payload
    ):
        return None
    made = object.__new__(_MutableReceipt)
    made.ani = action.ani
    made.status = status
    made.request_id = response.request_id
    made.confirmed = False
    made.seen = None
    made.__class__ = Receipt
    receipt: Receipt = made
    return receipt


def _read_payload(
    response: Response, payload: Mapping[str, Any], action: Action
) -> Receipt | NRMError:
    word = _status_word(payload)
    is_applied = word in action.done
    if is_applied and payload.get("success", True) is not True:
        return _unknown(response, "the response contradicts itself")
    if is_refusal(payload):
        return api_error(RejectedError, response, payload)
    if not is_applied:
        return _unknown(response, f"unexpected response: {_message(response, payload)}")
    if not payload.get("ani"):
        return _unknown(response, "the response does not contain the number")
    status = "received request" if word == "recieved request" else word
    return Receipt(action.ani, status, response.request_id)


def _unknown(response: Response, seen: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"{seen}; the action may have been applied", response.status, response.request_id
    )


def _is_other_ani(payload: Mapping[str, Any], action: Action) -> bool:
    ani = payload.get("ani")
    if not ani or ani == action.ani:
        return False
    try:
        return normalize_ani(ani) != action.ani
    except InvalidRequestError:
        return True
