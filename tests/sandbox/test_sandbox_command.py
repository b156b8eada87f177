"""Tests of the command ``nrm-async sandbox``."""

import os
from pathlib import Path

import pytest

from nrm_async.sandbox import BEHAVIOURS, Sandbox
from nrm_async.sandbox.faults import KINDS
from tests.cli.conftest import finish, start


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fault", "teapot"), "unknown fault 'teapot': known are latency, rate-cap"),
        (("--inventory", "/nowhere.csv"), "cannot read /nowhere.csv: No such file"),
    ],
)
async def test_command_reports_invalid_options(arguments: tuple[str, ...], message: str) -> None:
    """An invalid option exits with 2 and one line on standard error, without a traceback."""
    done = await finish(await start("sandbox", "--port", "0", *arguments, environment=os.environ))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"Error: {message}")


async def test_command_does_not_overrule_state_file(tmp_path: Path) -> None:
    """An explicit --anis that differs from the state file is an error."""
    file = tmp_path / "state.db"
    await Sandbox(5, state_file=file).stop()
    arguments = ("sandbox", "--state", str(file), "--anis", "6")
    done = await finish(await start(*arguments, environment=os.environ))
    assert (done.code, done.out) == (2, "")
    assert "was created with --anis 5, not 6" in done.err


async def test_command_explains() -> None:
    """--explain lists every behaviour and every fault."""
    done = await finish(await start("sandbox", "--explain", environment=os.environ))
    assert done.code == 0
    for words in (*(one.what for one in BEHAVIOURS), *(kind.name for kind in KINDS), "schedule"):
        assert words in done.out
