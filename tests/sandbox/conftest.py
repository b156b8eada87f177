"""Shared helpers for the sandbox tests: an HTTP caller and state snapshots."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Self

import aiohttp
import pytest
from attrs import frozen

from nrm_async.sandbox import Row, Sandbox

START = datetime(2026, 5, 27, 12, tzinfo=UTC)
ACTIVE, COOLING = "ACTIVE_AND_BEING_MANAGED", "COOLING_OFF"
JSON = "application/json"


@frozen
class Got:
    """A response: the status, the decoded JSON and the headers."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Caller:
    """A sandbox with an HTTP session, and a clock controlled by the test."""

    def __init__(self, **settings: Any) -> None:
        self.now = START
        self.sandbox = Sandbox(30, now=lambda: self.now, **settings)
        self.session = aiohttp.ClientSession()

    async def call(self, method: str, path: str, *, key: str | None = None, **more: Any) -> Got:
        """Call the API with the key, and check the properties common to all responses."""
        headers = {"Authorization": f"Bearer {key or self.sandbox.api_key}"} | more.pop(
            "headers", {}
        )
        url = self.sandbox.url + path
        async with self.session.request(method, url, headers=headers, **more) as answer:
            assert answer.headers["x-request-id"]
            assert answer.content_type == JSON
            return Got(answer.status, await answer.json(), answer.headers)

    async def act(self, action: str, **fields: object) -> Got:
        return await self.call("POST", f"/{action}", json=fields)

    async def control(self, method: str, path: str, **more: Any) -> Got:
        """Call a control endpoint, which requires no key."""
        url = self.sandbox.root_url + path
        async with self.session.request(method, url, **more) as answer:
            assert answer.content_type == JSON
            return Got(answer.status, await answer.json(), answer.headers)

    def first(self, status: str) -> str:
        rows: tuple[Row, ...] = self.sandbox.state.rows
        return next(str(row["phone"]) for row in rows if row["status"] == status)

    async def __aenter__(self) -> Self:
        await self.sandbox.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.session.close()
        await self.sandbox.stop()


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    """Provide a running sandbox with 30 ANIs."""
    async with Caller() as caller:
        yield caller


def snapshot(sandbox: Sandbox) -> tuple[object, ...]:
    """Return the complete state of a sandbox, for comparison."""
    state, books = sandbox.state, sandbox.books
    return (state.rows, state.scheduled, tuple(books), books.requests(), sandbox.clock.setting)
