"""What the API says: frozen values with real types.

Fields and meanings: NRM API documentation, ``GET /anis`` (v2). The documentation promises more
than is safe to rely on, so only ``id`` and ``phone`` are certain; anything else may be ``None``.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final, NoReturn, overload

import attrs

from nrm_async._values import Value

__all__ = ["ACTIVE", "Ani", "AniPage", "MalformedRow", "Receipt"]

ACTIVE: Final = "ACTIVE_AND_BEING_MANAGED"  # the only status code that is documented


def _status_text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else str(value)


class _NoFields(dict[str, object]):
    """An empty dict that stays empty, so that a million rows can share it."""

    def _refuse(self, *_args: Any, **_more: Any) -> NoReturn:
        raise TypeError("what the API said cannot be changed")

    __setitem__ = setdefault = update = __ior__ = _refuse

    def __reduce__(self) -> tuple[type[dict[str, object]], tuple[()]]:
        return dict, ()


NO_FIELDS: Final[Mapping[str, object]] = _NoFields()


@attrs.frozen(repr=False)  # compared by the million: with an equality of its own
class Ani(Value):
    """One outbound phone number of the account, as the API described it at one moment.

    Rates are in percent (0 to 100); counters are plain numbers and may be fractional; all
    ``last_30_days_*`` figures and all rates cover the last 30 days.

    Attributes:
        id: The row's identity: a number or text, as the API sends it.
        phone: The number, usually ten digits.
        brand: Brand shown to the called party.
        status: Status code. Open: codes unknown today are kept as they come, and a numeric
            code becomes its text. Only ``ACTIVE_AND_BEING_MANAGED`` is documented.
        status_label: The status in words.
        campaign_name: Campaign that the number is assigned to.
        area_code: Area code.
        region: Region.
        state: State.
        locality: City.
        frequency_assigned: How often it was assigned.
        frequency_dialed: How often it was dialled.
        frequency_contacted: How often somebody answered.
        date_last_dialed: Day of the last call.
        date_activated: Day it went into service.
        date_deactivated: Day it left service.
        date_inventoried: Day it joined the inventory.
        created_at: When the row was made, always with a time zone.
        last_30_days_dials: Calls made.
        last_30_days_contacts: Calls answered.
        contact_rate: Percent of calls answered.
        success_rate: Percent of answered calls that succeeded.
        block_rate: Percent of calls blocked.
        no_answer_rate: Percent of calls not answered.
        extra: Fields this version does not know, under the names the API gives them.
    """

    id: int | str
    phone: str
    brand: str | None = None
    status: str | None = attrs.field(default=None, converter=_status_text)
    status_label: str | None = None
    campaign_name: str | None = None
    area_code: str | None = None
    region: str | None = None
    state: str | None = None
    locality: str | None = None
    frequency_assigned: int | float | None = None
    frequency_dialed: int | float | None = None
    frequency_contacted: int | float | None = None
    date_last_dialed: date | None = None
    date_activated: date | None = None
    date_deactivated: date | None = None
    date_inventoried: date | None = None
    created_at: datetime | None = None
    last_30_days_dials: int | float | None = None
    last_30_days_contacts: int | float | None = None
    contact_rate: int | float | None = None
    success_rate: int | float | None = None
    block_rate: int | float | None = None
    no_answer_rate: int | float | None = None
    extra: Mapping[str, object] = attrs.field(factory=dict, hash=False)

    @property
    def is_active(self) -> bool:
        """Whether the number is in service: the API pauses only such numbers."""
        return self.status == ACTIVE

    def is_blocked_at(self, percent: float, *, min_dials: float = 0) -> bool:
        """Whether at least this share of its calls is blocked, on enough calls to tell.

        Args:
            percent: Block rate of the last 30 days, from 0 to 100.
            min_dials: Fewest calls in the last 30 days for the rate to count.

        Returns:
            ``False`` too where the API gives no block rate or no count of calls.

        Example:
            >>> Ani(1, "2345678901", block_rate=31.0, last_30_days_dials=900).is_blocked_at(25)
            True
        """
        if self.block_rate is None or self.last_30_days_dials is None:
            return False
        return self.block_rate >= percent and self.last_30_days_dials >= min_dials


@attrs.frozen(eq=False, repr=False)
class MalformedRow(Value):
    """A row that breaks the contract: it is named, and its neighbours are kept.

    Attributes:
        path: Where in the page, as in ``$.data[3].blockRate``.
        problem: What is wrong there.
        phone: The row's number as sent, if it has one that can be read.
    """

    path: str
    problem: str
    phone: str | None = None


@attrs.frozen(eq=False, repr=False)
class AniPage(Value):
    """One page of the inventory: its rows, to iterate and index, with the envelope they came in.

    The envelope is the server's word, not checked: its fields are known to contradict one
    another, and each is ``None`` where the server left it out or sent something else.

    Attributes:
        data: The rows.
        page: The page that was asked for, from 1.
        page_size: Rows asked for.
        count: Rows on this page, says the server.
        total_anis: Rows in the inventory, says the server.
        total_pages: Pages in the inventory, says the server.
        can_next_page: Whether a page follows, says the server.
        can_prev_page: Whether a page precedes, says the server.
        malformed: Rows that could not be read.
        request_id: The answer's ``x-request-id``, if it had one.
    """

    data: tuple[Ani, ...]
    page: int
    page_size: int
    count: int | None = None
    total_anis: int | None = None
    total_pages: int | None = None
    can_next_page: bool | None = None
    can_prev_page: bool | None = None
    malformed: tuple[MalformedRow, ...] = ()
    request_id: str | None = None

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Ani]:
        return iter(self.data)

    @overload
    def __getitem__(self, index: int) -> Ani: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Ani, ...]: ...
    def __getitem__(self, index: int | slice) -> Ani | tuple[Ani, ...]:
        return self.data[index]


@attrs.frozen(eq=False, repr=False)
class Receipt(Value):
    """What is known of an action that was applied.

    Attributes:
        ani: The number, normalised.
        status: The API's word for it: ``paused``, ``active`` or ``received request``.
        request_id: The answer's ``x-request-id``: support asks for it.
        confirmed: ``True`` where the answer was lost, and reading the number back showed the
            state that was asked for.
        seen: What came instead of the answer, where it was lost.
    """

    ani: str
    status: str
    request_id: str | None = None
    confirmed: bool = False
    seen: str | None = None
