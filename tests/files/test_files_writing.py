"""Writing: atomic, streamed, and outside of the event loop."""

import asyncio
import errno
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest

from nrm_async import Ani, InvalidRequestError, NRMClient, Pause
from nrm_async._columns import ColumnSpec
from nrm_async.files import (
    Format,
    load_inventory,
    load_report,
    read_anis,
    save_anis,
    save_inventory,
    save_results,
)
from nrm_async.files.atomic import AtomicFile
from nrm_async.sandbox import Sandbox

each_format = pytest.mark.parametrize("form", get_args(Format))

KILLED = """
import os, signal, sys
from nrm_async import Ani
from nrm_async.files import save_inventory

def rows():
    for number in range(20_000):
        if number == 12_345:
            os.kill(os.getpid(), signal.SIGKILL)
        yield Ani(number, str(number))

save_inventory(sys.argv[1], rows())
"""


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


class BrokenError(Exception):
    """Raised by a source of rows."""


def breaking(count: int = 5_000) -> Iterator[Ani]:
    for number in range(count):
        yield Ani(number, str(number))
    raise BrokenError


async def breaking_stream() -> AsyncIterator[Ani]:
    for ani in breaking_rows():
        yield ani
    raise BrokenError


def breaking_rows() -> Iterator[Ani]:
    return (Ani(number, str(number)) for number in range(5_000))


@each_format
@pytest.mark.parametrize("packed", ["", ".gz"])
async def test_error_during_write_leaves_the_old_file(
    form: Format, packed: str, tmp_path: Path
) -> None:
    """An error of the source or an invalid row leaves the old file, and nothing else."""
    path = tmp_path / f"numbers.{form}{packed}"
    form_given: Format | None = form if packed and form == "parquet" else None
    path.write_bytes(b"old")
    with pytest.raises(BrokenError):
        save_inventory(path, breaking(), format=form_given)
    with pytest.raises(BrokenError):
        await save_anis(path, breaking_stream(), format=form_given)
    bad = [*breaking_rows(), Ani(1, "\ud800")]
    with pytest.raises(InvalidRequestError, match="phone must be valid Unicode"):
        save_inventory(path, bad, format=form_given)
    with pytest.raises(InvalidRequestError, match="phone must be valid Unicode"):
        await save_anis(path, bad, format=form_given)
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == [path.name]


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_killed_process_leaves_the_old_file(form: Format, tmp_path: Path) -> None:
    """Without any cleanup, the name still stands for the old file."""
    path = tmp_path / f"numbers.{form}"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


