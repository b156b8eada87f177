"""What the API is asked to do: one frozen, checked value for each kind of action.

Making an action normalises and checks it, so a value of these types can always be sent.
Rules and meanings: NRM API documentation, ``POST /pause``, ``/activate``, ``/remediate``.
"""

import re
from datetime import UTC, date, datetime
from typing import ClassVar, Final, Protocol, TypeAlias

import attrs

from nrm_async._values import Value
from nrm_async.errors import InvalidRequestError

__all__ = ["Action", "ActionDate", "Activate", "AniLike", "Pause", "Remediate", "normalize_ani"]

_PUNCTUATION: Final = re.compile(r"[\s().\-\u2010-\u2015]")
_LARGEST_NUMBER: Final = 10**15 - 1  # E.164: 15 digits; Python refuses to write very long ones
_TIMESTAMP: Final = "%Y%m%d%H%M%S"  # the documentation's form
_DAY: Final = "%Y-%m-%d"  # the form the vendor's SDKs write
_DATE_FORMS: Final = {
    14: (re.compile(r"[0-9]{14}"), _TIMESTAMP),
    10: (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), _DAY),
}


class HasPhone(Protocol):
    """Anything with a phone number, such as an ``Ani``."""

    @property
    def phone(self) -> str:
        """The number, in any spelling."""


AniLike: TypeAlias = str | int | HasPhone
ActionDate: TypeAlias = str | date | datetime


def normalize_ani(value: AniLike) -> str:
    """Bring a phone number to the API's form: digits only, without the leading 1 of eleven.

    No numbering plan is checked, because the API's own examples break it.

    Args:
        value: Text in any usual spelling, a whole number, or anything with a ``phone``.

    Returns:
        7 to 15 digits.

    Raises:
        InvalidRequestError: The value is empty, has letters, or has too few or too many digits.

    Example:
        >>> normalize_ani("+1 (234) 567-8901")
        '2345678901'
    """
    digits = phone_digits("ani", getattr(value, "phone", value))
    if len(digits) == 11 and digits.startswith("1"):
        digits = digits[1:]
    if not 7 <= len(digits) <= 15:
        raise InvalidRequestError(
            f"ani must have 7 to 15 digits, not {len(digits)}: {_shown(value)}"
        )
    return digits


def normalize_prefix(value: str) -> str:
    """Bring the beginning of a number to the API's form: digits, without a country code 1.

    A 1 is taken for the country code after a plus sign, or as the first of eleven digits.

    Raises:
        InvalidRequestError: The value is empty or has letters.

    Example:
        >>> normalize_prefix("+1 (234)")
        '234'
    """
    digits = phone_digits("number", value)
    has_country_code = str(value).strip().startswith("+1") or len(digits) == 11
    if has_country_code:
        digits = digits.removeprefix("1")
    if not digits:
        raise InvalidRequestError("number must have digits besides the country code")
    return digits


def phone_digits(name: str, value: object) -> str:
    """Strip a number's punctuation; what remains must be ASCII digits, at least one."""
    if type(value) is str and value.isascii() and value.isdigit():
        return value  # as nearly all are
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidRequestError(f"{name} must be text or a whole number, not {_kind(value)}")
    if isinstance(value, int) and not 0 <= value <= _LARGEST_NUMBER:
        raise InvalidRequestError(
            f"{name} must have no sign and at most 15 digits as a whole number: {_shown(value)}"
        )
    bare = _PUNCTUATION.sub("", str(value)).removeprefix("+")
    if not bare:
        raise InvalidRequestError(f"{name} must not be empty: {_shown(value)}")
    if not (bare.isascii() and bare.isdigit()):
        raise InvalidRequestError(
            f"{name} must be digits and the punctuation of phone numbers: {_shown(value)}"
        )
    return bare


def _kind(value: object) -> str:
    return type(value).__name__


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return f"{_kind(value)} too long to show"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _carrier(value: object) -> str | None:
    if value is None:
        return None
    text = _shown(int(value)) if isinstance(value, int) and not isinstance(value, bool) else value
    if not (isinstance(text, str) and re.fullmatch(r"[0-9]{6}", text)):
        raise InvalidRequestError(f"carrier must be an id of six digits, not {_shown(value)}")
    return _exact(text)


