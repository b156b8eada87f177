"""Helpers of the tests of encoding and decoding: responses and rows, without sockets."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nrm_async._wire import Response, accept_page, read_page
from nrm_async.errors import NRMError
from nrm_async.models import Ani, AniPage

CONTRACT = Path(__file__).parents[1] / "contract"


def make_response(
    body: object = b"", status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Make a response: bytes stay as they are, anything else is encoded as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, raw, headers or {})


def read_page_reply(
    response: Response, page_number: int = 1, page_size: int = 1000
) -> AniPage | NRMError:
    """Accept and decode a page, as the client does."""
    accepted = accept_page(response)
    if isinstance(accepted, NRMError):
        return accepted
    return read_page(accepted, page_number, page_size)


def make_row(**fields: Any) -> dict[str, Any]:
    """Make a row with its two required fields."""
    return {"id": 1, "phone": "2345678901"} | fields


def read_rows(*rows: object, **envelope: Any) -> AniPage:
    """Decode a page with these rows."""
    page = read_page_reply(make_response({"data": rows} | envelope))
    assert isinstance(page, AniPage), page
    return page


def read_row(**fields: Any) -> Ani:
    """Decode a page of one valid row."""
    page = read_rows(make_row(**fields))
    assert not page.malformed
    return page[0]


@pytest.fixture(scope="session")
def documented_page() -> dict[str, Any]:
    """The example of a page in the API's documentation."""
    page: dict[str, Any] = json.loads((CONTRACT / "anis-success.json").read_bytes())
    return page
