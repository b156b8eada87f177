"""Inventories: orders that drift, prefixes, a million rows, rows from files."""

import csv
import json
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import Ani, NRMClient
from nrm_async._wire import to_plain
from nrm_async.files import save_inventory
from nrm_async.sandbox import Sandbox, generate
from nrm_async.sandbox.inventory import Inventory, Loaded, Made, read_rows
from nrm_async.sandbox.inventory.order import Order
from nrm_async.sandbox.inventory.shuffle import Shuffle
from nrm_async.sandbox.values import PageRequest

TODAY = date(2026, 5, 27)


@given(st.integers(1, 400), st.text(max_size=5))
def test_a_shuffle_is_a_permutation(size: int, key: str) -> None:
    """Every number has a place of its own, and each place leads back to its number."""
    order = Shuffle(size, key)
    places = [order(number) for number in range(size)]
    assert sorted(places) == list(range(size))
    assert [order.inverse(place) for place in places] == list(range(size))


CHANGES = st.lists(st.one_of(st.none(), st.floats(0, 0.999)), max_size=40)


@given(st.integers(0, 30), CHANGES, st.integers(0, 40), st.integers(0, 40))
def test_an_order_is_a_list_that_changes(
    count: int, changes: list[float | None], start: int, length: int
) -> None:
    """Joining puts a row in front, leaving takes one out; any slice is that of a plain list."""
    order, model = Order(count), list(range(count))
    for change in changes:
        if change is None:
            order.join(order.next_index)
            model.insert(0, order.next_index - 1)
        elif model:
            order.leave(model.pop(int(change * len(model))))
    assert len(order) == len(model)
    assert order.indices(start, start + length) == model[start : start + length]
    assert all((index in order) == (index in model) for index in range(count + 41))


@given(st.sampled_from(["2", "21", "305", "3053", "30", "9", "1", "88"]), CHANGES)
def test_prefixes_follow_what_drifts(prefix: str, changes: list[float | None]) -> None:
    """A filtered listing is the listing, filtered, whoever joined or left in between."""
    inventory = Inventory(Made(60, 1, TODAY))
    for change in changes:
        inventory.matching(prefix)  # answers are kept, and must not be stale
        if change is None:
            inventory.join()
        elif len(inventory):
            inventory.leave(inventory.at(int(change * len(inventory))))
    every = [inventory.phone(index) for index in inventory.indices(0, 200)]
    found = [inventory.phone(index) for index in inventory.indices(0, 200, prefix)]
    assert found == [phone for phone in every if phone.startswith(prefix)]
    assert inventory.matching(prefix) == len(found)


@given(st.integers(0, 200), st.integers())
def test_a_phone_leads_back_to_its_row(count: int, seed: int) -> None:
    """No table is needed to find a number, and one that cannot be there is not found."""
    made = Made(count, seed, TODAY)
    assert [made.find(made.phone(index)) for index in range(count)] == list(range(count))
    assert made.find("0000000000") is made.find("2125550000") is made.find("212") is None


def test_a_million_numbers_are_there_at_once() -> None:
    """Any row, any page and any number of a million, without making the others first."""
    sandbox = Sandbox(1_000_000)
    assert len(sandbox) == 1_000_000
    last = sandbox.state.page(PageRequest(1_000, 1_000))
    assert (len(last.rows), last.total) == (1_000, 1_000_000)
    row = json.loads(last.rows[-1])
    assert row == sandbox.state.row(row["phone"])
    assert row["id"] == 10_001 + 999_999
    exact = sandbox.state.page(PageRequest(1, 1_000, row["phone"]))
    assert [json.loads(one) for one in exact.rows] == [row]


def test_rows_that_join_later_take_no_loaded_phone() -> None:
    """A generated phone that a loaded row has already is passed over."""
    later = Made(0, 1, TODAY)
    rows = [{"phone": later.phone(index), "id": index} for index in (2, 3, 5)]
    inventory = Inventory(Loaded(map(msgspec.json.encode, rows), later))
    joined = [inventory.phone(inventory.join()) for _ in range(3)]
    assert len({*joined, *(row["phone"] for row in rows)}) == 6
    assert all(inventory.find(phone) is not None for phone in joined)


