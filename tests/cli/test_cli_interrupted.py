"""Interrupted batches: the report contains the remaining inputs, and ``--retry`` sends them."""

import asyncio
import json
import os
import shlex
import signal
import sys
from collections import Counter
from pathlib import Path

import attrs
import pytest
from aiohttp import web

from nrm_async import BatchReport, Outcome, OutcomeUnknownError, Pause, Remediate
from nrm_async.cli.inputs import Input, Inputs
from nrm_async.files import load_report, save_report
from nrm_async.sandbox import Sandbox
from tests.cli.conftest import (
    Cli,
    Done,
    PointAt,
    finish,
    finish_with_open_input,
    pointing_at,
    start,
)
from tests.cli.test_cli_inputs import failed
from tests.fakes import API_KEY, StubAPI

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes of POSIX")

NUMBERS = [str(2_345_678_900 + number) for number in range(40)]


@attrs.define
class HoldingAPI:
    """An API that responds to some remediations and holds the next one."""

    stub: StubAPI
    answered: int
    requests: Counter[str] = attrs.field(factory=Counter)
    held: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        ani = json.loads(self.stub.bodies[-1])["ani"]
        self.requests[ani] += 1
        if self.requests.total() == self.answered + 1:
            self.held.set()
            await asyncio.Event().wait()
        return web.json_response({"status": "received request", "ani": ani})

    async def interrupt(self, *arguments: str, given: str = "") -> asyncio.subprocess.Process:
        """Start the command and send SIGINT while a request is held."""
        environment = pointing_at(self.stub.url, API_KEY)
        process = await start(*arguments, "--concurrency", "1", environment=environment)
        assert process.stdin is not None
        process.stdin.write(given.encode())
        await self.held.wait()
        process.send_signal(signal.SIGINT)
        return process


@pytest.fixture
def holding(stub_api: StubAPI) -> HoldingAPI:
    """An API that holds the fourth remediation."""
    api = HoldingAPI(stub_api, answered=3)
    stub_api.answer = api.answer
    return api


def resume_command(done: Done) -> list[str]:
    """Return the arguments of the resume command in the last line of standard error."""
    return shlex.split(done.err.splitlines()[-1].removeprefix("nrm-async: resume with: "))


@posix
@pytest.mark.parametrize(
    ("way", "name"),
    [("file", "report.csv"), ("arguments", "report.csv"), ("input", "report.jsonl.gz")],
)
async def test_retry_runs_exactly_the_rest(
    run_cli: Cli, point_at: PointAt, holding: HoldingAPI, tmp_path: Path, way: str, name: str
) -> None:
    """Every number is sent exactly once, and the last line is the resume command."""
    numbers, report = tmp_path / "numbers.txt", tmp_path / name
    numbers.write_text("\n".join([*NUMBERS, "bad"]))
    ways = {"file": ["--file", str(numbers)], "arguments": [*NUMBERS, "bad"], "input": ["-"]}
    given = numbers.read_text() if way == "input" else ""
    arguments = ("remediate", *ways[way], "--report", str(report))
    done = await finish(await holding.interrupt(*arguments, given=given))
    assert done.code == 130
    assert "3 applied, 1 unknown" in done.out
    saved = load_report(report)
    assert [result.index for result in saved] == list(range(41))
    assert [result.ani for result in saved] == [*NUMBERS, "bad"]
    assert [result.outcome for result in saved[3:]] == [
        Outcome.UNKNOWN, *[Outcome.NOT_APPLIED] * 37
    ]  # fmt: skip
    assert not saved[4].ok
    assert "interrupted" in saved[4].error.message
    assert not isinstance(saved[-1].action, Remediate)
    first, *others, _last = done.err.splitlines()
    assert first == "nrm-async: interrupted: 37 numbers not started; see the report"
    # The end of a pipe after Ctrl-C does not prove that the writer had finished.
    uncertain = (
        "nrm-async: standard input may have been longer: the report contains 41 numbers, "
        "and no more"
    )
    assert others == ([uncertain] if way == "input" else [])
    command = resume_command(done)
    assert command[:4] == ["nrm-async", "remediate", "--retry", str(report)]
    point_at(holding.stub.url, API_KEY)
    again = await run_cli(*command[1:])
    assert again.code == 1, "the report still contains an unknown outcome"
    assert dict(holding.requests) == dict.fromkeys(NUMBERS, 1)
    assert len(load_report(command[5])) == 36


