"""Typed uses of the public API: never run, read by the type checker, which must find no fault."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, timedelta
from typing import Literal, assert_type

import aiohttp

from nrm_async import (
    Activate,
    Ani,
    AniPage,
    AniStream,
    BatchReport,
    BreakerState,
    CallResult,
    Change,
    ClientStats,
    Drift,
    Event,
    Failed,
    Inventory,
    InventoryDiff,
    NRMClient,
    NRMError,
    Outcome,
    PageStream,
    Pause,
    RateLimitError,
    Receipt,
    Remediate,
    RetryPolicy,
    Succeeded,
    Summary,
    Timeouts,
    diff,
)
from nrm_async.events import CallFinished, ItemFinished, Observer
from nrm_async.files import (
    BadInput,
    load_inventory,
    load_report,
    read_actions,
    read_anis,
    save_anis,
    save_inventory,
    save_report,
    save_results,
)
from nrm_async.otel import OpenTelemetryObserver


async def construct(session: aiohttp.ClientSession) -> None:
    NRMClient()
    NRMClient("key", base_url="https://example.org/nrm", max_concurrency=8, max_rate=5, timeout=9)
    NRMClient(timeout=Timeouts(attempt=5, call=60), retry=RetryPolicy(max_retries=2))
    NRMClient(session=session, user_agent="dialer/2", proxy="http://localhost:3128")
    async with NRMClient() as client:
        assert_type(client, NRMClient)


async def read(client: NRMClient) -> None:
    page = await client.list_anis(page=2, page_size=100, number="234")
    assert_type(page, AniPage)
    assert_type(page[0], Ani)
    assert_type(page[:2], tuple[Ani, ...])
    stream = client.anis(number="234", prefetch=4)
    assert_type(stream, AniStream)
    assert_type(stream.pages(), PageStream)
    async for ani in stream:
        assert_type(ani, Ani)
        assert_type(ani.id, int | str)
        assert_type(ani.date_activated, date | None)
        assert_type(ani.created_at, datetime | None)
        assert_type(ani.is_active, bool)
    inventory = await client.inventory(on_drift="report")
    assert_type(inventory, Inventory)
    assert_type([row.phone for row in inventory], list[str])
    assert_type(inventory.by_phone("2345678901"), Ani | None)
    assert_type(inventory.where(lambda row: row.is_active, state="TX"), Inventory)
    assert_type(inventory.group_by(lambda row: len(row.phone)), dict[int, Inventory])
    assert_type(inventory.summary(), Summary)
    assert_type(inventory.started, datetime | None)
    assert_type(stream.drift, Drift)
    assert_type(await client.find_ani("2345678901"), Ani | None)


async def watch(client: NRMClient, saved: Inventory) -> None:
    async for found in client.watch(every=timedelta(minutes=5), start=saved, on_error=print):
        assert_type(found, InventoryDiff)
        assert_type(found.added, tuple[Ani, ...])
        assert_type(found.changed, tuple[Change, ...])
    assert_type(diff(saved, await client.inventory()), InventoryDiff)


async def act(client: NRMClient, ani: Ani) -> None:
    assert_type(await client.pause(ani, carrier="130077", date=date(2026, 5, 27)), Receipt)
    assert_type(await client.activate("2345678901", date="20260527120000"), Receipt)
    assert_type(await client.remediate(2345678901, note="Spam tag identified"), Receipt)
    try:
        await client.pause(ani)
    except RateLimitError as error:
        assert_type(error.retry_after, float | None)
        assert_type(error.status, int)
    except NRMError as error:
        assert_type(error.maybe_applied, bool)


async def numbers() -> AsyncIterator[str]:
    yield "2345678901"


async def act_on_many(client: NRMClient, anis: list[Ani]) -> None:
    def progress(result: CallResult) -> None:
        print(result.index)

    async def progress_later(result: CallResult) -> None:
        print(result.ani)

    report = await client.pause_many(anis, on_result=progress)
    assert_type(report, BatchReport)
    await client.pause_many(["2345678901", 2345678902, anis[0], Pause("2345678903")])
    await client.pause_many(numbers(), concurrency=4, on_result=progress_later)
    await client.activate_many((ani.phone for ani in anis), date=date(2026, 5, 27))
    await client.remediate_many(await client.inventory())
    mixed = [
        Pause("2345678901"),
        Activate("2345678902", date="2026-05-27"),
        Remediate("2345678903"),
    ]
    report = await client.run_batch(mixed)
    await client.run_batch(report.retryable)
    assert_type(report.counts[Outcome.APPLIED], int)
    assert_type(report.succeeded, tuple[Succeeded, ...])
    assert_type(report.failed, tuple[Failed, ...])
    assert_type(report[0], CallResult)
    streamed = client.stream_batch(mixed, ordered=True)
    assert_type(streamed, AbstractAsyncContextManager[AsyncIterator[CallResult]])
    async with streamed as results:
        async for result in results:
            narrow(result)


async def files(client: NRMClient, inventory: Inventory, report: BatchReport) -> None:
    assert_type(save_inventory("numbers.csv", inventory, for_spreadsheet=True), int)
    assert_type(save_report("report.parquet", report), int)
    assert_type(await save_anis("numbers.bin", client.anis(), format="jsonl"), int)
    assert_type(load_inventory("numbers.csv"), Inventory)
    assert_type(load_report("report.csv"), BatchReport)
    assert_type(next(read_anis("numbers.csv")), Ani)
    assert_type(next(read_actions("numbers.csv", Pause)), Pause | Activate | Remediate | BadInput)
    await client.run_batch(read_actions("numbers.csv"))
    await client.pause_many(read_actions("numbers.csv", Pause, note="rest"))
    async with client.stream_batch(read_actions("numbers.csv")) as results:
        assert_type(await save_results("report.jsonl", results), int)


def narrow(result: CallResult) -> None:
    assert_type(result.outcome, Outcome)
    if result.ok:
        assert_type(result, Succeeded)
        assert_type(result.receipt, Receipt)
        assert_type(result.ok, Literal[True])
    else:
        assert_type(result, Failed)
        assert_type(result.error, NRMError)


def match(result: CallResult) -> str:
    match result:
        case Succeeded(receipt=receipt):
            return receipt.status
        case Failed(error=error):
            return error.message


def observe(event: Event) -> None:
    match event:
        case CallFinished(outcome=outcome, is_cancelled=is_cancelled):
            assert_type(outcome, Outcome | None)
            assert_type(is_cancelled, bool)
        case ItemFinished(result=result):
            narrow(result)


def see() -> None:
    observer: Observer = observe
    NRMClient(on_event=observer)
    client = NRMClient(on_event=OpenTelemetryObserver())
    stats = client.stats()
    assert_type(stats, ClientStats)
    assert_type(stats.rate, float | None)
    assert_type(stats.breaker, BreakerState)
    assert_type(stats.outcomes[Outcome.APPLIED], int)
