"""Values read from a file equal those written to it, including their types."""

import io
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
from hypothesis import HealthCheck, given, settings

from nrm_async import (
    Ani,
    BatchReport,
    Failed,
    InvalidRequestError,
    Inventory,
    NotSentError,
    Outcome,
    Pause,
    errors,
)
from nrm_async.files import (
    Format,
    load_inventory,
    load_report,
    read_anis,
    save_inventory,
    save_report,
)
from nrm_async.results.record import to_record
from tests.files.strategies import HOSTILE, inventories, reports

FORMATS: tuple[Format, ...] = get_args(Format)
each_format = pytest.mark.parametrize("form", FORMATS)
# The folder is shared by the examples of a test on purpose: each writes over the last one.
many = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def typed(value: Any) -> Any:
    """The value with the types of everything in it, so that 3 and 3.0 differ."""
    if isinstance(value, datetime):
        return "datetime", value.isoformat()
    if isinstance(value, dict):
        return "dict", [(key, typed(one)) for key, one in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [typed(one) for one in value]
    if isinstance(value, errors.NRMError):
        noted = {name: typed(one) for name, one in sorted(vars(value).items())}
        return type(value), typed(value.args), str(value), noted
    if attrs.has(type(value)):
        return type(value), [typed(getattr(value, f.name)) for f in attrs.fields(type(value))]
    return type(value), repr(value)


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of small files need not be on the disk; that they get there is tested elsewhere."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@each_format
@many
@given(inventory=inventories)
def test_inventory_round_trip(form: Format, tmp_path: Path, inventory: Inventory) -> None:
    """Every field of every row comes back, and so does the provenance if the format has a place."""
    path = tmp_path / f"numbers.{form}"
    assert save_inventory(path, inventory) == len(inventory)
    loaded = load_inventory(path)
    assert typed(loaded.rows) == typed(inventory.rows)
    assert typed(list(read_anis(path))) == typed(list(inventory))
    if form == "csv":
        assert (loaded.complete, loaded.consistent, loaded.passes) == (False, False, 0)
    else:
        assert typed(loaded) == typed(inventory)


@many
@given(inventory=inventories)
def test_spreadsheet_csv_round_trip(tmp_path: Path, inventory: Inventory) -> None:
    """CSV for a spreadsheet escapes more, and reading removes every escape."""
    path = tmp_path / "numbers.csv.gz"
    save_inventory(path, inventory, for_spreadsheet=True)
    assert typed(load_inventory(path).rows) == typed(inventory.rows)


@each_format
@many
@given(report=reports)
def test_report_round_trip(form: Format, tmp_path: Path, report: BatchReport) -> None:
    """Actions, outcomes, receipts, attempts, seconds and errors come back with all evidence."""
    path = tmp_path / f"report.{form}"
    assert save_report(path, report) == len(report)
    loaded = load_report(path)
    assert [typed(to_record(one)) for one in loaded] == [typed(to_record(one)) for one in report]
    for ours, theirs in zip(loaded, report, strict=True):
        assert (ours.action, ours.outcome, ours.ok) == (theirs.action, theirs.outcome, theirs.ok)
        if ours.ok or theirs.ok:
            assert getattr(ours, "receipt", None) == getattr(theirs, "receipt", None)
        else:
            assert typed(ours.error) == typed(theirs.error)
            assert ours.error.maybe_applied == theirs.error.maybe_applied
    assert [r.index for r in loaded.retryable] == [r.index for r in report.retryable]
    assert loaded.elapsed == (0.0 if form == "csv" else report.elapsed)


@each_format
def test_hostile_text_round_trip(form: Format, tmp_path: Path) -> None:
    """Hostile text comes back unchanged from every text field, and as an id."""
    path = tmp_path / f"numbers.{form}"
    names = ("phone", "brand", "status", "campaign_name", "locality")
    rows = []
    for text in HOSTILE:
        fields: Any = dict.fromkeys(names, text)
        rows += 2 * [Ani(id=text, extra={text: [text, {text: None}]}, **fields)]
    save_inventory(path, rows)
    assert list(read_anis(path)) == rows


@each_format
def test_similar_values_stay_distinct(form: Format, tmp_path: Path) -> None:
    """5 and "5", 3 and 3.0, None and "" and "None", -0.0, and numbers beyond a float differ."""
    rows = [
        Ani(5, "0123456789", brand=None, frequency_dialed=3, block_rate=-0.0),
        Ani("5", "+12345678901", brand="", frequency_dialed=3.0, block_rate=0),
        Ani(2**53 + 1, "2.34568E+09", brand="None", frequency_dialed=2**63 + 1),
        Ani("9007199254740993", "007", brand="'", frequency_dialed=10**400, block_rate=1e308),
        Ani(1, "1", date_activated=date.min, created_at=datetime.max.replace(tzinfo=UTC)),
    ]
    path = tmp_path / f"numbers.{form}"
    save_inventory(path, rows)
    assert typed(list(read_anis(path))) == typed(rows)


@each_format
@pytest.mark.parametrize("infinite", [float("inf"), float("nan")])
def test_infinity_and_nan(form: Format, tmp_path: Path, infinite: float) -> None:
    """JSON Lines refuses infinity and NaN; the other formats bring them back."""
    path = tmp_path / f"numbers.{form}"
    rows = [Ani(1, "2345678901", block_rate=infinite)]
    if form == "jsonl":
        with pytest.raises(errors.InvalidRequestError, match="JSON"):
            save_inventory(path, rows)
    else:
        save_inventory(path, rows)
        assert repr(load_inventory(path)[0].block_rate) == repr(infinite)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("consistent", [True, False])
def test_loaded_inventory_claims_no_more_than_the_saved(
    form: Format, tmp_path: Path, complete: bool, consistent: bool
) -> None:
    """A loaded inventory is complete only if the saved one was; a stream of rows never is."""
    path = tmp_path / f"numbers.{form}"
    missing = errors.ClientTimeoutError("no answer")
    missing.page = 3
    saved = Inventory((), complete, consistent, passes=4, pages=8, missing=(missing,))
    save_inventory(path, saved)
    loaded = load_inventory(path)
    assert (loaded.complete, loaded.consistent) == (complete, consistent)
    assert loaded.missing_pages == (3,)
    save_inventory(path, iter(saved))
    assert not load_inventory(path).complete


def test_loaded_report_is_retryable(tmp_path: Path) -> None:
    """Actions that were not applied can be run again; invalid inputs stay invalid."""
    path = tmp_path / "report.csv"
    action = Pause("2345678901", note="=rest", carrier="012345")
    common: Any = {"outcome": Outcome.NOT_APPLIED, "attempts": 2, "elapsed": 0.5}
    save_report(
        path,
        [
            Failed(index=0, input=action, action=action, error=NotSentError("no route"), **common),
            Failed(
                index=1, input="x", action=None, error=InvalidRequestError("no number"), **common
            ),
        ],
    )
    report = load_report(path)
    (again,) = report.retryable
    assert (again.action, again.index) == (action, 0)
    assert [type(one.error) for one in report.failed] == [NotSentError, InvalidRequestError]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_gz_suffix_compresses(form: str, tmp_path: Path) -> None:
    """A .gz suffix compresses and decompresses, with the same bytes each time."""
    rows = [Ani(number, f"{number:010}") for number in range(3_000)]
    path = tmp_path / f"numbers.{form}.gz"
    save_inventory(path, rows)
    first = path.read_bytes()
    save_inventory(path, rows)
    assert first == path.read_bytes()
    assert first.startswith(b"\x1f\x8b")
    assert list(read_anis(path)) == rows


@each_format
def test_open_file_is_written_and_left_open(form: Format) -> None:
    """An open binary file needs a format, and stays open."""
    file = io.BytesIO()
    save_inventory(file, [Ani(1, "2345678901")], format=form)
    assert len(file.getvalue()) > 50
    with pytest.raises(errors.InvalidRequestError, match="format must be given"):
        save_inventory(file, [])
