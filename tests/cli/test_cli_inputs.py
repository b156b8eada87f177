"""Action inputs: reports to retry, number lists, dry runs and error messages."""

import json
from pathlib import Path

import pytest

from nrm_async import (
    Activate,
    BatchReport,
    Failed,
    NotSentError,
    NRMError,
    Outcome,
    OutcomeUnknownError,
    Pause,
    Receipt,
    RejectedError,
    Succeeded,
)
from nrm_async.actions import Action
from nrm_async.files import load_report, save_report
from nrm_async.sandbox import Sandbox
from tests.cli.conftest import Cli

FORMS = ["report.csv", "report.csv.gz", "report.jsonl", "report.parquet"]


def failed(index: int, action: Action, outcome: Outcome, error: NRMError) -> Failed:
    return Failed(
        index=index, input=action, action=action, outcome=outcome, attempts=1, elapsed=0.0,
        error=error,
    )  # fmt: skip


@pytest.fixture
def report(active: list[str]) -> BatchReport:
    """A report with each kind of result; two are retryable, and one of these is not a pause."""
    applied = Pause(active[0])
    return BatchReport((
        Succeeded(
            index=0, input=applied, action=applied, outcome=Outcome.APPLIED, attempts=1,
            elapsed=0.0, receipt=Receipt(applied.ani, "paused", None),
        ),
        failed(1, Pause(active[1]), Outcome.UNKNOWN, OutcomeUnknownError("no answer")),
        failed(2, Pause(active[2]), Outcome.REJECTED, RejectedError(200, "no")),
        failed(3, Pause(active[3], note="rest"), Outcome.NOT_APPLIED, NotSentError("no way")),
        failed(4, Activate(active[4], date="2026-01-31"), Outcome.NOT_APPLIED,
               NotSentError("no way")),
    ))  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
async def test_retry_sends_only_what_is_safe(
    cli: Cli, sandbox: Sandbox, active: list[str], report: BatchReport, tmp_path: Path, name: str
) -> None:
    """Options are kept; one line counts the skipped results; unknown outcomes exit with 1."""
    path = tmp_path / name
    save_report(path, report)
    done = await cli("pause", "--retry", str(path), "--report", str(tmp_path / "next.csv"))
    assert done.code == 1
    assert [(entry.ani, entry.note) for entry in sandbox.books] == [(active[3], "rest")]
    assert done.err == (
        f"nrm-async: {path}: retrying 1 number; left out: 1 applied, 1 unknown, 1 rejected, "
        "1 of another action\n"
    )
    assert [result.ani for result in load_report(tmp_path / "next.csv")] == [active[3]]


@pytest.mark.parametrize(
    "command", [("pause",), ("activate", "--date", "2026-01-31"), ("remediate",)]
)
@pytest.mark.parametrize("name", ["report.csv", "report.jsonl"])
async def test_report_is_not_accepted_as_a_list(
    cli: Cli, sandbox: Sandbox, report: BatchReport, tmp_path: Path, command: tuple[str, ...],
    name: str,
) -> None:  # fmt: skip
    """Nothing is sent, and the error names ``--retry``."""
    save_report(tmp_path / name, report)
    done = await cli(*command, "--file", str(tmp_path / name))
    assert (done.code, done.out, sandbox.requests) == (2, "", 0)
    assert "it is a report" in done.err
    assert "--retry" in done.err


@pytest.mark.parametrize("option", ["--retry", "--file"])
@pytest.mark.parametrize("way", ["path", "detour", "symlink", "hard link"])
async def test_report_does_not_overwrite_an_input(
    cli: Cli, sandbox: Sandbox, report: BatchReport, tmp_path: Path, option: str, way: str
) -> None:
    """Saving to an input file under any name is a usage error, and nothing is sent."""
    path, other = tmp_path / "given.csv", tmp_path / "other.csv"
    if option == "--retry":
        save_report(path, report)
    else:
        path.write_text("\n".join(sandbox.phones))
    before = path.read_bytes()
    if way == "symlink":
        other.symlink_to(path)
    elif way == "hard link":
        other.hardlink_to(path)
    else:
        other = path if way == "path" else tmp_path / ".." / tmp_path.name / path.name
    done = await cli("pause", option, str(path), "--report", str(other))
    assert (done.code, done.out, sandbox.requests) == (2, "", 0)
    assert f"--report must name a different file from {option}" in done.err
    assert path.read_bytes() == before


