"""Arrow tables, which data frames take over: real types, and a clear word without the extra."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nrm_async import (
    Ani,
    BatchReport,
    Failed,
    FileFormatError,
    Inventory,
    NotSentError,
    Outcome,
    Pause,
)
from nrm_async.files import load_inventory, save_inventory

WITHOUT = """
import sys
sys.modules["pyarrow"] = None
from nrm_async import Ani, BatchReport, ConfigurationError, Inventory
from nrm_async.files import save_inventory
inventory = Inventory((), True, True, 1, 1)
for call in (inventory.to_arrow, BatchReport(()).to_arrow, lambda: save_inventory({path!r}, [])):
    try:
        call()
    except ConfigurationError as error:
        print(error)
"""


def make_inventory(*rows: Ani) -> Inventory:
    return Inventory(rows, complete=True, consistent=True, passes=2, pages=2)


def test_a_table_has_real_types() -> None:
    """Text stays text, days are days, times are UTC, figures are floats."""
    east = timezone(timedelta(hours=2))
    row = Ani(
        12,
        "0123456789",
        date_activated=date(2026, 5, 27),
        created_at=datetime(2026, 1, 1, 2, tzinfo=east),
        last_30_days_dials=3,
        extra={"tier": [1]},
    )
    table = make_inventory(row, Ani("x", "2345678902")).to_arrow()
    assert table.schema.field("phone").type == pa.string()
    assert table.schema.field("date_activated").type == pa.date32()
    assert table.schema.field("created_at").type == pa.timestamp("us", tz="UTC")
    assert table.schema.field("last_30_days_dials").type == pa.float64()
    first, second = table.to_pylist()
    assert (first["id"], first["phone"], first["extra"]) == ("12", "0123456789", '{"tier": [1]}')
    assert first["created_at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert (second["id"], second["last_30_days_dials"], second["extra"]) == ("x", None, None)


def test_a_report_is_a_table_of_outcomes() -> None:
    """A row for each result, with what was asked for and why it failed."""
    action = Pause("2345678901", note="rest")
    failed = Failed(
        index=7, input=action, action=action, outcome=Outcome.NOT_APPLIED,
        attempts=3, elapsed=1.5, error=NotSentError("no route"),
    )  # fmt: skip
    (row,) = BatchReport((failed,)).to_arrow().to_pylist()
    assert {name: row[name] for name in ("index", "ani", "action", "note", "outcome")} == {
        "index": 7, "ani": "2345678901", "action": "pause", "note": "rest",
        "outcome": "not_applied",
    }  # fmt: skip
    assert (row["error_type"], row["error"], row["attempts"]) == ("NotSentError", "no route", 3)


def test_other_libraries_parquet_is_read(tmp_path: Path) -> None:
    """Columns in another order, of wider types, missing or more than ours: all the same rows."""
    table = pa.table(
        {
            "owner": ["me"],
            "phone": pa.array(["0123456789"], pa.large_string()),
            "created_at": pa.array([0], pa.timestamp("ns", tz="Europe/Berlin")),
            "id": pa.array([5], pa.int64()),
            "block_rate": pa.array([3], pa.int32()),
        }
    )
    pq.write_table(table, tmp_path / "theirs.parquet")
    loaded = load_inventory(tmp_path / "theirs.parquet")
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert loaded.rows == (Ani(5, "0123456789", created_at=epoch, block_rate=3),)
    assert not loaded.complete


def test_what_is_saved_is_a_plain_table_for_others(tmp_path: Path) -> None:
    """pyarrow alone reads it; the last column holds only what would come back changed."""
    path = tmp_path / "numbers.parquet"
    save_inventory(path, make_inventory(Ani(5, "1"), Ani("5", "2", block_rate=3.0)))
    table = pq.read_table(path)
    assert table.column("id").to_pylist() == ["5", "5"]
    assert table.column("_exact").to_pylist() == [None, '{"id": "5", "block_rate": 3.0}']


def test_without_the_extra_it_is_named(tmp_path: Path) -> None:
    """One clear line, and no file left behind."""
    code = WITHOUT.format(path=str(tmp_path / "numbers.parquet"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    needs = "Arrow and Parquet need an extra: pip install 'nrm-async[parquet]'\n"
    assert (done.stdout, done.stderr) == (3 * needs, "")
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_no_float_holds_is_left_empty() -> None:
    """A data frame has no place for it; it is not made infinite."""
    row = Ani(1, "1", last_30_days_dials=10**400)
    assert make_inventory(row).to_arrow().column("last_30_days_dials").to_pylist() == [None]


@pytest.mark.parametrize("wrong", [b"", b"PAR1", b"phone\n2345678901\n"])
def test_a_file_that_is_no_parquet_is_told(tmp_path: Path, wrong: bytes) -> None:
    """The message names the file, and the error is one of ours."""
    path = tmp_path / "numbers.parquet"
    path.write_bytes(wrong)
    with pytest.raises(FileFormatError, match=r"numbers.parquet: no Parquet"):
        load_inventory(path)
