"""Tests of the client against the sandbox: results match the sandbox's history."""

from datetime import UTC, datetime

import pytest

from nrm_async import (
    Activate,
    AuthenticationError,
    NRMClient,
    Outcome,
    Pause,
    RejectedError,
    Remediate,
)
from nrm_async.sandbox import Sandbox


async def test_thousands_of_pauses_agree_with_the_books() -> None:
    """Results are in input order and match the history, with at most 16 requests in flight."""
    async with Sandbox(anis=3_000, latency=0.002) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            inventory = await nrm.inventory()
            report = await nrm.pause_many(inventory)
        assert inventory.complete
        assert len(report) == 3_000
        assert [result.ani for result in report] == [ani.phone for ani in inventory]
        assert [result.input for result in report] == list(inventory)
        assert 1 < sandbox.max_in_flight <= 16
        applied = {result.ani for result in report.by_outcome(Outcome.APPLIED)}
        assert applied == {ani.phone for ani in inventory if ani.is_active}
        assert sorted(applied) == sorted(entry.ani for entry in sandbox.books.applied("pause"))
        for failed in report.failed:
            assert failed.outcome is Outcome.REJECTED
            assert failed.error.message == "Only active and managed ANIs can be paused"


async def test_pause_activate_remediate_and_refusals() -> None:
    """The client performs each action, and raises an error for each refusal."""
    async with Sandbox(anis=50) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            active = next(ani for ani in await nrm.inventory() if ani.is_active)
            assert (await nrm.pause(active)).status == "paused"
            resting = await nrm.find_ani(active)
            assert resting is not None
            assert not resting.is_active
            with pytest.raises(RejectedError, match="Only active"):
                await nrm.pause(active)
            today = datetime.now(UTC)
            assert (await nrm.activate(active, date=today)).status == "active"
            with pytest.raises(RejectedError, match="cooling off"):
                await nrm.activate(active, date=today)
            assert (await nrm.remediate(active)).status == "received request"
            with pytest.raises(RejectedError, match="within cooldown"):
                await nrm.remediate(active)
            with pytest.raises(RejectedError, match="not found"):
                await nrm.pause("9999999999")
            assert await nrm.find_ani("9999999999") is None


async def test_mixed_actions_streamed_in_order() -> None:
    """A stream of three action types yields results in input order."""
    async with Sandbox(anis=50) as sandbox:
        phone = next(ani for ani in sandbox.phones if "ACTIVE" in sandbox.status_of(ani))
        actions = [Pause(phone), Activate(phone, date="2026-01-01"), Remediate(phone)]
        async with (
            NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm,
            nrm.stream_batch(actions, concurrency=1, ordered=True) as results,
        ):
            seen = [(result.index, result.action, result.outcome) async for result in results]
    assert seen == [(index, action, Outcome.APPLIED) for index, action in enumerate(actions)]


async def test_wrong_key() -> None:
    """A wrong key raises an authentication error, in a single call and in a batch."""
    async with Sandbox(anis=5) as sandbox:
        for key in ("wrong-key", sandbox.restricted_key):
            async with NRMClient(key, base_url=sandbox.url) as nrm:
                with pytest.raises(AuthenticationError):
                    await nrm.list_anis()
                report = await nrm.pause_many(sandbox.phones)
                assert report.counts[Outcome.NOT_APPLIED] == 5


async def test_prefix_listing() -> None:
    """A prefix listing returns all matching numbers, over several pages."""
    async with Sandbox(anis=300) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            prefix = sandbox.phones[0][:3]
            rows = [ani.phone async for ani in nrm.anis(number=prefix, page_size=7)]
    assert sorted(rows) == sorted(phone for phone in sandbox.phones if phone.startswith(prefix))
