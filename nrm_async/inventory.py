"""Immutable inventory of an account, with look-ups, filters, groups, a summary and a diff.

This module does no I/O. Paging over changing data can miss and repeat rows without any indication
from the server, so an inventory records whether it is complete.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, Self, TypeVar, overload

import attrs

from nrm_async._values import Value
from nrm_async.actions import AniLike, normalize_ani
from nrm_async.errors import InvalidRequestError, NRMError
from nrm_async.models import Ani, MalformedRow

__all__ = ["Change", "Inventory", "InventoryDiff", "Summary", "diff", "matches_ani"]

K = TypeVar("K", bound=Hashable)

_FIELDS: Final = frozenset(field.name for field in attrs.fields(Ani)) | {"is_active"}


@attrs.frozen(eq=False, repr=False)
class Inventory(Value, Sequence[Ani]):
    """Immutable sequence of all numbers that were read, in page order and without duplicates.

    Attributes:
        rows: The numbers.
        complete: Whether the inventory provably contains every row that was in the account
            during the whole read, even if the row moved in the list. This requires that all
            pages were read, that all rows could be decoded, and one of three proofs: all
            responses are sorted by ``id`` or ``phone`` and overlap from the first row to the
            last; or the number of rows seen both before and after some moment equals the
            server's total at that moment; or two passes with different page boundaries return
            exactly the same list, although its total differs. The proofs are described in
            ``nrm_async/_paging/proof.py``. Rows that were added or removed during the read may
            or may not be included.
        consistent: Whether two consecutive passes over all pages found the same rows, either in
            the same order or as many as announced, so that nothing changed between the passes.
            A single pass is consistent only if it consists of a single page.
        passes: Number of passes over all pages.
        pages: Number of pages received, over all passes.
        requests: Number of page requests, including unsuccessful ones, over all passes and
            single positions. A page that was retried counts once.
        duplicates: Number of rows dropped because their ``id`` had occurred earlier in the same
            pass, over all passes.
        malformed: Rows that could not be decoded, as last seen; ``path`` is the position of each.
        missing: Errors of pages that are missing from the last pass; ``page`` is the page number.
        elapsed: Seconds from the first request to the last response.
        started: When the read began, in UTC; ``None`` if unknown.
        ended: When the read ended, in UTC; ``None`` if unknown.
        notes: Further observations as text, such as the error of a wrong total.
        why_incomplete: The reason why ``complete`` is ``False``, with the evidence, as text;
            ``None`` if ``complete`` is ``True`` or the reason is unknown.
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
    notes: tuple[str, ...] = ()
    why_incomplete: str | None = None

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
        words = [f"why_incomplete={self.why_incomplete!r}"] if self.why_incomplete else []
        words += [f"notes={self.notes!r}"] if self.notes else []
        return (
            f"<Inventory of {len(self.rows)} numbers, complete={self.complete}, "
            f"consistent={self.consistent}, passes={self.passes}{''.join(f', {w}' for w in words)}>"
        )

    @property
    def missing_pages(self) -> tuple[int, ...]:
        """The page numbers of the missing pages, in ascending order."""
        return tuple(sorted({error.page for error in self.missing if error.page is not None}))

    @cached_property
    def _by_id(self) -> dict[str, Ani]:
        return {str(row.id): row for row in reversed(self.rows)}

    @cached_property
    def _by_phone(self) -> dict[str, Ani]:
        return {_normalized(row.phone) or row.phone: row for row in reversed(self.rows)}

    def by_phone(self, ani: AniLike) -> Ani | None:
        """Return the first row with a number, which can be in any common format, or ``None``.

        Raises:
            InvalidRequestError: ``ani`` is not a phone number.

        Example:
            >>> rows = (Ani(1, "2345678901"), Ani("x", "2345678902"))
            >>> inventory = Inventory(rows, complete=True, consistent=True, passes=2, pages=2)
            >>> inventory.by_phone("+1 (234) 567-8902").id
            'x'
        """
        return self._by_phone.get(normalize_ani(ani))

    def by_id(self, row_id: int | str) -> Ani | None:
        """Return the row with this ``id``, or ``None``; accept the id as an integer or as text."""
        return self._by_id.get(str(row_id))

    def where(self, predicate: Callable[[Ani], bool] | None = None, /, **fields: Any) -> Self:
        """Return an inventory of the rows that meet all conditions, with otherwise equal fields.

        Args:
            predicate: A function that returns whether to include a row.
            fields: Required values of fields of ``Ani``, or of ``is_active``. A list, tuple or
                set contains alternative values.

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
        allowed = [
            (name, value if isinstance(value, list | tuple | set | frozenset) else (value,))
            for name, value in fields.items()
        ]
        rows = tuple(
            row
            for row in self.rows
            if all(getattr(row, name) in values for name, values in allowed)
            and (predicate is None or predicate(row))
        )
        return attrs.evolve(self, rows=rows)

    @overload
    def group_by(self, key: str) -> dict[Any, Self]: ...
    @overload
    def group_by(self, key: Callable[[Ani], K]) -> dict[K, Self]: ...
    def group_by(self, key: str | Callable[[Ani], Any]) -> dict[Any, Self]:
        """Group the rows into one inventory per key, in order of first occurrence.

        Args:
            key: The name of a field of ``Ani``, or a function that returns the key of a row.

        Raises:
            InvalidRequestError: ``Ani`` has no such field.

        Example:
            >>> rows = (Ani(1, "2345678901", state="TX"), Ani(2, "2345678902", state="NY"))
            >>> inventory = Inventory(rows, complete=True, consistent=True, passes=2, pages=2)
            >>> {state: len(group) for state, group in inventory.group_by("state").items()}
            {'TX': 1, 'NY': 1}
        """
        if isinstance(key, str):
            _check_field(key)
            key = attrgetter(key)
        groups: dict[Any, list[Ani]] = {}
        for row in self.rows:
            groups.setdefault(key(row), []).append(row)
        return {group: attrs.evolve(self, rows=tuple(rows)) for group, rows in groups.items()}

    def summary(self) -> "Summary":
        """Return counts by status, campaign and area code, and rates weighted by dials."""
        return summarize(self.rows)

    def to_arrow(self) -> Any:
        """Return the rows as a ``pyarrow.Table`` for data frames, with one column per field.

        ``polars.from_arrow(table)`` does not copy the data; ``table.to_pandas()`` copies only the
        columns that pandas stores in a different format. Phone numbers and ids are strings, days
        are dates, times are timestamps in UTC, figures are floats, and ``extra`` is JSON.

        Raises:
            ConfigurationError: The extra ``parquet`` is not installed.

        Example:
            >>> rows = (Ani(1, "0123456789", block_rate=8.5),)
            >>> inventory = Inventory(rows, complete=True, consistent=True, passes=2, pages=2)
            >>> inventory.to_arrow().select(["phone", "block_rate"]).to_pylist()
            [{'phone': '0123456789', 'block_rate': 8.5}]
        """
        from nrm_async._arrow import to_table  # noqa: PLC0415 - saves 1 ms of the import

        return to_table(Ani, self.rows)


def _check_field(name: str) -> None:
    if name not in _FIELDS:
        raise InvalidRequestError(f"{name!r} is not a field of Ani")


def _normalized(phone: str | None) -> str | None:
    try:
        return normalize_ani(phone or "")
    except InvalidRequestError:
        return None


def matches_ani(row: Ani | MalformedRow, ani: AniLike) -> bool:
    """Return whether the row has this number, regardless of the format of either.

    Raises:
        InvalidRequestError: ``ani`` is not a phone number.
    """
    wanted = normalize_ani(ani)
    return row.phone == wanted or _normalized(row.phone) == wanted


# Summary

_RATES: Final = ("contact_rate", "success_rate", "block_rate", "no_answer_rate")


@attrs.frozen(eq=False, repr=False)
class Summary(Value):
    """Totals and rates of a set of numbers, over the last 30 days.

    Rates are percentages, averaged over the numbers and weighted by dials: a number dialled 1,000
    times has a hundred times the weight of a number dialled ten times. Numbers without the rate or
    without dials are ignored. A rate is ``None`` if all numbers are ignored.

    Attributes:
        numbers: Number of phone numbers.
        active: Number of phone numbers in service.
        by_status: Number of phone numbers per status, most frequent first; ``None`` is the key
            for numbers without a status.
        by_campaign: Number of phone numbers per campaign, as in ``by_status``.
        by_area_code: Number of phone numbers per area code, as in ``by_status``.
        dials: Number of calls made.
        contacts: Number of calls answered.
        contact_rate: Percentage of calls answered.
        success_rate: Percentage of answered calls that succeeded; also weighted by dials.
        block_rate: Percentage of calls blocked.
        no_answer_rate: Percentage of calls not answered.
    """

    numbers: int
    active: int
    by_status: Mapping[str | None, int] = attrs.field(hash=False)
    by_campaign: Mapping[str | None, int] = attrs.field(hash=False)
    by_area_code: Mapping[str | None, int] = attrs.field(hash=False)
    dials: int | float
    contacts: int | float
    contact_rate: float | None
    success_rate: float | None
    block_rate: float | None
    no_answer_rate: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return a dict of the attributes for JSON, with ``""`` in place of ``None`` keys."""
        fields = attrs.asdict(self, recurse=False)
        for name in ("by_status", "by_campaign", "by_area_code"):
            fields[name] = {key or "": count for key, count in fields[name].items()}
        return fields


