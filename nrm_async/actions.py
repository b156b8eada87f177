"""API actions: one frozen class per action, validated on creation.

The constructors normalise and check all arguments, so every instance can be sent.
Source: NRM API documentation, ``POST /pause``, ``/activate`` and ``/remediate``.
"""

import math
import operator
import re
import unicodedata
from datetime import UTC, date, datetime
from typing import ClassVar, Final, Protocol, SupportsIndex, TypeAlias

import attrs

from nrm_async._values import Value
from nrm_async.errors import InvalidRequestError

__all__ = ["Action", "ActionDate", "Activate", "AniLike", "Pause", "Remediate", "normalize_ani"]

_PUNCTUATION: Final = re.compile(r"[\s().\-\u2212]")

# Replacements by Unicode category for characters that chats, mails and word processors insert into
# numbers: invisible characters (direction, zero width, byte order mark), spaces and dashes.
_MARKS: Final = {"Cf": "", "Zs": " ", "Zl": " ", "Zp": " ", "Pd": "-"}

# A number that a program formatted as a decimal, for example from a data frame column with missing
# values. A point after a plus sign and a country code is RFC 5733 punctuation: +1.2345678901.
_DECIMAL: Final = re.compile(r"([+\-]?[0-9]{4,}|[0-9]*)[.,]([0-9]+)")

# A decimal with other punctuation. Either the group after the point is shorter than the last group
# of a phone number (one digit after two or more, two after three or more), or the group before the
# point is a complete number, or spaces separate thousands.
_GROUPED_DECIMAL: Final = re.compile(
    r"(?:.*[0-9]{2}\.[0-9]|.*[0-9]{3}\.[0-9]{2}|.*[0-9]{7}\.[0-9]+"
    r"|[0-9]{1,3}(?:\s[0-9]{3}){2,}\.[0-9]+)[^0-9]*",
    re.DOTALL,
)
_NUMERIC: Final = re.compile(r"[0-9.,\s'_]+(?:[eE][+\-]?[0-9]+)?")
_ZEROS: Final = "0"
_MAX_INT: Final = 10**15 - 1  # E.164 has 15 digits; Python does not convert huge integers to text
_TIMESTAMP: Final = "%Y%m%d%H%M%S"  # format in the API documentation
_DAY: Final = "%Y-%m-%d"  # format used by the vendor's SDKs
_DATE_FORMATS: Final = {
    14: (re.compile(r"[0-9]{14}"), _TIMESTAMP),
    10: (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), _DAY),
}


class HasPhone(Protocol):
    """Protocol of objects with a phone number, such as ``Ani``."""

    @property
    def phone(self) -> str:
        """The phone number, in any common format."""


AniLike: TypeAlias = str | SupportsIndex | float | HasPhone
ActionDate: TypeAlias = str | date | datetime


def normalize_ani(value: AniLike) -> str:
    """Convert a phone number to the API format: digits only, without country code 1.

    Numbers are not checked against a numbering plan, because the examples in the API documentation
    do not conform to one.

    Data frames convert a column of numbers to decimals if a value is missing. A decimal is accepted
    only if its fraction is all zeros and it has no exponent or thousands separators, because other
    decimals may have lost digits.

    Args:
        value: Text in any common format, an integer of any type (such as ``numpy.int64``), a
            ``float`` without a fraction, or an object with a ``phone`` attribute.

    Returns:
        A string of 7 to 15 digits.

    Raises:
        InvalidRequestError: The value is empty, contains letters, a fraction, an exponent or
            thousands separators, or has too few or too many digits.

    Example:
        >>> normalize_ani("+1 (234) 567-8901")
        '2345678901'
        >>> normalize_ani("2345678901.0")
        '2345678901'
    """
    digits = getattr(value, "phone", value)
    if not (type(digits) is str and digits.isascii() and digits.isdigit()):  # the most common case
        digits = _phone_digits("ani", digits)
    if len(digits) == 11 and digits.startswith("1"):
        digits = digits[1:]
    if not 7 <= len(digits) <= 15:
        raise InvalidRequestError(
            f"ani must have 7 to 15 digits, not {len(digits)}: {_shorten(value)}"
        )
    return digits


def normalize_prefix(value: str) -> str:
    """Convert the beginning of a number to the API format: digits, without country code 1.

    A leading 1 is the country code if it follows a plus sign or there are eleven digits.

    Raises:
        InvalidRequestError: The value is empty or contains letters.

    Example:
        >>> normalize_prefix("+1 (234)")
        '234'
    """
    digits = _phone_digits("number", value, is_prefix=True)
    has_country_code = str(value).strip().startswith("+1") or len(digits) == 11
    if has_country_code:
        digits = digits.removeprefix("1")
    if not digits:
        raise InvalidRequestError("number must have digits after the country code")
    return digits


