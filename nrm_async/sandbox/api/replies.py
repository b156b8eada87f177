"""API replies, and switches for behaviour that the API documentation leaves undefined."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs
import msgspec
from attrs import frozen

from nrm_async.sandbox.api.parsing import RequestError
from nrm_async.sandbox.values import Answer, Applied, Page, WithinCooldown

Dialect: TypeAlias = Literal["v1", "v2"]

_OK: Final = 200
_NO_HEADERS: Final[Mapping[str, str]] = {}

_encode: Final[Callable[[object], bytes]] = msgspec.json.Encoder().encode


def _check_refusal_status(_instance: object, _attribute: object, value: object) -> None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number or not (value == _OK or 400 <= value < 500):  # type: ignore[operator]
        raise ValueError(f"refusal_status must be 200 or from 400 to 499, not {value!r}")


def _check_dialect(_instance: object, _attribute: object, value: object) -> None:
    if value not in ("v1", "v2"):
        raise ValueError(f"dialect must be 'v1' or 'v2', not {value!r}")


def _check_bool(_instance: object, attribute: "attrs.Attribute[bool]", value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{attribute.name} must be True or False, not {value!r}")  # noqa: TRY004


@frozen(kw_only=True)
class Switches:
    """Response options, for testing a client with each possible API behaviour.

    Attributes:
        refusal_status: HTTP status of refusals: 200 or 4xx (not documented).
        dialect: ``v2`` for the documented format, or ``v1`` for the format in the vendor's SDKs:
            refusals are ``{"status": "failed", "reason", "ani"}``, and a remediation returns
            ``recieved request`` [sic].
        text_ids: Whether row ids are strings (the vendor's SDKs accept numbers and strings).
        contradictory: Whether envelopes are inconsistent, as in the API documentation's example:
            ``count`` and ``total_pages`` are always 1.

    Raises:
        ValueError: A value is invalid.
    """

    refusal_status: int = attrs.field(default=_OK, validator=_check_refusal_status)
    dialect: Dialect = attrs.field(default="v2", validator=_check_dialect)
    text_ids: bool = attrs.field(default=False, validator=_check_bool)
    contradictory: bool = attrs.field(default=False, validator=_check_bool)

    def changed(self, changes: dict[str, Any]) -> "Switches":
        """Return a copy with changes; raise ValueError if a name or value is invalid."""
        known = [one.name for one in attrs.fields(Switches)]
        for name in changes:
            if name not in known:
                raise ValueError(f"unknown switch {name!r}: known are {', '.join(known)}")
        return attrs.evolve(self, **changes)


@frozen
class Reply:
    """An encoded reply, with details for the history.

    Attributes:
        status: The HTTP status.
        body: The encoded body; JSON unless ``headers`` has another Content-Type.
        words: The message to record in the history.
        ani: The phone number in the request, or None.
        applied: Whether an action was applied.
        headers: Additional headers.
    """

    status: int
    body: bytes
    words: str = ""
    ani: str | None = None
    applied: bool = False
    headers: Mapping[str, str] = _NO_HEADERS


def page_reply(page: Page, switches: Switches) -> Reply:
    """Encode a page, with the keys in the documented order."""
    contradictory = switches.contradictory
    envelope = {
        "result": "success",
        "count": 1 if contradictory else len(page.rows),
        "total_anis": page.total,
        "can_next_page": page.page < page.total_pages,
        "can_prev_page": page.page > 1,
        "total_pages": 1 if contradictory else page.total_pages,
    }
    # The rows are already encoded, so encode only the envelope.
    body = b'%b,"data":[%b]}' % (_encode(envelope)[:-1], b",".join(page.rows))
    return Reply(200, body)


def action_reply(answer: Answer, ani: str, switches: Switches) -> Reply:
    """Encode the result of an action on ``ani``."""
    is_v1 = switches.dialect == "v1"
    if isinstance(answer, Applied):
        status = answer.status
        if is_v1 and status == "received request":
            status = "recieved request"  # sic
        return Reply(200, _encode({"status": status, "ani": answer.ani}), status, ani, applied=True)
    message = answer.message
    if isinstance(answer, WithinCooldown):
        return Reply(200, _encode({"status": message}), message, ani)
    refusal = (
        {"status": "failed", "reason": message, "ani": ani}
        if is_v1
        else {"success": False, "message": message}
    )
    return Reply(switches.refusal_status, _encode(refusal), message, ani)


def error_reply(error: RequestError) -> Reply:
    """Encode a request error, which has the same format in both dialects."""
    body = _encode({"success": False, "message": error.message})
    headers = _NO_HEADERS if error.allow is None else {"Allow": error.allow}
    return Reply(error.status, body, error.message, headers=headers)
