"""Lists of actions supplied by users: usual spellings are understood, bad lines are reported."""

from pathlib import Path
from typing import Any

import pytest

from nrm_async import (
    Activate,
    BatchReport,
    Failed,
    FileFormatError,
    InvalidRequestError,
    NRMClient,
    Outcome,
    OutcomeUnknownError,
    Pause,
    Remediate,
)
from nrm_async.files import BadInput, read_actions, save_inventory, save_report
from nrm_async.sandbox import Sandbox


def write(folder: Path, text: str, name: str = "numbers.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "title",
    ["ani", "ANI", "phone", "Phone", "number", "phone number", "Phone_Number", "PhoneNumber",
     "phone-number", " Number ", "Telephone", "DID", "Caller ID", "TN", '"Phone No."'],
)  # fmt: skip
def test_number_column_titles(tmp_path: Path, title: str) -> None:
    """The title of the number column is matched without case, blanks and punctuation."""
    path = write(tmp_path, f"campaign,{title}\nx,(234) 567-8901\n")
    assert list(read_actions(path, Pause)) == [Pause("2345678901")]


@pytest.mark.parametrize(
    ("encoding", "separator", "line_end"),
    [("utf-8", ",", "\n"), ("utf-8-sig", ";", "\r\n"), ("utf-16", "\t", "\r")],
)
def test_spreadsheet_dialects(tmp_path: Path, encoding: str, separator: str, line_end: str) -> None:
    """Byte order marks, delimiters, line ends and text markers of spreadsheets are understood."""
    lines = [("Phone", "Note"), ("'2345678901", "résting"), ('"=""2345678902"""', "'=x"), ("", "")]
    text = line_end.join(separator.join(line) for line in lines) + line_end
    got = list(read_actions(write(tmp_path, text, encoding=encoding), Pause))
    assert got == [Pause("2345678901", note="résting"), Pause("2345678902", note="=x")]


def test_options_from_line_or_default(tmp_path: Path) -> None:
    """Action, carrier, note and date come from the line, or else from the arguments."""
    text = (
        "action,ani,carrier,note,date\n"
        "pause,2345678901,,,\n"
        "Activate,2345678902,123456,back,2026-05-27\n"
        "remediate,2345678903,,,\n"
    )
    assert list(read_actions(write(tmp_path, text), note="mine", date="2026-01-01")) == [
        Pause("2345678901", note="mine", date="2026-01-01"),
        Activate("2345678902", carrier="123456", note="back", date="2026-05-27"),
        Remediate("2345678903", note="mine"),
    ]


def test_json_lines(tmp_path: Path) -> None:
    """Objects with usual keys and bare numbers are read."""
    text = (
        '{"phoneNumber": 2345678901, "Note": "rest", "owner": 1}\n\n'
        '"+1 234 567 8902"\n2345678903\n{"ani": "2345678904", "note": null}\n'
    )
    assert list(read_actions(write(tmp_path, text, "numbers.jsonl"), Pause)) == [
        Pause("2345678901", note="rest"), Pause("2345678902"), Pause("2345678903"),
        Pause("2345678904"),
    ]  # fmt: skip


def test_bare_numbers_without_header(tmp_path: Path) -> None:
    """A single column whose first line is a number has no header, and that line is read."""
    path = write(tmp_path, "2345678901\n(234) 567-8902\n", "numbers.txt")
    assert list(read_actions(path, Remediate, format="csv")) == [
        Remediate("2345678901"), Remediate("2345678902"),
    ]  # fmt: skip


BAD = {
    "cut": ("2.34568E+09", "line 2: 2.34568E+09 is a number that a spreadsheet has cut"),
    "cut, with a comma": ('"2,34568E+09"', "is a number that a spreadsheet has cut"),
    "a decimal": ("23456789.01", "line 2: ani must be written out in digits, because a phone"),
    "letters": ("call me", "line 2: ani must be digits"),
    "nothing": ('"",note', "line 2: ani must not be empty"),
    "too many cells": ("2345678901,a,b,c", "line 2: 4 cells, the header has 2"),
    "a broken quote": ('2345678901,"a"b', "line 2: broken CSV"),
    "invalid text": ("2345678901,\udcff", "line 2: it is not UTF-8 text"),
}


