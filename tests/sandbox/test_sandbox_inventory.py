"""Tests of inventories: permutation, listing order, prefixes, size and imported files."""

import csv
import json
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import Ani, NRMClient
from nrm_async._wire import to_dict
from nrm_async.files import save_inventory
from nrm_async.sandbox import Sandbox, generate
from nrm_async.sandbox.inventory import GeneratedRows, ImportedRows, Inventory, read_rows
from nrm_async.sandbox.inventory.generated import Permutation
from nrm_async.sandbox.inventory.inventory import ListingOrder
from nrm_async.sandbox.values import PageRequest

TODAY = date(2026, 5, 27)


@given(st.integers(1, 400), st.text(max_size=5))
def test_permutation_and_inverse(size: int, key: str) -> None:
    """Each number has a unique image, and the inverse maps it back to the number."""
    order = Permutation(size, key)
    places = [order(number) for number in range(size)]
    assert sorted(places) == list(range(size))
    assert [order.inverse(place) for place in places] == list(range(size))


CHANGES = st.lists(st.one_of(st.none(), st.floats(0, 0.999)), max_size=40)


@given(st.integers(0, 30), CHANGES, st.integers(0, 40), st.integers(0, 40))
def test_listing_order_behaves_like_a_list(
    count: int, changes: list[float | None], start: int, length: int
) -> None:
    """Adding, removing and slicing give the same results as a list."""
    order, model = ListingOrder(count), list(range(count))
    for change in changes:
        if change is None:
            order.add(order.next_index)
            model.insert(0, order.next_index - 1)
        elif model:
            order.remove(model.pop(int(change * len(model))))
    assert len(order) == len(model)
    assert order.indices(start, start + length) == model[start : start + length]
    assert all((index in order) == (index in model) for index in range(count + 41))


@given(st.sampled_from(["2", "21", "305", "3053", "30", "9", "1", "88"]), CHANGES)
def test_prefix_search_during_drift(prefix: str, changes: list[float | None]) -> None:
    """Prefix search stays correct after numbers are added and removed."""
    inventory = Inventory(GeneratedRows(60, 1, TODAY))
    for change in changes:
        inventory.count_matching(prefix)  # fills the cache, to detect stale results
        if change is None:
            inventory.add()
        elif len(inventory):
            inventory.remove(inventory.index_at(int(change * len(inventory))))
    every = [inventory.phone(index) for index in inventory.indices(0, 200)]
    found = [inventory.phone(index) for index in inventory.indices(0, 200, prefix)]
    assert found == [phone for phone in every if phone.startswith(prefix)]
    assert inventory.count_matching(prefix) == len(found)


@given(st.integers(0, 200), st.integers())
def test_index_of_generated_phone(count: int, seed: int) -> None:
    """The index of a phone number is correct, or None if no row has the number."""
    made = GeneratedRows(count, seed, TODAY)
    assert [made.index_of(made.phone(index)) for index in range(count)] == list(range(count))
    assert (
        made.index_of("0000000000") is made.index_of("2125550000") is made.index_of("212") is None
    )


def test_million_numbers_without_building_them() -> None:
    """Any row, page and number of a million is available without generating the others."""
    sandbox = Sandbox(1_000_000)
    assert len(sandbox) == 1_000_000
    last = sandbox.state.page(PageRequest(1_000, 1_000))
    assert (len(last.rows), last.total) == (1_000, 1_000_000)
    row = json.loads(last.rows[-1])
    assert row == sandbox.state.row(row["phone"])
    assert row["id"] == 10_001 + 999_999
    exact = sandbox.state.page(PageRequest(1, 1_000, row["phone"]))
    assert [json.loads(one) for one in exact.rows] == [row]


def test_joining_number_skips_imported_phones() -> None:
    """An added number never duplicates the phone number of an imported row."""
    later = GeneratedRows(0, 1, TODAY)
    rows = [{"phone": later.phone(index), "id": index} for index in (2, 3, 5)]
    inventory = Inventory(ImportedRows(map(msgspec.json.encode, rows), later))
    joined = [inventory.phone(inventory.add()) for _ in range(3)]
    assert len({*joined, *(row["phone"] for row in rows)}) == 6
    assert all(inventory.index_of(phone) is not None for phone in joined)


@pytest.fixture(scope="module")
def wire() -> list[dict[str, object]]:
    """Return rows in wire format."""
    return [dict(row) for row in generate(40, 3, TODAY)]


