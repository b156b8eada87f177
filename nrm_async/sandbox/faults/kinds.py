"""The fault classes: frozen values that describe a failure and the requests that it affects.

All classes have four options to select requests:

- ``endpoint``: Only requests to this endpoint (``anis``, ``pause``, ``activate``, ``remediate``).
- ``share``: The probability of each request being selected, using the sandbox's seed.
- ``schedule``: The numbers of the selected requests, as text (``"1,3,10-20,50-"``) or a list of
  integers. Requests are counted separately for each endpoint, from 1, starting at injection.
- ``count``: The maximum number of affected requests.

Without ``share`` or ``schedule``, a fault affects every request.
"""

import math
import re
from collections.abc import Iterable
from typing import Any, ClassVar, Final, Literal, TypeAlias

from attrs import field, frozen

from nrm_async.sandbox.validation import check_seconds, check_whole_number
from nrm_async.sandbox.values import ENDPOINTS, Endpoint

RetryAfter: TypeAlias = float | str | None
Ranges: TypeAlias = tuple[tuple[int, int | None], ...]

_RANGE: Final = re.compile(r"([0-9]{1,15})(?:(-)([0-9]{1,15})?)?")
_RETRY_AFTER_FORMS: Final = ("date", "huge", "negative", "nan", "garbage", "none")
_RETRY_AFTER: Final = re.compile(r"date(:[0-9]{1,6})?|huge|negative|nan|garbage|none")
_MOST_SIGMA: Final = 10  # allows delays of up to e**70 times the median
_MOST_ROWS: Final = 10_000  # changing rows blocks the event loop


def _parse_schedule(value: str | int | Iterable[int] | None) -> Ranges | None:
    if value is None:
        return None
    if isinstance(value, int):
        value = str(value)
    parts = value.split(",") if isinstance(value, str) else map(_range_text, value)
    ranges = tuple(_parse_range(part.strip()) for part in parts)
    if not ranges:
        raise ValueError("schedule must contain at least one request number")
    return ranges


def _range_text(part: object) -> str:
    if isinstance(part, tuple):  # an already parsed range
        first, last = part
        return f"{first}-{'' if last is None else last}"
    return str(part)


def _parse_range(text: str) -> tuple[int, int | None]:
    match = _RANGE.fullmatch(text)
    first = int(match[1]) if match else 0
    last = first if match and match[2] is None else None
    if match and match[3]:
        last = int(match[3])
    if first < 1 or (last is not None and last < first):
        raise ValueError(f"schedule must be like '1,3,10-20,50-', counted from 1, not {text!r}")
    return first, last


def _check_endpoint(_fault: Any, _attribute: Any, value: Any) -> None:
    if value is not None and value not in ENDPOINTS:
        raise ValueError(f"endpoint must be one of {', '.join(ENDPOINTS)}, not {value!r}")


def _check_optional_share(fault: Any, attribute: Any, value: Any) -> None:
    if value is not None:
        _check_share(fault, attribute, value)


def _check_share(_fault: Any, attribute: Any, value: Any) -> None:
    _check_between(attribute.name, value, 1)


def _check_sigma(_fault: Any, attribute: Any, value: Any) -> None:
    _check_between(attribute.name, value, _MOST_SIGMA)


def _check_between(name: str, value: Any, most: float) -> None:
    if not 0 <= check_seconds(name, value) <= most:
        raise ValueError(f"{name} must be from 0 to {most}, not {value!r}")


def _check_count(_fault: Any, attribute: Any, value: Any) -> None:
    if value is not None:
        check_whole_number(attribute.name, value, 1)


def _check_rows(_fault: Any, attribute: Any, value: Any) -> None:
    check_whole_number(attribute.name, value, 1, _MOST_ROWS)


def _check_at_least_one(_fault: Any, attribute: Any, value: Any) -> None:
    check_whole_number(attribute.name, value, 1)


def _check_optional_seconds(_fault: Any, attribute: Any, value: Any) -> None:
    if value is not None:
        check_seconds(attribute.name, value)


def _check_positive(_fault: Any, attribute: Any, value: Any) -> None:
    if not check_seconds(attribute.name, value):
        raise ValueError(f"{attribute.name} must be above 0, not {value!r}")


