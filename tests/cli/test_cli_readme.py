"""The shell examples in the command's README, run against a sandbox."""

import asyncio
import re
import shlex
import sys
from pathlib import Path

import pytest

from nrm_async import cli as package
from nrm_async.sandbox import Sandbox
from tests.cli.conftest import ACTIVE, COMMAND, Cli, pointing_at
from tests.cli.test_cli_act import FIELDS

README = (Path(package.__file__).parent / "README.md").read_text()
EXAMPLES = "".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).splitlines()
ROWS = [
    {"id": number, "phone": str(2_345_678_900 + number), "status": ACTIVE} for number in (1, 2, 3)
]


@pytest.mark.skipif(sys.platform == "win32", reason="the examples are for a POSIX shell")
async def test_examples_run_in_order(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each line exits with 0, or with 1 if it saves a report for the next line to retry."""
    monkeypatch.chdir(tmp_path)
    async with Sandbox(inventory=ROWS) as sandbox:  # type: ignore[arg-type]
        monkeypatch.setenv("NRM_BASE_URL", sandbox.url)
        for line in EXAMPLES:
            code = await _run(line, cli, sandbox)
            assert code in ((0, 1) if "--report" in line else (0,)), line
        assert [(one.action, one.ani) for one in sandbox.books] == [
            ("pause", "2345678901"), ("pause", "2345678902"), ("activate", "2345678901"),
            ("remediate", "2345678902"), ("pause", "2345678903"), ("remediate", "2345678901"),
            ("remediate", "2345678903"),
        ]  # fmt: skip


async def _run(line: str, cli: Cli, sandbox: Sandbox) -> int | None:
    """Run a single command in this process, and any other line in a shell."""
    words = shlex.split(line)
    if words[0] == "nrm-async" and "<" not in words:
        # These run until Ctrl-C or are tested elsewhere, so only their options are checked.
        help_only = ["--help"] if words[1] in ("watch", "sandbox", "demo") else []
        return (await cli(*words[1:], *help_only)).code
    function = f'nrm-async() {{ {shlex.join(COMMAND)} "$@"; }}'
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euc", f"{function}; {line}"),
        stdout=asyncio.subprocess.DEVNULL,
        env=pointing_at(sandbox.url, sandbox.api_key),
    )
    return await process.wait()


def test_json_fields_of_actions_are_documented() -> None:
    """The README lists the fields of a result in output order."""
    assert ", ".join(f"`{name}`" for name in FIELDS).replace("`index`, ", "") in README


def test_exit_codes_are_documented() -> None:
    """The README has a row for each exit code."""
    rows = re.findall(r"^\| (\d[\d, ]*) \|", README, re.MULTILINE)
    assert ", ".join(rows).split(", ") == ["0", "1", "2", "3", "129", "130", "143", "141"]
