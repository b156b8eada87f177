"""Help, version and invalid usage."""

import pytest

from nrm_async import __version__
from tests.cli.conftest import Cli

COMMANDS = (
    "demo", "sandbox", "anis", "export", "summary", "diff", "watch", "pause", "activate",
    "remediate",
)  # fmt: skip


async def test_help_names_commands_codes_and_the_key(run_cli: Cli) -> None:
    """The main help page lists every command, the API key variable and the exit codes."""
    done = await run_cli("--help")
    assert done.code == 0
    assert all(name in done.out for name in (*COMMANDS, "OUTBOUNDIQ_API_KEY", "Exit codes"))


@pytest.mark.parametrize("name", COMMANDS)
async def test_every_command_has_help(run_cli: Cli, name: str) -> None:
    """Every command has help; only ``sandbox``, whose key is no secret, has ``--api-key``."""
    done = await run_cli(name, "--help")
    assert done.code == 0
    assert ("--api-key" in done.out) is (name == "sandbox")


async def test_version_is_that_of_the_package(run_cli: Cli) -> None:
    """``--version`` prints the version of the package."""
    assert __version__ in (await run_cli("--version")).out


@pytest.mark.parametrize(
    "wrong",
    [
        ("nonsense",),
        ("demo", "--anis", "0"),
        ("sandbox", "--port", "-1"),
        ("sandbox", "--latency", "-1"),
        ("sandbox", "--api-key", "a b"),
    ],
)
async def test_invalid_usage_exits_with_2(run_cli: Cli, wrong: tuple[str, ...]) -> None:
    """Invalid usage prints an error and runs nothing."""
    done = await run_cli(*wrong)
    assert (done.code, done.out) == (2, "")
    assert "Error: " in done.err
