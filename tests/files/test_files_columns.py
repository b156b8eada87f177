"""Files of other programs: where the header is, which column means what, and digits that stay."""

import gzip
import io
import json
import logging
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import Activate, Ani, FileFormatError, InvalidRequestError, Pause, Remediate
from nrm_async.files import (
    BadInput,
    load_inventory,
    read_actions,
    read_anis,
    save_inventory,
)
from nrm_async.files.number_lists import read_list

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

ANI = "2345678901"
THIS_YEAR = datetime.now(UTC).year


def write(folder: Path, text: str, name: str = "numbers.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def problem(item: object) -> str:
    assert isinstance(item, BadInput)
    return item.error.message


# The header


LEADS = {
    "blank lines": "\n  \n\r\n",
    "empty cells": ",,,\n;;;\n",
    "remarks": '# exported, by; someone\n  # 2024 | again | and\n"# quoted, as Excel does",,\n',
    "sep": "sep=;\n",
    "SEP, with blanks": "SEP=;\r\n",
    "quoted sep": '"sep=;"\n',
    "all": "\n# a, b, c, d, e\nsep=;\n\n# more, of, them\n",
}


@pytest.mark.parametrize("lead", LEADS.values(), ids=LEADS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_header_behind_other_lines(tmp_path: Path, lead: str, encoding: str) -> None:
    """The header is the first record behind them, its delimiter counts, and lines keep numbers."""
    text = f"{lead}Phone;Note\n{ANI};a, b, c\nbad;x\n"
    good, bad = read_actions(write(tmp_path, text, encoding=encoding), Pause)
    assert good == Pause(ANI, note="a, b, c")
    line = len(lead.splitlines()) + 3
    assert f"numbers.csv line {line}: " in problem(bad)


@pytest.mark.parametrize("mark", [";", ",", "\t", "|", "^", ":"])
def test_sep_line_names_the_delimiter(tmp_path: Path, mark: str) -> None:
    """What Excel's own line says holds, even against the header and for other characters."""
    text = f"sep={mark}\nPhone{mark}Note, or; rather: a remark{mark}Note\n{ANI}{mark}{mark}x\n"
    if mark in ",;:":
        text = f"sep={mark}\nPhone{mark}Note\n{ANI}{mark}x\n"
    assert list(read_actions(write(tmp_path, text), Pause)) == [Pause(ANI, note="x")]


def test_delimiters_in_quotes_do_not_count(tmp_path: Path) -> None:
    """A quoted title may have more commas than there are delimiters."""
    text = f'"Phone";"Name, first, last, middle"\n{ANI};"a"\n'
    assert list(read_actions(write(tmp_path, text), Pause)) == [Pause(ANI)]


@pytest.mark.parametrize("lead", LEADS.values(), ids=LEADS)
def test_inventory_behind_other_lines(tmp_path: Path, lead: str) -> None:
    """Saved inventories that people have edited are read too, and errors name the right line."""
    path = write(tmp_path, f"{lead}id;phone;brand\n5;{ANI};a,b,c\n")
    assert load_inventory(path).rows == (Ani(5, ANI, brand="a,b,c"),)
    path = write(tmp_path, f"{lead}id;phone;contact_rate\n5;{ANI};much\n")
    line = len(lead.splitlines()) + 2
    with pytest.raises(FileFormatError, match=f"line {line}: contact_rate must be a number"):
        load_inventory(path)


# Which column means what


EXPORT = f"Phone,Mobile Phone,Date Added,Date,Carrier\n{ANI},9995678901,x,01/15/2024,Verizon\n"


def test_columns_are_named_by_the_caller(tmp_path: Path) -> None:
    """A chosen column holds its field, and no other column does; ``None`` leaves a field out."""
    path = write(tmp_path, EXPORT.replace("Mobile Phone", "Number"))
    columns = {"ani": "Phone", "carrier": None, "date": None}
    assert list(read_actions(path, Pause, columns=columns)) == [Pause(ANI)]
    columns = {"ani": "number", "note": "Carrier", "date": None, "carrier": None}
    assert list(read_actions(path, Pause, columns=columns)) == [Pause("9995678901", note="Verizon")]


def test_defaults_hold_where_a_column_is_left_out(tmp_path: Path) -> None:
    """The arguments apply to each line again."""
    path = write(tmp_path, f"Phone,Date,Carrier\n{ANI},01/15/2024,Verizon\n")
    columns = {"date": None, "carrier": None}
    options: dict[str, Any] = {"date": "2026-05-27", "carrier": "123456"}
    assert list(read_actions(path, Activate, columns=columns, **options)) == [
        Activate(ANI, **options)
    ]


def test_keys_of_json_lines_are_named_by_the_caller(tmp_path: Path) -> None:
    """Keys are chosen as columns are."""
    line = {"phone": "1", "Work": ANI, "carrier": "Verizon", "why": "rest"}
    path = write(tmp_path, json.dumps(line), "numbers.jsonl")
    columns = {"ani": "Work", "carrier": None, "note": "why"}
    assert list(read_actions(path, Pause, columns=columns)) == [Pause(ANI, note="rest")]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("Verizon,,,", "carrier must be an id of six digits, not 'Verizon'; if the column "
         "'Carrier' contains something else, leave it out with columns={'carrier': None} (on the "
         "command line, --no-column carrier)"),
        (",soon,,", "if the column 'When' contains something else, leave it out with "
         "columns={'date': None} (on the command line, --no-column date)"),
        (",,called,", "action must be one of pause, activate, remediate, not 'called'; if the "
         "column 'Action' contains something else, leave it out with columns={'action': None}"),
        (",,activate,", "its action is activate, but another one is required; if the column"),
    ],
)  # fmt: skip
def test_error_of_a_cell_names_the_option(tmp_path: Path, cell: str, words: str) -> None:
    """A column that may mean something else is named with the way to leave it out."""
    path = write(tmp_path, f"Phone,Carrier,When,Action,Note\n{ANI},{cell}\n")
    (bad,) = read_actions(path, Pause)
    assert words in problem(bad)


