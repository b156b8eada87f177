"""Immutable, typed models for the data returned by the API.

The fields are documented in the NRM API documentation, ``GET /anis`` (v2). The API does not always
send all documented fields, so only ``id`` and ``phone`` are required; the others may be ``None``.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final, NoReturn, overload

import attrs

from nrm_async._values import Value

__all__ = ["ACTIVE", "Ani", "AniPage", "MalformedRow", "Receipt"]

ACTIVE: Final = "ACTIVE_AND_BEING_MANAGED"  # the only documented status code


def _status_text(value: object) -> str | None:
    return value if isinstance(value, str) or value is None else str(value)


class ReadOnlyDict(dict[str, object]):
    """An immutable dict that rows can share. It subclasses ``dict`` to be JSON serializable."""

    def _refuse(self, *_args: Any, **_more: Any) -> NoReturn:
        raise TypeError("data from the API cannot be changed")

    __setitem__ = __delitem__ = setdefault = update = __ior__ = _refuse
    pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return ReadOnlyDict, (dict(self),)


class _EmptyFields(ReadOnlyDict):
    def __reduce__(self) -> tuple[Any, ...]:
        return dict, ()  # a copy is an ordinary dict


NO_FIELDS: Final[Mapping[str, object]] = _EmptyFields()
NO_REPAIRS: Final[Mapping[str, object]] = ReadOnlyDict()


@attrs.frozen(repr=False)  # attrs generates a fast __eq__, for comparing millions of rows
class Ani(Value):
    r"""An outbound phone number of the account, as returned by the API.

    Rates are percentages (0 to 100) over the last 30 days. Counts may be fractional.

    Attributes:
        id: Row identifier, an integer or a string, as sent by the API.
        phone: The phone number, usually ten digits.
        brand: Brand shown to the called party.
        status: Status code. Only ``ACTIVE_AND_BEING_MANAGED`` is documented; other codes are
            unchanged, except that numbers are converted to strings.
        status_label: Human-readable status.
        campaign_name: Campaign to which the number is assigned.
        area_code: Area code of the number.
        region: Region of the number.
        state: State of the number.
        locality: City of the number.
        frequency_assigned: Number of times the number was assigned.
        frequency_dialed: Number of times the number was dialled.
        frequency_contacted: Number of calls that were answered.
        date_last_dialed: Date of the last call.
        date_activated: Date on which the number entered service.
        date_deactivated: Date on which the number left service.
        date_inventoried: Date on which the number was added to the inventory.
        created_at: Time at which the row was created, always with a time zone.
        last_30_days_dials: Number of calls in the last 30 days.
        last_30_days_contacts: Number of calls in the last 30 days that were answered.
        contact_rate: Percentage of calls that were answered.
        success_rate: Percentage of answered calls that were successful.
        block_rate: Percentage of calls that were blocked.
        no_answer_rate: Percentage of calls that were not answered.
        extra: Fields that are unknown to this version of the package, by their API names.
        repaired: Original values of the fields that were converted, by field name. Empty for nearly
            all rows. An empty or zero date, and ``"N/A"`` or ``NaN`` for a number, are converted to
            ``None``; a number sent as text is converted to a number. Bytes that are not UTF-8
            are replaced with U+FFFD, and are escaped here, as in ``\xe9``. Values from ``extra``
            are in a dict under ``"extra"``. Ignored when comparing rows.
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
    repaired: Mapping[str, object] = attrs.field(default=NO_REPAIRS, eq=False)

    @property
    def is_active(self) -> bool:
        """Whether the number is in service. The API only pauses active numbers."""
        return self.status == ACTIVE

    def is_blocked_at(self, percent: float, *, min_dials: float = 0) -> bool:
        """Return whether the block rate is at least ``percent``.

        Args:
            percent: Minimum block rate over the last 30 days, from 0 to 100.
            min_dials: Minimum number of calls in the last 30 days.

        Returns:
            ``False`` if the block rate or the number of calls is below its minimum or ``None``.

        Example:
            >>> Ani(1, "2345678901", block_rate=31.0, last_30_days_dials=900).is_blocked_at(25)
            True
        """
        if self.block_rate is None or self.last_30_days_dials is None:
            return False
        return self.block_rate >= percent and self.last_30_days_dials >= min_dials


@attrs.frozen(eq=False, repr=False)
class MalformedRow(Value):
    """A row that could not be decoded. Other rows on the same page are not affected.

    Attributes:
        path: JSON path of the invalid value, such as ``$.data[3].blockRate``.
        problem: Description of the problem.
        phone: The phone number in the row, if it looks valid.
    """

    path: str
    problem: str
    phone: str | None = None


@attrs.frozen(eq=False, repr=False)
class AniPage(Value):
    """An inventory page: a sequence of rows, with metadata from the response.

    The metadata is not verified, and the API is known to send contradictory values. A field is
    ``None`` if the server omitted it or sent the wrong type.

    Attributes:
        data: The rows.
        page: The requested page number, starting at 1.
        page_size: The requested number of rows.
        count: Number of rows on this page, according to the server.
        total_anis: Number of rows in the inventory, according to the server.
        total_pages: Number of pages in the inventory, according to the server.
        can_next_page: Whether there is a next page, according to the server.
        can_prev_page: Whether there is a previous page, according to the server.
        malformed: Rows that could not be decoded.
        request_id: The ``x-request-id`` header of the response, if there was one.
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
    """The confirmation that an action was applied.

    Attributes:
        ani: The normalised phone number.
        status: Status reported by the API: ``paused``, ``active`` or ``received request``.
        request_id: The ``x-request-id`` header of the response, to quote to support.
        confirmed: ``True`` if the response was lost, and the client confirmed the action by reading
            the number back.
        seen: Message of the error that occurred, if the response was lost.
    """

    ani: str
    status: str
    request_id: str | None = None
    confirmed: bool = False
    seen: str | None = None
