"""What an answer means: applied, refused, throttled, or no proof of anything."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from nrm_async._values import settable
from nrm_async._wire.messages import Response, json_object, printable, retry_after
from nrm_async.actions import Action, normalize_ani
from nrm_async.errors import (
    NOT_TAKEN_UP,
    APIError,
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    NRMError,
    OutcomeUnknownError,
    RateLimitError,
    RejectedError,
)
from nrm_async.models import Receipt

_MOVED: Final = frozenset({301, 307, 308})
_REFUSAL_WORDS: Final = frozenset({"failed", "within cooldown"})  # v1; and remediate's own


def _words(response: Response, said: Mapping[str, Any] | None) -> str:
    """The API's own words for why not, as far as it has any."""
    for key in ("message", "reason", "status"):
        text = (said or {}).get(key)
        if isinstance(text, str) and text:
            return printable(response.scrub(text))
    text = _body_text(response, None).strip()
    return printable(text, 200) if text else "no text"


# Of a longer error page, no more is looked at.
_MOST_TEXT: Final = 65_536


def _body_text(response: Response, said: Mapping[str, Any] | None) -> str:
    """The body as text, without secrets. JSON is written anew: it can spell a text in many ways."""
    try:
        body = response.body if said is None else msgspec.json.encode(said)
    except RecursionError:  # what could just be read cannot always be written
        return "nested too deeply to be shown"
    return response.scrub(body[:_MOST_TEXT].decode("utf-8", "replace"))


def _word(said: Mapping[str, Any]) -> str:
    word = said.get("status")
    return word.strip().lower() if isinstance(word, str) else ""


def is_refusal(said: Mapping[str, Any]) -> bool:
    return said.get("success") is False or _word(said) in _REFUSAL_WORDS


def api_error(
    kind: type[APIError], response: Response, said: Mapping[str, Any] | None, **more: float | None
) -> APIError:
    """Make the error of this kind that tells what the answer said."""
    words = _words(response, said)
    body = printable(_body_text(response, said))
    return kind(response.status, words, response.request_id, body, **more)


def common_error(response: Response, said: Mapping[str, Any] | None) -> NRMError | None:
    """The errors that mean the same for reads and actions; ``None`` if it is none of them."""
    status = response.status
    if status in (401, 403):
        return api_error(AuthenticationError, response, said)
    if status == 429:
        wait = retry_after(response)
        return api_error(RateLimitError, response, said, retry_after=wait)
    if status in _MOVED:
        return ConfigurationError(
            f"base_url is not where the API is: it answers HTTP {status}, and redirects are "
            "never followed"
        )
    if 400 <= status < 500 and status not in NOT_TAKEN_UP:
        return api_error(RejectedError, response, said)
    return None


def read_receipt(response: Response, action: Action) -> Receipt | NRMError:
    """What an answer says of an action.

    Returns:
        A ``Receipt`` only for a 2xx with JSON, the status of this action and this number.
        ``RejectedError`` for a refusal in either dialect, as 2xx or 4xx. 5xx proves nothing
        either way, whatever its body says: like everything else that is neither, it is an
        ``OutcomeUnknownError``.
    """
    said = json_object(response.body)
    if said is not None and _is_plain_yes(response, said, action):
        return _receipt(action.ani, said["status"], response.request_id)
    if said is not None and response.status not in (401, 403, 429) and _is_foreign(said, action):
        return _unknown(response, "the answer is about another number")
    if error := common_error(response, said):
        return error
    if not 200 <= response.status < 300:
        return _unknown(response, f"HTTP {response.status}: {_words(response, said)}")
    if said is None:
        return _unknown(response, "the answer is not a JSON object")
    return _read_said(response, said, action)


_Settable: Final = settable(Receipt)


def _receipt(ani: str, status: str, request_id: str | None) -> Receipt:
    made = object.__new__(_Settable)
    made.ani = ani
    made.status = status
    made.request_id = request_id
    made.confirmed = False
    made.seen = None
    made.__class__ = Receipt
    receipt: Receipt = made
    return receipt


def _is_plain_yes(response: Response, said: Mapping[str, Any], action: Action) -> bool:
    """Whether it is the documented answer to the letter: what nearly all answers are."""
    return (
        response.status == 200
        and said.get("status") == action.done[0]
        and said.get("ani") == action.ani
        and "success" not in said
    )


def _read_said(response: Response, said: Mapping[str, Any], action: Action) -> Receipt | NRMError:
    word, applied = _word(said), _word(said) in action.done
    if applied and said.get("success", True) is not True:
        return _unknown(response, "the answer says both yes and no")
    if is_refusal(said):
        return api_error(RejectedError, response, said)
    if not applied:
        return _unknown(response, f"the answer is of another kind: {_words(response, said)}")
    if not said.get("ani"):
        return _unknown(response, "the answer does not name the number")
    return Receipt(
        action.ani, "received request" if word == "recieved request" else word, response.request_id
    )


def _unknown(response: Response, seen: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"{seen}; the action may have been applied", response.status, response.request_id
    )


def _is_foreign(said: Mapping[str, Any], action: Action) -> bool:
    about = said.get("ani")
    return bool(about) and not _is_same(about, action.ani)


def _is_same(value: object, ani: str) -> bool:
    try:
        return value == ani or normalize_ani(value) == ani  # type: ignore[arg-type]
    except InvalidRequestError:
        return False
