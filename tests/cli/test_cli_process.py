"""The command as a process: signals, pipes, ports and a missing extra."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Mapping

import pytest
from aiohttp import web

from nrm_async import NRMClient
from nrm_async.sandbox import Sandbox
from tests.cli.conftest import COMMAND, finish, start
from tests.conftest import API_KEY, StubAPI

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes of POSIX")

WITHOUT = """
import sys
sys.modules[{name!r}] = None
from nrm_async.__main__ import main
main()
"""


def pointing_at(url: str, key: str) -> Mapping[str, str]:
    # Colours are forced on purpose: in a pipe there must be none all the same.
    # Debug mode would add words of its own about slow steps.
    return os.environ | {
        "NRM_BASE_URL": url,
        "OUTBOUNDIQ_API_KEY": key,
        "FORCE_COLOR": "1",
        "PYTHONASYNCIODEBUG": "",
    }


@pytest.mark.parametrize("name", ["click", "rich"])
async def test_without_the_extra_there_is_one_clear_line(name: str) -> None:
    """Whoever installed the SDK alone is told what to install, with exit code 2."""
    command = (sys.executable, "-c", WITHOUT.format(name=name))
    done = await finish(await start("demo", environment=os.environ, command=command))
    assert (done.code, done.out) == (2, "")
    assert done.err == "nrm-async needs its extra: pip install 'nrm-async[cli]'\n"


async def test_numbers_from_standard_input(sandbox: Sandbox) -> None:
    """A dash reads them one per line, to the end."""
    environment = pointing_at(sandbox.url, sandbox.api_key)
    process = await start("remediate", "-", "--json", environment=environment)
    done = await finish(process, "\n".join(sandbox.phones[:40]))
    assert (done.code, done.err) == (0, "")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert {line["ani"] for line in lines} == set(sandbox.phones[:40])
    assert len(sandbox.books) == 40


@pytest.mark.parametrize("arguments", [("anis", "--json"), ("anis",), ("demo", "--anis", "50")])
async def test_a_reader_that_leaves_is_no_drama(
    sandbox: Sandbox, arguments: tuple[str, ...]
) -> None:
    """Like any program that SIGPIPE ends, it says nothing."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = pointing_at(sandbox.url, sandbox.api_key)
    process = await start(*arguments, environment=environment, stdout=writer)
    os.close(writer)
    done = await finish(process)
    assert (done.code, done.err) == (141, "")


async def test_no_action_begins_once_the_reader_has_left(sandbox: Sandbox) -> None:
    """What nobody would learn of is not done."""
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
async def test_ctrl_c_shows_what_is_known(stub_api: StubAPI, form: tuple[str, ...]) -> None:
    """An interrupted batch prints the results it has, and ends with code 130."""
    arrived = asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    stub_api.answer = never
    arguments = ("pause", "bad", "2345678901", "--concurrency", "1", *form)
    process = await start(*arguments, environment=pointing_at(stub_api.url, API_KEY))
    await arrived.wait()
    process.send_signal(signal.SIGINT)
    done = await finish(process)
    assert done.code == 130
    assert done.out.startswith(('{"index": 0, "ani": "bad"', "ANI         Outcome"))
    assert "bad" in done.out
    assert done.err == "nrm-async: interrupted: what is not shown was not begun\n"


async def test_ctrl_c_ends_a_listing_quietly(stub_api: StubAPI) -> None:
    """There is nothing to say: reading changes nothing."""
    arrived = asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    stub_api.answer = never
    process = await start("anis", environment=pointing_at(stub_api.url, API_KEY))
    await arrived.wait()
    process.send_signal(signal.SIGINT)
    done = await finish(process)
    assert (done.code, done.out, done.err) == (130, "", "")


@pytest.mark.parametrize(
    ("closed", "code", "said"),
    [(">&-", 1, ""), ("<&-", 1, "nrm-async: input or output failed: standard input is closed\n")],
)
async def test_a_closed_stream_is_no_traceback(
    sandbox: Sandbox, closed: str, code: int, said: str
) -> None:
    """Without output the results are in the exit code; without input there is nothing to do."""
    command = ("sh", "-c", f'exec "$0" "$@" {closed}', *COMMAND)
    environment = pointing_at(sandbox.url, sandbox.api_key)
    process = await start("pause", "bad", "-", environment=environment, command=command)
    done = await finish(process)
    assert (done.code, done.err) == (code, said)


async def test_ctrl_c_ends_a_command_that_waits_for_input(sandbox: Sandbox) -> None:
    """An open input that says nothing does not hold up the exit."""
    environment = pointing_at(sandbox.url, sandbox.api_key)
    process = await start("remediate", "-", "--json", environment=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{sandbox.phones[0]}\n".encode())
    assert json.loads(await process.stdout.readline())["ok"]
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 20) == 130
    process.stdin.close()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_the_sandbox_runs_until_told_to_stop(ending: signal.Signals) -> None:
    """It tells where it is, answers there, and stops with exit code 0."""
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


async def test_a_port_in_use_is_one_clear_line() -> None:
    """The line names the port; the exit code is 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = await finish(await start("sandbox", "--port", port, environment=os.environ))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"nrm-async: cannot listen on port {port}: it is in use")
    assert done.err.count("\n") == 1


async def test_a_full_disk_is_one_clear_line(sandbox: Sandbox) -> None:
    """Output that cannot be written is a failure, told without a traceback."""
    environment = pointing_at(sandbox.url, sandbox.api_key)
    full = os.open("/dev/full", os.O_WRONLY)
    process = await start("anis", "--json", environment=environment, stdout=full)
    os.close(full)
    done = await finish(process)
    assert done.code == 1
    assert re.fullmatch(r"nrm-async: input or output failed: .*No space left.*\n", done.err)
