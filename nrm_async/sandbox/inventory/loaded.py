"""An inventory from a file: what the SDK has saved, in any form, or the API's listing as it came.

The SDK's own files are read by the SDK's own reader, which alone knows what it guards, packs and
keeps beside. Nothing else of the SDK is used here.
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
from nrm_async.sandbox.inventory.made import Made
from nrm_async.sandbox.values import ACTIVE, ACTIVE_LABEL, FIELDS, Row

_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Z])")
_WIRE_NAMES: Final = {_WORD.sub("_", name).lower(): name for name in FIELDS}  # of the SDK's names
_NUMBERS: Final = re.compile(r"id|frequency.*|last30Days.*|.*Rate")
_PHONE: Final = re.compile(r"[0-9]{7,15}")

_SAVED_ONLY: Final = (".parquet", ".pq", ".gz")  # nobody else's files are read in these forms
_SAVED_COLUMNS: Final = frozenset(field.name for field in attrs.fields(Ani))
_DATED: Final = tuple(name for name in _SAVED_COLUMNS if re.match("date_|created_at", name))
_SAVED_LINES: Final = '{"nrm_async"'  # how JSON Lines of the SDK begin

_LONGEST_ID: Final = 18  # digits; larger ones are far from those that are given here

_decode_row: Final = msgspec.json.Decoder(dict[str, Any]).decode


def read_rows(file: str | Path) -> Iterator[Row]:
    """The rows in a file, in the wire form, in the file's order, as they are read.

    Args:
        file: What the SDK has saved, in any of its forms (Parquet with the extra ``parquet``).
            Or CSV (by its name) or JSON: a row on each line, a list of rows, or a page of the
            listing; fields are named as on the wire or as in the SDK, only ``phone`` is required.

    Raises:
        ValueError: It holds something else; the message names the file and the row.
        OSError: It cannot be read.
    """
    path = Path(file)
    try:
        yield from _checked(_saved(path) if _is_saved(path) else _plain(path))
    except (ValueError, TypeError, csv.Error) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise ValueError(f"{path} is not an inventory: {reason}") from None


def _is_saved(path: Path) -> bool:
    """Whether it is the SDK's own: by its form, its description, or all of its columns."""
    if path.suffix.lower() in _SAVED_ONLY:
        return True
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = file.readline()
    return first.startswith(_SAVED_LINES) or set(first.strip().split(",")) >= _SAVED_COLUMNS


def _saved(path: Path) -> Iterator[dict[str, Any]]:
    for ani in read_anis(path):
        fields = {name: getattr(ani, name) for name in _SAVED_COLUMNS}
        for name in _DATED:
            if (value := fields[name]) is not None:
                fields[name] = value.isoformat()
        yield fields


def _plain(path: Path) -> Iterable[Any]:
    content = path.read_bytes().decode("utf-8-sig")
    return _from_csv(content) if path.suffix == ".csv" else _from_json(content)


def _from_csv(content: str) -> Iterator[Row]:
    for fields in csv.DictReader(io.StringIO(content, newline="")):
        yield {
            name: _cell(_WIRE_NAMES.get(name, name), text)
            for name, text in fields.items()
            if isinstance(name, str) and isinstance(text, str)
        }


def _cell(name: str, text: str) -> str | int | float | None:
    if text == "":
        return None
    if not _NUMBERS.fullmatch(name):
        return text
    try:
        return int(text)
    except ValueError:
        return text if name == "id" else float(text)


def _from_json(content: str) -> Iterable[Any]:
    try:
        whole = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return msgspec.json.Decoder(dict[str, Any]).decode_lines(content)
    if isinstance(whole, dict):
        whole = whole.get("data", [whole])
    if not isinstance(whole, list):
        raise TypeError("neither a list of rows, nor a page, nor a row on each line")
    return whole


def _checked(found: Iterable[Any]) -> Iterator[Row]:
    phones = set[str]()
    for number, fields in enumerate(found, start=1):
        if not isinstance(fields, dict):
            raise TypeError(f"row {number} is no object")
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
    named = {_WIRE_NAMES.get(name, name): value for name, value in fields.items()}
    if isinstance(extra, dict):
        named = {**named, **extra}
        del named["extra"]
    row: Row = {"id": number, "status": ACTIVE, "statusLabel": ACTIVE_LABEL}
    return {**dict.fromkeys(FIELDS), **row, **named}


class Loaded:
    """Rows that came from elsewhere, kept as bytes: a million of them are held too.

    Args:
        rows: In the wire form, as JSON; phones are strings of digits and unique, else ValueError.
        later: Where the rows of numbers come from that join later.
    """

    def __init__(self, rows: Iterable[bytes], later: Made) -> None:
        self._rows = tuple(rows)
        self._phones: list[str] = []
        self._largest_id = 0
        for fields in map(_decode_row, self._rows):
            self._phones.append(str(fields["phone"]))
            self._largest_id = max(self._largest_id, _as_number(fields.get("id")))
        self._index = {phone: index for index, phone in enumerate(self._phones)}
        self._later = later
        self.count = len(self._rows)
        self.longest = max([later.longest, *map(len, self._phones)])
        if len(self._index) != self.count:
            raise ValueError("rows must have unique phones")

    def phone(self, index: int) -> str:
        """The phone of this row."""
        return self._phones[index] if index < self.count else self._later.phone(index)

    def find(self, phone: str) -> int | None:
        """The index that this phone has, or would have; None where no row can have it."""
        index = self._index.get(phone)
        return self._later.find(phone) if index is None else index

    def status(self, index: int) -> str:
        """The status code that this row begins with."""
        return str(self.row(index)["status"])

    def row(self, index: int) -> Row:
        """The row as it begins; one that joins later has an id of its own."""
        if index < self.count:
            return _decode_row(self._rows[index])
        return {**self._later.row(index), "id": self._largest_id + 1 + index - self.count}


def _as_number(ident: object) -> int:
    text = str(ident)
    is_number = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_ID
    return int(text) if is_number else 0
