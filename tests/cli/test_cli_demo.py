"""The demonstration: its steps, its figures, and the check against the sandbox's history."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from nrm_async.cli import demo
from nrm_async.sandbox import Books, Sandbox, generate
from tests.cli.conftest import Cli, finish, read_terminal, start


def count_unhealthy(anis: int) -> int:
    """Count the numbers that meet the rule, without using the SDK."""
    rows: list[Any] = list(generate(anis, 1, datetime.now(UTC).date()))
    return sum(
        row["blockRate"] >= 25
        and row["last30DaysDials"] >= 200
        and row["status"] == "ACTIVE_AND_BEING_MANAGED"
        for row in rows
    )


async def test_demo_prints_its_steps_and_figures(run_cli: Cli) -> None:
    """The output without a key includes the rule, the outcomes of each step and the figures."""
    done = await run_cli("demo")
    unhealthy = count_unhealthy(5_000)
    requests = 20 + unhealthy + 20 + 1 + 1
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    first = lines.index("Step applied confirmed rejected not applied unknown")
    assert (done.code, done.err) == (0, "")
    assert demo.RULE in done.out
    assert 'the API says: "Only active and managed ANIs can be paused"' in done.out
    assert lines[first + 1 : first + 5] == [
        f"Pause the unhealthy {unhealthy} 0 0 0 0",
        "Remediate the worst 20 20 0 0 0 0",
        "Activate a rested one 1 0 0 0 0",
        "Pause one once more 0 0 1 0 0",
    ]
    assert lines[-1].startswith(
        f"5,000 numbers listed, {unhealthy} unhealthy, {unhealthy} paused, 20 remediated, "
        f"1 activated, 1 refused; {requests} requests, at most 16 in flight"
    )
    assert lines[-1].endswith("the sandbox's history matches these figures.")
    assert done.out.replace("\n", "").isprintable(), "a pipe gets no control characters"


async def test_demo_as_json(run_cli: Cli) -> None:
    """The output is one JSON object with the figures."""
    done = await run_cli("demo", "--json", "--anis", "1000")
    figures = json.loads(done.out)
    assert done.out.count("\n") == 1
    assert figures["listed"] == 1000
    assert figures["books_agree"] is True
    assert figures["paused"] == figures["unhealthy"] == count_unhealthy(1_000)
    assert figures["refusals"] == ["Only active and managed ANIs can be paused"]


async def test_demo_without_unhealthy_numbers(run_cli: Cli) -> None:
    """The demonstration succeeds if no number is unhealthy."""
    done = await run_cli("demo", "--anis", "1", "--seed", "2")
    assert done.code == 0
    assert "1 number listed, 0 unhealthy, 0 paused" in done.out


async def test_demo_fails_if_the_books_differ(
    run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 1 if the results differ from the sandbox's history."""
    monkeypatch.setattr(Sandbox, "books", Books())
    done = await run_cli("demo", "--anis", "200")
    assert done.code == 1
    assert "history DOES NOT MATCH these figures" in done.out


async def test_demo_fails_if_the_listing_differs(
    run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 1 if the listing differs from the sandbox's inventory."""
    monkeypatch.setattr(Sandbox, "phones", ("2345678901",))
    assert (await run_cli("demo", "--anis", "200")).code == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
async def test_demo_on_a_terminal_draws_bars() -> None:
    """Bars are drawn, and the last line is the same as in a pipe."""
    ours, theirs = os.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "200"}
    process = await start("demo", "--anis", "500", environment=environment, stdout=theirs)
    os.close(theirs)
    shown, done = await asyncio.gather(asyncio.to_thread(read_terminal, ours), finish(process))
    assert (done.code, done.err) == (0, "")
    assert "Listing" in shown
    assert "Pausing" in shown
    assert "\x1b[" in shown
    assert "history matches these figures." in shown.splitlines()[-1]
