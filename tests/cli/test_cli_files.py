"""Files of the command: exports, what changed since one, and lists of numbers to act on."""

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from aiohttp import web

from nrm_async import Activate, Outcome, Pause
from nrm_async.files import load_inventory, load_report, save_inventory
from nrm_async.sandbox import Sandbox
from tests.cli.conftest import COMMAND, Cli, finish, start
from tests.conftest import API_KEY, StubAPI

ACTIVE = "ACTIVE_AND_BEING_MANAGED"
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")


@pytest.fixture
def active(sandbox: Sandbox) -> list[str]:
    """Numbers that can be paused."""
    return [phone for phone in sandbox.phones if sandbox.status_of(phone) == ACTIVE]


@pytest.mark.parametrize("name", ["numbers.csv", "numbers.jsonl.gz", "numbers.parquet"])
async def test_export_writes_the_whole_inventory(
    cli: Cli, sandbox: Sandbox, tmp_path: Path, name: str
) -> None:
    """The suffix tells the form; one line says what was written; in a pipe there is no bar."""
    path = tmp_path / name
    done = await cli("export", str(path))
    assert (done.code, done.err) == (0, "")
    assert done.out == f"120 numbers written to {path}\n"
    loaded = load_inventory(path)
    assert [ani.phone for ani in loaded] == list(sandbox.phones)
    assert loaded.complete is not name.endswith(".csv")


async def test_export_to_standard_output(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    """With a form given; nothing else is written there."""
    done = await cli("export", "--format", "jsonl", "--number", sandbox.phones[0][:3])
    (tmp_path / "numbers.jsonl").write_text(done.out)
    wanted = [phone for phone in sandbox.phones if phone.startswith(sandbox.phones[0][:3])]
    assert [ani.phone for ani in load_inventory(tmp_path / "numbers.jsonl")] == wanted
    assert (done.code, done.err) == (0, "")


async def test_parquet_goes_through_a_pipe(sandbox: Sandbox) -> None:
    """A pipe cannot be wound back, and need not be."""
    environment = os.environ | {"NRM_BASE_URL": sandbox.url, "OUTBOUNDIQ_API_KEY": sandbox.api_key}
    process = await start("export", "--format", "parquet", environment=environment)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err) == (0, b"")
    assert pq.read_table(io.BytesIO(out)).column("phone").to_pylist() == list(sandbox.phones)


@posix
async def test_a_bar_moves_on_a_terminal_only(sandbox: Sandbox, tmp_path: Path) -> None:
    """Where standard error is a terminal, it shows the work; data and words stay apart from it."""
    environment = os.environ | {
        "NRM_BASE_URL": sandbox.url, "OUTBOUNDIQ_API_KEY": sandbox.api_key, "TERM": "xterm",
    }  # fmt: skip
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "export", str(tmp_path / "numbers.csv"),
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 0
    assert "Listing" in shown
    assert "Writing" in shown
    assert out.decode() == f"120 numbers written to {tmp_path / 'numbers.csv'}\n"


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
async def test_wrong_usage_is_exit_code_2(
    cli: Cli, sandbox: Sandbox, wrong: tuple[str, ...]
) -> None:
    """It is told in one line, and nothing is sent."""
    done = await cli(*wrong)
    assert (done.code, done.out, sandbox.requests) == (2, "", 0)
    assert done.err.splitlines()[-1].startswith("Error: ")


async def test_an_incomplete_export_is_exit_code_1(
    anywhere: Cli, environment: Callable[[str, str], None], stub_api: StubAPI, tmp_path: Path
) -> None:
    """What could be read is written, and the file says of itself that it is not complete."""
    environment(stub_api.url, API_KEY)
    rows = [{"id": 1, "phone": "2345678901"}, {"id": 2, "phone": "2345678902", "blockRate": "x"}]
    stub_api.reply({"count": 2, "total_anis": 2, "total_pages": 1, "data": rows})
    done = await anywhere("export", str(tmp_path / "numbers.jsonl"))
    assert done.code == 1
    assert "the inventory is not complete: 1 rows could not be understood" in done.err
    assert done.err.count("\n") == 1
    loaded = load_inventory(tmp_path / "numbers.jsonl")
    assert (len(loaded), loaded.complete) == (1, False)
    assert loaded.malformed[0].path == "$.data[1].blockRate"