def save(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write rows in the format given by the file suffix."""
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        path.write_text(json.dumps({"data": rows} if "page" in path.name else rows))
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "page.json"])
def test_import_of_api_listing(tmp_path: Path, wire: list[dict[str, object]], name: str) -> None:
    """CSV, JSON Lines, a JSON list and a page give the same rows, types and nulls."""
    assert list(read_rows(save(tmp_path / name, wire))) == wire


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
async def test_import_under_sdk_names(tmp_path: Path, name: str) -> None:
    """Rows with SDK field names are served unchanged."""
    async with Sandbox(40, seed=3) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            first = list(await nrm.inventory())
    plain = [to_dict(ani) for ani in first]
    for row in plain:
        del row["extra"]
    file = save(tmp_path / name, plain)
    async with Sandbox(inventory=file) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            second = list(await nrm.inventory())
            active = next(ani for ani in second if ani.is_active)
            await nrm.pause(active)
    assert second == first
    sandbox.assert_applied("pause", active, times=1)


SAVED = (
    Ani(
        1,
        "2345678901",
        brand="=Acme",
        status="ODD",
        campaign_name="a\nb",
        block_rate=3.0,
        date_activated=date(2026, 1, 2),
        created_at=datetime(2026, 1, 1, 5, tzinfo=UTC),
        extra={"team": "a"},
    ),
    Ani("5", "0345678902", brand="", status="ODD"),
)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.gz", "a.parquet"])
async def test_import_of_saved_inventory(tmp_path: Path, name: str) -> None:
    """Files in every SDK format are served unchanged, including escapes and unknown fields."""
    save_inventory(tmp_path / name, SAVED)
    async with Sandbox(inventory=tmp_path / name) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            assert (await nrm.inventory()).rows == SAVED


def test_import_of_spreadsheet_csv(tmp_path: Path) -> None:
    """The byte order mark and escaping apostrophes of a spreadsheet CSV are removed."""
    save_inventory(tmp_path / "a.csv", SAVED, for_spreadsheet=True)
    assert Sandbox(inventory=tmp_path / "a.csv").phones == ("2345678901", "0345678902")


def test_import_of_cell_with_line_breaks(tmp_path: Path) -> None:
    """Line breaks in CSV cells are preserved."""
    file = tmp_path / "a.csv"
    file.write_bytes(b'phone,brand\r\n2345678901,"a\r\nb"\r\n')
    assert [row["brand"] for row in read_rows(file)] == ["a\r\nb"]


def test_import_requires_only_phone(tmp_path: Path) -> None:
    """Rows with only a phone number are active, and unknown fields are preserved."""
    file = tmp_path / "few.jsonl"
    file.write_text('{"phone": "2345678901"}\n{"phone": "2345678902", "extra": {"team": "a"}}')
    first, second = read_rows(file)
    assert (first["id"], first["status"]) == (1, "ACTIVE_AND_BEING_MANAGED")
    assert second["team"] == "a"
    assert Sandbox(inventory=[first]).phones == ("2345678901",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "is not an inventory"),
        ("a.json", "5", "the JSON is not a list of rows"),
        ("a.jsonl", '{"phone": "2345678901"}\n7', "is not an inventory"),
        ("a.json", "[5]", "row 1 is not an object"),
        ("a.json", '[{"phone": "2345678901"}, {}]', "row 2 has no phone of 7 to 15 digits"),
        ("a.json", '[{"phone": "+1 234"}]', "row 1 has no phone of 7 to 15 digits"),
        ("a.json", '[{"phone": "2345678901"}, {"phone": "2345678901"}]', "row 2 has the phone"),
        ("a.csv", "number\n2345678901\n", "row 1 has no phone of 7 to 15 digits"),
        ("a.csv", "phone,blockRate\n2345678901,high\n", "is not an inventory"),
        ("a.json", b"\xff\xfe\x00", "is not an inventory"),
        ("a.parquet", "PAR1", "is not an inventory: not Parquet"),
        ("a.jsonl.gz", "{}", "is not an inventory: cannot be unpacked"),
        (
            "a.jsonl",
            '{"nrm_async": "inventory", "version": 1, "rows": 2}\n',
            "it was truncated or edited",
        ),
    ],
)
def test_import_of_invalid_file(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    """The error is one line that names the file and any invalid row."""
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as error:
        Sandbox(inventory=file)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_inventory_from_rows() -> None:
    """A sandbox can be created from a list of rows."""
    [row] = generate(1, 1, TODAY)
    sandbox = Sandbox(inventory=[{**row, "blockRate": 99.0}])
    assert sandbox.state.row(str(row["phone"]))["blockRate"] == 99.0


@pytest.mark.parametrize("ident", [10_002, "10002", "a", 2**63, "9" * 5_000])
def test_joining_number_gets_unused_id(ident: int | str) -> None:
    """An added row has an id that no imported row has."""
    rows = [{"id": ident, "phone": "2345678901"}]
    sandbox = Sandbox(inventory=rows)  # type: ignore[arg-type]
    sandbox.state.join()
    sandbox.state.join()
    assert len({str(row["id"]) for row in sandbox.state.rows}) == 3
