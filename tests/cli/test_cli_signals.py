"""Signals that end the command: every action is recorded, as after Ctrl-C."""

import asyncio
import os
import pty
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from nrm_async import BatchReport, Outcome
from nrm_async.files import load_report
from nrm_async.sandbox import Sandbox
from nrm_async.sandbox.history import Books
from tests.cli.conftest import COMMAND, Done, finish, finish_with_open_input, pointing_at, start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

# Run the command with its standard input as the controlling terminal.
ON_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""

# Run the command with signals ignored, as under nohup or in the background of a shell.
IGNORING = """
import os, signal, sys
for name in ("SIGHUP", "SIGINT"):
    signal.signal(signal.Signals[name], signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""

Arrived = Callable[[int], asyncio.Event]


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> Arrived:
    """Return a function that creates an event, set after a number of requests to the sandbox."""
    events: dict[int, asyncio.Event] = {}
    arrive, count = Books.arrive, iter(range(1, 1_000_000))

    def spied(self: Books, *args: object) -> object:
        if (event := events.get(next(count))) is not None:
            event.set()
        return arrive(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Books, "arrive", spied)
    return lambda number: events.setdefault(number, asyncio.Event())


def check_against_books(report: BatchReport, sandbox: Sandbox) -> None:
    """Check that a report agrees with the sandbox's history."""
    booked = Counter(entry.ani for entry in sandbox.books)
    assert set(booked.values()) <= {1}
    applied = {result.ani for result in report.succeeded}
    unknown = {result.ani for result in report.by_outcome(Outcome.UNKNOWN)}
    assert applied <= booked.keys() <= applied | unknown
    assert booked.keys().isdisjoint(result.ani for result in report.retryable)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["report.csv", "report.jsonl.gz"])
@pytest.mark.fault(45)
async def test_signal_leaves_a_report_that_agrees_with_the_books(
    sandbox: Sandbox, arrived: Arrived, tmp_path: Path, ending: signal.Signals, name: str
) -> None:
    """The report contains every number, including those in flight; the exit code is 128 + n."""
    sandbox.inject("hang:schedule=60-,applied=true")
    report = tmp_path / name
    (tmp_path / "numbers.txt").write_text("\n".join(sandbox.phones))
    process = await start(
        *("remediate", "--file", str(tmp_path / "numbers.txt"), "--report", str(report)),
        environment=pointing_at(sandbox.url, sandbox.api_key),
    )
    await arrived(60).wait()
    process.send_signal(ending)
    done = await finish(process)
    assert done.code == 128 + ending
    saved = load_report(report)
    assert [result.ani for result in saved] == list(sandbox.phones)
    assert len(saved.succeeded) > 20
    assert saved.by_outcome(Outcome.UNKNOWN)
    check_against_books(saved, sandbox)
    assert "interrupted" in done.err
    assert "resume with: nrm-async remediate --retry" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("ending", ENDINGS)
async def test_signal_without_a_report_prints_the_results(
    sandbox: Sandbox, arrived: Arrived, ending: signal.Signals
) -> None:
    """Without ``--report``, the results so far are printed."""
    sandbox.inject("hang:schedule=4-,applied=true")
    process = await start(
        *("remediate", *sandbox.phones[:9], "--concurrency", "1"),
        environment=pointing_at(sandbox.url, sandbox.api_key),
    )
    await arrived(4).wait()
    process.send_signal(ending)
    done = await finish(process)
    assert done.code == 128 + ending
    assert "4 numbers" in done.out
    assert "3 applied, 1 unknown" in done.out