def summarize(rows: Sequence[Ani]) -> Summary:
    """Return counts of the rows and their mean rates, weighted by dials.

    Example:
        >>> often = Ani(1, "2345678901", block_rate=30.0, last_30_days_dials=900)
        >>> rarely = Ani(2, "2345678902", block_rate=10.0, last_30_days_dials=100)
        >>> summarize([often, rarely]).block_rate
        28.0
    """
    return Summary(
        numbers=len(rows),
        active=sum(row.is_active for row in rows),
        by_status=dict(Counter(row.status for row in rows).most_common()),
        by_campaign=dict(Counter(row.campaign_name for row in rows).most_common()),
        by_area_code=dict(Counter(row.area_code for row in rows).most_common()),
        dials=sum(row.last_30_days_dials or 0 for row in rows),
        contacts=sum(row.last_30_days_contacts or 0 for row in rows),
        **{name: _weighted_mean(name, rows) for name in _RATES},
    )


def _weighted_mean(name: str, rows: Sequence[Ani]) -> float | None:
    total, weight = 0.0, 0.0
    for row in rows:
        rate, dials = getattr(row, name), row.last_30_days_dials
        if rate is not None and dials is not None and dials > 0:
            total += rate * dials
            weight += dials
    return total / weight if weight else None


# Diff

