"""The client with aioresponses, which replaces the session's public methods."""

import json
from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses
from yarl import URL

from nrm_async import NRMClient, Outcome, RejectedError
from tests.fakes import API_KEY, numbers

API = "https://api.outboundiq.cloud/nrm"


def applied(url: URL, **request: Any) -> CallbackResult:
    """Reply to a pause as the API does."""
    body = json.loads(request["data"])
    return CallbackResult(payload={"status": "paused", "ani": body["ani"]})


async def test_batch() -> None:
    """As with a server: one result for each input, in input order, all applied."""
    anis = numbers(200)
    with aioresponses() as mock:
        mock.post(f"{API}/pause", callback=applied, repeat=True)
        async with NRMClient(API_KEY) as nrm:
            report = await nrm.pause_many(anis)
        assert mock.requests is not None
        sent = mock.requests["POST", URL(f"{API}/pause")]
    assert [result.ani for result in report] == anis
    assert report.counts[Outcome.APPLIED] == len(report) == 200
    assert len(sent) == 200
    assert sent[0].kwargs["headers"]["Authorization"] == f"Bearer {API_KEY}"
    assert API_KEY not in repr(sent[0])


async def test_listing() -> None:
    """Pages differ in their query."""
    with aioresponses() as mock:
        for page in (1, 2, 3):
            rows = [{"id": page, "phone": str(2_000_000_000 + page)}]
            mock.get(
                f"{API}/anis?page={page}&page_size=1",
                payload={"data": rows, "total_pages": 3, "can_next_page": page < 3},
            )
        async with NRMClient(API_KEY) as nrm:
            assert [ani.id async for ani in nrm.anis(page_size=1)] == [1, 2, 3]


async def test_errors() -> None:
    """Statuses, bodies and exceptions have the same meaning as those of a server."""
    with aioresponses() as mock:
        refusal = {"success": False, "message": "Only active and managed ANIs can be paused"}
        mock.post(f"{API}/pause", payload=refusal, status=400)
        mock.post(f"{API}/pause", exception=ConnectionResetError("reset"))
        mock.post(f"{API}/pause", timeout=True)
        async with NRMClient(API_KEY, on_unknown="report") as nrm:
            with pytest.raises(RejectedError, match="Only active"):
                await nrm.pause("2345678901")
            report = await nrm.pause_many(["2345678901", "2345678902"])
    assert report.counts[Outcome.UNKNOWN] == 2
