"""Tests of the state file: persistence after a stop, a restart and a kill."""

import asyncio
import os
import signal
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nrm_async import NRMClient
from nrm_async.sandbox import ActionRequest, Row, Sandbox
from nrm_async.sandbox.store import Origin, Store
from tests.cli.conftest import finish, start
from tests.sandbox.conftest import ACTIVE, COOLING, START, snapshot

STEP = st.one_of(
    st.tuples(
        st.sampled_from(["pause", "activate", "remediate"]),
        st.integers(0, 9),
        st.none() | st.integers(-3, 9).map(lambda days: START + timedelta(days=days)),
    ),
    st.tuples(st.just("advance"), st.integers(0, 20), st.none()),
    st.tuples(st.just("set"), st.integers(-20, 20), st.none()),
    st.tuples(st.sampled_from(["join", "leave", "freeze", "resume"]), st.integers(0, 9), st.none()),
)


def do(sandbox: Sandbox, what: str, number: int, at: datetime | None) -> None:
    """Execute one step."""
    if what in ("pause", "activate", "remediate"):
        ani = sandbox.phones[number]
        sandbox.state.act(ActionRequest(what, ani, note="n", at=at))  # type: ignore[arg-type]
    elif what == "advance":
        sandbox.clock.advance(timedelta(days=number))
    elif what == "set":
        sandbox.clock.set(START + timedelta(days=number))
    elif what in ("freeze", "resume"):
        getattr(sandbox.clock, what)()
    elif what == "leave":
        sandbox.state.leave(number)
    else:
        sandbox.state.join()


@given(st.lists(STEP, max_size=12))
@settings(max_examples=40, deadline=None)
def test_state_file_restores_everything(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, datetime | None]]
) -> None:
    """The rows, schedule, history and clock are restored after any sequence of steps."""
    file = tmp_path_factory.mktemp("state") / "state.db"
    first = Sandbox(25, state_file=file, now=lambda: START)
    for what, number, at in steps:
        do(first, what, number, at)
    before = snapshot(first)
    asyncio.run(first.stop())
    again = Sandbox(7, 99, state_file=file, now=lambda: START)
    assert snapshot(again) == before
    assert (again.founding.anis, again.founding.seed) == (25, 1)
    asyncio.run(again.stop())


async def test_state_file_keeps_requests_and_imported_rows(tmp_path: Path) -> None:
    """Requests and imported rows are restored after a restart, and a reset clears requests."""
    file = tmp_path / "state.db"
    rows = [{"id": 1, "phone": "2345678901", "status": ACTIVE}]
    async with Sandbox(inventory=rows, state_file=file) as sandbox:  # type: ignore[arg-type]
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            await nrm.pause("2345678901")
    async with Sandbox(state_file=file) as again:
        assert again.phones == ("2345678901",)
        assert again.books.requests() == sandbox.books.requests()
        again.assert_applied("pause", "2345678901", times=1)
        async with NRMClient(again.api_key, base_url=again.url) as nrm:
            await nrm.list_anis()
        assert [one.number for one in again.books.requests()] == [1, 2]
        again.reset()
    async with Sandbox(state_file=file) as last:
        assert not last.books.requests()


async def test_state_file_after_sigkill(tmp_path: Path) -> None:
    """Every action acknowledged before a SIGKILL is restored after a restart."""
    file = tmp_path / "state.db"
    arguments = ("sandbox", "--port", "0", "--anis", "300", "--state", str(file))
    environment = os.environ | {"PYTHONASYNCIODEBUG": ""}
    process = await start(*arguments, environment=environment)
    assert process.stdout is not None
    line = (await process.stdout.readuntil(b"Ctrl-C stops it.\n")).decode().splitlines()[0]
    answered = list[str]()
    async with NRMClient("sandbox-key", base_url=line.split()[-1]) as nrm:
        async for ani in nrm.anis():
            if ani.is_active and len(answered) < 40:
                answered.append((await nrm.pause(ani)).ani)
        process.send_signal(signal.SIGKILL)
        await finish(process)
    again = Sandbox(state_file=file)
    assert [one.ani for one in again.books.applied("pause")] == answered
    assert {again.status_of(ani) for ani in answered} == {COOLING}
    await again.stop()


async def test_request_numbers_are_unique_after_restart(tmp_path: Path) -> None:
    """The number of an interrupted request is not reused."""
    file = tmp_path / "state.db"
    first = Sandbox(3, state_file=file, now=lambda: START)
    first.state.act(ActionRequest("remediate", first.phones[0]), number=7)
    await first.stop()
    again = Sandbox(state_file=file, now=lambda: START)
    assert again.books.applied()[0].request == 7
    assert again.books.arrive("anis", START).number == 8
    await again.stop()


def test_state_file_is_locked(tmp_path: Path) -> None:
    """A second sandbox cannot open the file until the first has stopped."""
    file = tmp_path / "state.db"
    first = Sandbox(5, state_file=file)
    with pytest.raises(ValueError, match=r"state file .*: another sandbox is using it"):
        Sandbox(5, state_file=file)
    asyncio.run(first.stop())
    asyncio.run(Sandbox(5, state_file=file).stop())


def test_state_file_is_released_after_a_failure(tmp_path: Path) -> None:
    """A sandbox whose constructor raises closes its state file."""
    rows: list[Row] = [{"phone": "2345678901"}] * 2
    errors = []  # keep the failed sandboxes alive through their tracebacks
    for _ in range(2):
        with pytest.raises(ValueError, match="unique phones") as error:
            Sandbox(inventory=rows, state_file=tmp_path / "state.db")
        errors.append(error)


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()


def newer(path: Path) -> None:
    Store(path, Origin(1, 1, START.date())).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


def damaged(path: Path) -> None:
    Store(path, Origin(1, 1, START.date())).close()
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO events (kind, body) VALUES ('applied', '{')")
    database.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("x" * 5_000), "the file is not a sandbox state file"),
        (lambda path: path.mkdir(), "unable to open database file"),
        (foreign, "the file is another program's database"),
        (newer, "the file has format 99, but this version reads format 1"),
        (damaged, "the file is damaged"),
    ],
)
def test_unusable_state_file(tmp_path: Path, make: object, message: str) -> None:
    """The error is one line, and a file from another program is not modified."""
    file = tmp_path / "state.db"
    make(file)  # type: ignore[operator]
    before = file.read_bytes() if file.is_file() else b""
    with pytest.raises(ValueError, match=message) as error:
        Sandbox(5, state_file=file)
    assert str(error.value).startswith(f"state file {file}: ")
    assert "\n" not in str(error.value)
    assert "damaged" in message or (file.read_bytes() if file.is_file() else b"") == before
