"""Reading files of other programs, broken files, and files changed by a spreadsheet."""

import csv
import re
from datetime import date
from pathlib import Path

import pytest

from nrm_async import Ani, FileFormatError, InvalidRequestError, Inventory
from nrm_async.files import load_inventory, load_report, read_anis, save_inventory
from nrm_async.files.csv_text import escape, escape_for_spreadsheet, unescape
from tests.files.strategies import HOSTILE

# What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection").
FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


@pytest.mark.parametrize("for_spreadsheet", [False, True])
def test_no_csv_cell_is_a_formula(tmp_path: Path, for_spreadsheet: bool) -> None:
    """No cell begins like a formula, with or without blanks and control characters before it."""
    path = tmp_path / "numbers.csv"
    rows = [Ani(text, text, brand=text, status=text, extra={text: text}) for text in HOSTILE]
    save_inventory(path, rows, for_spreadsheet=for_spreadsheet)
    with path.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.reader(file):
            assert not [cell for cell in row if FORMULA.match(cell.lstrip(" \x00\x0b\x0c"))]


def test_phone_numbers_are_escaped_only_for_spreadsheets(tmp_path: Path) -> None:
    """Other programs get the digits; a spreadsheet gets text that it does not reformat."""
    path = tmp_path / "numbers.csv"
    rows = [Ani(1, "0123456789", brand="Acme"), Ani("7", "2345678901")]
    save_inventory(path, rows)
    assert path.read_text().splitlines()[1:] == [
        "1,0123456789,Acme" + 23 * ",", "'7,2345678901" + 24 * ",",
    ]  # fmt: skip
    save_inventory(path, rows, for_spreadsheet=True)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfid,phone,")
    assert "1,'0123456789,Acme," in path.read_text()
    save_inventory(path, [Ani(1, "1", date_activated=date(2026, 5, 27))], for_spreadsheet=True)
    assert ",'2026-05-27," in path.read_text()


@pytest.mark.parametrize("text", HOSTILE)
def test_unescape_reverses_escape(text: str) -> None:
    """Every text comes back unchanged, whichever way it was escaped."""
    assert unescape(escape(text)) == unescape(escape_for_spreadsheet(text)) == text
    assert escape(text) != ""


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_csv_dialects(tmp_path: Path, separator: str, encoding: str, line_end: str) -> None:
    """Delimiters, encodings, line ends, column order and further columns may differ."""
    lines = [["phone", "owner", "id", "brand", "block_rate"], ["0123456789", "me", "5", "Ünï", "8"]]
    text = line_end.join(separator.join(line) for line in lines) + line_end
    path = tmp_path / "numbers.csv"
    path.write_bytes(text.encode(encoding))
    assert load_inventory(path).rows == (Ani(5, "0123456789", brand="Ünï", block_rate=8),)


def test_jsonl_without_metadata(tmp_path: Path) -> None:
    """JSON Lines without metadata, with missing and unknown fields, can be loaded."""
    path = tmp_path / "numbers.ndjson"
    path.write_text('{"phone": "1", "id": "a", "owner": 1}\n\n{"id": 2, "phone": "2"}')
    loaded = load_inventory(path)
    assert loaded.rows == (Ani("a", "1"), Ani(2, "2"))
    assert (loaded.complete, loaded.consistent, loaded.passes) == (False, False, 0)


