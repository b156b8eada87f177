"""Lists of actions from anybody's files: usual spellings are taken, bad lines told in place."""

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
def test_the_numbers_column_has_any_usual_name(tmp_path: Path, title: str) -> None:
    """Letters count; case, blanks and punctuation do not."""
    path = write(tmp_path, f"campaign,{title}\nx,(234) 567-8901\n")
    assert list(read_actions(path, Pause)) == [Pause("2345678901")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_files_from_spreadsheets_are_read(
    tmp_path: Path, encoding: str, separator: str, line_end: str
) -> None:
    """Byte order marks, other separators, line ends of old, and text marks around numbers."""
    lines = [("Phone", "Note"), ("'2345678901", "résting"), ('"=""2345678902"""', "'=x"), ("", "")]
    text = line_end.join(separator.join(line) for line in lines) + line_end
    got = list(read_actions(write(tmp_path, text, encoding=encoding), Pause))
    assert got == [Pause("2345678901", note="résting"), Pause("2345678902", note="=x")]


def test_lines_say_more_than_the_number(tmp_path: Path) -> None:
    """Action, carrier, note and date come from the line, else from the call."""
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


def test_json_lines_are_read(tmp_path: Path) -> None:
    """Objects under usual names, and bare numbers."""
    text = (
        '{"phoneNumber": 2345678901, "Note": "rest", "owner": 1}\n\n'
        '"+1 234 567 8902"\n2345678903\n{"ani": "2345678904", "note": null}\n'
    )
    assert list(read_actions(write(tmp_path, text, "numbers.jsonl"), Pause)) == [
        Pause("2345678901", note="rest"), Pause("2345678902"), Pause("2345678903"),
        Pause("2345678904"),
    ]  # fmt: skip


def test_bare_numbers_need_no_header(tmp_path: Path) -> None:
    """One column whose first line is a number; the first one is not lost."""
    path = write(tmp_path, "2345678901\n(234) 567-8902\n", "numbers.txt")
    assert list(read_actions(path, Remediate, format="csv")) == [
        Remediate("2345678901"), Remediate("2345678902"),
    ]  # fmt: skip


BAD = {
    "cut": ("2.34568E+09", "line 2: 2.34568E+09 is a number that a spreadsheet has cut"),
    "cut in another tongue": ('"2,34568E+09"', "is a number that a spreadsheet has cut"),
    "a decimal": ("2345678901.0", "2345678901.0 is a decimal number, not a phone number"),
    "letters": ("call me", "line 2: ani must be digits"),
    "nothing": ('"",note', "line 2: ani must not be empty"),
    "too many cells": ("2345678901,a,b,c", "line 2: 4 cells, the header has 2"),
    "a broken quote": ('2345678901,"a"b', "line 2: broken CSV"),
    "no text": ("2345678901,\udcff", "line 2: it is not UTF-8 text"),
}


@pytest.mark.parametrize(("line", "words"), BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_told_in_its_place(tmp_path: Path, line: str, words: str) -> None:
    """The lines around it are read, and what is told of it has its number."""
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
        ("{", "line 1: no JSON"),
        ("[1]", "line 1: no object"),
        ("true", "line 1: no object"),
        ('{"note": "x"}', "line 1: ani must not be empty"),
        ('{"ani": 2.34568E+09}', "is a decimal number"),
        ('{"ani": "1", "phone": "2"}', "'ani' and 'phone' may both be the ani"),
        ('{"ani": "2345678901", "action": "activate"}', "its action is activate"),
        ('{"ani": "2345678901", "action": "explode"}', "action must be one of pause,"),
        ('{"ani": "2345678901", "carrier": 12}', "carrier must be an id of six digits"),
    ],
)  # fmt: skip
def test_a_bad_line_of_json_is_told_in_its_place(tmp_path: Path, line: str, words: str) -> None:
    """The same, line by line."""
    path = write(tmp_path, f"{line}\n2345678902\n", "numbers.jsonl")
    bad, good = read_actions(path, Pause)
    assert isinstance(bad, BadInput)
    assert words in bad.error.message
    assert good == Pause("2345678902")


def test_a_quote_left_open_swallows_no_line(tmp_path: Path) -> None:
    """Each line that it took along is told of."""
    text = 'ani,note\n2345678901,"open\n2345678902,\n2345678903,\n'
    bad = list(read_actions(write(tmp_path, text), Pause))
    assert [str(one) for one in bad] == ["line 2", "line 3", "line 4"]


