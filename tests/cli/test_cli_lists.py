"""Lists on standard input in every format, and options that select columns."""

import asyncio
import gzip
import json
import os
import sys
from pathlib import Path

import pytest

from nrm_async import Activate, Pause
from nrm_async.cli.inputs import Inputs
from nrm_async.files import BadInput
from nrm_async.sandbox import Sandbox
from tests.cli.conftest import COMMAND, Cli, pointing_at

posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")

CSV = b"\n# exported\nsep=;\nPhone;Note\n2345678901;rest, please\n23456789.01;\n"
LISTS = {
    "csv": CSV,
    "csv with a mark": b"\xef\xbb\xbf" + CSV,
    "utf-16": CSV.decode().encode("utf-16"),
    "json lines": b'{"phone": 2345678901.0, "note": "rest, please"}\n{"phone": 23456789.01}\n',
    "csv, packed": gzip.compress(CSV),
    "json lines, packed": gzip.compress(b'{"ani": "2345678901", "note": "rest, please"}\n12\n'),
}


def pipe_with(content: bytes) -> int:
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    return reader


async def items_of(inputs: Inputs, content: bytes) -> list[object]:
    source = pipe_with(content)
    items: list[object] = [item async for item in inputs.given_inputs(source)]
    os.close(source)
    return items


@posix
@pytest.mark.parametrize("content", LISTS.values(), ids=LISTS)
async def test_any_list_on_standard_input(content: bytes) -> None:
    """``-`` accepts the same formats as ``--file``, and reports a bad line by number."""
    good, bad = await items_of(Inputs("pause", ["-"], {"note": None}), content)
    assert good == Pause("2345678901", note="rest, please")
    assert isinstance(bad, BadInput)
    assert "standard input line " in bad.error.message


@posix
async def test_lists_arrive_while_standard_input_is_open() -> None:
    """A CSV row is returned as soon as its line is complete, compressed or not."""
    for pack in (bytes, gzip.compress):
        reader, writer = os.pipe()
        source = Inputs("pause", ("-",), {}).given_inputs(reader)
        os.write(writer, pack(b"Phone,Note\n2345678901,x\n"))
        assert await anext(source) == Pause("2345678901", note="x")
        following = asyncio.ensure_future(anext(source))
        await asyncio.sleep(0)
        assert not following.done()
        os.write(writer, pack(b"2345678902,y\n"))
        assert await following == Pause("2345678902", note="y")
        os.close(writer)
        assert [item async for item in source] == []
        os.close(reader)


@posix
@pytest.mark.parametrize("content", [b"", b"\n# nothing today\n", gzip.compress(b"", mtime=0)])
async def test_empty_standard_input(content: bytes) -> None:
    """Empty standard input is an empty list, not an error."""
    assert await items_of(Inputs("pause", ["-"], {}), content) == []


@posix
async def test_dates_on_standard_input() -> None:
    """``--date`` is not required if the list contains dates."""
    content = b"ani,date\n2345678901,2026-05-27\n"
    inputs = Inputs("activate", ["-"], {"date": None})
    inputs.open()
    assert await items_of(inputs, content) == [Activate("2345678901", date="2026-05-27")]


@posix
async def test_columns_of_standard_input() -> None:
    """Column options apply to files and to standard input."""
    content = b"Phone,Number,Date\n2345678901,1,soon\n"
    columns = {"ani": "Phone", "date": None}
    inputs = Inputs("pause", ["-"], {}, columns=columns)
    assert await items_of(inputs, content) == [Pause("2345678901")]


@posix
@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"PAR1PAR1", gzip.compress(CSV, mtime=0)[:20]])
async def test_standard_input_that_is_no_list(sandbox: Sandbox, content: bytes) -> None:
    """Nothing is sent, the error is one line, and the exit code is 2."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "pause", "-", env=pointing_at(sandbox.url, sandbox.api_key),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _out, err = await process.communicate(content)
    assert (process.returncode, sandbox.requests) == (2, 0)
    assert err.startswith(b"nrm-async: standard input: ")
    assert err.count(b"\n") == 1


async def test_columns_are_chosen_by_options(
    cli: Cli, sandbox: Sandbox, active: list[str], tmp_path: Path
) -> None:
    """``--no-column`` ignores a column; without it, the error message names the option."""
    path = tmp_path / "export.csv"
    path.write_text(f"Phone,Number,Carrier,Date\n{active[0]},7,Verizon,soon\n")
    done = await cli("pause", "--file", str(path))
    assert (done.code, sandbox.requests) == (2, 0)
    assert "--column ani=TITLE" in done.err
    done = await cli("pause", "--file", str(path), "--column", "ani=Phone")
    assert (done.code, len(sandbox.books)) == (1, 0)
    assert "--no-column carrier" in " ".join(done.out.split())
    options = ("--column", "ANI=phone", "--no-column", "carrier", "--no-column", "date")
    done = await cli("pause", "--file", str(path), *options, "--column", "note=Carrier", "--json")
    assert (done.code, done.err) == (0, "")
    assert [(entry.ani, entry.note) for entry in sandbox.books] == [(active[0], "Verizon")]


async def test_past_dates_are_a_warning(cli: Cli, active: list[str], tmp_path: Path) -> None:
    """A column of past dates is ignored, with a warning before anything is sent."""
    path = tmp_path / "export.csv"
    path.write_text(f"Phone,Date\n{active[0]},01/15/2024\n{active[1]},02/15/2024\n")
    done = await cli("pause", "--file", str(path), "--dry-run", "--json")
    assert done.code == 0
    assert [json.loads(line)["date"] for line in done.out.splitlines()] == [None, None]
    assert done.err.startswith(f"nrm-async: {path}: the column 'Date' is left out: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("2345678901", "--no-column", "date"), "--column and --no-column require a list"),
        (("-", "--column", "ani"), "'ani' is not FIELD=TITLE, such as ani=Phone"),
        (("-", "--column", "phone=x"), "must be for the fields ani, action, carrier, note, date"),
        (("-", "--column", "date=x", "--no-column", "date"), "must name 'date' only once"),
        (("-", "--no-column", "ani"), "must not leave out the number"),
    ],
)
async def test_invalid_column_options(
    cli: Cli, sandbox: Sandbox, arguments: tuple[str, ...], words: str
) -> None:
    """Invalid column options are usage errors."""
    done = await cli("pause", *arguments)
    assert (done.code, sandbox.requests) == (2, 0)
    assert words in " ".join(done.err.replace("│", " ").split())


async def test_content_of_a_list_with_another_suffix(
    cli: Cli, active: list[str], tmp_path: Path
) -> None:
    """The format is detected from the content if the suffix names no format."""
    for index, content in enumerate((b'{"ani": "%b"}', b"ani\n%b\n", b"%b")):
        path = tmp_path / f"numbers-{index}.txt"
        path.write_bytes(gzip.compress(content % active[index].encode()))
        assert (await cli("pause", "--file", str(path))).code == 0
