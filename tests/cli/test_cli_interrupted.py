"""A batch that was cut off: its report tells what was not begun, and ``--retry`` does just that."""

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
from nrm_async.cli.inputs import Inputs
from nrm_async.cli.numbers import Numbers
from nrm_async.cli.queue import Input
from nrm_async.files import load_report, save_report
from nrm_async.sandbox import Sandbox
from tests.cli.conftest import Cli, Done, finish, start
from tests.cli.test_cli_lists import failed
from tests.conftest import API_KEY, StubAPI

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes of POSIX")

NUMBERS = [str(2_345_678_900 + number) for number in range(40)]


@attrs.define
class Holding:
    """An API that answers this many remediations, and holds the next one for ever."""

    stub: StubAPI
    answered: int
    asked: Counter[str] = attrs.field(factory=Counter)
    held: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        ani = json.loads(self.stub.bodies[-1])["ani"]
        self.asked[ani] += 1
        if self.asked.total() == self.answered + 1:
            self.held.set()
            await asyncio.Event().wait()
        return web.json_response({"status": "received request", "ani": ani})

    async def run(self, *arguments: str, interrupted: bool = False, given: str = "") -> Done:
        environment = os.environ | {
            "OUTBOUNDIQ_API_KEY": API_KEY, "NRM_BASE_URL": self.stub.url, "PYTHONASYNCIODEBUG": "",
        }  # fmt: skip
        process = await start(*arguments, "--concurrency", "1", environment=environment)
        if interrupted:
            assert process.stdin is not None
            process.stdin.write(given.encode())
            await asyncio.wait_for(self.held.wait(), 30)
            process.send_signal(signal.SIGINT)
            return await finish(process)
        return await finish(process, given)


@pytest.fixture
def holding(stub_api: StubAPI) -> Holding:
    """It holds the fourth."""
    api = Holding(stub_api, answered=3)
    stub_api.answer = api.answer
    return api


@posix
@pytest.mark.parametrize(
    ("way", "name"),
    [("file", "report.csv"), ("arguments", "report.csv"), ("input", "report.jsonl.gz")],
)
async def test_a_retry_does_exactly_the_rest(
    holding: Holding, tmp_path: Path, way: str, name: str
) -> None:
    """Nothing is remediated twice, nothing is forgotten, and the last line says how to go on."""
    numbers, report = tmp_path / "numbers.txt", tmp_path / name
    numbers.write_text("\n".join([*NUMBERS, "bad"]))
    ways = {"file": ["--file", str(numbers)], "arguments": [*NUMBERS, "bad"], "input": ["-"]}
    given = numbers.read_text() if way == "input" else ""
    arguments = ("remediate", *ways[way], "--report", str(report))
    done = await holding.run(*arguments, interrupted=True, given=given)
    assert done.code == 130
    assert "3 applied, 1 unknown" in done.out
    saved = load_report(report)
    assert [result.index for result in saved] == list(range(41))
    assert [result.ani for result in saved] == [*NUMBERS, "bad"]
    assert [result.outcome for result in saved[3:]] == [
        Outcome.UNKNOWN, *[Outcome.NOT_APPLIED] * 37
    ]  # fmt: skip
    assert not saved[4].ok
    assert saved[4].error.message == "not begun, the batch was stopped: interrupted"
    assert not isinstance(saved[-1].action, Remediate)
    *others, last = done.err.splitlines()
    assert others[0] == "nrm-async: interrupted: 37 numbers not begun; the report has them"
    assert [line for line in others[1:] if "41 numbers, and no further ones" not in line] == []
    assert len(others) == (2 if way == "input" else 1), "a pipe that ends after Ctrl-C is no proof"
    command = shlex.split(last.removeprefix("nrm-async: go on with: "))
    assert command[:4] == ["nrm-async", "remediate", "--retry", str(report)]
    again = await holding.run(*command[1:])
    assert again.code == 1, "what is unknown still is"
    assert dict(holding.asked) == dict.fromkeys(NUMBERS, 1)
    assert len(load_report(command[5])) == 36


@posix
async def test_input_that_stays_open_is_told_of(holding: Holding, tmp_path: Path) -> None:
    """What it had given is in the report; what it may give yet is in none, and that is said."""
    report = tmp_path / "report.csv"
    environment = os.environ | {"OUTBOUNDIQ_API_KEY": API_KEY, "NRM_BASE_URL": holding.stub.url}
    process = await start(
        "remediate", "-", "--concurrency", "1", "--report", str(report), environment=environment
    )
    assert process.stdin is not None
    process.stdin.write("\n".join([*NUMBERS, "2"]).encode())
    await asyncio.wait_for(holding.held.wait(), 30)
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 30) == 130
    assert process.stderr is not None
    said = (await process.stderr.read()).decode()
    assert "not seen for certain: the report has 40 numbers, and no further ones" in said
    assert [result.ani for result in load_report(report)] == NUMBERS
    process.stdin.close()