def test_activate_needs_a_date(tmp_path: Path) -> None:
    """From the line or from the call; a line without one is bad."""
    path = write(tmp_path, "ani,date\n2345678901,\n2345678902,2026-05-27\n")
    bad, good = read_actions(path, Activate)
    assert "line 2: date is required to activate" in bad.error.message  # type: ignore[union-attr]
    assert good == Activate("2345678902", date="2026-05-27")
    actions = list(read_actions(path, Activate, date="20260101120000"))
    assert [getattr(action, "date", None) for action in actions] == ["20260101120000", "2026-05-27"]


def test_remediate_takes_no_date(tmp_path: Path) -> None:
    """Neither from the call nor from a line: nothing that was asked for is passed over."""
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
        ("ani\n2345678901\n", {}, "no column 'action' says what to do"),
    ],
)
def test_a_file_that_is_no_list_is_told(
    tmp_path: Path, text: str, options: dict[str, Any], words: str
) -> None:
    """There are no lines to tell it of."""
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
def test_a_report_is_no_list(tmp_path: Path, name: str) -> None:
    """What was applied, or may have been, is never sent again by mistake."""
    save_report(tmp_path / name, REPORT)
    with pytest.raises(FileFormatError, match=r"it is a report: .*load_report\(path\)\.retryable"):
        list(read_actions(tmp_path / name, Pause))


def test_lines_of_a_report_are_no_list(tmp_path: Path) -> None:
    """Without the line that describes it too; between others, the line is bad."""
    line = '{"ani": "2345678901", "Outcome": "applied"}\n'
    with pytest.raises(FileFormatError, match="it is a report"):
        list(read_actions(write(tmp_path, line, "one.jsonl"), Pause))
    good, bad = read_actions(write(tmp_path, "2345678902\n" + line, "two.jsonl"), Pause)
    assert good == Pause("2345678902")
    assert isinstance(bad, BadInput)
    assert "line 2: it is a report" in bad.error.message


def test_plain_lists_have_remarks(tmp_path: Path) -> None:
    """Lines that begin with # and blank ones are passed over; line numbers still hold."""
    text = '# of May, to rest\n\n2345678901\n  # resting, "since" June\n2345678902\nbad\n'
    one, other, bad = read_actions(write(tmp_path, text), Pause)
    assert (one, other) == (Pause("2345678901"), Pause("2345678902"))
    assert "line 6: ani must be digits" in bad.error.message  # type: ignore[union-attr]


def test_a_column_may_be_called_by_a_sign(tmp_path: Path) -> None:
    """A header that begins with # is no remark; one above it is."""
    text = "#,phone,note\n1,2345678901,rest\n"
    assert list(read_actions(write(tmp_path, text), Pause)) == [Pause("2345678901", note="rest")]
    text = "# phones\nphone,note\n2345678901,rest\n"
    assert list(read_actions(write(tmp_path, text), Pause)) == [Pause("2345678901", note="rest")]


def test_a_plain_list_may_begin_with_a_damaged_number(tmp_path: Path) -> None:
    """It is that line that is bad, not a header that is missing."""
    bad, good = read_actions(write(tmp_path, "2.34568E+09\n2345678902\n"), Pause)
    assert "line 1: 2.34568E+09 is a number that" in bad.error.message  # type: ignore[union-attr]
    assert good == Pause("2345678902")


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    """With its name, the line, and what to do."""
    path = write(tmp_path, "ani,note\n2345678901,\xe9t\xe9\n", encoding="latin-1")
    (bad,) = read_actions(path, Pause)
    assert isinstance(bad, BadInput)
    assert bad.error.message == f"{path} line 2: it is not UTF-8 text: save the file as UTF-8"


@pytest.mark.parametrize(
    "options", [{"carrier": "12"}, {"date": "soon"}, {"format": "parquet"}, {"note": 5}]
)
def test_bad_arguments_are_told_at_once(tmp_path: Path, options: dict[str, Any]) -> None:
    """Not at the first line."""
    with pytest.raises(InvalidRequestError):
        read_actions(write(tmp_path, "ani\n2345678901\n"), Pause, **options)


@pytest.mark.parametrize("mixed", [False, True])
async def test_a_batch_has_a_result_for_each_line(tmp_path: Path, mixed: bool) -> None:
    """Bad lines are NOT_APPLIED with their number; the good ones around them are applied."""
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


async def test_a_saved_inventory_is_a_list_too(tmp_path: Path) -> None:
    """Export, take lines out in an editor or a spreadsheet, give the rest back."""
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