def _note(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidRequestError(f"note must be text, not {_kind(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError("note must be valid Unicode: it holds a lone surrogate") from None
    return _exact(value)


def _exact(text: str) -> str:
    # Data frames give text of a subclass of str, which the encoder does not take.
    return str.__str__(text)


def _date(value: object) -> str:
    """The date as the API takes it.

    A ``datetime`` becomes YYYYMMDDHHMMSS, a ``date`` YYYY-MM-DD, text must already be one of
    them. The API's time zone is not documented: an aware datetime is written in UTC, a naive
    one as it stands.
    """
    if isinstance(value, datetime):
        return _padded(_in_utc(value), _TIMESTAMP)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and (form := _DATE_FORMS.get(len(value))):
        shape, spelling = form
        if shape.fullmatch(value) and _is_real(value, spelling):
            return _exact(value)
    raise InvalidRequestError(
        "date must be a date, a datetime, 'YYYY-MM-DD' or 'YYYYMMDDHHMMSS', "
        f"and a day that exists, not {_shown(value)}"
    )


def _in_utc(value: datetime) -> datetime:
    try:
        return value if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise InvalidRequestError(
            f"date must be within the years 1 to 9999 in UTC, not {_shown(value)}"
        ) from None


def _padded(moment: datetime, spelling: str) -> str:
    # strftime leaves the year unpadded before 1000 on some platforms.
    return moment.strftime(spelling).zfill(14)


def _is_real(value: str, spelling: str) -> bool:
    try:
        datetime.strptime(value, spelling)  # noqa: DTZ007 - only whether it exists is asked
    except ValueError:
        return False
    return True


def _required_date(value: object) -> str:
    if value is None:
        raise InvalidRequestError("date is required to activate a number")
    return _date(value)


@attrs.frozen(eq=False, repr=False)
class Action(Value):
    """What all actions share: make a ``Pause``, an ``Activate`` or a ``Remediate``.

    Attributes:
        ani: The number, normalised (see ``normalize_ani``).
        carrier: Six-digit carrier id, or ``None``.
        note: Free text, or ``None``.
    """

    path: ClassVar[str]  # below the base URL
    done: ClassVar[tuple[str, ...]]  # statuses that say it was applied; the documented first
    # Whether the API's own rules keep a second one from doing anything.
    is_harmless_twice: ClassVar[bool] = True

    ani: str = attrs.field(converter=normalize_ani)
    carrier: str | None = attrs.field(default=None, converter=_carrier, kw_only=True)
    note: str | None = attrs.field(default=None, converter=_note, kw_only=True, repr=False)

    def __attrs_pre_init__(self) -> None:
        if type(self) is Action:
            raise TypeError("Action is what actions share: make a Pause, Activate or Remediate")


@attrs.frozen(eq=False, repr=False)
class Pause(Action):
    """Rest a number: it leaves service for a cooling-off period.

    The API takes it only for a number that is active and managed.

    Attributes:
        ani: The number, normalised (see ``normalize_ani``).
        carrier: Six-digit carrier id, or ``None``.
        note: Free text, or ``None``.
        date: When, as ``YYYYMMDDHHMMSS`` or ``YYYY-MM-DD``, or ``None`` for now. An aware
            ``datetime`` is converted to UTC, a naive one is written as it stands: the API's
            time zone is not documented.

    Raises:
        InvalidRequestError: An argument breaks its rule; nothing was sent.

    Example:
        >>> Pause("(234) 567-8901", carrier="130077").ani
        '2345678901'
    """

    path = "/pause"
    done = ("paused",)

    date: str | None = attrs.field(
        default=None, converter=attrs.converters.optional(_date), kw_only=True
    )


@attrs.frozen(eq=False, repr=False)
class Activate(Action):
    """Bring a rested number back into service.

    The API takes it only for a number that is cooling off, and always wants a date.

    Attributes:
        ani: The number, normalised (see ``normalize_ani``).
        carrier: Six-digit carrier id, or ``None``.
        note: Free text, or ``None``.
        date: When; forms and time zone as in ``Pause``.

    Raises:
        InvalidRequestError: An argument breaks its rule; nothing was sent.

    Example:
        >>> Activate("2345678901", date="2026-05-27").date
        '2026-05-27'
    """

    path = "/activate"
    done = ("active",)

    date: str = attrs.field(converter=_required_date, kw_only=True)


@attrs.frozen(eq=False, repr=False)
class Remediate(Action):
    """Ask the carriers to clear a spam label from a number; at most once in 30 days.

    Attributes:
        ani: The number, normalised (see ``normalize_ani``).
        carrier: Six-digit carrier id, or ``None``.
        note: Free text, or ``None``.

    Raises:
        InvalidRequestError: An argument breaks its rule; nothing was sent.

    Example:
        >>> Remediate("2345678901", note="Spam tag identified").path
        '/remediate'
    """

    path = "/remediate"
    is_harmless_twice = False
    # The older API misspelt it, and may still answer so.
    done = ("received request", "recieved request")