@pytest.mark.parametrize("ending", ENDINGS)
async def test_signal_ends_a_listing_quietly(
    sandbox: Sandbox, arrived: Arrived, ending: signal.Signals
) -> None:
    """An interrupted listing prints no message, because it changed nothing."""
    sandbox.inject("hang")
    process = await start("anis", environment=pointing_at(sandbox.url, sandbox.api_key))
    await arrived(1).wait()
    process.send_signal(ending)
    assert await finish(process) == Done(128 + ending, "", "")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGHUP, signal.SIGTERM),
    ],
)
async def test_second_signal_cuts_off_and_keeps_the_report(
    sandbox: Sandbox,
    arrived: Arrived,
    tmp_path: Path,
    first: signal.Signals,
    second: signal.Signals,
) -> None:
    """The report contains the inputs read so far, without waiting for an open standard input."""
    sandbox.inject("hang:schedule=4-,applied=true")
    report = tmp_path / "report.csv"
    process = await start(
        *("remediate", "-", "--concurrency", "1", "--report", str(report)),
        environment=pointing_at(sandbox.url, sandbox.api_key),
    )
    assert process.stdin is not None
    process.stdin.write("\n".join([*sandbox.phones[:20], ""]).encode())
    await arrived(4).wait()
    process.send_signal(first)
    process.send_signal(second)
    done = await finish_with_open_input(process)
    assert done.code == 128 + first, done.err
    saved = load_report(report)
    assert [result.ani for result in saved][:4] == list(sandbox.phones[:4])
    check_against_books(saved, sandbox)


@pytest.mark.parametrize("first", [signal.SIGHUP, signal.SIGTERM])
async def test_repeated_hangup_does_not_cut_off(
    sandbox: Sandbox, arrived: Arrived, tmp_path: Path, first: signal.Signals
) -> None:
    """SIGHUP after another signal is ignored, because a closed terminal sends several."""
    sandbox.inject("hang:schedule=4-,applied=true")
    report = tmp_path / "report.csv"
    (tmp_path / "numbers.txt").write_text("\n".join(sandbox.phones))
    process = await start(
        *("remediate", "--file", str(tmp_path / "numbers.txt"), "--report", str(report)),
        environment=pointing_at(sandbox.url, sandbox.api_key),
    )
    await arrived(4).wait()
    process.send_signal(first)
    for _ in range(50):
        process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0)
    # Pending signals are handled in numerical order.
    assert (await finish(process)).code in (128 + first, 128 + signal.SIGHUP)
    saved = load_report(report)
    assert [result.ani for result in saved] == list(sandbox.phones)
    check_against_books(saved, sandbox)


async def test_closed_terminal(sandbox: Sandbox, arrived: Arrived, tmp_path: Path) -> None:
    """The report is saved after the terminal is closed, although nothing can be printed."""
    sandbox.inject("hang:schedule=30-,applied=true")
    report = tmp_path / "report.csv"
    (tmp_path / "numbers.txt").write_text("\n".join(sandbox.phones))
    terminal, slave = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ON_TERMINAL, *COMMAND),
        *("remediate", "--file", str(tmp_path / "numbers.txt"), "--report", str(report)),
        env=pointing_at(sandbox.url, sandbox.api_key),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    await arrived(30).wait()
    os.close(terminal)
    assert await asyncio.wait_for(process.wait(), 60) == 128 + signal.SIGHUP
    saved = load_report(report)
    assert [result.ani for result in saved] == list(sandbox.phones)
    check_against_books(saved, sandbox)


async def test_ignored_signals_stay_ignored(
    sandbox: Sandbox, arrived: Arrived, tmp_path: Path
) -> None:
    """Signals ignored at start-up (e.g. by nohup) stay ignored; SIGTERM ends the command."""
    sandbox.inject("hang:schedule=4-,applied=true")
    report = tmp_path / "report.csv"
    process = await start(
        *("remediate", *sandbox.phones[:9], "--concurrency", "1", "--report", str(report)),
        environment=pointing_at(sandbox.url, sandbox.api_key),
        command=(sys.executable, "-c", IGNORING, *COMMAND),
    )
    await arrived(4).wait()
    # Pending signals are handled in numerical order, and the first sets the exit code.
    for ending in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        process.send_signal(ending)
    assert (await finish(process)).code == 128 + signal.SIGTERM
    check_against_books(load_report(report), sandbox)


async def test_signal_while_the_client_closes_prints_the_results(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A signal after the last result does not prevent the results from being printed."""
    program = """
import os, signal, sys
from nrm_async import NRMClient
from nrm_async.cli import main
close = NRMClient.aclose
async def aclose(self):
    os.kill(os.getpid(), signal.SIGTERM)
    await close(self)
NRMClient.aclose = aclose
main()
"""
    process = await start(
        *("remediate", *sandbox.phones[:3]),
        environment=pointing_at(sandbox.url, sandbox.api_key),
        command=(sys.executable, "-W", "error", "-c", program),
    )
    done = await finish(process)
    assert done.code == 128 + signal.SIGTERM
    assert "3 applied" in done.out