@pytest.mark.parametrize(("line", "words"), BAD.values(), ids=BAD.keys())
def test_bad_csv_line_is_reported_in_place(tmp_path: Path, line: str, words: str) -> None:
    """A bad line yields a BadInput with its number, and the lines around it are read."""
    path = tmp_path / "numbers.csv"
    text = f"ani,note\n{line}\n2345678902,\n"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    bad, good = read_actions(path, Pause)
    assert isinstance(bad, BadInput)
    assert words in bad.error.message
    assert str(path) in bad.error.message
    assert good == Pause("2345678902")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 1: not JSON"),
        ("[1]", "line 1: neither a JSON object"),
        ("true", "line 1: neither a JSON object"),
        ('{"note": "x"}', "line 1: ani must not be empty"),
        ('{"ani": 2.34568E+09}', "2.34568E+09 is a number that a spreadsheet has cut"),
        ('{"ani": "1", "phone": "2"}', "'ani' and 'phone' may both be the ani"),
        ('{"ani": "2345678901", "action": "activate"}', "its action is activate"),
        ('{"ani": "2345678901", "action": "explode"}', "action must be one of pause,"),
        ('{"ani": "2345678901", "carrier": 12}', "carrier must be an id of six digits"),
    ],
)  # fmt: skip
def test_bad_json_line_is_reported_in_place(tmp_path: Path, line: str, words: str) -> None:
    """A bad JSON line yields a BadInput, and the next line is read."""
    path = write(tmp_path, f"{line}\n2345678902\n", "numbers.jsonl")
    bad, good = read_actions(path, Pause)
    assert isinstance(bad, BadInput)
    assert words in bad.error.message
    assert good == Pause("2345678902")


def test_unclosed_quote_reports_each_line(tmp_path: Path) -> None:
    """Every line that an unclosed quote swallows yields a BadInput."""
    text = 'ani,note\n2345678901,"open\n2345678902,\n2345678903,\n'
    bad = list(read_actions(write(tmp_path, text), Pause))
    assert [str(one) for one in bad] == ["line 2", "line 3", "line 4"]


def test_activate_requires_date(tmp_path: Path) -> None:
    """A line without a date is bad unless the arguments give one."""
    path = write(tmp_path, "ani,date\n2345678901,\n2345678902,2026-05-27\n")
    bad, good = read_actions(path, Activate)
    assert "line 2: date is required to activate" in bad.error.message  # type: ignore[union-attr]
    assert good == Activate("2345678902", date="2026-05-27")
    actions = list(read_actions(path, Activate, date="20260101120000"))
    assert [getattr(action, "date", None) for action in actions] == ["20260101120000", "2026-05-27"]


def test_remediate_refuses_date(tmp_path: Path) -> None:
    """A date is refused from the arguments and from a line: nothing requested is ignored."""
    path = write(tmp_path, "ani,date\n2345678901,2026-05-27\n2345678902,\n")
    with pytest.raises(InvalidRequestError, match="remediate takes no date"):
        read_actions(path, Remediate, date="2026-05-27")
    bad, good = read_actions(path, Remediate)
    assert "remediate takes no date" in bad.error.message  # type: ignore[union-attr]
    assert good == Remediate("2345678902")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", {"kind": Pause}, "it is empty"),
        ("a,b\n1,2\n", {"kind": Pause}, "none of its columns is called ani, phone or number"),
        ("2.3E+09,rest\n", {"kind": Pause}, "its first line must be a header"),
        ("ani,phone\n1,2\n", {"kind": Pause}, "'ani' and 'phone' may both be the ani"),
        ("ani\n2345678901\n", {}, "it has no column 'action'"),
    ],
)
def test_file_without_usable_header_is_refused(
    tmp_path: Path, text: str, options: dict[str, Any], words: str
) -> None:
    """A file without usable columns raises a FileFormatError, because no line can be reported."""
    with pytest.raises(FileFormatError, match=words):
        list(read_actions(write(tmp_path, text), **options))


REPORT = BatchReport(
    (
        Failed(
            index=0,
            input="2345678901",
            action=Pause("2345678901"),
            outcome=Outcome.UNKNOWN,
            attempts=1,
            elapsed=0.0,
            error=OutcomeUnknownError("no answer"),
        ),
    )
)


@pytest.mark.parametrize("name", ["report.csv", "report.csv.gz", "report.jsonl"])
def test_saved_report_is_refused(tmp_path: Path, name: str) -> None:
    """A saved report is refused, so that nothing that was applied is sent again."""
    save_report(tmp_path / name, REPORT)
    with pytest.raises(FileFormatError, match=r"it is a report: .*load_report\(path\)\.retryable"):
        list(read_actions(tmp_path / name, Pause))


