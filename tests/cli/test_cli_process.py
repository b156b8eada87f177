"""The command as a subprocess: signals, pipes, ports and a missing extra."""

import asyncio
import json
import os
import re
import signal
import socket
import sys

import pytest
from aiohttp import web

from nrm_async import NRMClient
from nrm_async.sandbox import Sandbox
from tests.cli.conftest import COMMAND, finish, finish_with_open_input, pointing_at, start
from tests.fakes import API_KEY, StubAPI

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes of POSIX")

WITHOUT_MODULE = """
import sys
sys.modules[{name!r}] = None
from nrm_async.__main__ import main
main()
"""


@pytest.fixture
def arrived(stub_api: StubAPI) -> asyncio.Event:
    """Make the stub never respond; return an event that is set when a request arrives."""
    event = asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        event.set()
        await asyncio.Event().wait()
        raise AssertionError

    stub_api.answer = never
    return event


@pytest.mark.parametrize("name", ["click", "rich"])
async def test_missing_extra_is_one_line(name: str) -> None:
    """Without the extra, the error is one line with the command to install it."""
    command = (sys.executable, "-c", WITHOUT_MODULE.format(name=name))
    done = await finish(await start("demo", environment=os.environ, command=command))
    assert (done.code, done.out) == (2, "")
    assert done.err == "nrm-async requires its extra: pip install 'nrm-async[cli]'\n"


async def test_numbers_from_standard_input(sandbox: Sandbox) -> None:
    """``-`` reads one number per line until the end of standard input."""
    environment = pointing_at(sandbox.url, sandbox.api_key)
    process = await start("remediate", "-", "--json", environment=environment)
    done = await finish(process, "\n".join(sandbox.phones[:40]))
    assert (done.code, done.err) == (0, "")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert {line["ani"] for line in lines} == set(sandbox.phones[:40])
    assert len(sandbox.books) == 40


@pytest.mark.parametrize("arguments", [("anis", "--json"), ("anis",), ("sandbox", "--explain")])
async def test_closed_pipe_exits_quietly(sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    """The exit code is 128 + SIGPIPE, and standard error is empty."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = pointing_at(sandbox.url, sandbox.api_key)
    process = await start(*arguments, environment=environment, stdout=writer)
    os.close(writer)
    done = await finish(process)
    assert (done.code, done.err) == (141, "")


async def test_closed_pipe_starts_no_further_action(sandbox: Sandbox) -> None:
    """Actions whose results cannot be printed are not started."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = pointing_at(sandbox.url, sandbox.api_key)
    process = await start(
        "remediate", "-", "--json", "--concurrency", "2", environment=environment, stdout=writer
    )
    os.close(writer)
    done = await finish(process, "\n".join(sandbox.phones))
    assert (done.code, done.err) == (141, "")
    assert len(sandbox.books) < 20


@pytest.mark.parametrize("form", [(), ("--json",)])
async def test_ctrl_c_prints_the_results_so_far(
    stub_api: StubAPI, arrived: asyncio.Event, form: tuple[str, ...]
) -> None:
    """An interrupted batch prints its results and exits with 130."""
    arguments = ("pause", "bad", "2345678901", "--concurrency", "1", *form)
    process = await start(*arguments, environment=pointing_at(stub_api.url, API_KEY))
    await arrived.wait()
    process.send_signal(signal.SIGINT)
    done = await finish(process)
    assert done.code == 130
    assert done.out.startswith(('{"index": 0, "ani": "bad"', "ANI         Outcome"))
    assert "bad" in done.out
    assert done.err == "nrm-async: interrupted: numbers that are not shown were not started\n"


async def test_ctrl_c_ends_a_listing_quietly(stub_api: StubAPI, arrived: asyncio.Event) -> None:
    """An interrupted listing prints no message, because it changed nothing."""
    process = await start("anis", environment=pointing_at(stub_api.url, API_KEY))
    await arrived.wait()
    process.send_signal(signal.SIGINT)
    done = await finish(process)
    assert (done.code, done.out, done.err) == (130, "", "")


@pytest.mark.parametrize(
    ("closed", "code", "error"),
    [(">&-", 1, ""), ("<&-", 1, "nrm-async: input or output failed: standard input is closed\n")],
)
async def test_closed_standard_stream(sandbox: Sandbox, closed: str, code: int, error: str) -> None:
    """A closed output does not change the exit code; a closed input is reported in one line."""
    command = ("sh", "-c", f'exec "$0" "$@" {closed}', *COMMAND)
    environment = pointing_at(sandbox.url, sandbox.api_key)
    process = await start("pause", "bad", "-", environment=environment, command=command)
    done = await finish(process)
    assert (done.code, done.err) == (code, error)


async def test_ctrl_c_while_waiting_for_standard_input(sandbox: Sandbox) -> None:
    """A pending read of standard input does not delay the exit."""
    environment = pointing_at(sandbox.url, sandbox.api_key)
    process = await start("remediate", "-", "--json", environment=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{sandbox.phones[0]}\n".encode())
    assert json.loads(await process.stdout.readline())["ok"]
    process.send_signal(signal.SIGINT)
    assert (await finish_with_open_input(process)).code == 130


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_sandbox_runs_until_a_signal(ending: signal.Signals) -> None:
    """The sandbox prints its address, responds there, and exits with 0 after a signal."""
    arguments = ("sandbox", "--port", "0", "--anis", "30", "--api-key", "a$key'")
    process = await start(*arguments, environment=os.environ)
    assert process.stdout is not None
    introduction = (await process.stdout.readuntil(b"Ctrl-C stops it.\n")).decode()
    found = re.search(r"^  export NRM_BASE_URL=(http\S+)$", introduction, re.MULTILINE)
    assert found is not None
    assert """export OUTBOUNDIQ_API_KEY='a$key'"'"''""" in introduction
    async with NRMClient("a$key'", base_url=found[1]) as client:
        assert len(await client.inventory()) == 30
    process.send_signal(ending)
    done = await finish(process)
    assert (done.code, done.out, done.err) == (0, "", "")


async def test_port_in_use_is_one_line() -> None:
    """The error is one line that names the port, and the exit code is 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = await finish(await start("sandbox", "--port", port, environment=os.environ))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"nrm-async: cannot listen on port {port}: it is in use")
    assert done.err.count("\n") == 1


async def test_full_disk_is_one_line(sandbox: Sandbox) -> None:
    """If output cannot be written, the exit code is 1, without a traceback."""
    environment = pointing_at(sandbox.url, sandbox.api_key)
    full = os.open("/dev/full", os.O_WRONLY)
    process = await start("anis", "--json", environment=environment, stdout=full)
    os.close(full)
    done = await finish(process)
    assert done.code == 1
    assert re.fullmatch(r"nrm-async: input or output failed: .*No space left.*\n", done.err)
