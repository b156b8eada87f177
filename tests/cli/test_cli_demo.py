"""The demonstration: it ends with figures that are checked, and shows them the same anywhere."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from nrm_async.cli import demo
from nrm_async.sandbox import Books, Sandbox, generate
from tests.cli.conftest import COMMAND, Cli


def unhealthy(anis: int) -> int:
    """How many numbers the rule finds, counted without the SDK."""
    rows: list[Any] = list(generate(anis, 1, datetime.now(UTC).date()))
    return sum(
        row["blockRate"] >= 25
        and row["last30DaysDials"] >= 200
        and row["status"] == "ACTIVE_AND_BEING_MANAGED"
        for row in rows
    )


async def test_demo_ends_with_a_summary_that_the_books_agree_with(anywhere: Cli) -> None:
    """It succeeds without a key, and its last line has all the figures."""
    done = await anywhere("demo")
    *_, last = done.out.splitlines()
    bad = unhealthy(5_000)
    requests = 20 + bad + 20 + 1 + 1
    assert (done.code, done.err) == (0, "")
    assert last.startswith(f"5,000 numbers listed, {bad} unhealthy, {bad} paused, 20 remediated, ")
    assert f"1 activated, 1 refused; {requests} requests, at most 16 at once" in last
    assert last.endswith("the sandbox's books agree with this.")


async def test_demo_tells_its_rule_and_the_words_of_the_refusal(anywhere: Cli) -> None:
    """Whoever reads it learns why a number was paused and why another was not."""
    done = await anywhere("demo", "--anis", "100", "--seed", "2")
    assert demo.RULE in done.out
    assert 'the API says: "Only active and managed ANIs can be paused"' in done.out


async def test_demo_shows_the_outcomes_of_each_step(anywhere: Cli) -> None:
    """The table has a column for every outcome and a row for every step."""
    done = await anywhere("demo", "--anis", "1000")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    begin = lines.index("Step applied confirmed rejected not applied unknown")
    assert lines[begin + 1 : begin + 5] == [
        f"Pause the unhealthy {unhealthy(1_000)} 0 0 0 0",
        "Remediate the worst 20 20 0 0 0 0",
        "Activate a rested one 1 0 0 0 0",
        "Pause one once more 0 0 1 0 0",
    ]


async def test_demo_in_a_pipe_has_no_control_characters(anywhere: Cli) -> None:
    """No bar, no colour, no trick of the terminal gets into a file."""
    done = await anywhere("demo", "--anis", "200")
    assert done.out.replace("\n", "").isprintable()


async def test_demo_as_json_is_one_object(anywhere: Cli) -> None:
    """Programs get the same figures, on one line and nothing else."""
    done = await anywhere("demo", "--json", "--anis", "1000")
    figures = json.loads(done.out)
    assert done.out.count("\n") == 1
    assert figures["listed"] == 1000
    assert figures["books_agree"] is True
    assert figures["paused"] == figures["unhealthy"] == unhealthy(1_000)
    assert figures["refusals"] == ["Only active and managed ANIs can be paused"]


async def test_demo_of_one_number_has_little_to_do(anywhere: Cli) -> None:
    """An inventory without unhealthy numbers is no failure."""
    done = await anywhere("demo", "--anis", "1")
    assert done.code == 0
    assert "1 number listed, 0 unhealthy, 0 paused" in done.out


async def test_demo_fails_if_the_books_tell_another_story(
    anywhere: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agreement is checked, not claimed."""
    monkeypatch.setattr(Sandbox, "books", Books())
    done = await anywhere("demo", "--anis", "200")
    assert done.code == 1
    assert "books DO NOT AGREE with this" in done.out


async def test_demo_fails_if_a_number_was_not_listed(
    anywhere: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was listed is checked too."""
    monkeypatch.setattr(Sandbox, "phones", ("2345678901",))
    assert (await anywhere("demo", "--anis", "200")).code == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
async def test_demo_on_a_terminal_shows_bars_and_ends_the_same() -> None:
    """Bars move on a terminal; the figures below them are those of a pipe."""
    import pty  # noqa: PLC0415 - not on every platform

    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "demo", "--anis", "500", stdout=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "200"},
    )  # fmt: skip
    os.close(theirs)
    shown = await asyncio.to_thread(_read_all, ours)
    assert await process.wait() == 0
    assert "Listing" in shown
    assert "Pausing" in shown
    assert "\x1b[" in shown
    assert "books agree with this." in shown.splitlines()[-1]


def _read_all(descriptor: int) -> str:
    chunks = []
    try:
        while chunk := os.read(descriptor, 65536):
            chunks.append(chunk)
    except OSError:  # how Linux ends a pseudo-terminal
        pass
    os.close(descriptor)
    return b"".join(chunks).decode()
