"""The numbers of an account at one reading, and how the reading of them went.

Paging over data that changes can lose and repeat rows without a word from the server, so an
inventory says of itself whether it is complete.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Self, TypeVar, overload

import attrs

from nrm_async._values import Value
from nrm_async.actions import AniLike, normalize_ani
from nrm_async.errors import InvalidRequestError, NRMError
from nrm_async.inventory.summary import Summary, summarize
from nrm_async.models import Ani, MalformedRow

K = TypeVar("K", bound=Hashable)

_FIELDS: Final = frozenset(field.name for field in attrs.fields(Ani)) | {"is_active"}


@attrs.frozen(eq=False, repr=False)
class Inventory(Value, Sequence[Ani]):
    """All numbers that were read, in page order, each row once: an immutable sequence.

    Attributes:
        rows: The numbers.
        complete: Whether it is known that every row is here, once, that stood where it was
            throughout the read. Every page was read and every row understood, and one of two
            things shows that nothing is between the pages: two passes agree, with as many rows
            as were announced; or answers that hold the same rows join the first page to the
            last (how that proves it is told in ``nrm_async/listing/seams.py``). Rows that came,
            went or moved while it was read may be in it or not.
        consistent: Whether two passes over all pages, one after the other, found the same rows
            in the same order, or just as many as were announced: then nothing changed between
            them. One pass alone shows that only of a single page, read at one moment.
        passes: Passes over all pages.
        pages: Pages that were given out, over all passes.
        requests: Pages asked for, over all passes and for single spots, answered or not; a page
            that was tried again counts once.
        duplicates: Rows dropped because their ``id`` had come already in the same pass, over
            all passes.
        malformed: Rows that could not be understood, as they were last seen; each tells its
            ``path``.
        missing: Why pages of the last pass are missing, if any are; each error tells its
            ``page``.
        elapsed: Seconds from the first request to the last answer.
        started: When the read began, in UTC; ``None`` if that is not known.
        ended: When the read ended, in UTC; ``None`` if that is not known.
    """

    rows: tuple[Ani, ...]
    complete: bool
    consistent: bool
    passes: int
    pages: int
    duplicates: int = 0
    malformed: tuple[MalformedRow, ...] = ()
    missing: tuple[NRMError, ...] = ()
    elapsed: float = 0.0
    requests: int = 0
    started: datetime | None = None
    ended: datetime | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Ani]:
        return iter(self.rows)

    @overload
    def __getitem__(self, index: int) -> Ani: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Ani, ...]: ...
    def __getitem__(self, index: int | slice) -> Ani | tuple[Ani, ...]:
        return self.rows[index]

    def __repr__(self) -> str:
        return (
            f"<Inventory of {len(self.rows)} numbers, complete={self.complete}, "
            f"consistent={self.consistent}, passes={self.passes}>"
        )

    @property
    def missing_pages(self) -> tuple[int, ...]:
        """The pages that are missing, in order."""
        return tuple(sorted({error.page for error in self.missing if error.page is not None}))

    @cached_property
    def _by_id(self) -> dict[str, Ani]:
        return {str(row.id): row for row in reversed(self.rows)}

    @cached_property
    def _by_phone(self) -> dict[str, Ani]:
        return {_spelling(row.phone): row for row in reversed(self.rows)}

    def by_phone(self, ani: AniLike) -> Ani | None:
        """The row of a number, in any usual spelling; ``None`` if it is not here.

        Of several rows with one number it is the first.

        Raises:
            InvalidRequestError: ``ani`` is no phone number.

        Example:
            >>> rows = (Ani(1, "2345678901"), Ani("x", "2345678902"))
            >>> inventory = Inventory(rows, complete=True, consistent=True, passes=2, pages=2)
            >>> inventory.by_phone("+1 (234) 567-8902").id
            'x'
        """
        return self._by_phone.get(normalize_ani(ani))

    def by_id(self, row_id: int | str) -> Ani | None:
        """The row with this ``id``, as a number or its text; ``None`` if it is not here."""
        return self._by_id.get(str(row_id))

    def where(self, predicate: Callable[[Ani], bool] | None = None, /, **fields: Any) -> Self:
        """The rows that fulfil all conditions, as an inventory that was read as this one was.

        Args:
            predicate: A condition of yours.
            fields: Fields of ``Ani`` (``is_active`` too) and the value each must have; a list,
                tuple or set gives several values, any of which will do.

        Raises:
            InvalidRequestError: ``Ani`` has no such field.

        Example:
            >>> rows = (Ani(1, "2345678901", state="TX"), Ani(2, "2345678902", state="NY"))
            >>> inventory = Inventory(rows, complete=True, consistent=True, passes=2, pages=2)
            >>> [ani.id for ani in inventory.where(state="TX")]
            [1]
            >>> len(inventory.where(lambda ani: ani.id > 1, state={"TX", "NY"}))
            1
        """
        for name in fields:
            _check_field(name)
        wanted = [(name, _choices(value)) for name, value in fields.items()]
        rows = tuple(
            row
            for row in self.rows
            if all(getattr(row, name) in values for name, values in wanted)
            and (predicate is None or predicate(row))
        )
        return attrs.evolve(self, rows=rows)

    @overload
    def group_by(self, key: str) -> dict[Any, Self]: ...
    @overload
    def group_by(self, key: Callable[[Ani], K]) -> dict[K, Self]: ...
    def group_by(self, key: str | Callable[[Ani], Any]) -> dict[Any, Self]:
        """The rows in groups, in order of their first row; each an inventory like this one.

        Args:
            key: A field of ``Ani``, or what gives the group of a row.

        Raises:
            InvalidRequestError: ``Ani`` has no such field.

        Example:
            >>> rows = (Ani(1, "2345678901", state="TX"), Ani(2, "2345678902", state="NY"))
            >>> inventory = Inventory(rows, complete=True, consistent=True, passes=2, pages=2)
            >>> {state: len(group) for state, group in inventory.group_by("state").items()}
            {'TX': 1, 'NY': 1}
        """
        if isinstance(key, str):
            name = _check_field(key)
            return self._grouped(lambda row: getattr(row, name))
        return self._grouped(key)

    def _grouped(self, key: Callable[[Ani], Any]) -> dict[Any, Self]:
        groups: dict[Any, list[Ani]] = {}
        for row in self.rows:
            groups.setdefault(key(row), []).append(row)
        return {group: attrs.evolve(self, rows=tuple(rows)) for group, rows in groups.items()}

    def summary(self) -> Summary:
        """Counts by status, campaign and area code, and rates weighted by dials."""
        return summarize(self.rows)

    def to_arrow(self) -> Any:
        """The rows as a ``pyarrow.Table``, a column for each field: the way to data frames.

        ``polars.from_arrow(table)`` takes it over without a copy, ``table.to_pandas()`` copies
        only what pandas keeps in another form. Phone numbers and ids are text, days are days,
        times are in UTC, figures are floats, and ``extra`` is JSON.

        Raises:
            ConfigurationError: The extra ``parquet`` is not installed.

        Example:
            >>> rows = (Ani(1, "0123456789", block_rate=8.5),)
            >>> inventory = Inventory(rows, complete=True, consistent=True, passes=2, pages=2)
            >>> inventory.to_arrow().select(["phone", "block_rate"]).to_pylist()
            [{'phone': '0123456789', 'block_rate': 8.5}]
        """
        from nrm_async._tables.arrow import table  # noqa: PLC0415 - a ms of the import

        return table(Ani, self.rows)


def _check_field(name: str) -> str:
    if name not in _FIELDS:
        raise InvalidRequestError(f"{name!r} is no field of Ani")
    return name


def _choices(value: Any) -> Any:
    return value if isinstance(value, list | tuple | set | frozenset) else (value,)


def _spelling(phone: str) -> str:
    """The number in the API's form where it is one, else as it stands."""
    try:
        return normalize_ani(phone)
    except InvalidRequestError:
        return phone


def is_number(row: Ani | MalformedRow, ani: AniLike) -> bool:
    """Whether a row is this number, in whatever spelling either is written."""
    wanted = normalize_ani(ani)
    try:
        return row.phone == wanted or normalize_ani(row.phone or "") == wanted
    except InvalidRequestError:
        return False