def _check_bool(_fault: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{attribute.name} must be true or false, not {value!r}")  # noqa: TRY004


def _check_retry_after(_fault: Any, _attribute: Any, value: Any) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return
    elif value is None or (isinstance(value, str) and _RETRY_AFTER.fullmatch(value)):
        return
    forms = ", ".join(_RETRY_AFTER_FORMS)
    raise ValueError(f"retry_after must be seconds or one of {forms}, not {value!r}")


@frozen(kw_only=True)
class Fault:
    """Base class for faults, with the options that select requests."""

    name: ClassVar[str] = ""

    endpoint: Endpoint | None = field(default=None, validator=_check_endpoint)
    share: float | None = field(default=None, validator=_check_optional_share)
    schedule: Ranges | None = field(default=None, converter=_parse_schedule)
    count: int | None = field(default=None, validator=_check_count)

    def __attrs_post_init__(self) -> None:
        if self.share is not None and self.schedule is not None:
            raise ValueError("share and schedule are mutually exclusive")


@frozen(kw_only=True)
class Latency(Fault):
    """A delayed response: by ``seconds``, or by a lognormal time with a ``median`` in seconds.

    ``sigma`` is the standard deviation of the delay's logarithm. With 0.5, one response in forty is
    delayed by more than 2.7 times the median.
    """

    name: ClassVar[str] = "latency"

    seconds: float | None = field(default=None, validator=_check_optional_seconds)
    median: float | None = field(default=None, validator=_check_optional_seconds)
    sigma: float = field(default=0.5, validator=_check_sigma)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if (self.seconds is None) is (self.median is None):
            raise ValueError("latency requires either seconds or median")


@frozen(kw_only=True)
class TooManyRequests(Fault):
    """A 429 response, with ``retry_after`` in seconds or as ``date:5``; nothing is applied.

    ``date:5`` sends an HTTP-date five seconds ahead. ``retry_after`` may also be ``huge``,
    ``negative``, ``nan`` or ``garbage``. If it is None or ``none``, no header is sent.
    """

    name: ClassVar[str] = "429"

    retry_after: RetryAfter = field(default=None, validator=_check_retry_after)


@frozen(kw_only=True)
class RateCap(Fault):
    """A 429 response above ``rate`` requests per second, with a token bucket of size ``burst``."""

    name: ClassVar[str] = "rate-cap"

    rate: float = field(validator=_check_positive)
    burst: int = field(default=1, validator=_check_at_least_one)
    retry_after: RetryAfter = field(default=None, validator=_check_retry_after)


@frozen(kw_only=True)
class ConcurrencyCap(Fault):
    """A 429 response while more than ``limit`` requests are in flight."""

    name: ClassVar[str] = "concurrency-cap"

    limit: int = field(validator=_check_at_least_one)
    retry_after: RetryAfter = field(default=None, validator=_check_retry_after)


@frozen(kw_only=True)
class ServerFailure(Fault):
    """A 5xx response, as JSON or ``html``, before or (``applied``) after applying the action."""

    name: ClassVar[str] = "5xx"

    status: int = field(default=503)
    applied: bool = field(default=False, validator=_check_bool)
    html: bool = field(default=False, validator=_check_bool)
    retry_after: RetryAfter = field(default=None, validator=_check_retry_after)

    @status.validator
    def _check_status(self, attribute: Any, value: Any) -> None:
        check_whole_number(attribute.name, value, 500, 599)


@frozen(kw_only=True)
class Reset(Fault):
    """A connection reset instead of a response, before or (``applied``) after the action."""

    name: ClassVar[str] = "reset"

    applied: bool = field(default=False, validator=_check_bool)


@frozen(kw_only=True)
class Hang(Fault):
    """No response: the connection stays open, or is closed after ``seconds``.

    With ``applied``, the action is applied first.
    """

    name: ClassVar[str] = "hang"

    applied: bool = field(default=False, validator=_check_bool)
    seconds: float | None = field(default=None, validator=_check_optional_seconds)


@frozen(kw_only=True)
class Truncate(Fault):
    """A truncated response with only the fraction ``keep`` of its body; the action is applied.

    With ``silent``, the Content-Length matches the truncated body, so only the invalid JSON reveals
    the truncation.
    """

    name: ClassVar[str] = "truncate"

    keep: float = field(default=0.5, validator=_check_share)
    silent: bool = field(default=False, validator=_check_bool)


@frozen(kw_only=True)
class Drift(Fault):
    """Inventory changes before each page: ``rows`` numbers are removed and replaced by new ones.

    ``change`` is ``churn``, ``join`` or ``leave``. ``churn`` both removes and adds numbers, so the
    total does not change; ``join`` only adds numbers, and ``leave`` only removes them.
    """

    name: ClassVar[str] = "drift"

    change: Literal["churn", "join", "leave"] = "churn"
    rows: int = field(default=1, validator=_check_rows)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.change not in ("churn", "join", "leave"):
            raise ValueError(f"change must be churn, join or leave, not {self.change!r}")
        if self.endpoint not in (None, "anis"):
            raise ValueError("drift is only available for the endpoint anis")


KINDS: Final[tuple[type[Fault], ...]] = (
    Latency,
    RateCap,
    ConcurrencyCap,
    TooManyRequests,
    ServerFailure,
    Reset,
    Hang,
    Truncate,
    Drift,
)
"""All fault classes."""
