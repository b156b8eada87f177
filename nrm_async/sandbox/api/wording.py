"""From what the state says to the words of the API, in the dialect that is switched on."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from attrs import frozen

from nrm_async.sandbox.api.parsing import RequestError
from nrm_async.sandbox.api.switches import Switches
from nrm_async.sandbox.values import Answer, Applied, Page, WithinCooldown

_encode: Final[Callable[[object], bytes]] = msgspec.json.Encoder().encode
_NO_HEADERS: Final[Mapping[str, str]] = {}


@frozen
class Reply:
    """An answer ready to be sent.

    Attributes:
        status: HTTP status.
        body: The body, JSON unless ``headers`` say otherwise.
        words: What it says, for the books.
        ani: The number it is about, if any.
        applied: Whether an action was applied.
        headers: More headers than every answer has.
    """

    status: int
    body: bytes
    words: str = ""
    ani: str | None = None
    applied: bool = False
    headers: Mapping[str, str] = _NO_HEADERS


def page_reply(page: Page, switches: Switches) -> Reply:
    """A page as the API answers it, keys in the documentation's order."""
    contradictory = switches.contradictory
    envelope = {
        "result": "success",
        "count": 1 if contradictory else len(page.rows),
        "total_anis": page.total,
        "can_next_page": page.page < page.total_pages,
        "can_prev_page": page.page > 1,
        "total_pages": 1 if contradictory else page.total_pages,
    }
    # Rows come encoded; only the envelope is made anew.
    body = b'%b,"data":[%b]}' % (_encode(envelope)[:-1], b",".join(page.rows))
    return Reply(200, body)


def answer_reply(answer: Answer, ani: str, switches: Switches) -> Reply:
    """What the state said to an action about ``ani``."""
    if isinstance(answer, Applied):
        status = answer.status
        if switches.dialect == "v1" and status == "received request":
            status = "recieved request"  # sic
        body = _encode({"status": status, "ani": answer.ani})
        return Reply(200, body, status, ani, applied=True)
    if isinstance(answer, WithinCooldown):
        return Reply(200, _encode({"status": answer.message}), answer.message, ani)
    body = _encode(_refusal(answer.message, ani, switches))
    return Reply(switches.refusal_status, body, answer.message, ani)


def error_reply(error: RequestError) -> Reply:
    """A request error, with a message in either dialect."""
    body = _encode({"success": False, "message": error.message})
    headers = _NO_HEADERS if error.allow is None else {"Allow": error.allow}
    return Reply(error.status, body, error.message, headers=headers)


def _refusal(message: str, ani: str, switches: Switches) -> dict[str, object]:
    if switches.dialect == "v1":
        return {"status": "failed", "reason": message, "ani": ani}
    return {"success": False, "message": message}
