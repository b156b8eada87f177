"""What changed between two inventories."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, Final

import attrs

from nrm_async._values import Value
from nrm_async.inventory.value import Inventory
from nrm_async.models import Ani

_STATUS: Final = ("status", "status_label")  # first: that is what people look for
_OTHERS: Final = tuple(
    field.name for field in attrs.fields(Ani) if field.name not in (*_STATUS, "id", "extra")
)


@attrs.frozen(eq=False, repr=False)
class Change(Value):
    """One field of one row, before and after.

    Attributes:
        id: The row's identity.
        phone: Its number, as it is now.
        field: Name of the field, as in ``Ani``; a field this version does not know goes by
            ``extra.`` and the name the API gives it.
        old: Its value before; ``None`` too where it was not there.
        new: Its value now; likewise.
    """

    id: int | str
    phone: str
    field: str
    old: Any
    new: Any

    @property
    def is_status(self) -> bool:
        """Whether it is the status that changed, in code or in words."""
        return self.field in _STATUS

    def __str__(self) -> str:
        return f"{self.phone} {self.field}: {self.old} -> {self.new}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: ``id``, ``phone``, ``field``, ``old`` and ``new``."""
        return {name: _plain(value) for name, value in _values(self)}


@attrs.frozen(eq=False, repr=False)
class InventoryDiff(Value):
    """What is different in a newer inventory; ``False`` in a condition if nothing is.

    Attributes:
        added: Rows that are only in the newer one, in its order.
        removed: Rows that are only in the older one, in its order.
        changed: Every field that changed in rows that both have: changes of status first, then
            the others, each in the order of the newer inventory.
        complete: Whether both inventories are complete. If not, a row may be among ``added``
            or ``removed`` only because a reading missed it.
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
        """The changes of status alone."""
        return tuple(change for change in self.changed if change.is_status)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: lists of dicts under ``added``, ``removed`` and ``changed``."""
        return {
            "added": [_row(row) for row in self.added],
            "removed": [_row(row) for row in self.removed],
            "changed": [change.as_dict() for change in self.changed],
            "complete": self.complete,
        }


def diff(old: Inventory | Iterable[Ani], new: Inventory | Iterable[Ani]) -> InventoryDiff:
    """What is different in ``new``: rows added and removed, and fields changed. By ``id``.

    Args:
        old: The older inventory, or its rows.
        new: The newer one. Plain rows are taken for complete.

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
    changes.sort(key=lambda change: not change.is_status)  # stable: else in the new order
    return InventoryDiff(
        added=tuple(row for key, row in after.items() if key not in before),
        removed=tuple(row for key, row in before.items() if key not in after),
        changed=tuple(changes),
        complete=complete,
    )


def _changes(old: Ani, new: Ani) -> Iterator[Change]:
    for name in (*_STATUS, *_OTHERS):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield Change(new.id, new.phone, name, before, after)
    for name in sorted(old.extra.keys() | new.extra.keys()):
        before, after = old.extra.get(name), new.extra.get(name)
        if before != after:
            yield Change(new.id, new.phone, f"extra.{name}", before, after)


def _row(row: Ani) -> dict[str, Any]:
    return {name: _plain(value) for name, value in _values(row)}


def _values(value: Any) -> Iterator[tuple[str, Any]]:
    return ((field.name, getattr(value, field.name)) for field in attrs.fields(type(value)))


def _plain(value: Any) -> Any:
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    return dict(value) if hasattr(value, "keys") else value