def test_error_of_a_given_option_names_no_column(tmp_path: Path) -> None:
    """A line without a date is not about a column."""
    path = write(tmp_path, f"Phone,Date\n{ANI},\n")
    (bad,) = read_actions(path, Activate)
    assert "column" not in problem(bad)


@pytest.mark.parametrize(
    ("text", "columns", "words"),
    [
        (f"a,b\n{ANI},x\n", {}, r"columns={'ani': 'TITLE'} \(on the command line, --column ani="),
        (f"Phone,Number\n{ANI},x\n", {}, r"may both be the ani: say which with columns={'ani'"),
        (f"Phone,b\n{ANI},x\n", {"ani": "Tel"}, "none of its columns is called 'Tel', which is"),
        (f"Phone,b\n{ANI},x\n", {"note": "c"}, "none of its columns is called 'c', which is cho"),
        (f"a,a\n{ANI},x\n", {"ani": "a"}, "2 columns are called 'a'"),
        (f"{ANI}\n", {"ani": "Phone"}, "none of its columns is called 'Phone'"),
    ],
)
def test_header_without_the_columns(
    tmp_path: Path, text: str, columns: dict[str, str | None], words: str
) -> None:
    """The error of the file names the option, or the column that is missing."""
    with pytest.raises(FileFormatError, match=words):
        list(read_actions(write(tmp_path, text), Pause, columns=columns))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("ani", "must be a mapping, not str"),
        ({"phone": "Phone"}, "must be for the fields ani, action, carrier, note, date"),
        ({"ani": None}, "must not leave out the number"),
        ({"note": ""}, "must give the title"),
        ({"note": 5}, "must give the title"),
        ({"note": "x", "date": "x"}, "must not give two fields the column 'x'"),
    ],
)
def test_invalid_columns_raise_immediately(tmp_path: Path, columns: Any, words: str) -> None:
    """Columns are checked before the file is opened."""
    with pytest.raises(InvalidRequestError, match=words):
        read_actions(tmp_path / "missing.csv", Pause, columns=columns)


# Dates


OTHER_DATES = ["01/15/2024", "15.1.2024 08:30", "2024-1-5", "Jan 5, 2024", "20240105", "Q3 2019"]


@pytest.mark.parametrize("kind", [Pause, Remediate])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_past_dates_are_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str, kind: type[Pause | Remediate]
) -> None:
    """A column of past dates in other forms says nothing about when to act."""
    lines = [f"{ANI},{json.dumps(date)}" for date in OTHER_DATES]
    text = "\n".join(["Phone,Date", f"{ANI},", *lines])
    if form == "jsonl":
        rows: list[dict[str, str]] = [{"Phone": ANI}]
        rows += [{"Phone": ANI, "Date": date} for date in OTHER_DATES]
        text = "\n".join(map(json.dumps, rows))
    path = write(tmp_path, text, f"numbers.{form}")
    assert list(read_actions(path, kind)) == [kind(ANI)] * 7
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("nrm_async.files", logging.WARNING)
    assert record.getMessage() == (
        f"{path}: the column 'Date' is left out: its dates, such as '01/15/2024', are of earlier "
        "years and not in a form of action dates (YYYY-MM-DD, YYYYMMDDHHMMSS)"
    )


@pytest.mark.parametrize(
    "date", [f"5/27/{THIS_YEAR}", f"5/27/{THIS_YEAR + 1}", "5/27/26", "soon", "N/A", "2026-5-27x"]
)
def test_dates_that_may_be_action_dates_are_bad_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, date: str
) -> None:
    """A spreadsheet may have rewritten them: the line is refused, not acted on today."""
    path = write(tmp_path, f"Phone,Date\n{ANI},01/15/2024\n{ANI},{date}\n")
    past, bad = read_actions(path, Pause)
    for item in (past, bad):
        assert "--no-column date" in problem(item)
    assert not caplog.records


