"""Arrow tables for data frames: real types, and a clear error without the extra."""

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


def test_table_types() -> None:
    """Text stays text, days are dates, times are in UTC, and figures are floats."""
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


def test_report_table() -> None:
    """Each result is a row with its action, outcome and error."""
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


def test_parquet_of_other_programs(tmp_path: Path) -> None:
    """Columns in another order, of wider types, missing or additional give the same rows."""
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


def test_parquet_is_readable_by_pyarrow_alone(tmp_path: Path) -> None:
    """pyarrow reads the file; ``_exact`` holds only values that would come back changed."""
    path = tmp_path / "numbers.parquet"
    save_inventory(path, make_inventory(Ani(5, "1"), Ani("5", "2", block_rate=3.0)))
    table = pq.read_table(path)
    assert table.column("id").to_pylist() == ["5", "5"]
    assert table.column("_exact").to_pylist() == [None, '{"id": "5", "block_rate": 3.0}']


def test_missing_extra_is_named(tmp_path: Path) -> None:
    """Without pyarrow, one clear error names the extra, and no file is left behind."""
    code = WITHOUT.format(path=str(tmp_path / "numbers.parquet"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    needs = "Arrow and Parquet need an extra: pip install 'nrm-async[parquet]'\n"
    assert (done.stdout, done.stderr) == (3 * needs, "")
    assert list(tmp_path.iterdir()) == []


def test_figure_beyond_float_range_is_null() -> None:
    """A figure beyond the range of a float is null, not infinite."""
    row = Ani(1, "1", last_30_days_dials=10**400)
    assert make_inventory(row).to_arrow().column("last_30_days_dials").to_pylist() == [None]


@pytest.mark.parametrize("wrong", [b"", b"PAR1", b"phone\n2345678901\n"])
def test_invalid_parquet_is_refused(tmp_path: Path, wrong: bytes) -> None:
    """The message names the file, and the error is one of this package."""
    path = tmp_path / "numbers.parquet"
    path.write_bytes(wrong)
    with pytest.raises(FileFormatError, match=r"numbers.parquet: not Parquet"):
        load_inventory(path)
