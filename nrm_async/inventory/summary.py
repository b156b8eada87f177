"""Counts and weighted rates of many numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from nrm_async._values import Value
from nrm_async.models import Ani

RATES: Final = ("contact_rate", "success_rate", "block_rate", "no_answer_rate")


@attrs.frozen(eq=False, repr=False)
class Summary(Value):
    """What many numbers have in common, over the last 30 days.

    A rate is the mean over the numbers, each weighted by its dials: a number that was dialled
    1,000 times counts a hundred times as much as one that was dialled ten times. Numbers
    without the rate, or without dials, do not count in it; a rate that no number has is
    ``None``. Rates are in percent.

    Attributes:
        numbers: How many there are.
        active: How many of them are in service.
        by_status: How many have each status, most first; ``None`` where none is given.
        by_campaign: How many each campaign has, likewise.
        by_area_code: How many each area code has, likewise.
        dials: Calls made.
        contacts: Calls answered.
        contact_rate: Percent of calls answered.
        success_rate: Percent of answered calls that succeeded; weighted by dials too.
        block_rate: Percent of calls blocked.
        no_answer_rate: Percent of calls not answered.
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
        """Plain data for JSON, under the names above; a key of ``None`` becomes ``""``."""
        plain = attrs.asdict(self, recurse=False)
        for name in ("by_status", "by_campaign", "by_area_code"):
            plain[name] = {key or "": count for key, count in plain[name].items()}
        return plain


def summarize(rows: Iterable[Ani]) -> Summary:
    """Count the rows, and weigh their rates by dials.

    Example:
        >>> often = Ani(1, "2345678901", block_rate=30.0, last_30_days_dials=900)
        >>> rarely = Ani(2, "2345678902", block_rate=10.0, last_30_days_dials=100)
        >>> summarize([often, rarely]).block_rate
        28.0
    """
    rows = tuple(rows)
    return Summary(
        numbers=len(rows),
        active=sum(row.is_active for row in rows),
        by_status=_counted(row.status for row in rows),
        by_campaign=_counted(row.campaign_name for row in rows),
        by_area_code=_counted(row.area_code for row in rows),
        dials=sum(row.last_30_days_dials or 0 for row in rows),
        contacts=sum(row.last_30_days_contacts or 0 for row in rows),
        **{name: _weighted(name, rows) for name in RATES},
    )


def _counted(values: Iterable[str | None]) -> dict[str | None, int]:
    return dict(Counter(values).most_common())


def _weighted(name: str, rows: Sequence[Ani]) -> float | None:
    total, weight = 0.0, 0.0
    for row in rows:
        rate, dials = getattr(row, name), row.last_30_days_dials
        if rate is not None and dials is not None and dials > 0:
            total += rate * dials
            weight += dials
    return total / weight if weight else None