def test_column_of_action_dates_is_taken_as_a_whole(tmp_path: Path) -> None:
    """One action date makes all other values bad lines, also those above it."""
    path = write(tmp_path, f"Phone,Date\n{ANI},01/15/2024\n{ANI},2026-05-27\n")
    bad, good = read_actions(path, Pause)
    assert "date must be a date" in problem(bad)
    assert good == Pause(ANI, date="2026-05-27")


def test_action_date_below_a_column_left_out(tmp_path: Path) -> None:
    """A column is judged by its first 1,000 rows; a later action date is a bad line."""
    lines = ["Phone,Date", *[f"{ANI},01/15/2024"] * 1_000, f"{ANI},2026-05-27", f"{ANI},1/1/2024"]
    *left_out, bad, last = read_actions(write(tmp_path, "\n".join(lines)), Pause)
    assert left_out == [Pause(ANI)] * 1_000
    assert "line 1002: date '2026-05-27' may be an action date" in problem(bad)
    assert "columns={'date': 'TITLE'}" in problem(bad)
    assert last == Pause(ANI)


def test_chosen_column_of_dates_is_never_left_out(tmp_path: Path) -> None:
    """The caller has said that it says when to act."""
    path = write(tmp_path, f"Phone,Date\n{ANI},01/15/2024\n")
    (bad,) = read_actions(path, Pause, columns={"date": "Date"})
    assert "date must be a date" in problem(bad)


@given(dates=st.lists(st.sampled_from([*OTHER_DATES, "", "2026-05-27", "soon"]), max_size=8))
def test_no_date_is_ignored_beside_an_action_date(dates: list[str]) -> None:
    """Each line has its date, or is bad, unless all dates are past ones."""
    text = "\n".join(["Phone,Date", *[f'{ANI},"{date}"' for date in dates]])
    items = list(read_list(io.BytesIO(text.encode()), "list", Pause, columns={}))
    assert len(items) == len(dates)
    is_left_out = not {"2026-05-27", "soon"} & set(dates)
    for item, date in zip(items, dates, strict=True):
        if date == "2026-05-27":
            assert item == Pause(ANI, date=date)
        elif date and not is_left_out:
            assert isinstance(item, BadInput)
        else:
            assert item == Pause(ANI)


# Content of unknown format


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfPhone;Note\r\n2345678901;x\r\n",
        "sep=\t\nPhone\tNote\n2345678901\tx\n".encode("utf-16"),
        b'\n \n{"phone": 2345678901.0, "note": "x"}\n',
        b'\xef\xbb\xbf{"ani": "2345678901", "note": "x"}',
    ],
)
def test_format_is_that_of_the_content(content: bytes, packed: bool) -> None:
    """CSV, JSON Lines and compressed files are told apart by their first bytes."""
    file = io.BytesIO(gzip.compress(content) if packed else content)
    assert list(read_list(file, "list", Pause, columns={})) == [Pause(ANI, note="x")]


@pytest.mark.parametrize("cut", [10, 30])
def test_cut_or_foreign_content(cut: int) -> None:
    """The error names what was read."""
    packed = gzip.compress(b"ani\n2345678901\n" * 5)
    with pytest.raises(FileFormatError, match=r"^list: cannot be unpacked"):
        list(read_list(io.BytesIO(packed[:cut]), "list", Pause, columns={}))
    with pytest.raises(FileFormatError, match=r"^list: .*not Parquet"):
        list(read_list(io.BytesIO(b"PAR1....PAR1"), "list", Pause, columns={}))


# Inventories of other programs


def test_inventory_columns_are_named_by_the_caller(tmp_path: Path) -> None:
    """Fields of a row are read from the chosen columns, in every format."""
    saved = (Ani(5, ANI, brand="Acme", state="TX"),)
    columns = {"ani": "Phone No.", "id": "Row", "brand": None, "state": "Brand"}
    text = f"Row,Phone No.,brand,Brand\n5,{ANI},left out,TX\n"
    rows = [{"Row": 5, "Phone No.": ANI, "brand": "left out", "Brand": "TX"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    for path in (
        write(tmp_path, text),
        write(tmp_path, json.dumps(rows[0]), "rows.jsonl"),
        tmp_path / "rows.parquet",
    ):
        assert list(read_anis(path, columns=columns)) == [Ani(5, ANI, state="TX")]
        assert load_inventory(path, columns=columns).rows == (Ani(5, ANI, state="TX"),)
    for name in ("all.csv", "all.jsonl", "all.parquet"):
        save_inventory(tmp_path / name, saved)
        (row,) = read_anis(tmp_path / name, columns={"brand": None})
        assert (row.brand, row.state) == (None, "TX")


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ({"date": None}, InvalidRequestError, "must be for fields of Ani, not 'date'"),
        ({"id": None}, InvalidRequestError, "must not leave out 'id'"),
        ({"brand": 5}, InvalidRequestError, "must give the title of the column 'brand'"),
        ({"phone": "Tel"}, FileFormatError, "line 1: there is no column 'Tel'"),
        ({"brand": "Make"}, FileFormatError, "line 1: there is no column 'Make'"),
    ],
)
def test_invalid_inventory_columns(
    tmp_path: Path, columns: Any, error: type[Exception], words: str
) -> None:
    """Unknown fields and missing columns are named."""
    with pytest.raises(error, match=words):
        list(read_anis(write(tmp_path, f"id,phone\n5,{ANI}\n"), columns=columns))


