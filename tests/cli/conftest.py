"""What the tests of the command share: a sandbox, and ways to run the command against it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeAlias

import attrs
import pytest

from nrm_async.cli import main
from nrm_async.sandbox import Sandbox

COMMAND = (sys.executable, "-W", "error", "-m", "nrm_async")


@attrs.frozen
class Done:
    """What a run of the command left behind."""

    code: int
    out: str
    err: str


Cli: TypeAlias = Callable[..., Awaitable[Done]]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox in the event loop of the test."""
    async with Sandbox(anis=120, seed=1) as running:
        yield running


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Point the command at an API, as a user would."""
    for name in (
        "NRM_CONCURRENCY",
        "NRM_TIMEOUT",
        "NRM_PROXY",
        "NRM_BASE_URL",
        "OUTBOUNDIQ_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)

    def point_at(url: str, key: str) -> None:
        monkeypatch.setenv("NRM_BASE_URL", url)
        monkeypatch.setenv("OUTBOUNDIQ_API_KEY", key)

    return point_at


@pytest.fixture
def anywhere(capsys: pytest.CaptureFixture[str], environment: Callable[[str, str], None]) -> Cli:
    """Run the command in a thread, so that the loop of the test can be its API."""

    async def run(*arguments: str) -> Done:
        code = await asyncio.to_thread(_code_of, arguments)
        return Done(code, *capsys.readouterr())

    return run


def _code_of(arguments: tuple[str, ...]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def cli(anywhere: Cli, environment: Callable[[str, str], None], sandbox: Sandbox) -> Cli:
    """Run the command against the sandbox."""
    environment(sandbox.url, sandbox.api_key)
    return anywhere


async def start(
    *arguments: str,
    environment: Mapping[str, str],
    stdout: int = asyncio.subprocess.PIPE,
    command: tuple[str, ...] = COMMAND,
) -> asyncio.subprocess.Process:
    """Start the command as a process of its own."""
    return await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        env=dict(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(process: asyncio.subprocess.Process, given: str = "") -> Done:
    """Wait for its end."""
    out, err = await asyncio.wait_for(process.communicate(given.encode()), 30)
    assert process.returncode is not None
    return Done(process.returncode, (out or b"").decode(), err.decode())
