"""Saved inventories say why they are incomplete, and older files without the words load."""

import json
from pathlib import Path

import pytest

from nrm_async import Ani, Inventory
from nrm_async.files import load_inventory, save_inventory

SAVED = Inventory(
    (Ani(1, "2345678901"),),
    complete=False,
    consistent=False,
    passes=4,
    pages=8,
    notes=("the total is odd",),
    why_incomplete="one row slipped",
)


@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz", "parquet"])
def test_reasons_survive_a_file(form: str, tmp_path: Path) -> None:
    """The reason and the notes come back, in a selection of the rows too."""
    path = tmp_path / f"numbers.{form}"
    save_inventory(path, SAVED.where(id=1))
    loaded = load_inventory(path)
    assert loaded == SAVED
    (group,) = loaded.group_by("state").values()
    assert (group.why_incomplete, group.notes) == (SAVED.why_incomplete, SAVED.notes)


def test_file_of_an_older_version(tmp_path: Path) -> None:
    """A description without the two fields leaves them empty."""
    path = tmp_path / "numbers.jsonl"
    save_inventory(path, SAVED)
    head, row = path.read_text().splitlines()
    values = json.loads(head)
    (owner,) = [one for one in _mappings(values) if "why_incomplete" in one]
    del owner["why_incomplete"], owner["notes"]
    path.write_text(f"{json.dumps(values)}\n{row}\n")
    loaded = load_inventory(path)
    assert (loaded.passes, loaded.notes, loaded.why_incomplete) == (4, (), None)


def _mappings(value: object) -> list[dict[str, object]]:
    if not isinstance(value, dict):
        return []
    return [value, *[one for inner in value.values() for one in _mappings(inner)]]


def test_repr_says_why() -> None:
    """The reason and the notes are shown where there are any."""
    assert "complete=False, consistent=False, passes=4, why_incomplete='one row slip" in repr(SAVED)
    assert "notes=('the total is odd',)" in repr(SAVED)