def test_numbers_that_other_programs_stored_as_decimals(tmp_path: Path) -> None:
    """A data frame's numbers are loaded as numbers, and a fraction is refused with its line."""
    path = write(tmp_path, f"id,phone\n5,{ANI}.0\n6,+1 (234) 567-8902\n")
    assert [row.phone for row in load_inventory(path)] == [ANI, "+1 (234) 567-8902"]
    with pytest.raises(FileFormatError, match="line 2: phone: it must be written out in digits"):
        load_inventory(write(tmp_path, "id,phone\n5,23456789.01\n"))
    lines = '{"id": 5, "phone": 2345678901.0}\n{"id": 6, "phone": 2345678902}\n'
    path = write(tmp_path, lines, "rows.jsonl")
    assert [row.phone for row in load_inventory(path)] == [ANI, "2345678902"]
    with pytest.raises(FileFormatError, match=r"line 1: phone must be text, not 23456789\.01"):
        load_inventory(write(tmp_path, '{"id": 5, "phone": 23456789.01}', "rows.jsonl"))


@given(phone=st.from_regex(r"\s?[+\-]?[0-9]{0,12}[.,][0-9]{1,6}", fullmatch=True))
def test_phones_with_points_are_saved_exactly(phone: str) -> None:
    """What the API sent is read back unchanged: only files of others are understood."""
    for for_spreadsheet in (False, True):
        file = io.BytesIO()
        save_inventory(file, [Ani(1, phone)], format="csv", for_spreadsheet=for_spreadsheet)
        rows = list(_read_csv(file.getvalue()))
        assert rows == [Ani(1, phone)]


def _read_csv(content: bytes) -> list[Ani]:
    from nrm_async.files.csv_format import read_csv  # noqa: PLC0415
    from nrm_async.files.schema import INVENTORY  # noqa: PLC0415

    chunks = read_csv(io.BytesIO(content), INVENTORY.columns)
    return [Ani(*cells) for chunk in chunks for cells in zip(*chunk.cells, strict=True)]


def _parquet(folder: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return folder / "rows.parquet"


def _decimals(*texts: str | None) -> Any:
    return pa.array([text and Decimal(text) for text in texts], pa.decimal128(38, 6))


def test_parquet_decimals_keep_their_digits(tmp_path: Path) -> None:
    """Ids, numbers and figures of type decimal(38, 6) are read exactly."""
    path = _parquet(
        tmp_path,
        id=_decimals("9007199254740993", "5"),
        phone=_decimals(ANI, "2345678902"),
        contact_rate=_decimals("36.5", None),
        last_30_days_dials=_decimals("12345678901234567890", "0.000001"),
    )
    first, second = load_inventory(path)
    assert (first.id, first.phone, first.contact_rate) == (9007199254740993, ANI, 36.5)
    assert first.last_30_days_dials == 12345678901234567890
    assert (second.id, second.contact_rate, second.last_30_days_dials) == (5, None, 0.000001)
    assert {type(first.id), type(first.last_30_days_dials), type(second.id)} == {int}
    path = _parquet(tmp_path, id=[1], phone=[ANI], contact_rate=_decimals("12345678901234.123456"))
    with pytest.raises(FileFormatError, match="has more digits than a float can hold"):
        load_inventory(path)


def test_parquet_numbers_keep_their_digits(tmp_path: Path) -> None:
    """So are whole numbers beyond those of floats, and ids and phones that became floats."""
    path = _parquet(
        tmp_path,
        id=pa.array([5.0, 7.5]),
        phone=pa.array([2345678901.0, 2345678902.0]),
        last_30_days_dials=pa.array([2**53 + 1, 2**62], pa.int64()),
    )
    rows = load_inventory(path).rows
    assert rows == (
        Ani(5, ANI, last_30_days_dials=2**53 + 1),
        Ani("7.5", "2345678902", last_30_days_dials=2**62),
    )
