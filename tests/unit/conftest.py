"""What the socket-free tests share: answers made by hand, and the documented payloads."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nrm_async._wire import Response

CONTRACT = Path(__file__).parents[1] / "contract"


def _answer(
    body: object = b"", status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, raw, headers or {})


@pytest.fixture(scope="session")
def answer() -> Callable[..., Response]:
    """How to make an answer: bytes as they stand, anything else as JSON."""
    return _answer


@pytest.fixture(scope="session")
def documented_page() -> dict[str, Any]:
    """The documentation's example of a page."""
    page: dict[str, Any] = json.loads((CONTRACT / "anis-success.json").read_bytes())
    return page
