"""What the client sends, and which arguments it refuses."""

import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from nrm_async import (
    APIError,
    ConfigurationError,
    InvalidRequestError,
    NRMClient,
    NRMError,
    Pause,
    RejectedError,
    __version__,
)
from tests.fakes import API_KEY, StubAPI

PAUSED = {"status": "paused", "ani": "2345678901"}
EMPTY_PAGE = {"count": 0, "total_anis": 0, "can_next_page": False, "total_pages": 0, "data": []}


async def test_headers_and_body_of_an_action(stub_api: StubAPI, client: NRMClient) -> None:
    """A bearer key, JSON, a User-Agent with the version, and only fields that are set."""
    stub_api.reply(PAUSED)
    receipt = await client.pause("+1 (234) 567-8901", carrier="130077")
    request = stub_api.requests[0]
    assert (request.method, request.path) == ("POST", "/nrm/pause")
    assert request.headers["Authorization"] == f"Bearer {API_KEY}"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == f"nrm-async/{__version__}"
    assert json.loads(stub_api.bodies[0]) == {"ani": "2345678901", "carrier": "130077"}
    assert (receipt.ani, receipt.status) == ("2345678901", "paused")


async def test_user_agent(stub_api: StubAPI) -> None:
    """The caller's product follows the client's own; the query has all filters."""
    stub_api.reply(EMPTY_PAGE)
    async with NRMClient(API_KEY, base_url=stub_api.url + "/", user_agent="dialer/2.1") as nrm:
        await nrm.list_anis(page=2, page_size=50, number="+1 (234)")
    request = stub_api.requests[0]
    assert request.headers["User-Agent"] == f"nrm-async/{__version__} dialer/2.1"
    assert request.path_qs == "/nrm/anis?page=2&page_size=50&number=234"


async def test_request_id(stub_api: StubAPI, client: NRMClient) -> None:
    """Receipts, pages and errors have it, because support asks for it."""
    stub_api.reply(PAUSED, headers={"x-request-id": "abc-1"})
    assert (await client.pause("2345678901")).request_id == "abc-1"
    stub_api.reply(EMPTY_PAGE, headers={"x-request-id": "abc-2"})
    assert (await client.list_anis()).request_id == "abc-2"
    stub_api.reply({"success": False, "message": "no"}, headers={"x-request-id": "abc-3"})
    with pytest.raises(RejectedError) as caught:
        await client.pause("2345678901")
    assert caught.value.request_id == "abc-3"


async def test_cookies_are_not_stored(stub_api: StubAPI) -> None:
    """A cookie of one response is not sent with the next request."""
    stub_api.reply(EMPTY_PAGE, headers={"Set-Cookie": "track=me; Path=/"})
    by_name = stub_api.url.replace(
        "127.0.0.1", "localhost"
    )  # cookies of bare addresses are never stored
    async with NRMClient(API_KEY, base_url=by_name) as client:
        await client.list_anis()
        await client.list_anis()
    assert "Cookie" not in stub_api.requests[1].headers


async def test_environment_sets_no_proxy_and_no_password(
    stub_api: StubAPI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Proxy variables and a netrc file are not read."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    stub_api.reply(EMPTY_PAGE)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        await nrm.list_anis()
    assert stub_api.requests[0].headers["Authorization"] == f"Bearer {API_KEY}"


async def test_proxy(stub_api: StubAPI) -> None:
    """An explicit proxy receives the request with its whole URL."""
    stub_api.reply(EMPTY_PAGE)
    proxy = stub_api.url.removesuffix("/nrm")
    async with NRMClient(API_KEY, base_url="http://127.0.0.2:1/nrm", proxy=proxy) as nrm:
        await nrm.list_anis()
    assert stub_api.requests[0].headers["Host"] == "127.0.0.2:1"


BAD_CALLS: dict[str, Any] = {
    "ani must not be empty": lambda nrm: nrm.pause(""),
    "ani must be digits": lambda nrm: nrm.remediate("23456x8901"),
    "ani must have 7 to 15 digits": lambda nrm: nrm.find_ani("123"),
    "carrier must be an id of six digits": lambda nrm: nrm.pause("2345678901", carrier="12345"),
    "date is required": lambda nrm: nrm.activate("2345678901", date=None),
    "date must be": lambda nrm: nrm.activate("2345678901", date="27/05/2026"),
    "page must be": lambda nrm: nrm.list_anis(page=0),
    "page_size must be": lambda nrm: nrm.list_anis(page_size=1001),
    "number must be digits": lambda nrm: nrm.inventory(number="abc"),
    "on_drift must be": lambda nrm: nrm.inventory(on_drift="ignore"),
    "concurrency must be": lambda nrm: nrm.pause_many([], concurrency=0),
    "a batch needs an iterable": lambda nrm: nrm.pause_many("2345678901"),
    "a batch needs an iterable or async": lambda nrm: nrm.run_batch(Pause("2345678901")),
    "carrier must be": lambda nrm: nrm.remediate_many(["2345678901"], carrier="x"),
    "date is required to": lambda nrm: nrm.activate_many(["2345678901"], date=None),
}


@pytest.mark.parametrize("problem", BAD_CALLS)
async def test_invalid_arguments(stub_api: StubAPI, client: NRMClient, problem: str) -> None:
    """The error names the argument and the rule, and nothing is sent."""
    with pytest.raises(InvalidRequestError, match=problem) as caught:
        await BAD_CALLS[problem](client)
    assert isinstance(caught.value, ValueError)
    assert caught.value.attempts == 0
    assert stub_api.requests == []


async def test_invalid_arguments_of_streams(client: NRMClient) -> None:
    """They are refused when the stream is created, not at its first row."""
    with pytest.raises(InvalidRequestError, match="page_size"):
        client.anis(page_size=0)
    with pytest.raises(InvalidRequestError, match="prefetch"):
        client.anis(prefetch=0)
    with pytest.raises(InvalidRequestError, match="concurrency"):
        client.stream_batch([], concurrency=0)


async def test_repr(client: NRMClient) -> None:
    """It shows the state, and not the key."""
    assert API_KEY not in repr(client)
    assert "opened" in repr(client)
    assert isinstance(APIError(500, "x"), NRMError)


async def test_ssl_context_that_stops_verifying() -> None:
    """Verification cannot be disabled after the client was made: nothing is sent."""
    context = ssl.create_default_context()
    nrm = NRMClient(API_KEY, ssl_context=context)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigurationError, match="ssl_context must verify"):
        await nrm.list_anis()
