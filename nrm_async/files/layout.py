"""What is kept in files: rows of an inventory and results of a batch, each as its own table."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

import attrs

from nrm_async._tables import Column, columns_of
from nrm_async.files.about import about
from nrm_async.files.chunks import Content, Description
from nrm_async.inventory import Inventory
from nrm_async.models import Ani
from nrm_async.results import BatchReport, CallResult
from nrm_async.results.record import ResultRecord, record_of, result_of

T = TypeVar("T")


@attrs.frozen
class Layout(Generic[T]):
    """How values of one kind become rows, and rows values.

    Attributes:
        content: What a file says it holds.
        columns: The columns of a row.
        describe: What a file says of these values, before the first of them.
        row_of: A value as a row.
        value_of: The value of a row's cells; a ``ValueError`` says why there is none.
    """

    content: Content
    columns: Sequence[Column]
    describe: Callable[[Iterable[T]], Description]
    row_of: Callable[[T], object]
    value_of: Callable[[Sequence[Any]], T]


def _describe_anis(source: object) -> Description:
    if isinstance(source, Inventory):
        return Description("inventory", len(source), about(source))
    return Description("inventory")


def _describe_results(source: object) -> Description:
    if isinstance(source, BatchReport):
        return Description("report", len(source), {"elapsed": source.elapsed})
    return Description("report")


_RECORD: Final = columns_of(ResultRecord)
_RECORD_NAMES: Final = tuple(column.name for column in _RECORD)


def _result_of_cells(cells: Sequence[Any]) -> CallResult:
    return result_of(ResultRecord(**dict(zip(_RECORD_NAMES, cells, strict=True))))


def _same(ani: Ani) -> Ani:
    return ani


ANIS: Final = Layout[Ani](
    "inventory", columns_of(Ani), _describe_anis, _same, lambda cells: Ani(*cells)
)
RESULTS: Final = Layout[CallResult](
    "report", _RECORD, _describe_results, record_of, _result_of_cells
)
