"""The benchmarks run, and what they say of an aim is so."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measuring import Aim, Figure, Took, compared
from benchmarks.pages import ROWS
from benchmarks.typescript import typescript

ROOT = Path(__file__).parent.parent


def test_the_command_measures_and_writes_json() -> None:
    """A part that is named is measured on a server of its own, and machines can read it."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "calls", "--quick", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout)
    assert {"python", "aiohttp", "cpu"} <= set(said["machine"])
    rivals = {figure["rival"] for figure in said["parts"]["calls"]}
    assert {"aiohttp bare", "aiohttp one-liner"} <= rivals
    assert all(0 < figure["low"] <= figure["ratio"] for figure in said["parts"]["calls"])
    assert "server" in done.stderr


def test_an_unknown_part_is_refused() -> None:
    """A part that is misspelt is an error, not an empty table."""
    command = [sys.executable, "-m", "benchmarks", "cals"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cals" in done.stderr


DRIVEN = """
const known = (url, key) => { if (url !== "http://u" || key !== "k") throw new Error("not told"); };
export const pauses = async (url, key, phones) => (known(url, key), new Set(phones).size);
export const pages = async (url, key, count) => (known(url, key), count * %d);
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
@pytest.mark.parametrize(("what", "units"), [("pauses", 7), ("pages", 7 * ROWS)])
async def test_an_sdk_in_typescript_is_driven(tmp_path: Path, what: str, units: int) -> None:
    """It is told where to, the key and what to do, and what it did is counted and timed."""
    module = tmp_path / "sdk.mjs"
    module.write_text(DRIVEN % ROWS)
    took = await typescript(module.as_uri(), what, "http://u", "k", 7, 2)
    assert took.units == units
    assert took.wall > 0
    module.write_text(DRIVEN.replace("size", "length") % (ROWS + 1))
    with pytest.raises(RuntimeError, match="module failed"):
        await typescript(module.as_uri(), what, "http://u", "k", 7, 2)


@pytest.mark.parametrize(
    ("aim", "ratio", "is_met"),
    [
        (Aim("<=", 1.15), 1.15, True),
        (Aim("<=", 1.15), 1.16, False),
        (Aim("<", 1.0), 1.0, False),
        (Aim(">=", 0.6), 0.6, True),
        (Aim(">=", 0.6), 0.59, False),
    ],
)
def test_aims(aim: Aim, ratio: float, is_met: bool) -> None:
    """An aim is met on its own side of the bound."""
    assert aim.is_met(ratio) is is_met
    assert Figure("", "", "", 1, 1, [ratio], aim=aim).plain()["met"] is is_met


def test_ratios_are_of_each_round_and_each_unit() -> None:
    """Rounds are compared with their own rival, by what one unit took."""
    ours = [Took(cpu=2.0, wall=4.0, units=2), Took(cpu=8.0, wall=8.0, units=2)]
    theirs = [Took(cpu=1.0, wall=1.0), Took(cpu=2.0, wall=8.0)]
    figure = compared("", {"ours": ours, "theirs": theirs}, "ours", "theirs")
    assert figure.ratios == [1.0, 2.0]
    assert figure.wall_ratio == 1.25