_STATUS_FIELDS: Final = ("status", "status_label")  # listed first, as the most important
_COMPARED_FIELDS: Final = _STATUS_FIELDS + tuple(
    field.name
    for field in attrs.fields(Ani)
    if field.eq and field.name not in (*_STATUS_FIELDS, "id", "extra")
)


@attrs.frozen(eq=False, repr=False)
class Change(Value):
    """Change of one field of a row.

    Attributes:
        id: The ``id`` of the row.
        phone: The current phone number of the row.
        field: Name of the field, as in ``Ani``. For a field that ``Ani`` does not define, the name
            is ``extra.`` followed by the field name in the API.
        old: The old value, or ``None`` if the field was absent.
        new: The new value, or ``None`` if the field is absent.
    """

    id: int | str
    phone: str
    field: str
    old: Any
    new: Any

    @property
    def is_status(self) -> bool:
        """Whether the change affects the status code or its label."""
        return self.field in _STATUS_FIELDS

    def __str__(self) -> str:
        return f"{self.phone} {self.field}: {self.old} -> {self.new}"

    def as_dict(self) -> dict[str, Any]:
        """Return a dict for JSON with ``id``, ``phone``, ``field``, ``old`` and ``new``."""
        return _as_dict(self)


@attrs.frozen(eq=False, repr=False)
class InventoryDiff(Value):
    """Differences between two inventories; falsy if there are none.

    Attributes:
        added: Rows that only the newer inventory contains, in its order.
        removed: Rows that only the older inventory contains, in its order.
        changed: Field changes of rows in both inventories: status changes first, then other
            changes, each in the order of the newer inventory.
        complete: Whether both inventories are complete. If not, a row may be in ``added`` or
            ``removed`` only because a read missed it.
    """

    added: tuple[Ani, ...] = ()
    removed: tuple[Ani, ...] = ()
    changed: tuple[Change, ...] = ()
    complete: bool = True

    def __len__(self) -> int:
        return len(self.added) + len(self.removed) + len(self.changed)

    def __bool__(self) -> bool:
        return len(self) > 0

    def __repr__(self) -> str:
        return (
            f"<InventoryDiff: {len(self.added)} added, {len(self.removed)} removed, "
            f"{len(self.changed)} fields changed, complete={self.complete}>"
        )

    @property
    def status_changes(self) -> tuple[Change, ...]:
        """The changes that affect the status."""
        return tuple(change for change in self.changed if change.is_status)

    def as_dict(self) -> dict[str, Any]:
        """Return a dict for JSON with ``added``, ``removed``, ``changed`` and ``complete``."""
        return {
            "added": [_as_dict(row) for row in self.added],
            "removed": [_as_dict(row) for row in self.removed],
            "changed": [change.as_dict() for change in self.changed],
            "complete": self.complete,
        }