async def test_a_failed_export_leaves_the_old_file(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a wrong key there is nothing to write."""
    path = tmp_path / "numbers.csv"
    path.write_text("old")
    monkeypatch.setenv("OUTBOUNDIQ_API_KEY", "wrong-key")
    assert (await cli("export", str(path))).code == 3
    assert path.read_text() == "old"


async def test_diff_shows_what_changed_since(
    cli: Cli, sandbox: Sandbox, active: list[str], tmp_path: Path
) -> None:
    """Against the account as it is now, or another file; status first."""
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


async def test_diff_of_csv_says_what_it_cannot_know(cli: Cli, tmp_path: Path) -> None:
    """Rows that are gone from a file which may never have been whole prove nothing."""
    old = str(tmp_path / "old.csv")
    await cli("export", old)
    done = await cli("diff", old)
    assert (done.code, done.out) == (0, "Nothing changed\n")
    assert "CSV never tells" in done.err


async def test_summary_counts(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    """A saved inventory and the account as it is now give the same figures."""
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


async def test_summary_of_a_file_that_is_none(cli: Cli, tmp_path: Path) -> None:
    """One line names it and what is wrong with it."""
    path = tmp_path / "numbers.csv"
    path.write_text("a,b\n1,2\n")
    done = await cli("summary", str(path))
    assert (done.code, done.out) == (2, "")
    assert done.err == f"nrm-async: {path}: line 1: there is no column 'id'\n"


@posix
async def test_watch_prints_what_changes_until_interrupted(
    cli: Cli, sandbox: Sandbox, active: list[str], tmp_path: Path
) -> None:
    """Beginning with what changed since the file; Ctrl-C ends it quietly."""
    saved = str(tmp_path / "saved.jsonl")
    await cli("export", saved)
    await cli("pause", active[0])
    environment = os.environ | {"NRM_BASE_URL": sandbox.url, "OUTBOUNDIQ_API_KEY": sandbox.api_key}
    process = await start(
        "watch", "--every", "0.05s", "--from", saved, "--json", environment=environment
    )
    assert process.stdout is not None
    first = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    assert next(change["phone"] for change in first["changed"]) == active[0]
    assert first["at"].endswith("+00:00")
    await cli("pause", active[1])
    second = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    assert {change["phone"] for change in second["changed"]} == {active[1]}
    process.send_signal(signal.SIGINT)
    done = await finish(process)
    assert (done.code, done.out, done.err) == (130, "", "")


@posix
async def test_watch_survives_a_failed_read(stub_api: StubAPI, tmp_path: Path) -> None:
    """Each failure is one line, and the next read is tried; only a refused key ends it.

    What is added to a file that does not say that it is complete may only have been missed there.
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
    environment = os.environ | {"NRM_BASE_URL": stub_api.url, "OUTBOUNDIQ_API_KEY": API_KEY}
    arguments = ("watch", "--every", "0.01s", "--from", str(saved))
    done = await finish(await start(*arguments, environment=environment))
    first, *others = done.err.splitlines()
    assert done.code == 3
    assert "1 added, 0 removed" in done.out
    assert "may only have been missed" in others[0]
    assert first.startswith("nrm-async: the inventory could not be read")
    assert "not today" in first
    assert "Invalid API key" in others[-1]


async def test_numbers_from_a_file(
    cli: Cli, sandbox: Sandbox, active: list[str], tmp_path: Path
) -> None:
    """After those of the arguments; a bad line is a result with its number, and stops nothing."""
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


async def test_bare_numbers_under_any_name(cli: Cli, active: list[str], tmp_path: Path) -> None:
    """A plain list needs neither a header nor a suffix."""
    path = tmp_path / "numbers.txt"
    path.write_text("\n".join(active[:3]))
    done = await cli("remediate", "--file", str(path))
    assert (done.code, done.out.splitlines()[-1].split(": ")[1]) == (0, "3 applied")


async def test_activate_takes_dates_from_a_file(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    """Then none need be given; a line without one is a result."""
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


async def test_a_file_that_is_no_list_sends_nothing(
    cli: Cli, sandbox: Sandbox, active: list[str], tmp_path: Path
) -> None:
    """Its header is read before anything else is done, numbers of the arguments included."""
    path = tmp_path / "numbers.csv"
    path.write_text("a,b\n1,2\n")
    done = await cli("pause", active[0], "--file", str(path))
    assert (done.code, done.out, sandbox.requests) == (2, "", 0)
    assert done.err == (
        f"nrm-async: {path}: none of its columns is called ani, phone or number: ['a', 'b']\n"
    )


async def test_an_export_for_a_spreadsheet_is_a_list_again(cli: Cli, tmp_path: Path) -> None:
    """Its guards are no part of the numbers."""
    path = tmp_path / "numbers.csv"
    await cli("export", str(path), "--spreadsheet")
    assert "'2" in path.read_text()
    rows = [ani for ani in load_inventory(path) if ani.is_active][:3]
    save_inventory(path, rows, for_spreadsheet=True)
    assert (await cli("pause", "--file", str(path))).code == 0