@posix
async def test_a_reader_that_leaves_cuts_off_the_same_way(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its report too has every number, and a retry does the rest."""
    numbers, report = tmp_path / "numbers.txt", tmp_path / "report.csv"
    numbers.write_text("\n".join(sandbox.phones))
    reader, writer = os.pipe()
    os.close(reader)
    environment = os.environ | {"OUTBOUNDIQ_API_KEY": sandbox.api_key, "NRM_BASE_URL": sandbox.url}
    process = await start(
        *("remediate", "--file", str(numbers), "--json", "--concurrency", "1"),
        *("--report", str(report)),
        environment=environment, stdout=writer,
    )  # fmt: skip
    os.close(writer)
    done = await finish(process)
    assert done.code == 141
    saved = load_report(report)
    assert [result.ani for result in saved] == list(sandbox.phones)
    assert saved.counts[Outcome.APPLIED] == len(sandbox.books) < 20
    command = shlex.split(done.err.splitlines()[-1].removeprefix("nrm-async: go on with: "))
    assert command[-2:] == ["--concurrency", "1"]
    again = await finish(await start(*command[1:], environment=environment))
    assert again.code == 0
    assert [entry.ani for entry in sandbox.books] == list(sandbox.phones)


@posix
async def test_a_report_is_saved_before_it_is_shown(sandbox: Sandbox, tmp_path: Path) -> None:
    """A reader that leaves while the table is drawn does not take the report along."""
    reader, writer = os.pipe()
    os.close(reader)
    report = tmp_path / "report.csv"
    environment = os.environ | {"OUTBOUNDIQ_API_KEY": sandbox.api_key, "NRM_BASE_URL": sandbox.url}
    arguments = ("remediate", *sandbox.phones[:3], "--report", str(report))
    process = await start(*arguments, environment=environment, stdout=writer)
    os.close(writer)
    assert (await finish(process)).code == 141
    assert load_report(report).ok


async def test_what_is_unknown_stays_a_failure(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    """A retry that leaves it out has not done all: exit code 1, also where nothing was left."""
    path, phones = tmp_path / "report.csv", sandbox.phones
    lost = failed(0, Remediate(phones[0]), Outcome.UNKNOWN, OutcomeUnknownError("no answer"))
    save_report(path, BatchReport((lost,)))
    done = await cli("remediate", "--retry", str(path))
    assert (done.code, sandbox.requests) == (1, 0)
    assert "nothing to do" in done.out
    assert "1 unknown" in done.err


async def test_giving_up_the_wait_loses_no_number(tmp_path: Path) -> None:
    """Whoever asks next gets what the one before had waited for; a number may be given back.

    A file is taken even where the input before it stays open.
    """
    reader, writer = os.pipe()
    (tmp_path / "numbers.txt").write_text("2345678904")
    queue = Inputs("pause", ["2345678901", "-"], {}, str(tmp_path / "numbers.txt")).opened()
    queue.numbers = Numbers(("2345678901", "-"), reader)
    assert await anext(queue) == Pause("2345678901")
    waiting = asyncio.ensure_future(anext(queue))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    os.write(writer, b"2345678902\n2345678903\n")
    second = await anext(queue)
    assert second == Pause("2345678902")
    queue.give_back(second)
    left: list[Input] = []
    assert not await queue.drain(left, patience=0.01), "the input is open still"
    assert left == [Pause("2345678902"), Pause("2345678903"), Pause("2345678904")]
    os.close(writer)
    assert not await queue.drain(left, patience=30), "what writes it may have been ended too"
    assert await queue.drain(left, patience=30)
    os.close(reader)


async def test_a_file_as_standard_input_has_a_certain_end(tmp_path: Path) -> None:
    """It does not end early because what writes it is interrupted."""
    path = tmp_path / "numbers.txt"
    path.write_text("2345678901\n2345678902")
    queue = Inputs("pause", ["-"], {}).opened()
    with path.open() as file:
        queue.numbers = Numbers(("-",), file.fileno())
        left: list[Input] = []
        assert await queue.drain(left, patience=30)
    assert left == [Pause("2345678901"), Pause("2345678902")]


async def test_a_report_that_cannot_be_saved_is_shown(
    cli: Cli, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is exit code 1, and the results are not lost with the file."""

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("nrm_async.cli.report_file.save_report", full)
    done = await cli("remediate", sandbox.phones[0], "--report", str(tmp_path / "report.csv"))
    assert done.code == 1
    assert f"{sandbox.phones[0]}  applied" in done.out
    assert "No space left" in done.err