def diff(old: Inventory | Iterable[Ani], new: Inventory | Iterable[Ani]) -> InventoryDiff:
    """Return the rows added and removed and the fields changed, matching rows by ``id``.

    Args:
        old: The older inventory, or its rows.
        new: The newer inventory, or its rows. Plain rows are assumed to be complete.

    Example:
        >>> before = [Ani(1, "2345678901", status="A"), Ani(2, "2345678902")]
        >>> after = [Ani(1, "2345678901", status="B"), Ani(3, "2345678903")]
        >>> found = diff(before, after)
        >>> [row.id for row in found.added], [row.id for row in found.removed]
        ([3], [2])
        >>> print(*found.changed)
        2345678901 status: A -> B
    """
    complete = all(getattr(one, "complete", True) for one in (old, new))
    before = {str(row.id): row for row in old}
    after = {str(row.id): row for row in new}
    changes = [
        change
        for key, row in after.items()
        if key in before and before[key] != row
        for change in _changes(before[key], row)
    ]
    changes.sort(key=lambda change: not change.is_status)  # stable sort: keeps the new order
    return InventoryDiff(
        added=tuple(row for key, row in after.items() if key not in before),
        removed=tuple(row for key, row in before.items() if key not in after),
        changed=tuple(changes),
        complete=complete,
    )


def _changes(old: Ani, new: Ani) -> Iterator[Change]:
    for name in _COMPARED_FIELDS:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield Change(new.id, new.phone, name, before, after)
    for name in sorted(old.extra.keys() | new.extra.keys()):
        before, after = old.extra.get(name), new.extra.get(name)
        if before != after:
            yield Change(new.id, new.phone, f"extra.{name}", before, after)


def _as_dict(value: Any) -> dict[str, Any]:
    fields = ((field.name, getattr(value, field.name)) for field in attrs.fields(type(value)))
    return {name: _jsonable(content) for name, content in fields}


def _jsonable(value: Any) -> Any:
    if isinstance(value, date):  # datetime is a subclass
        return value.isoformat()
    return dict(value) if hasattr(value, "keys") else value