@pytest.fixture(scope="module")
def wire() -> list[dict[str, object]]:
    """Rows as the API lists them."""
    return [dict(row) for row in generate(40, 3, TODAY)]


def save(path: Path, rows: list[dict[str, object]]) -> Path:
    """In the form that the name of the file says."""
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
def test_rows_are_loaded_as_the_api_lists_them(
    tmp_path: Path, wire: list[dict[str, object]], name: str
) -> None:
    """CSV, JSON Lines, a list, a page: the same rows, types and nulls."""
    assert list(read_rows(save(tmp_path / name, wire))) == wire


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json"])
async def test_what_the_sdk_has_read_can_be_served_again(tmp_path: Path, name: str) -> None:
    """An inventory of the client, saved under the SDK's own names, is read back the same."""
    async with Sandbox(40, seed=3) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            first = list(await nrm.inventory())
    plain = [to_plain(ani) for ani in first]
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
async def test_what_the_sdk_has_saved_is_served_as_it_was(tmp_path: Path, name: str) -> None:
    """Every form, guarded texts and unknown fields: the client reads what it saved."""
    save_inventory(tmp_path / name, SAVED)
    async with Sandbox(inventory=tmp_path / name) as sandbox:
        async with NRMClient(sandbox.api_key, base_url=sandbox.url) as nrm:
            assert (await nrm.inventory()).rows == SAVED


def test_csv_for_spreadsheets_is_loaded_too(tmp_path: Path) -> None:
    """Its byte order mark and its apostrophes are no part of what it says."""
    save_inventory(tmp_path / "a.csv", SAVED, for_spreadsheet=True)
    assert Sandbox(inventory=tmp_path / "a.csv").phones == ("2345678901", "0345678902")


def test_a_cell_may_span_lines(tmp_path: Path) -> None:
    """CSV of anybody's making keeps the line ends in its cells."""
    file = tmp_path / "a.csv"
    file.write_bytes(b'phone,brand\r\n2345678901,"a\r\nb"\r\n')
    assert [row["brand"] for row in read_rows(file)] == ["a\r\nb"]


def test_only_the_phone_is_required(tmp_path: Path) -> None:
    """A bare list of numbers makes active rows; unknown fields are kept."""
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
        ("a.json", "5", "neither a list of rows"),
        ("a.jsonl", '{"phone": "2345678901"}\n7', "is not an inventory"),
        ("a.json", "[5]", "row 1 is no object"),
        ("a.json", '[{"phone": "2345678901"}, {}]', "row 2 has no phone of 7 to 15 digits"),
        ("a.json", '[{"phone": "+1 234"}]', "row 1 has no phone of 7 to 15 digits"),
        ("a.json", '[{"phone": "2345678901"}, {"phone": "2345678901"}]', "row 2 has the phone"),
        ("a.csv", "number\n2345678901\n", "row 1 has no phone of 7 to 15 digits"),
        ("a.csv", "phone,blockRate\n2345678901,high\n", "is not an inventory"),
        ("a.json", b"\xff\xfe\x00", "is not an inventory"),
        ("a.parquet", "PAR1", "is not an inventory: no Parquet"),
        ("a.jsonl.gz", "{}", "is not an inventory: cannot be unpacked"),
        ("a.jsonl", '{"nrm_async": "inventory", "version": 1, "rows": 2}\n', "it was cut short"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    """One line that names the file, and the row where it is one row's fault."""
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as error:
        Sandbox(inventory=file)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_rows_given_as_values_are_served() -> None:
    """A test may bring the few rows it is about."""
    [row] = generate(1, 1, TODAY)
    sandbox = Sandbox(inventory=[{**row, "blockRate": 99.0}])
    assert sandbox.state.row(str(row["phone"]))["blockRate"] == 99.0


@pytest.mark.parametrize("ident", [10_002, "10002", "a", 2**63, "9" * 5_000])
def test_who_joins_loaded_rows_has_an_id_of_its_own(ident: int | str) -> None:
    """A client that keys rows by id must not lose one of two."""
    rows = [{"id": ident, "phone": "2345678901"}]
    sandbox = Sandbox(inventory=rows)  # type: ignore[arg-type]
    sandbox.state.join()
    sandbox.state.join()
    assert len({str(row["id"]) for row in sandbox.state.rows}) == 3