def prefix_with_country_code(ani: str) -> str | None:
    """Return a search prefix with country code 1, or ``None`` unless ``ani`` has ten digits.

    The prefix omits the last digit, because ``normalize_prefix`` would remove the country code
    from eleven digits.

    Example:
        >>> prefix_with_country_code("2345678901")
        '1234567890'
    """
    return f"1{ani[:9]}" if len(ani) == 10 else None


def whole_digits(name: str, text: str) -> str:
    """Remove a fraction of zeros from a number, and return any other text unchanged.

    Raises:
        InvalidRequestError: The fraction is not all zeros, or the punctuation is ambiguous.

    Example:
        >>> whole_digits("ani", "2345678901.00"), whole_digits("ani", "234.567.8901")
        ('2345678901', '234.567.8901')
    """
    if decimal := _DECIMAL.fullmatch(text):
        if decimal[1] and not decimal[2].strip(_ZEROS):
            return decimal[1]
        raise _not_whole(name, text)
    if _GROUPED_DECIMAL.fullmatch(text):
        raise _not_whole(name, text)
    return text


def _not_whole(name: str, value: object) -> InvalidRequestError:
    return InvalidRequestError(
        f"{name} must be written out in digits, because a phone number has no decimals, exponent "
        f"or thousands separators: {_shorten(value)}"
    )


def _phone_digits(name: str, value: object, *, is_prefix: bool = False) -> str:
    """Return the digits of a number without its punctuation, or raise if anything else remains."""
    if not isinstance(value, str):
        return str(_whole_number(name, value))
    text = value if value.isascii() else _to_ascii_marks(value)
    text = text.strip().removeprefix("'")  # spreadsheets mark text with an apostrophe
    if not is_prefix and ("." in text or "," in text):
        text = whole_digits(name, text)
    bare = _PUNCTUATION.sub("", text).removeprefix("+")
    if not bare:
        raise InvalidRequestError(f"{name} must not be empty: {_shorten(value)}")
    if not (bare.isascii() and bare.isdigit()):
        if _NUMERIC.fullmatch(text) and not is_prefix:
            raise _not_whole(name, value)
        raise InvalidRequestError(
            f"{name} must be digits and the punctuation of phone numbers: {_shorten(value)}"
        )
    return bare


def _to_ascii_marks(text: str) -> str:
    """Remove invisible characters, and replace spaces and dashes with their ASCII equivalents."""
    return "".join(_MARKS.get(unicodedata.category(mark), mark) for mark in text)


def _whole_number(name: str, value: object) -> int:
    """Convert an integer of any type, or a ``float`` without a fraction, to an ``int``."""
    if isinstance(value, bool):
        number = None
    elif isinstance(value, int):
        number = value
    elif isinstance(value, float):
        if not math.isfinite(value):  # data frames represent missing values as NaN
            raise InvalidRequestError(f"{name} must be text or a whole number, not {value}")
        if not value.is_integer():
            raise _not_whole(name, value)
        number = int(value)
    else:
        try:
            number = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            number = None
    if number is None:
        raise InvalidRequestError(
            f"{name} must be text or a whole number, not {type(value).__name__}"
        )
    if not 0 <= number <= _MAX_INT:  # floats are exact in this range
        raise InvalidRequestError(
            f"{name} must have no sign and at most 15 digits as a whole number: {_shorten(value)}"
        )
    return number


