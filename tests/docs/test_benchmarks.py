"""The benchmarks run, judge their aims correctly and write their own tables."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import tables
from benchmarks.__main__ import main
from benchmarks.measurement import Aim, Figure, Timing, compare
from benchmarks.pages import ROWS
from benchmarks.typescript import typescript

ROOT = Path(__file__).parent.parent.parent


def test_the_command_measures_and_writes_json() -> None:
    """A named part is measured against a server process, and printed as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "calls", "--quick", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    run = json.loads(done.stdout)
    assert {"python", "aiohttp", "cpu"} <= set(run["machine"])
    rivals = {figure["rival"] for figure in run["parts"]["calls"]}
    assert {"aiohttp bare", "aiohttp one-liner"} <= rivals
    assert all(0 < figure["low"] <= figure["ratio"] for figure in run["parts"]["calls"])
    assert "server" in done.stderr


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Run ``python -m benchmarks`` in this process."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    main()


def test_an_unknown_part_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt part is an error, not an empty table."""
    with pytest.raises(SystemExit) as caught:
        run_command(monkeypatch, "cals")
    assert caught.value.code == 2
    assert "cals" in capsys.readouterr().err


MODULE = """
const check = (url, key) => {
  if (url !== "http://u" || key !== "k") throw new Error("wrong URL or key");
};
export const pauses = async (url, key, phones) => (check(url, key), new Set(phones).size);
export const pages = async (url, key, count) => (check(url, key), count * %d);
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
@pytest.mark.parametrize(("what", "units"), [("pauses", 7), ("pages", 7 * ROWS)])
async def test_an_sdk_in_typescript_is_driven(tmp_path: Path, what: str, units: int) -> None:
    """It gets the URL, the key and the work; its result is checked and its time taken."""
    module = tmp_path / "sdk.mjs"
    module.write_text(MODULE % ROWS)
    timing = await typescript(module.as_uri(), what, "http://u", "k", 7, 2)
    assert timing.units == units
    assert timing.wall > 0
    module.write_text(MODULE.replace("size", "length") % (ROWS + 1))
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
    """An aim is met on its own side of the bound, and the bound counts where it should."""
    assert aim.is_met(ratio) is is_met
    assert Figure("", "", "", 1, 1, [ratio], aim=aim).to_dict()["met"] is is_met


def test_ratios_are_of_each_round_and_each_unit() -> None:
    """Each round is compared with the rival's same round, per unit."""
    ours = [Timing(cpu=2.0, wall=4.0, units=2), Timing(cpu=8.0, wall=8.0, units=2)]
    theirs = [Timing(cpu=1.0, wall=1.0), Timing(cpu=2.0, wall=8.0)]
    figure = compare("", {"ours": ours, "theirs": theirs}, "ours", "theirs")
    assert figure.ratios == [1.0, 2.0]
    assert figure.wall_ratio == 1.25


RUN = {
    "machine": {"cpu": "Some CPU", "cores": 2},
    "notes": ["calls: server nginx/1.22.1"],
    "parts": {
        "calls": [
            Figure("a pause", "aiohttp", "µs CPU", 80.1, 2253.4, [0.9, 1.1], 1.0).to_dict(),
            Figure("a pause", "httpx", "s", 1.0, 2.0, [0.5], aim=Aim("<", 0.4)).to_dict(),
        ]
    },
}
RATIOS = """\
Some prose.
<!-- begin ratios -->
cpu Some CPU, cores 2.

| what | rival | ours | rival's | unit | ratio | low to high | wall | aim |
|---|---|---|---|---|---|---|---|---|
| a pause | aiohttp | 80.1 | 2,253 | µs CPU | **1.000** | 0.900 to 1.100 | 1.000 |  |
| a pause | httpx | 1 | 2 | s | **0.500** | 0.500 to 0.500 |  | < 0.4 ✗ |

calls: server nginx/1.22.1.
<!-- end ratios -->
More prose.
"""


def _limit(client: str, kind: str, used: float, refused: float, lost: int) -> str:
    row = {"part": "limits", "server": f"a: 200/s, {kind}", "Retry-After": "no", "client": client}
    return json.dumps(row | {"calls": 24_000, "goodput_%": used, "429_%": refused, "lost": lost})


LIMITS = [
    _limit(tables.OURS, "fixed window", 98.4, 0.2, 0),
    _limit(tables.RIVAL, "fixed window", 86.0, 31.2, 1_294),
    _limit("gather", "fixed window", 1.0, 99.0, 23_000),
    _limit(tables.OURS, "sliding window", 99.6, 0.9, 0),
    _limit(tables.RIVAL, "sliding window", 95.0, 33.8, 3_466),
    json.dumps({"part": "outage", "items": 1}),
]
FLOW_ROW = (
    "| 200 calls a second | no | 98 to 100 % | 0.2 to 0.9 % | 0 of 24,000 "
    "| 86 to 95 % | 31 to 34 % | 1,294 to 3,466 of 24,000 |"
)


def test_a_run_replaces_its_own_table(tmp_path: Path) -> None:
    """Only what stands between the two comments of a run changes, however often it is written."""
    document = tmp_path / "README.md"
    head, _, tail = RATIOS.partition("cpu Some CPU")
    end = tail[tail.index("<!-- end ratios -->") :]
    document.write_text(f"{head}an old table\n{end}")
    tables.write(json.dumps(RUN, indent=2), document)
    assert document.read_text() == RATIOS
    tables.write(json.dumps(RUN), document)
    assert document.read_text() == RATIOS


def test_flow_control_is_summed_up_by_limit(tmp_path: Path) -> None:
    """A row has the lowest and the highest figure over all kinds of server with one limit."""
    document = tmp_path / "README.md"
    document.write_text("<!-- begin flow -->\n<!-- end flow -->\n")
    tables.write("\n".join(LIMITS), document)
    assert document.read_text().splitlines()[3] == FLOW_ROW


@pytest.mark.parametrize("saved", ["{}", "[]", "no JSON", '{"part": "outage"}', json.dumps(RUN)])
def test_other_files_and_documents_are_refused(tmp_path: Path, saved: str) -> None:
    """What is no saved run, or has no place in the document, is an error and changes nothing."""
    document = tmp_path / "README.md"
    document.write_text("<!-- begin flow -->\n<!-- end flow -->\n")
    with pytest.raises(ValueError, match=r"."):
        tables.write(saved, document)
    assert document.read_text() == "<!-- begin flow -->\n<!-- end flow -->\n"


def test_the_command_names_a_file_that_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``tables`` with a wrong file or without a file ends with exit code 2."""
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    for arguments, message in (([str(wrong)], str(wrong)), ([], "needs the file")):
        with pytest.raises(SystemExit) as caught:
            run_command(monkeypatch, "tables", *arguments)
        assert caught.value.code == 2
        assert message in capsys.readouterr().err


def test_the_readme_has_a_place_for_both_tables() -> None:
    """``benchmarks/README.md`` has the comments between which the tables are written."""
    text = tables.README.read_text()
    for name in ("ratios", "flow"):
        assert text.count(f"<!-- begin {name} -->") == text.count(f"<!-- end {name} -->") == 1
