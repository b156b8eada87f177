"""The help: it says what a user must know, and offers no way to show a key."""

import pytest

from nrm_async import __version__
from tests.cli.conftest import Cli

COMMANDS = (
    "demo", "sandbox", "anis", "export", "summary", "diff", "watch", "pause", "activate",
    "remediate",
)  # fmt: skip


async def test_help_names_commands_codes_and_the_key(anywhere: Cli) -> None:
    """The first page is enough to begin with."""
    done = await anywhere("--help")
    assert done.code == 0
    assert all(name in done.out for name in (*COMMANDS, "OUTBOUNDIQ_API_KEY", "Exit codes"))


@pytest.mark.parametrize("name", COMMANDS)
async def test_every_command_has_help(anywhere: Cli, name: str) -> None:
    """Each explains itself; only the sandbox, whose key is no secret, takes one."""
    done = await anywhere(name, "--help")
    assert done.code == 0
    assert ("--api-key" in done.out) is (name == "sandbox")


async def test_version_is_the_package_s(anywhere: Cli) -> None:
    """Bug reports can name it."""
    assert __version__ in (await anywhere("--version")).out


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
async def test_wrong_usage_is_exit_code_2(anywhere: Cli, wrong: tuple[str, ...]) -> None:
    """Whatever the mistake, it is told, and nothing runs."""
    done = await anywhere(*wrong)
    assert (done.code, done.out) == (2, "")
    assert "Error: " in done.err