def _shorten(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # integers with thousands of digits
        return f"{type(value).__name__} too long to show"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _carrier(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        text: object = _shorten(int(value))
    else:
        text = value
    if not (isinstance(text, str) and re.fullmatch(r"[0-9]{6}", text)):
        raise InvalidRequestError(f"carrier must be an id of six digits, not {_shorten(value)}")
    return _exact(text)


def _note(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidRequestError(f"note must be text, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError("note must be valid Unicode: it has a lone surrogate") from None
    return _exact(value)


def _exact(text: str) -> str:
    # Data frames may contain subclasses of str, which the JSON encoder does not accept.
    return str.__str__(text)


def _date(value: object) -> str:
    """Return the date in one of the API formats.

    A ``datetime`` is formatted as YYYYMMDDHHMMSS, and a ``date`` as YYYY-MM-DD. Text must have one
    of these formats. An aware ``datetime`` is converted to UTC, and a naive one is formatted
    unchanged, because the time zone of the API is not documented.
    """
    if isinstance(value, datetime):
        try:
            moment = value if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError:
            raise InvalidRequestError(
                f"date must be within the years 1 to 9999 in UTC, not {_shorten(value)}"
            ) from None
        # Some platforms do not pad a year before 1000.
        return moment.strftime(_TIMESTAMP).zfill(14)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and (formats := _DATE_FORMATS.get(len(value))):
        pattern, format_ = formats
        if pattern.fullmatch(value) and _exists(value, format_):
            return _exact(value)
    raise InvalidRequestError(
        "date must be a date, a datetime, 'YYYY-MM-DD' or 'YYYYMMDDHHMMSS', "
        f"and a day that exists, not {_shorten(value)}"
    )


def _exists(value: str, format_: str) -> bool:
    try:
        datetime.strptime(value, format_)  # noqa: DTZ007 - only validated
    except ValueError:
        return False
    return True


def _required_date(value: object) -> str:
    if value is None:
        raise InvalidRequestError("date is required to activate a number")
    return _date(value)


@attrs.frozen(eq=False, repr=False, init=False)
class Action(Value):
    """Abstract base class of ``Pause``, ``Activate`` and ``Remediate``.

    Attributes:
        ani: The number, normalised (see ``normalize_ani``).
        carrier: Six-digit carrier id, or ``None``.
        note: Free-text note, or ``None``.
    """

    path: ClassVar[str]  # relative to the base URL
    done: ClassVar[tuple[str, ...]]  # "applied" statuses, the documented one first
    # Whether the API rules prevent a second request from having an effect.
    idempotent: ClassVar[bool] = True

    ani: str = attrs.field(converter=normalize_ani)
    carrier: str | None = attrs.field(
        default=None, converter=attrs.converters.optional(_carrier), kw_only=True
    )
    note: str | None = attrs.field(
        default=None, converter=attrs.converters.optional(_note), kw_only=True, repr=False
    )

    def __init__(self, *_: object, **__: object) -> None:  # attrs generates it for subclasses
        raise TypeError("Action is abstract: create a Pause, an Activate or a Remediate")

    @property
    def is_harmless_twice(self) -> bool:
        """Former name of ``idempotent``, kept for compatibility."""
        return self.idempotent


@attrs.frozen(eq=False, repr=False)
class Pause(Action):
    """Action that takes a number out of service for a cooling-off period.

    The API pauses only numbers that are active and managed.

    Attributes:
        ani: The number, normalised (see ``normalize_ani``).
        carrier: Six-digit carrier id, or ``None``.
        note: Free-text note, or ``None``.
        date: When the pause takes effect, as ``YYYYMMDDHHMMSS`` or ``YYYY-MM-DD``, or ``None``
            for now. An aware ``datetime`` is converted to UTC. A naive one is formatted
            unchanged, because the time zone of the API is not documented.

    Raises:
        InvalidRequestError: An argument is invalid; nothing was sent.

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
    """Action that returns a paused number to service.

    The API activates only numbers that are cooling off, and always requires a date.

    Attributes:
        ani: The number, normalised (see ``normalize_ani``).
        carrier: Six-digit carrier id, or ``None``.
        note: Free-text note, or ``None``.
        date: When the activation takes effect, in the same formats as in ``Pause``.

    Raises:
        InvalidRequestError: An argument is invalid; nothing was sent.

    Example:
        >>> Activate("2345678901", date="2026-05-27").date
        '2026-05-27'
    """

    path = "/activate"
    done = ("active",)

    date: str = attrs.field(converter=_required_date, kw_only=True)


@attrs.frozen(eq=False, repr=False)
class Remediate(Action):
    """Action that asks the carriers to remove a spam label, at most once in 30 days.

    Attributes:
        ani: The number, normalised (see ``normalize_ani``).
        carrier: Six-digit carrier id, or ``None``.
        note: Free-text note, or ``None``.

    Raises:
        InvalidRequestError: An argument is invalid; nothing was sent.

    Example:
        >>> Remediate("2345678901", note="Spam tag identified").path
        '/remediate'
    """

    path = "/remediate"
    idempotent = False
    # An older version of the API misspelt the status, and may still return it.
    done = ("received request", "recieved request")


def shows_in_status(action: Action, now: datetime | None = None) -> bool:
    """Return whether the status of a number reflects the action as soon as it is applied.

    The status never reflects a remediation, and reflects a future date only from that date on.
    """
    if not isinstance(action, Pause | Activate):
        return False
    if action.date is None:
        return True
    digits = action.date.replace("-", "").ljust(14, "0")
    return digits <= (now or datetime.now(UTC)).strftime("%Y%m%d%H%M%S")
