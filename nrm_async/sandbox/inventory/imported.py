"""Rows read from a file, saved by the SDK or in the API's format.

Files saved by the SDK are read with the SDK's own reader, which handles their escaping, compression
and metadata. The sandbox uses no other part of the SDK.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from nrm_async.files import read_anis
from nrm_async.models import Ani
from nrm_async.sandbox.inventory.generated import GeneratedRows
from nrm_async.sandbox.validation import digits_of
from nrm_async.sandbox.values import ACTIVE, ACTIVE_LABEL, FIELDS, Row

_WORD_BOUNDARY: Final = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Z])")
# Keys are SDK field names, and values are API field names.
_WIRE_NAMES: Final = {_WORD_BOUNDARY.sub("_", name).lower(): name for name in FIELDS}
_NUMERIC: Final = re.compile(r"id|frequency.*|last30Days.*|.*Rate")
_PHONE: Final = re.compile(r"[0-9]{7,15}")

_SDK_SUFFIXES: Final = (".parquet", ".pq", ".gz")  # only supported for files saved by the SDK
_SDK_COLUMNS: Final = frozenset(field.name for field in attrs.fields(Ani))
_SDK_DATES: Final = tuple(name for name in _SDK_COLUMNS if re.match("date_|created_at", name))
_SDK_JSONL_START: Final = '{"nrm_async"'

_MOST_ID_DIGITS: Final = 18  # longer ids cannot collide with the ids of added rows

_decode_row: Final = msgspec.json.Decoder(dict[str, Any]).decode


def read_rows(file: str | Path) -> Iterator[Row]:
    """Read the rows of a file in wire format, in the order of the file.

    Args:
        file: A file saved by the SDK in any format (Parquet requires the extra ``parquet``), a CSV
            file (with the suffix ``.csv``), or a JSON file with one row per line, a list of rows,
            or a page of the listing. Fields have API or SDK names. Only ``phone`` is required.

    Raises:
        ValueError: The content is invalid. The message names the file and any invalid row.
        OSError: The file cannot be read.
    """
    path = Path(file)
    try:
        yield from _to_wire(_read_saved(path) if _is_saved_by_sdk(path) else _read_plain(path))
    except (ValueError, TypeError, csv.Error) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path} is not an inventory: {reason}") from None


def _is_saved_by_sdk(path: Path) -> bool:
    """Recognise files saved by the SDK by their suffix, their metadata or their columns."""
    if path.suffix.lower() in _SDK_SUFFIXES:
        return True
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.readline()
    return first.startswith(_SDK_JSONL_START) or set(first.strip().split(",")) >= _SDK_COLUMNS


def _read_saved(path: Path) -> Iterator[dict[str, Any]]:
    for ani in read_anis(path):
        fields = {name: getattr(ani, name) for name in _SDK_COLUMNS}
        for name in _SDK_DATES:
            if (value := fields[name]) is not None:
                fields[name] = value.isoformat()
        yield fields


def _read_plain(path: Path) -> Iterable[Any]:
    content = path.read_bytes().decode("utf-8-sig")
    return _parse_csv(content) if path.suffix == ".csv" else _parse_json(content)


def _parse_csv(content: str) -> Iterator[Row]:
    for fields in csv.DictReader(io.StringIO(content, newline="")):
        yield {
            name: _parse_cell(_WIRE_NAMES.get(name, name), text)
            for name, text in fields.items()
            if isinstance(name, str) and isinstance(text, str)
        }


def _parse_cell(name: str, text: str) -> str | int | float | None:
    if text == "":
        return None
    if not _NUMERIC.fullmatch(name):
        return text
    try:
        return int(text)
    except ValueError:
        return text if name == "id" else float(text)


def _parse_json(content: str) -> Iterable[Any]:
    try:
        value = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return msgspec.json.Decoder(dict[str, Any]).decode_lines(content)
    if isinstance(value, dict):
        value = value.get("data", [value])
    if not isinstance(value, list):
        raise TypeError("the JSON is not a list of rows, a page or one row per line")
    return value


def _to_wire(rows: Iterable[Any]) -> Iterator[Row]:
    """Convert rows to wire format, and check that each has a valid, unique phone number."""
    phones = set[str]()
    for number, fields in enumerate(rows, start=1):
        if not isinstance(fields, dict):
            raise TypeError(f"row {number} is not an object")
        row = _wire_row(fields, number)
        phone = row["phone"]
        if not isinstance(phone, str) or not _PHONE.fullmatch(phone):
            raise ValueError(f"row {number} has no phone of 7 to 15 digits")
        if phone in phones:
            raise ValueError(f"row {number} has the phone of an earlier row")
        phones.add(phone)
        yield row


def _wire_row(fields: Mapping[str, Any], number: int) -> Row:
    extra = fields.get("extra")
    named = {
        _WIRE_NAMES.get(name, name): value
        for name, value in fields.items()
        if name != "repaired"  # the client's note in a saved inventory, no field of the API
    }
    if isinstance(extra, dict):
        named = {**named, **extra}
        del named["extra"]
    defaults: Row = {"id": number, "status": ACTIVE, "statusLabel": ACTIVE_LABEL}
    return {**dict.fromkeys(FIELDS), **defaults, **named}


class ImportedRows:
    """Imported rows, stored as encoded JSON to save memory.

    Args:
        rows: Rows in wire format, as JSON.
        additions: A source of rows to add later.

    Raises:
        ValueError: Two rows have the same phone number.
    """

    def __init__(self, rows: Iterable[bytes], additions: GeneratedRows) -> None:
        self._rows = tuple(rows)
        self._phones: list[str] = []
        self._largest_id = 0
        for fields in map(_decode_row, self._rows):
            self._phones.append(digits_of(str(fields["phone"])))
            self._largest_id = max(self._largest_id, _numeric_id(fields.get("id")))
        self._indices = {phone: index for index, phone in enumerate(self._phones)}
        self._additions = additions
        self.count = len(self._rows)
        self.longest = max([additions.longest, *map(len, self._phones)])
        if len(self._indices) != self.count:
            raise ValueError("rows must have unique phones")

    def phone(self, index: int) -> str:
        """Return the phone number of a row."""
        return self._phones[index] if index < self.count else self._additions.phone(index)

    def index_of(self, phone: str) -> int | None:
        """Return the index of a current or future row with this phone number, or None."""
        index = self._indices.get(phone)
        return self._additions.index_of(phone) if index is None else index

    def status(self, index: int) -> str:
        """Return the initial status code of a row."""
        return str(self.row(index)["status"])

    def row(self, index: int) -> Row:
        """Return the initial values of a row. Rows added later have unused ids."""
        if index < self.count:
            return _decode_row(self._rows[index])
        return {**self._additions.row(index), "id": self._largest_id + 1 + index - self.count}


def _numeric_id(ident: object) -> int:
    """Return a numeric id as an integer, or 0 for any other id."""
    text = str(ident)
    is_numeric = text.isascii() and text.isdecimal() and len(text) <= _MOST_ID_DIGITS
    return int(text) if is_numeric else 0