CSV = "id,phone,block_rate,created_at,extra\n1,2345678901,5,,\n"
JSON = '{"id": 1, "phone": "2"}\n'
BROKEN = {
    "a truncated number": ("csv", CSV + "2,2.34568E+09,,,\n", "line 3: phone: 2.34568E\\+09 is"),
    "a missing number": ("csv", CSV + "2,,,,\n", "line 3: phone is missing"),
    "a figure in words": ("csv", CSV + "2,1,much,,\n", "line 3: block_rate must be a number"),
    "an underscore": ("csv", CSV + "2,1,1_0,,\n", "line 3: block_rate must be a number"),
    "a local time": ("csv", CSV + "2,1,,27/5/2026,\n", "created_at must be a date and time"),
    "a list for a dict": ("csv", CSV + "2,1,,,[1]\n", "line 3: extra must be a dict"),
    "too few cells": ("csv", CSV + "\n2,1\n", "line 4: 2 cells, the header has 5"),
    "a quote left open": ("csv", CSV + '2,"1,,\n3,1,,,', "line 3: unexpected end of data"),
    "no column phone": ("csv", "id,telephone\n1,2\n", "line 1: there is no column 'phone'"),
    "two columns phone": ("csv", "id,phone,phone\n1,2,3\n", "two columns are called 'phone'"),
    "an empty file": ("csv", "", "it is empty"),
    "not JSON": ("jsonl", JSON + "{", "line 2: not JSON"),
    "a deep line": ("jsonl", "[" * 100_000, "line 1: not JSON"),
    "a list": ("jsonl", JSON + "\n[1]", "line 3: must be an object, not list"),
    "a number for text": ("jsonl", '{"id": 1, "phone": 2}', "line 1: phone must be text, not 2"),
    "true for a number": ("jsonl", '{"id": true, "phone": "2"}', "line 1: id must be a whole"),
    "a report": ("jsonl", '{"nrm_async": "report", "version": 1}', "it contains 'report', not"),
    "a later version": ("jsonl", '{"nrm_async": "inventory", "version": 2}', "of version 2"),
    "a malformed description": (
        "jsonl",
        '{"nrm_async": "inventory", "version": 1, "about": {"missing": [1]}}',
        "how the inventory was read is malformed",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("form", "text", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_file_is_reported_with_its_line(
    tmp_path: Path, form: str, text: str, words: str
) -> None:
    """The message names the file, the line, the column and the rule."""
    path = tmp_path / f"numbers.{form}"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=f"numbers.{form}: .*{words}"):
        load_inventory(path)


@pytest.mark.parametrize("name", ["numbers.jsonl", "numbers.jsonl.gz"])
def test_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    """A file truncated at any line or byte is never loaded as complete."""
    rows = tuple(Ani(number, str(number)) for number in range(50))
    path = tmp_path / name
    save_inventory(path, Inventory(rows, complete=True, consistent=True, passes=2, pages=2))
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    cuts = {len(whole) // 2, len(whole) - 1, len(lines[0]), len(b"".join(lines[:7]))}
    for cut in cuts - {len(whole)}:
        path.write_bytes(whole[:cut])
        if load_safely(path) == rows:
            assert cut == len(whole) - 1  # only the last line end is gone
            continue
        with pytest.raises(FileFormatError):
            load_inventory(path)


def test_uncompressed_gz_is_refused(tmp_path: Path) -> None:
    """A .gz file that is not compressed is refused, and its name occurs once in the message."""
    path = tmp_path / "numbers.csv.gz"
    path.write_text(CSV)
    with pytest.raises(FileFormatError) as error:
        load_inventory(path)
    assert str(error.value).startswith(f"{path}: cannot be unpacked: ")


def load_safely(path: Path) -> tuple[Ani, ...]:
    try:
        return load_inventory(path).rows
    except FileFormatError:
        return ()


def test_report_with_invalid_row_is_refused(tmp_path: Path) -> None:
    """An unknown outcome or action, or invalid details, are refused with their line."""
    path = tmp_path / "report.csv"
    path.write_text("index,ani,action,outcome\n0,2345678901,explode,applied\n")
    with pytest.raises(FileFormatError, match="line 2: unknown action 'explode'"):
        load_report(path)
    path.write_text("index,ani,action,outcome\n0,2345678901,pause,done\n")
    with pytest.raises(FileFormatError, match="line 2: 'done' is not a valid Outcome"):
        load_report(path)
    path.write_text(
        "index,ani,action,outcome,details\n" + '0,2345678901,pause,applied,"{""odd"": 1}"\n'
    )
    with pytest.raises(FileFormatError, match=r"line 2: .*'odd'"):
        load_report(path)


def test_other_encoding_is_refused(tmp_path: Path) -> None:
    """A file in an unknown encoding is refused instead of being misread."""
    path = tmp_path / "numbers.csv"
    path.write_bytes("id,phone,brand\n1,2,Ünï\n".encode("latin-1"))
    with pytest.raises(FileFormatError, match="it is not valid text: "):
        load_inventory(path)


def test_reading_can_stop_early(tmp_path: Path) -> None:
    """An abandoned iterator closes the file, and arguments are checked at the call."""
    path = tmp_path / "numbers.csv"
    save_inventory(path, [Ani(number, str(number)) for number in range(20_000)])
    rows = read_anis(path)
    assert next(rows).id == 0
    del rows
    with pytest.raises(InvalidRequestError):
        read_anis("numbers.txt")
