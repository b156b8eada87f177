"""An inventory as a value: the numbers, and how the reading of them went.

Paging over data that changes can lose and repeat rows without a word from the server, so an
inventory says of itself whether it is complete.
"""

from collections.abc import Iterator, Sequence
from typing import overload

import attrs

from nrm_async.actions import AniLike, normalize_ani
from nrm_async.errors import InvalidRequestError, NRMError
from nrm_async.models import Ani, MalformedRow

__all__ = ["Inventory"]


@attrs.frozen
class Inventory(Sequence[Ani]):
    """All numbers that were read, in page order, each row once: an immutable sequence.

    Attributes:
        rows: The numbers.
        complete: Whether every page was read to the end, every row could be understood, as many
            rows came as were announced, and no sign of change was left unexplained.
        consistent: Whether two passes over all pages, one after the other, found the same rows.
            One pass alone never shows that.
        passes: Passes over all pages.
        pages: Pages read, over all passes.
        duplicates: Rows dropped from the last pass because their ``id`` had come already.
        malformed: Rows of the last pass that could not be understood.
        missing: Why pages of the last pass are missing, if any are; each error tells its
            ``page``.
        elapsed: Seconds from the first request to the last answer.
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


def is_number(row: Ani | MalformedRow, ani: AniLike) -> bool:
    """Whether a row is this number, in whatever spelling either is written."""
    wanted = normalize_ani(ani)
    try:
        return row.phone == wanted or normalize_ani(row.phone or "") == wanted
    except InvalidRequestError:
        return False