def test_report_lines_are_refused(tmp_path: Path) -> None:
    """A report without its metadata is refused too; between other lines, its lines are bad."""
    line = '{"ani": "2345678901", "Outcome": "applied"}\n'
    with pytest.raises(FileFormatError, match="it is a report"):
        list(read_actions(write(tmp_path, line, "one.jsonl"), Pause))
    good, bad = read_actions(write(tmp_path, "2345678902\n" + line, "two.jsonl"), Pause)
    assert good == Pause("2345678902")
    assert isinstance(bad, BadInput)
    assert "line 2: it is a report" in bad.error.message


def test_comments_in_bare_lists(tmp_path: Path) -> None:
    """Comments and blank lines are skipped without shifting the line numbers."""
    text = '# of May, to rest\n\n2345678901\n  # resting, "since" June\n2345678902\nbad\n'
    one, other, bad = read_actions(write(tmp_path, text), Pause)
    assert (one, other) == (Pause("2345678901"), Pause("2345678902"))
    assert "line 6: ani must be digits" in bad.error.message  # type: ignore[union-attr]


def test_header_beginning_with_hash(tmp_path: Path) -> None:
    """A header that begins with # is not a comment; a comment above a header is one."""
    text = "#,phone,note\n1,2345678901,rest\n"
    assert list(read_actions(write(tmp_path, text), Pause)) == [Pause("2345678901", note="rest")]
    text = "# phones\nphone,note\n2345678901,rest\n"
    assert list(read_actions(write(tmp_path, text), Pause)) == [Pause("2345678901", note="rest")]


def test_bare_list_beginning_with_truncated_number(tmp_path: Path) -> None:
    """A truncated first number is a bad line, not a missing header."""
    bad, good = read_actions(write(tmp_path, "2.34568E+09\n2345678902\n"), Pause)
    assert "line 1: 2.34568E+09 is a number that" in bad.error.message  # type: ignore[union-attr]
    assert good == Pause("2345678902")


def test_line_in_other_encoding_is_reported(tmp_path: Path) -> None:
    """The message names the file, the line and the remedy."""
    path = write(tmp_path, "ani,note\n2345678901,\xe9t\xe9\n", encoding="latin-1")
    (bad,) = read_actions(path, Pause)
    assert isinstance(bad, BadInput)
    assert bad.error.message == f"{path} line 2: it is not UTF-8 text: save the file as UTF-8"


@pytest.mark.parametrize(
    "options", [{"carrier": "12"}, {"date": "soon"}, {"format": "parquet"}, {"note": 5}]
)
def test_bad_arguments_raise_immediately(tmp_path: Path, options: dict[str, Any]) -> None:
    """Invalid arguments raise at the call, before the file is read."""
    with pytest.raises(InvalidRequestError):
        read_actions(write(tmp_path, "ani\n2345678901\n"), Pause, **options)


@pytest.mark.parametrize("mixed", [False, True])
async def test_batch_has_a_result_per_line(tmp_path: Path, mixed: bool) -> None:
    """Bad lines are NOT_APPLIED and named; the good lines around them are applied."""
    async with Sandbox(anis=30) as sandbox, NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
        active = [ani.phone for ani in await nrm.inventory() if ani.is_active]
        lines = ["action,phone", f"pause,{active[0]}", "pause,2.3E+09", f"pause,{active[1]}"]
        path = write(tmp_path, "\n".join(lines))
        if mixed:
            report = await nrm.run_batch(read_actions(path))
        else:
            report = await nrm.pause_many(read_actions(path, Pause))
        one, bad, other = report
        assert (one.ani, one.ok, other.ani, other.ok) == (active[0], True, active[1], True)
        assert (bad.outcome, bad.index, bad.ani) == (Outcome.NOT_APPLIED, 1, "2.3E+09")
        assert not bad.ok
        assert isinstance(bad.error, InvalidRequestError)
        assert "numbers.csv line 3: 2.3E+09" in str(bad.error)
        assert report.retryable == ()
        save_report(tmp_path / "report.csv", report)


async def test_saved_inventory_is_a_list(tmp_path: Path) -> None:
    """A saved inventory in any of its forms can be read as actions."""
    async with Sandbox(anis=40) as sandbox, NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
        inventory = await nrm.inventory()
    save_inventory(tmp_path / "numbers.jsonl", inventory)
    assert list(read_actions(tmp_path / "numbers.jsonl", Pause)) == [
        Pause(ani) for ani in inventory
    ]
    for for_spreadsheet in (False, True):
        save_inventory(tmp_path / "numbers.csv", inventory, for_spreadsheet=for_spreadsheet)
        actions = list(read_actions(tmp_path / "numbers.csv", Remediate))
        assert actions == [Remediate(ani) for ani in inventory]