@pytest.mark.parametrize("more", [("2345678901",), ("--note", "x"), ("--carrier", "123456")])
async def test_retry_excludes_numbers_and_options(
    cli: Cli, sandbox: Sandbox, report: BatchReport, tmp_path: Path, more: tuple[str, ...]
) -> None:
    """``--retry`` with numbers or action options is a usage error."""
    save_report(tmp_path / "report.csv", report)
    done = await cli("pause", "--retry", str(tmp_path / "report.csv"), *more)
    assert (done.code, sandbox.requests) == (2, 0)
    assert "--retry cannot be combined with numbers" in done.err


async def test_dry_run_sends_nothing(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    """A dry run counts all inputs, prints the first five and saves no report."""
    path = tmp_path / "numbers.csv"
    await cli("export", str(path))
    requests = sandbox.requests
    target = tmp_path / "report.csv"
    done = await cli("pause", "--file", str(path), "--dry-run", "--report", str(target))
    assert (done.code, done.err, sandbox.requests) == (0, "", requests)
    assert not target.exists()
    _titles, *shown, more, last = done.out.splitlines()
    assert [row.split()[0] for row in shown] == list(sandbox.phones[:5])
    assert (more, last) == (
        "... and 115 more",
        "Would pause 120 numbers. Nothing was sent.",
    )


async def test_dry_run_lists_bad_inputs(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    """Each bad input is printed with its line number; the exit code is 1."""
    path = tmp_path / "numbers.csv"
    path.write_text("ani,note\n(234) 567-8901,rest\n2.3E+09,\n")
    done = await cli("remediate", "12", "--file", str(path), "--dry-run")
    assert (done.code, sandbox.requests) == (1, 0)
    assert f"bad: 2.3E+09: {path} line 3: 2.3E+09 is a number that" in done.out
    assert done.out.splitlines()[-1].startswith("Would remediate 1 number; 2 bad inputs ")
    done = await cli("remediate", "12", "--file", str(path), "--dry-run", "--json")
    bad, good, cut = map(json.loads, done.out.splitlines())
    assert (done.code, bad["index"], bad["ok"], cut["ok"]) == (1, 0, False, False)
    assert good == {
        "index": 1, "ani": "2345678901", "action": "remediate", "carrier": None, "note": "rest",
        "date": None, "ok": True, "error": None,
    }  # fmt: skip


async def test_dry_run_checks_options(cli: Cli) -> None:
    """An invalid option is a usage error, as in a real run."""
    assert (await cli("pause", "2345678901", "--carrier", "12", "--dry-run")).code == 2


async def test_number_in_scientific_notation_as_an_argument(cli: Cli) -> None:
    """The error message is the same as for a number in a file."""
    done = await cli("pause", "2.34568E+09")
    assert done.code == 1
    assert "2.34568E+09 is a number that a spreadsheet has cut" in done.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause", "2345678901", "--report", "x.xlsx"),
        ("diff", __file__),
        ("summary", __file__),
        ("watch", "--from", __file__),
    ],
)
async def test_unknown_suffix_names_the_supported_ones(
    cli: Cli, sandbox: Sandbox, arguments: tuple[str, ...]
) -> None:
    """The error does not mention a format option, which these commands do not have."""
    done = await cli(*arguments)
    assert (done.code, sandbox.requests) == (2, 0)
    assert "must end in .csv, .jsonl, .ndjson (.gz may follow these), .parquet or .pq" in done.err
    assert "format" not in done.err


async def test_json_lines_can_be_retried_as_a_report(
    cli: Cli, active: list[str], tmp_path: Path
) -> None:
    """Saved JSON Lines contain every option that ``--retry`` sends."""
    done = await cli("pause", active[0], "--note", "rest", "--carrier", "123456", "--json")
    path = tmp_path / "lines.jsonl"
    path.write_text(done.out)
    assert [one.action for one in load_report(path)] == [
        Pause(active[0], note="rest", carrier="123456")
    ]
    again = await cli("pause", "--retry", str(path))
    assert again.err == f"nrm-async: {path}: retrying 0 numbers; left out: 1 applied\n"


@pytest.mark.parametrize("command", [("pause",), ("activate", "--date", "2026-01-31")])
async def test_retry_after_a_rejected_key(
    cli: Cli, sandbox: Sandbox, active: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    command: tuple[str, ...],
) -> None:  # fmt: skip
    """A rejected key stops the batch; a retry sends every action with its options."""
    name, *options = command
    path = str(tmp_path / "report.csv")
    with monkeypatch.context() as patch:
        patch.setenv("OUTBOUNDIQ_API_KEY", "another-key")
        assert (await cli(name, *active[:30], *options, "--report", path)).code == 3
    done = await cli(name, "--retry", path)
    assert done.err == f"nrm-async: {path}: retrying 30 numbers; left out: none\n"
    assert len(done.out.splitlines()) == 32
    assert (done.code == 0) is (name == "pause")  # active numbers cannot be activated