@each_format
async def test_cancelled_write_leaves_the_old_file(form: Format, tmp_path: Path) -> None:
    """Cancellation waits for the thread, cleans up, and propagates."""
    path = tmp_path / f"numbers.{form}"
    path.write_bytes(b"old")
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[Ani]:
        number = 0
        while True:
            yield Ani(number, str(number))
            number += 1
            if number == 10_000:
                reached.set()
                await asyncio.sleep(0)

    task = asyncio.create_task(save_anis(path, endless()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == [path.name]


async def test_cancellation_at_any_step(tmp_path: Path) -> None:
    """Cancellation while opening, writing or closing leaves the old or the new file, complete."""
    path = tmp_path / "numbers.jsonl"
    save_inventory(path, [])
    old = path.read_bytes()
    rows = [Ani(number, str(number)) for number in range(4_500)]
    for steps in range(40):
        task = asyncio.create_task(save_anis(path, rows))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert names_in(tmp_path) == [path.name]
        assert path.read_bytes() == old or len(list(read_anis(path))) == 4_500


async def test_writes_run_outside_of_the_event_loop_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening, every write and closing run in other threads than the loop."""
    threads = set()
    real = os.fsync

    def spy(handle: int) -> None:
        threads.add(threading.get_ident())
        real(handle)

    def spy_check(self: ColumnSpec, cells: Sequence[object]) -> None:
        threads.add(threading.get_ident())

    monkeypatch.setattr(os, "fsync", spy)
    monkeypatch.setattr(ColumnSpec, "check", spy_check)
    await save_anis(tmp_path / "numbers.csv", breaking_rows())
    assert threads
    assert threading.get_ident() not in threads


@each_format
async def test_stream_is_consumed_while_writing(form: Format, tmp_path: Path) -> None:
    """Rows are consumed chunk by chunk: most of a long stream is never in memory."""
    alive = most = 0

    class Counted(Ani):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    async def stream() -> AsyncIterator[Ani]:
        nonlocal alive, most
        for number in range(15_000):
            alive += 1
            most = max(most, alive)
            yield Counted(number, str(number))

    assert await save_anis(tmp_path / f"numbers.{form}", stream()) == 15_000
    assert most < 6_000


async def test_save_streams_of_a_client(tmp_path: Path) -> None:
    """A listing and a batch are saved as they arrive; the former does not claim to be complete."""
    async with (
        Sandbox(anis=250) as sandbox,
        NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm,
    ):
        count = await save_anis(tmp_path / "numbers.parquet", nrm.anis(page_size=100))
        loaded = load_inventory(tmp_path / "numbers.parquet")
        assert (count, loaded.complete) == (250, False)
        assert loaded.rows == (await nrm.inventory()).rows
        actions = [Pause(ani) for ani in loaded if ani.is_active]
        async with nrm.stream_batch(actions, ordered=True) as results:
            await save_results(tmp_path / "report.jsonl", results)
    report = load_report(tmp_path / "report.jsonl")
    assert report.ok
    assert [result.action for result in report] == actions


@pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")
def test_mode_and_link_are_kept(tmp_path: Path) -> None:
    """Replacing a file keeps its mode, and a link to it stays a link."""
    target, link = tmp_path / "real.csv", tmp_path / "link.csv"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    save_inventory(link, [Ani(1, "1")])
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert load_inventory(target).rows == (Ani(1, "1"),)


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_new_file_follows_the_umask(tmp_path: Path) -> None:
    """The umask decides on the mode of a new file."""
    old = os.umask(0o027)
    try:
        save_inventory(tmp_path / "numbers.csv", [])
    finally:
        os.umask(old)
    assert (tmp_path / "numbers.csv").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("numbers.xlsx", {}, "does not end in .csv, "),
        ("numbers.csv", {"format": "tsv"}, "format must be csv, jsonl or parquet"),
        ("numbers.jsonl", {"for_spreadsheet": True}, "for_spreadsheet is for csv"),
        ("", {"format": "csv"}, "path must name a file"),
    ],
)
def test_bad_arguments_are_refused(
    tmp_path: Path, name: str, options: dict[str, object], words: str
) -> None:
    """Invalid arguments raise before anything is written."""
    with pytest.raises(InvalidRequestError, match=words):
        save_inventory(tmp_path / name, [], **options)  # type: ignore[arg-type]  # wrong on purpose
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("field", [{"brand": 5}, {"block_rate": "5"}, {"block_rate": True}])
def test_value_of_wrong_type_is_refused(tmp_path: Path, field: dict[str, object]) -> None:
    """A value that would come back changed is refused, and its column is named."""
    with pytest.raises(InvalidRequestError, match=rf"{next(iter(field))} must be"):
        save_inventory(tmp_path / "numbers.csv", [Ani(1, "1", **field)])  # type: ignore[arg-type]


def test_cell_beyond_the_limit_of_csv_readers(tmp_path: Path) -> None:
    """CSV refuses cells that readers do not accept; the other formats have no such limit."""
    rows = [Ani(1, "1", extra={"long": "x" * 200_000})]
    with pytest.raises(InvalidRequestError, match="longer than the limit of CSV readers"):
        save_inventory(tmp_path / "numbers.csv", rows)
    for name in ("numbers.jsonl", "numbers.parquet"):
        save_inventory(tmp_path / name, rows)
        assert list(read_anis(tmp_path / name)) == rows


class Full(io.RawIOBase):
    """A file on a full disk."""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), len(data))  # type: ignore[arg-type]


def test_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """Closing fails too, because it writes the rest; the temporary file is removed anyway."""
    path = tmp_path / "numbers.csv"
    path.write_text("old")
    new = AtomicFile(path)
    new.file.close()
    new.file = io.BufferedWriter(Full())
    new.file.write(b"new")
    with pytest.raises(OSError, match="No space left"), new:
        new.commit()
    with suppress(OSError):
        new.file.close()
    assert (path.read_text(), names_in(tmp_path)) == ("old", ["numbers.csv"])
