"""Decide whether the responses prove that an inventory is complete, or explain why not; no I/O.

A row is *permanent* if it was in the account during the whole read, at any position in the list.
An inventory is complete if it contains every permanent row. There are three proofs:

**Key order.** All responses are strictly sorted by ``id`` or by ``phone``, so rows cannot change
their relative order. Then a chain of overlapping responses from the start of the list to its end
contains every permanent row, regardless of insertions and deletions (``overlap.py``). The proof is
rejected if fewer rows were found than every page announced, because a replica may hide a row. One
case cannot be detected: a replica hides rows from every response while the same number of other
rows is added.

**Count.** In any other order, a row that moves from an unread page to a page already read looks
like one deletion and one insertion, so the chain proves nothing. Instead, consider a moment between
two groups of responses. Rows seen both before and after this moment were present at it. If their
number equals the total of the server at that moment, no other row was present, so they include
every permanent row. This proof does not depend on the order. The moment is that of the last
response of the earlier group, or of the first response of the later group. Which response that was
is unknown, so the number of rows must reach the highest total, and the number of listed positions.
Totals are ignored if any response has rows beyond its own total. The proof assumes that no row is
deleted and added again with the same ``id``.

**Agreement.** If totals are wrong or absent, the number of listed positions is used instead. A list
has exactly one position per row, so a page that hides a row must repeat another row. Therefore, if
two passes with different page boundaries have the same rows in the same order, without duplicates,
and the total never changed, then the list consists of these rows and the total is wrong. The
difference is reported in ``notes``.

In all other cases the inventory is reported as incomplete, because a false "complete" does more
harm than another pass.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Literal, TypeAlias

import attrs

from nrm_async._paging.order import count_displaced
from nrm_async._paging.overlap import OverlapGraph, Pass

Proof: TypeAlias = Literal["one answer", "key order", "count", "agreement"]

_MAX_NAMED_PAGES: Final = 5


def find_proof(graph: OverlapGraph) -> Proof | None:
    """Return the proof that every permanent row was read, or ``None`` if there is none."""
    *before, last = graph.passes
    if last.missing:
        return None
    if not before:
        is_whole = graph.is_connected and len(last.row_counts) == 1 and not last.lacks_rows
        return "one answer" if is_whole else None
    if _is_end_in_doubt(graph.passes):
        return None
    if graph.key_order.holds and graph.is_connected and not _lacks_rows(graph):
        return "key order"
    if any(counts.closes for counts in count_rows(graph.passes)):
        return "count"
    return "agreement" if _agree(before[-1], last) else None


def _is_end_in_doubt(passes: Sequence[Pass]) -> bool:
    """Return whether totals may be too small, and no pass ends with a partly filled page."""
    is_too_small = any(pass_.exceeds_total for pass_ in passes)
    return is_too_small and not any(pass_.ends_short for pass_ in passes)


def _lacks_rows(graph: OverlapGraph) -> bool:
    """Return whether fewer rows were found than every page announced."""
    totals = [total for pass_ in graph.passes for total in pass_.totals if total is not None]
    found = count_found(graph.passes) + len(graph.passes[-1].malformed)
    return bool(totals) and found < min(totals)


def count_found(passes: Sequence[Pass]) -> int:
    """Return the number of different rows in all responses."""
    spot_ids = {id_ for pass_ in passes for id_ in pass_.spot_rows}
    only_spots = sum(all(id_ not in one.position_keys for one in passes) for id_ in spot_ids)
    return only_spots + sum(len(pass_.rows) for pass_ in passes)


# Count


@attrs.frozen
class RowCounts:
    """Rows that were present at one moment, and the server's total at that moment.

    Attributes:
        present: Rows seen both before and after the moment.
        unconfirmed: Ids of rows seen only before the moment.
        announced: Upper bound of the server's total at the moment.
    """

    present: int
    unconfirmed: frozenset[str]
    announced: int

    @property
    def closes(self) -> bool:
        """Whether the count proves that no other row was present."""
        return self.present == self.announced

    @property
    def may_close(self) -> bool:
        """Whether confirming more rows as present could complete the proof."""
        return 0 <= self.announced - self.present <= len(self.unconfirmed)


def count_rows(passes: Sequence[Pass]) -> Iterator[RowCounts]:
    """Yield the counts at each moment between two groups of responses, latest first.

    Yield nothing if any response has rows beyond its own total.
    """
    if any(pass_.exceeds_total for pass_ in passes):
        return
    groups: list[tuple[AbstractSet[str], int | None]] = []
    for pass_ in passes:
        groups.append((pass_.position_keys.keys(), _most_announced(pass_)))
        if pass_.spot_rows:
            groups.append((pass_.spot_rows.keys(), _most(pass_.spot_totals)))
    after: set[str] = set()
    for index in range(len(groups) - 1, 0, -1):
        after |= groups[index][0]
        counts = [groups[index - 1][1], groups[index][1]]
        known = [count for count in counts if count is not None]
        if known:
            before = frozenset().union(*[ids for ids, _ in groups[:index]])
            unconfirmed = before - after
            yield RowCounts(len(before) - len(unconfirmed), unconfirmed, min(known))


def _most_announced(pass_: Pass) -> int | None:
    """Return the highest total of a pass, or its number of positions if that is higher."""
    most = _most(pass_.totals)
    return None if most is None else max(most, pass_.places)


def _most(totals: set[int | None]) -> int | None:
    known = [total for total in totals if total is not None]
    return max(known) if known and len(known) == len(totals) else None


# Agreement


def _agree(one: Pass, other: Pass) -> bool:
    """Return whether two passes show the same list, ignoring its total."""
    return (
        not one.missing
        and not (one.duplicates or other.duplicates)
        and len(one.totals | other.totals) == 1
        and one.places == other.places
        and _differ_in_boundaries(one, other)
        and list(one.position_keys) == list(other.position_keys)
    )


def _differ_in_boundaries(one: Pass, other: Pass) -> bool:
    """Return whether the pages of two passes begin at different rows where possible."""
    return one.places <= 1 or one.page_starts != other.page_starts


# Explanations


def describe_total(graph: OverlapGraph) -> tuple[str, ...]:
    """Return a note if the list is stable but differs from its total."""
    latest = graph.passes[-2:]
    totals = {total for pass_ in latest for total in pass_.totals}
    counts = {(pass_.places, pass_.duplicates) for pass_ in latest}
    if len(totals) != 1 or len(counts) != 1:
        return ()
    (total,), ((places, duplicates),) = totals, counts
    if total in (None, places) or duplicates:
        return ()
    word = "more" if total > places else "fewer"
    return (
        f"the server announces {total:,} rows and lists {places:,}: "
        f"its total is {abs(total - places):,} {word} than there are",
    )


def explain(graph: OverlapGraph) -> str:
    """Explain why an inventory without a proof is not complete, with the evidence."""
    last = graph.passes[-1]
    if last.missing:
        pages = sorted({error.page for error in last.missing if error.page is not None})
        named = ", ".join(map(str, pages[:_MAX_NAMED_PAGES]))
        more = ", ..." if len(pages) > _MAX_NAMED_PAGES else ""
        return f"{len(last.missing)} page(s) could not be read ({named}{more})"
    if len(graph.passes) == 1:
        return f"one pass over {len(last.row_counts)} pages proves nothing; {_counts(graph)}"
    if _is_end_in_doubt(graph.passes):
        reason = "the list continues past the end that its totals announce"
    elif graph.key_order.holds and not graph.is_connected:
        reason = f"rows may have been missed between pages in {len(graph.gaps())} place(s)"
    elif graph.key_order.holds:
        reason = "fewer rows were found than every page announced"
    else:
        reason = (
            "rows are not sorted by id or phone, so they may move, and the count proves nothing"
        )
    return f"{reason}; {_counts(graph)}"


def _counts(graph: OverlapGraph) -> str:
    passes = graph.passes
    totals = {
        total for one in passes for total in one.totals | one.spot_totals if total is not None
    }
    announced = "no total"
    if totals:
        low, high = min(totals), max(totals)
        announced = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    parts = [f"{announced} announced", f"{count_found(passes):,} found"]
    best = max((counts.present for counts in count_rows(passes)), default=None)
    if best is not None and not graph.key_order.holds:
        parts.append(f"at most {best:,} known to be present at one moment")
    if duplicates := sum(one.duplicates for one in passes):
        parts.append(f"{duplicates:,} repeated within one pass")
    if len(passes) > 1:
        displaced = count_displaced(list(passes[-2].position_keys), passes[-1].position_keys)
        if displaced:
            parts.append(f"{displaced:,} changed their order between the last two passes")
    return ", ".join(parts)