@posix
async def test_standard_input_that_stays_open(holding: HoldingAPI, tmp_path: Path) -> None:
    """The report contains the lines received so far, and a warning says there may be more."""
    report = tmp_path / "report.csv"
    given = "\n".join([*NUMBERS, "2"])
    process = await holding.interrupt("remediate", "-", "--report", str(report), given=given)
    done = await finish_with_open_input(process)
    assert done.code == 130
    assert "may have been longer: the report contains 40 numbers, and no more" in done.err
    assert [result.ani for result in load_report(report)] == NUMBERS


@posix
async def test_closed_pipe_saves_the_rest(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    """When the output is closed, the report has every number, and a retry sends the rest."""
    numbers, report = tmp_path / "numbers.txt", tmp_path / "report.csv"
    numbers.write_text("\n".join(sandbox.phones))
    reader, writer = os.pipe()
    os.close(reader)
    process = await start(
        *("remediate", "--file", str(numbers), "--json", "--concurrency", "1"),
        *("--report", str(report)),
        environment=pointing_at(sandbox.url, sandbox.api_key), stdout=writer,
    )  # fmt: skip
    os.close(writer)
    done = await finish(process)
    assert done.code == 141
    saved = load_report(report)
    assert [result.ani for result in saved] == list(sandbox.phones)
    assert saved.counts[Outcome.APPLIED] == len(sandbox.books) < 20
    command = resume_command(done)
    assert command[-2:] == ["--concurrency", "1"]
    assert (await cli(*command[1:])).code == 0
    assert [entry.ani for entry in sandbox.books] == list(sandbox.phones)


@posix
async def test_report_is_saved_before_the_table_is_printed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The report is saved even if the pipe closes while the table is printed."""
    reader, writer = os.pipe()
    os.close(reader)
    report = tmp_path / "report.csv"
    environment = pointing_at(sandbox.url, sandbox.api_key)
    arguments = ("remediate", *sandbox.phones[:3], "--report", str(report))
    process = await start(*arguments, environment=environment, stdout=writer)
    os.close(writer)
    assert (await finish(process)).code == 141
    assert load_report(report).ok


async def test_retry_of_unknown_outcomes_exits_with_1(
    cli: Cli, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Unknown outcomes are not retried, so the exit code is 1 even if nothing is left to send."""
    path, phones = tmp_path / "report.csv", sandbox.phones
    lost = failed(0, Remediate(phones[0]), Outcome.UNKNOWN, OutcomeUnknownError("no answer"))
    save_report(path, BatchReport((lost,)))
    done = await cli("remediate", "--retry", str(path))
    assert (done.code, sandbox.requests) == (1, 0)
    assert "nothing to do" in done.out
    assert "1 unknown" in done.err


async def test_cancelled_read_loses_no_number(tmp_path: Path) -> None:
    """The next read returns the number, and ``put_back`` puts a number back into the queue.

    ``drain`` also collects the file, even if standard input stays open.
    """
    reader, writer = os.pipe()
    (tmp_path / "numbers.txt").write_text("2345678904")
    inputs = Inputs("pause", ["2345678901", "-"], {}, str(tmp_path / "numbers.txt"))
    queue = inputs.open()
    queue.given = inputs.given_inputs(reader)
    assert await anext(queue) == Pause("2345678901")
    waiting = asyncio.ensure_future(anext(queue))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    os.write(writer, b"2345678902\n2345678903\n")
    second = await anext(queue)
    assert second == Pause("2345678902")
    queue.put_back(second)
    left: list[Input] = []
    assert not await queue.drain(left, max_wait=0.01), "standard input is still open"
    assert left == [Pause("2345678902"), Pause("2345678903"), Pause("2345678904")]
    os.close(writer)
    assert not await queue.drain(left, max_wait=30), "its writer may have been interrupted"
    assert await queue.drain(left, max_wait=30)
    os.close(reader)


async def test_file_as_standard_input_has_a_certain_end(tmp_path: Path) -> None:
    """The end of a regular file proves that no input is missing."""
    path = tmp_path / "numbers.txt"
    path.write_text("2345678901\n2345678902")
    inputs = Inputs("pause", ["-"], {})
    queue = inputs.open()
    with path.open() as file:
        queue.given = inputs.given_inputs(file.fileno())
        left: list[Input] = []
        assert await queue.drain(left, max_wait=30)
    assert left == [Pause("2345678901"), Pause("2345678902")]


async def test_report_that_cannot_be_saved_is_printed(
    cli: Cli, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk is full, the results are printed and the exit code is 1."""

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("nrm_async.cli.act.save_report", full)
    done = await cli("remediate", sandbox.phones[0], "--report", str(tmp_path / "report.csv"))
    assert done.code == 1
    assert f"{sandbox.phones[0]}  applied" in done.out
    assert "No space left" in done.err
