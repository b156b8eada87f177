"""Files: exports, summaries, diffs, ``watch --from`` and number lists."""

import asyncio
import io
import json
import os
import signal
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from aiohttp import web

from nrm_async import Activate, Outcome, Pause
from nrm_async.files import load_inventory, load_report, save_inventory
from nrm_async.sandbox import Sandbox
from tests.cli.conftest import (
    ACTIVE,
    Cli,
    PointAt,
    finish,
    pointing_at,
    read_terminal,
    start,
)
from tests.fakes import API_KEY, StubAPI

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")


@pytest.mark.parametrize("name", ["numbers.csv", "numbers.jsonl.gz", "numbers.parquet"])
async def test_export_writes_the_whole_inventory(
    cli: Cli, sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    """The suffix selects the format, and the output in a pipe is one line without a bar."""
    path = tmp_path / name
    done = await cli("export", str(path))
    assert (done.code, done.err) == (0, "")
    assert done.out == f"120 numbers written to {path}\n"
    loaded = load_inventory(path)
    assert [ani.phone for ani in loaded] == list(sandbox.phones)
    assert loaded.complete is not name.endswith(".csv")


async def test_export_to_standard_output(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    """With ``--format``, standard output contains only the inventory."""
    done = await cli("export", "--format", "jsonl", "--number", sandbox.phones[0][:3])
    (tmp_path / "numbers.jsonl").write_text(done.out)
    wanted = [phone for phone in sandbox.phones if phone.startswith(sandbox.phones[0][:3])]
    assert [ani.phone for ani in load_inventory(tmp_path / "numbers.jsonl")] == wanted
    assert (done.code, done.err) == (0, "")


async def test_parquet_through_a_pipe(sandbox: Sandbox) -> None:
    """Parquet can be written to an output that is not seekable."""
    environment = pointing_at(sandbox.url, sandbox.api_key)
    process = await start("export", "--format", "parquet", environment=environment)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, err) == (0, b"")
    assert pq.read_table(io.BytesIO(out)).column("phone").to_pylist() == list(sandbox.phones)


@posix
async def test_export_draws_bars_on_a_terminal(sandbox: Sandbox, tmp_path: Path) -> None:
    """Bars are drawn on standard error; standard output contains only the message."""
    environment = pointing_at(sandbox.url, sandbox.api_key) | {"TERM": "xterm"}
    ours, theirs = os.openpty()
    path = str(tmp_path / "numbers.csv")
    process = await start("export", path, environment=environment, stderr=theirs)
    os.close(theirs)
    shown, done = await asyncio.gather(asyncio.to_thread(read_terminal, ours), finish(process))
    assert done.code == 0
    assert "Listing" in shown
    assert "Writing" in shown
    assert done.out == f"120 numbers written to {tmp_path / 'numbers.csv'}\n"


@pytest.mark.parametrize(
    "wrong",
    [
        ("export",),
        ("export", "numbers.xlsx"),
        ("export", "numbers.jsonl", "--format", "xml"),
        ("export", "nowhere/numbers.jsonl"),
        ("export", "/", "--format", "csv"),
        ("summary", "nowhere.csv"),
        ("diff",),
        ("watch", "--every", "soon"),
        ("watch", "--every", "0"),
        ("pause", "--file", "nowhere.csv"),
        ("pause", "2345678901", "--report", "report.xlsx"),
        ("pause", "2345678901", "--report", "nowhere/report.csv"),
        ("activate", "2345678901"),
        ("pause",),
        ("pause", "2345678901", "--retry", "report.xlsx"),
        ("pause", "--note", "x", "--retry", "nowhere.csv"),
    ],
)
async def test_invalid_usage_exits_with_2(
    cli: Cli, sandbox: Sandbox, wrong: tuple[str, ...]
) -> None:
    """The last line is the error, and nothing is sent."""
    done = await cli(*wrong)
    assert (done.code, done.out, sandbox.requests) == (2, "", 0)
    assert done.err.splitlines()[-1].startswith("Error: ")


async def test_incomplete_export_exits_with_1(
    run_cli: Cli, point_at: PointAt, stub_api: StubAPI, tmp_path: Path
) -> None:
    """The other rows are written, and the file is marked as incomplete."""
    point_at(stub_api.url, API_KEY)
    rows = [{"id": 1, "phone": "2345678901"}, {"id": 2, "phone": "2345678902", "blockRate": "x"}]
    stub_api.reply({"count": 2, "total_anis": 2, "total_pages": 1, "data": rows})
    done = await run_cli("export", str(tmp_path / "numbers.jsonl"))
    assert done.code == 1
    assert "the inventory is not complete: 1 row could not be understood" in done.err
    assert done.err.count("\n") == 1
    loaded = load_inventory(tmp_path / "numbers.jsonl")
    assert (len(loaded), loaded.complete) == (1, False)
    assert loaded.malformed[0].path == "$.data[1].blockRate"


async def test_failed_export_keeps_the_old_file(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A rejected key leaves the file unchanged."""
    path = tmp_path / "numbers.csv"
    path.write_text("old")
    monkeypatch.setenv("OUTBOUNDIQ_API_KEY", "wrong-key")
    assert (await cli("export", str(path))).code == 3
    assert path.read_text() == "old"


async def test_diff_since_an_export(
    cli: Cli, sandbox: Sandbox, active: list[str], tmp_path: Path
) -> None:
    """A file is compared with the account or another file; status changes are printed first."""
    old, new = str(tmp_path / "old.jsonl"), str(tmp_path / "new.parquet")
    await cli("export", old)
    assert (await cli("diff", old)).out.splitlines() == ["Nothing changed"]
    await cli("pause", active[0])
    done = await cli("diff", old)
    assert (done.code, done.err) == (0, "")
    _titles, first, *_others, last = done.out.splitlines()
    assert first.split()[:5] == ["changed", active[0], "status", ACTIVE, "COOLING_OFF"]
    assert first.endswith("  status_label, date_deactivated")
    assert not _others
    *_, shown = (await cli("diff", old, "--all-fields")).out.splitlines()[:-1]
    assert shown.split()[2] == "date_deactivated"
    assert last.startswith("0 added, 0 removed, 1 changed in ")
    await cli("export", new)
    requests = sandbox.requests
    found = json.loads((await cli("diff", old, new, "--json")).out)
    assert sandbox.requests == requests
    assert found["changed"][0]["field"] == "status"
    assert found["complete"] is True


async def test_diff_of_csv_warns_that_it_may_be_incomplete(cli: Cli, tmp_path: Path) -> None:
    """A diff of CSV files warns, because CSV does not record completeness."""
    old = str(tmp_path / "old.csv")
    await cli("export", old)
    done = await cli("diff", old)
    assert (done.code, done.out) == (0, "Nothing changed\n")
    assert "CSV files do not record this" in done.err


async def test_summary_of_a_file_and_of_the_account(
    cli: Cli, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Both summaries have the same figures, and ``--number`` also filters a file."""
    path = str(tmp_path / "numbers.parquet")
    await cli("export", path)
    live, saved = await cli("summary", "--json"), await cli("summary", path, "--json")
    assert json.loads(live.out) == json.loads(saved.out)
    assert json.loads(live.out)["numbers"] == 120
    shown = (await cli("summary", path)).out
    assert shown.startswith("120 numbers, ")
    assert "Rates, weighted by dials: contact " in shown
    prefix = sandbox.phones[0][:3]
    some = json.loads((await cli("summary", path, "--number", prefix, "--json")).out)
    assert some["numbers"] == sum(phone.startswith(prefix) for phone in sandbox.phones)


async def test_summary_of_another_file(cli: Cli, tmp_path: Path) -> None:
    """A file that is not an inventory is reported in one line with its name."""
    path = tmp_path / "numbers.csv"
    path.write_text("a,b\n1,2\n")
    done = await cli("summary", str(path))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"nrm-async: {path}: line 1: ")
    assert "'id'" in done.err
    assert done.err.count("\n") == 1


@posix
async def test_watch_prints_changes_until_interrupted(
    cli: Cli, sandbox: Sandbox, active: list[str], tmp_path: Path
) -> None:
    """The first read is compared with the file; Ctrl-C ends the command without a message."""
    saved = str(tmp_path / "saved.jsonl")
    await cli("export", saved)
    await cli("pause", active[0])
    environment = pointing_at(sandbox.url, sandbox.api_key)
    process = await start(
        "watch", "--every", "0.05s", "--from", saved, "--json", environment=environment
    )
    assert process.stdout is not None
    first = json.loads(await process.stdout.readline())
    assert next(change["phone"] for change in first["changed"]) == active[0]
    assert first["at"].endswith("+00:00")
    await cli("pause", active[1])
    second = json.loads(await process.stdout.readline())
    assert {change["phone"] for change in second["changed"]} == {active[1]}
    process.send_signal(signal.SIGINT)
    done = await finish(process)
    assert (done.code, done.out, done.err) == (130, "", "")


@posix
async def test_watch_continues_after_a_failed_read(stub_api: StubAPI, tmp_path: Path) -> None:
    """Each failure is reported in one line, and a rejected key ends the command.

    A warning says that added rows may only be missing from the incomplete file.
    """
    saved = tmp_path / "saved.csv"
    saved.write_text("id,phone\n")
    rows = [{"id": 1, "phone": "2345678901"}]
    answers = [
        web.json_response({"message": "not today"}, status=422),
        web.json_response({"data": rows, "total_anis": 1, "can_next_page": False}),
        web.json_response({"message": "Invalid API key"}, status=401),
    ]
    stub_api.answer = lambda request: answers.pop(0)
    environment = pointing_at(stub_api.url, API_KEY)
    arguments = ("watch", "--every", "0.01s", "--from", str(saved))
    done = await finish(await start(*arguments, environment=environment))
    first, *others = done.err.splitlines()
    assert done.code == 3
    assert "1 added, 0 removed" in done.out
    assert "may only be missing from it" in others[0]
    assert first.startswith("nrm-async: inventory read failed")
    assert "not today" in first
    assert "Invalid API key" in others[-1]


async def test_numbers_from_a_file(
    cli: Cli, sandbox: Sandbox, active: list[str], tmp_path: Path
) -> None:
    """Numbers in a file follow the arguments; a bad line is a result with its line number."""
    path, report = tmp_path / "numbers.csv", tmp_path / "report.csv"
    path.write_text(f"Phone;Note\n{active[1]};from the file\n2.34568E+09;\n{active[2]};\n")
    done = await cli(
        "pause", active[0], "--file", str(path), "--note", "mine", "--report", str(report)
    )
    assert done.code == 1
    assert done.out.splitlines()[-1].endswith(" s: 3 applied, 1 not applied")
    assert "line 3: 2.34568E+09 is a number that a spreadsheet has cut" in done.out
    assert sorted(entry.note or "" for entry in sandbox.books) == ["from the file", "mine", "mine"]
    saved = load_report(report)
    assert [result.action for result in saved] == [
        Pause(active[0], note="mine"), Pause(active[1], note="from the file"), None,
        Pause(active[2], note="mine"),
    ]  # fmt: skip
    assert saved[2].outcome is Outcome.NOT_APPLIED


async def test_plain_list_with_any_suffix(cli: Cli, active: list[str], tmp_path: Path) -> None:
    """A plain list requires neither a header nor a known suffix."""
    path = tmp_path / "numbers.txt"
    path.write_text("\n".join(active[:3]))
    done = await cli("remediate", "--file", str(path))
    assert (done.code, done.out.splitlines()[-1].split(": ")[1]) == (0, "3 applied")


async def test_activate_with_dates_from_a_file(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    """``--date`` is not required; a line without a date is a bad input."""
    resting = [phone for phone in sandbox.phones if sandbox.status_of(phone) != ACTIVE][:2]
    path = tmp_path / "numbers.csv"
    path.write_text(f"ani,date\n{resting[0]},2026-05-27\n{resting[1]},\n")
    report = tmp_path / "report.jsonl"
    done = await cli("activate", "--file", str(path), "--report", str(report))
    assert done.code == 1
    one, other = load_report(report)
    assert (one.action, one.ok) == (Activate(resting[0], date="2026-05-27"), True)
    assert not other.ok
    assert "line 3: date is required to activate a number" in other.error.message


async def test_file_that_is_not_a_list_sends_nothing(
    cli: Cli, sandbox: Sandbox, active: list[str], tmp_path: Path
) -> None:
    """The header is read first, so the numbers in the arguments are not sent either."""
    path = tmp_path / "numbers.csv"
    path.write_text("a,b\n1,2\n")
    done = await cli("pause", active[0], "--file", str(path))
    assert (done.code, done.out, sandbox.requests) == (2, "", 0)
    assert done.err.startswith(f"nrm-async: {path}: ")
    assert "ani, phone or number" in done.err
    assert done.err.count("\n") == 1


async def test_export_for_a_spreadsheet_can_be_used_as_a_list(cli: Cli, tmp_path: Path) -> None:
    """The apostrophes that mark numbers as text are removed."""
    path = tmp_path / "numbers.csv"
    await cli("export", str(path), "--spreadsheet")
    assert "'2" in path.read_text()
    rows = [ani for ani in load_inventory(path) if ani.is_active][:3]
    save_inventory(path, rows, for_spreadsheet=True)
    assert (await cli("pause", "--file", str(path))).code == 0
