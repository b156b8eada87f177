"""A demonstration: act on a sandbox, and check the results against the sandbox's history."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from rich.console import Console

from nrm_async import Ani, BatchReport, NRMClient, Outcome
from nrm_async.cli.console import (
    Column,
    ProgressBars,
    pluralize,
    print_json,
    print_line,
    print_table,
    stdout_console,
)
from nrm_async.cli.exit_codes import FAILED, OK
from nrm_async.cli.inputs import outcome_text
from nrm_async.sandbox import Sandbox

_BLOCK_RATE: Final = 25  # percent
_MIN_DIALS: Final = 200
RULE: Final = (
    f"active, and at least {_BLOCK_RATE} % blocked over at least {_MIN_DIALS} dials "
    "in the last 30 days"
)

_REMEDIATED: Final = 20
_PAGE_SIZE: Final = 250  # small enough that several pages are fetched concurrently
_LATENCY: Final = 0.005  # seconds; enough to show the benefit of concurrency
_COLUMNS: Final = (
    Column("Step", 24),
    *(Column(outcome_text(outcome), is_number=True) for outcome in Outcome),
)


@attrs.frozen
class Step:
    """A step of the demonstration, with the name of its action in ``Sandbox.books``."""

    title: str
    action: str
    report: BatchReport

    @property
    def applied(self) -> int:
        """Number of actions that were applied, according to the report."""
        return len(self.report.succeeded)


@attrs.define
class Demo:
    """A demonstration that records a report for each step."""

    client: NRMClient
    console: Console
    steps: list[Step] = attrs.field(factory=list, init=False)

    async def list_all(self) -> list[Ani]:
        """Return all numbers, reading page by page."""
        rows: list[Ani] = []
        async with self.client.anis(page_size=_PAGE_SIZE).pages() as pages:
            async for page in pages:
                rows.extend(page)
        print_line(self.console, f"Listed {pluralize(len(rows))}, in pages of {_PAGE_SIZE}.")
        return rows

    async def pause(self, anis: Sequence[Ani]) -> None:
        """Pause numbers in bulk."""
        report = await self.client.pause_many(anis, note="resting")
        self._done("Pause the unhealthy", "pause", report)

    async def remediate(self, anis: Sequence[Ani]) -> None:
        """Ask carriers to remove spam labels from numbers."""
        report = await self.client.remediate_many(anis, note="Spam tag identified")
        self._done(f"Remediate the worst {len(anis)}", "remediate", report)

    async def activate(self, anis: Sequence[Ani]) -> None:
        """Activate numbers with today's date."""
        today = datetime.now(UTC).date()  # the sandbox interprets dates in UTC
        report = await self.client.activate_many(anis, date=today)
        self._done("Activate a rested one", "activate", report)

    async def pause_again(self, anis: Sequence[Ani]) -> None:
        """Pause numbers that are already paused, which the API refuses."""
        report = await self.client.pause_many(anis)
        for result in report.failed:
            message = f'Pausing {result.ani} once more, the API says: "{result.error.message}"'
            print_line(self.console, message)
        self._done("Pause one once more", "pause", report)

    def _done(self, title: str, action: str, report: BatchReport) -> None:
        self.steps.append(Step(title, action, report))


def is_unhealthy(ani: Ani) -> bool:
    """Return whether the number meets ``RULE``."""
    return ani.is_active and ani.is_blocked_at(_BLOCK_RATE, min_dials=_MIN_DIALS)


async def demo(anis: int, seed: int, *, as_json: bool) -> int:
    """Run the demonstration; return ``OK`` if the sandbox's history matches the reports."""
    console = stdout_console(quiet=as_json)
    print_line(
        console, f"A sandbox with {pluralize(anis)}; each response takes {_LATENCY * 1000:g} ms."
    )
    async with Sandbox(anis, seed, latency=_LATENCY) as sandbox:
        started = asyncio.get_running_loop().time()
        with ProgressBars(console) as bars:
            async with NRMClient(sandbox.api_key, base_url=sandbox.url, on_event=bars) as client:
                work = Demo(client, console)
                rows, unhealthy = await _run_steps(work)
        elapsed = asyncio.get_running_loop().time() - started
    figures = _figures(work.steps, rows, unhealthy, sandbox, elapsed)
    if as_json:
        print_json(figures)
    else:
        _print_summary(console, work.steps, figures)
    return OK if figures["books_agree"] else FAILED


async def _run_steps(work: Demo) -> tuple[list[Ani], list[Ani]]:
    rows = await work.list_all()
    unhealthy = sorted(filter(is_unhealthy, rows), key=lambda ani: -(ani.block_rate or 0))
    print_line(work.console, f"Unhealthy means {RULE}: {pluralize(len(unhealthy))}.")
    paused = [ani for ani in rows if not ani.is_active][:1]
    await work.pause(unhealthy)
    await work.remediate(unhealthy[:_REMEDIATED])
    await work.activate(paused)
    await work.pause_again(unhealthy[:1])
    return rows, unhealthy


def books_agree(steps: Sequence[Step], rows: Sequence[Ani], sandbox: Sandbox) -> bool:
    """Return whether the rows match the inventory and each reported action was applied once."""
    reported = Counter((step.action, done.ani) for step in steps for done in step.report.succeeded)
    booked = Counter((entry.action, entry.ani) for entry in sandbox.books)
    return reported == booked and [row.phone for row in rows] == list(sandbox.phones)


def _figures(
    steps: Sequence[Step],
    rows: Sequence[Ani],
    unhealthy: Sequence[Ani],
    sandbox: Sandbox,
    elapsed: float,
) -> dict[str, Any]:
    paused, remediated, activated, _again = steps
    refusals = [r for step in steps for r in step.report.by_outcome(Outcome.REJECTED)]
    return {
        "listed": len(rows),
        "rule": RULE,
        "unhealthy": len(unhealthy),
        "paused": paused.applied,
        "remediated": remediated.applied,
        "activated": activated.applied,
        "refused": len(refusals),
        "refusals": [r.error.message for r in refusals if not r.ok],
        "requests": sandbox.requests,
        "most_at_once": sandbox.max_in_flight,
        "seconds": round(elapsed, 3),
        "books_agree": books_agree(steps, rows, sandbox),
        "steps": {
            step.title: {outcome.value: count for outcome, count in step.report.counts.items()}
            for step in steps
        },
    }


def _print_summary(console: Console, steps: Sequence[Step], figures: dict[str, Any]) -> None:
    print_line(console, "")
    print_table(console, _COLUMNS, ([step.title, *step.report.counts.values()] for step in steps))
    print_line(console, "")
    agreement = "matches" if figures["books_agree"] else "DOES NOT MATCH"
    print_line(
        console,
        "{numbers} listed, {unhealthy:,} unhealthy, {paused:,} paused, "
        "{remediated:,} remediated, {activated:,} activated, {refused:,} refused; "
        "{requests:,} requests, at most {most_at_once} in flight, in {seconds:.2f} s; "
        "the sandbox's history {agreement} these figures.".format(
            **figures, numbers=pluralize(figures["listed"]), agreement=agreement
        ),
    )
