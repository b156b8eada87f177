"""A demonstration: a morning's work on a sandbox, checked against the sandbox's own books."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from rich.console import Console

from nrm_async import Ani, BatchReport, NRMClient, Outcome
from nrm_async.cli.bars import Bars
from nrm_async.cli.run import FAILED, OK
from nrm_async.cli.show import Column, console, counted, json_line, line, table
from nrm_async.sandbox import Sandbox

BLOCK_RATE: Final = 25  # percent
FEWEST_DIALS: Final = 200
RULE: Final = (
    f"active, and at least {BLOCK_RATE} % blocked over at least {FEWEST_DIALS} dials "
    "in the last 30 days"
)

_WORST: Final = 20
_PAGE_SIZE: Final = 250  # small pages, so that there are many to fetch at once
_LATENCY: Final = 0.005  # seconds; enough to show what doing things at once is worth
_COLUMNS: Final = (
    Column("Step", 24),
    *(Column(outcome.value.replace("_", " "), is_number=True) for outcome in Outcome),
)


@attrs.frozen
class Step:
    """One step of the demonstration; ``action`` is its name in the sandbox's books."""

    title: str
    action: str
    report: BatchReport

    @property
    def applied(self) -> int:
        """How many actions took effect, says the report."""
        return len(self.report.succeeded)


@attrs.define
class Demo:
    """The work, step by step, and what it says on the way."""

    client: NRMClient
    screen: Console
    steps: list[Step] = attrs.field(factory=list, init=False)

    async def list_all(self) -> list[Ani]:
        """Every number, page by page."""
        rows: list[Ani] = []
        async with self.client.anis(page_size=_PAGE_SIZE).pages() as pages:
            async for page in pages:
                rows.extend(page)
        line(self.screen, f"Listed {counted(len(rows))}, in pages of {_PAGE_SIZE}.")
        return rows

    async def pause(self, anis: Sequence[Ani]) -> None:
        """Rest them, in bulk."""
        report = await self.client.pause_many(anis, note="resting")
        self._done("Pause the unhealthy", "pause", report)

    async def remediate(self, anis: Sequence[Ani]) -> None:
        """Ask carriers to clear their labels."""
        report = await self.client.remediate_many(anis, note="Spam tag identified")
        self._done(f"Remediate the worst {len(anis)}", "remediate", report)

    async def activate(self, anis: Sequence[Ani]) -> None:
        """Bring them back today."""
        today = datetime.now(UTC).date()  # the sandbox takes dates to be in UTC
        report = await self.client.activate_many(anis, date=today)
        self._done("Activate a rested one", "activate", report)

    async def pause_again(self, anis: Sequence[Ani]) -> None:
        """Provoke a refusal: they are resting already."""
        report = await self.client.pause_many(anis)
        for result in report.failed:
            line(
                self.screen,
                f'Pausing {result.ani} once more, the API says: "{result.error.message}"',
            )
        self._done("Pause one once more", "pause", report)

    def _done(self, title: str, action: str, report: BatchReport) -> None:
        self.steps.append(Step(title, action, report))


def is_unhealthy(ani: Ani) -> bool:
    """The rule, as it is printed."""
    return ani.is_active and ani.is_blocked_at(BLOCK_RATE, min_dials=FEWEST_DIALS)


async def demo(anis: int, seed: int, *, as_json: bool) -> int:
    """Run the demonstration; the exit code says whether the books agree with it."""
    screen = console(quiet=as_json)
    line(screen, f"A sandbox with {counted(anis)}; each answer takes {_LATENCY * 1000:g} ms.")
    async with Sandbox(anis, seed, latency=_LATENCY) as sandbox:
        started = asyncio.get_running_loop().time()
        with Bars(screen) as bars:
            async with NRMClient(sandbox.api_key, base_url=sandbox.url, on_event=bars) as client:
                work = Demo(client, screen)
                rows, unhealthy = await _work_through(work)
        elapsed = asyncio.get_running_loop().time() - started
    figures = _figures(work.steps, rows, unhealthy, sandbox, elapsed)
    if as_json:
        json_line(figures)
    else:
        _show(screen, work.steps, figures)
    return OK if figures["books_agree"] else FAILED


async def _work_through(work: Demo) -> tuple[list[Ani], list[Ani]]:
    rows = await work.list_all()
    unhealthy = sorted(filter(is_unhealthy, rows), key=lambda ani: -(ani.block_rate or 0))
    line(work.screen, f"Unhealthy is what is {RULE}: {counted(len(unhealthy))}.")
    rested = [ani for ani in rows if not ani.is_active][:1]
    await work.pause(unhealthy)
    await work.remediate(unhealthy[:_WORST])
    await work.activate(rested)
    await work.pause_again(unhealthy[:1])
    return rows, unhealthy


def books_agree(steps: Sequence[Step], rows: Sequence[Ani], sandbox: Sandbox) -> bool:
    """Whether the sandbox holds what was listed, and applied what was reported, each once."""
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
        "steps": {step.title: _counts(step) for step in steps},
    }


def _counts(step: Step) -> dict[str, int]:
    return {outcome.value: count for outcome, count in step.report.counts.items()}


def _show(screen: Console, steps: Sequence[Step], figures: dict[str, Any]) -> None:
    line(screen, "")
    table(screen, _COLUMNS, ([step.title, *step.report.counts.values()] for step in steps))
    line(screen, "")
    agreement = "agree" if figures["books_agree"] else "DO NOT AGREE"
    line(
        screen,
        "{numbers} listed, {unhealthy:,} unhealthy, {paused:,} paused, "
        "{remediated:,} remediated, {activated:,} activated, {refused:,} refused; "
        "{requests:,} requests, at most {most_at_once} at once, in {seconds:.2f} s; "
        "the sandbox's books {agreement} with this.".format(
            **figures, numbers=counted(figures["listed"]), agreement=agreement
        ),
    )
