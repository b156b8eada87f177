"""What was repaired in a row is saved with it, and comes back."""

from pathlib import Path

import pytest

from nrm_async import Ani
from nrm_async.files import load_inventory, read_anis, save_inventory
from nrm_async.inventory import Inventory
from tests.wire.conftest import make_row, read_rows

ROWS = (
    make_row(dateActivated="0000-00-00", contactRate="36.0", brand=False),
    make_row(id=2),
    make_row(id=3, createdAt=""),
)
REPAIRED = [
    {"date_activated": "0000-00-00", "contact_rate": "36.0", "brand": False},
    {},
    {"created_at": ""},
]


def read_inventory() -> Inventory:
    return Inventory(tuple(read_rows(*ROWS)), complete=True, consistent=True, passes=1, pages=1)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "jsonl.gz", "parquet"])
def test_repaired_is_saved(tmp_path: Path, suffix: str) -> None:
    """All formats keep it."""
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"numbers.{suffix}"
    save_inventory(path, read_inventory())
    assert [ani.repaired for ani in load_inventory(path)] == REPAIRED
    assert [ani.repaired for ani in read_anis(path)] == REPAIRED


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_file_of_an_earlier_version(tmp_path: Path, suffix: str) -> None:
    """A file without the column is read; its rows show no repairs."""
    path = tmp_path / f"numbers.{suffix}"
    text = {"csv": "id,phone\n1,2345678901\n", "jsonl": '{"id": 1, "phone": "2345678901"}\n'}
    path.write_text(text[suffix])
    (ani,) = load_inventory(path)
    assert ani == Ani(1, "2345678901")
    assert ani.repaired == {}
