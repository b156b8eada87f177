"""Replies that look like an outcome and prove nothing."""

from collections.abc import Callable

import pytest

from nrm_async import CallResult, Outcome
from nrm_async.testing import MockTransport, Request, Response, json_response
from tests.fakes import connect, json_row

ANI = "2345678901"


async def pause_with(reply: Callable[[Request], Response]) -> CallResult:
    """Pause a number with these replies, and return the result."""
    async with connect("https://example.com/nrm", transport=MockTransport(reply)) as nrm:
        (result,) = await nrm.pause_many([ANI])
    return result


@pytest.mark.parametrize("success", ["false", 0, None, "no", []])
async def test_odd_values_of_success(success: object) -> None:
    """If ``success`` is there and not ``true``, the action does not count as applied."""
    payload = {"status": "paused", "ani": ANI, "success": success}
    result = await pause_with(lambda request: json_response(payload))
    assert result.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("status", [200, 400, 409])
async def test_refusal_of_another_number(status: int) -> None:
    """With 2xx or 4xx, a reply about another number proves nothing about this one."""
    payload = {"success": False, "message": "no", "ani": "9999999999"}
    result = await pause_with(lambda request: json_response(payload, status))
    assert result.outcome is Outcome.UNKNOWN


async def test_active_but_not_managed_is_not_resting() -> None:
    """A status similar to the active one, which cannot be paused, does not confirm a pause."""

    def reply(request: Request) -> Response:
        if request.method == "POST":
            return Response(502, b"<html>")
        return json_response({"data": [json_row(ANI) | {"status": "ACTIVE_NOT_MANAGED"}]})

    assert (await pause_with(reply)).outcome is Outcome.UNKNOWN
