"""Fixtures that run the command in this process or a subprocess, on a sandbox or a stub API."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeAlias

import attrs
import pytest

from nrm_async.cli import main
from nrm_async.sandbox import Sandbox

COMMAND = (sys.executable, "-W", "error", "-m", "nrm_async")
ACTIVE = "ACTIVE_AND_BEING_MANAGED"

# Seconds after which a process is killed. Passing tests never wait this long.
_GUARD = 60


@attrs.frozen
class Done:
    """The exit code and output of a finished command."""

    code: int
    out: str
    err: str


Cli: TypeAlias = Callable[..., Awaitable[Done]]
PointAt: TypeAlias = Callable[[str, str], None]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox that runs in the event loop of the test."""
    async with Sandbox(anis=120, seed=1) as running:
        yield running


@pytest.fixture
def active(sandbox: Sandbox) -> list[str]:
    """Numbers that can be paused."""
    return [phone for phone in sandbox.phones if sandbox.status_of(phone) == ACTIVE]


@pytest.fixture
def paused(sandbox: Sandbox) -> list[str]:
    """Numbers that can be activated."""
    return [phone for phone in sandbox.phones if sandbox.status_of(phone) != ACTIVE]


@pytest.fixture
def point_at(monkeypatch: pytest.MonkeyPatch) -> PointAt:
    """Return a function that sets the environment variables for an API."""
    for name in ("NRM_CONCURRENCY", "NRM_TIMEOUT", "NRM_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def point(url: str, key: str) -> None:
        monkeypatch.setenv("NRM_BASE_URL", url)
        monkeypatch.setenv("OUTBOUNDIQ_API_KEY", key)

    return point


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str], point_at: PointAt) -> Cli:
    """Return a function that runs the command in a thread, while the test's loop serves the API."""

    async def run(*arguments: str) -> Done:
        code = await asyncio.to_thread(_exit_code, arguments)
        return Done(code, *capsys.readouterr())

    return run


def _exit_code(arguments: tuple[str, ...]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def cli(run_cli: Cli, point_at: PointAt, sandbox: Sandbox) -> Cli:
    """Return a function that runs the command against the sandbox."""
    point_at(sandbox.url, sandbox.api_key)
    return run_cli


def pointing_at(url: str, key: str) -> dict[str, str]:
    """Return environment variables for a process that uses an API."""
    return os.environ | {
        "NRM_BASE_URL": url,
        "OUTBOUNDIQ_API_KEY": key,
        "FORCE_COLOR": "1",  # output in a pipe must not be coloured even so
        "PYTHONASYNCIODEBUG": "",  # debug mode logs slow steps to standard error
    }


async def start(
    *arguments: str,
    environment: Mapping[str, str],
    stdout: int = asyncio.subprocess.PIPE,
    stderr: int = asyncio.subprocess.PIPE,
    command: tuple[str, ...] = COMMAND,
) -> asyncio.subprocess.Process:
    """Start the command as a subprocess."""
    return await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        # Cached bytecode reduces the start-up time of a process by a third.
        env={**environment, "PYTHONDONTWRITEBYTECODE": ""},
        stdin=asyncio.subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
    )


async def finish(process: asyncio.subprocess.Process, given: str = "") -> Done:
    """Send the input, wait for the process to exit, and close its pipes."""
    try:
        async with asyncio.timeout(_GUARD):
            out, err = await process.communicate(given.encode())
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise
    assert process.returncode is not None
    return Done(process.returncode, (out or b"").decode(), (err or b"").decode())


async def finish_with_open_input(process: asyncio.subprocess.Process) -> Done:
    """Wait for the process to exit while its standard input is open, and close its pipes."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(_GUARD):
        out, err = await asyncio.gather(process.stdout.read(), process.stderr.read())
        code = await process.wait()
    process.stdin.close()
    return Done(code, out.decode(), err.decode())


def read_terminal(descriptor: int) -> str:
    """Read a pseudo-terminal to its end, so that a process writing to it does not block."""
    chunks = []
    try:
        while chunk := os.read(descriptor, 65_536):
            chunks.append(chunk)
    except OSError:  # Linux signals the end of a pseudo-terminal with an error
        pass
    os.close(descriptor)
    return b"".join(chunks).decode()
