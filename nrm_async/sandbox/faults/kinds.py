"""What can go wrong on purpose: frozen values, each with the requests that it hits.

Which requests are hit is the same for all kinds:

- ``endpoint``: those to one endpoint (``anis``, ``pause``, ``activate``, ``remediate``), or all.
- ``share``: this share of them, drawn from the sandbox's seed.
- ``schedule``: these of them, counted for each endpoint from 1 when the fault is injected:
  ``"1,3,10-20,50-"``, or a list of whole numbers.
- ``count``: no more than so many in all.

Without ``share`` and ``schedule``, every one is hit.
"""

import math
import re
from collections.abc import Iterable
from typing import Any, ClassVar, Final, Literal, TypeAlias

from attrs import field, frozen

from nrm_async.sandbox import checks
from nrm_async.sandbox.values import ENDPOINTS, Endpoint

Ranges: TypeAlias = tuple[tuple[int, int | None], ...]

_RANGE: Final = re.compile(r"([0-9]{1,15})(?:(-)([0-9]{1,15})?)?")

RETRY_AFTER_FORMS: Final = ("date", "huge", "negative", "nan", "garbage", "none")
"""What ``retry_after`` can be besides seconds; ``date:5`` is the HTTP-date in five seconds."""

_RETRY_AFTER: Final = re.compile(r"date(:[0-9]{1,6})?|huge|negative|nan|garbage|none")


def _ranges(value: str | int | Iterable[int] | None) -> Ranges | None:
    if value is None:
        return None
    if isinstance(value, int):
        value = str(value)
    parts = value.split(",") if isinstance(value, str) else map(_as_text, value)
    found = tuple(_range(part.strip()) for part in parts)
    if not found:
        raise ValueError("schedule must name at least one request")
    return found


def _as_text(part: object) -> str:
    if isinstance(part, tuple):  # a range, as it is kept
        first, last = part
        return f"{first}-{'' if last is None else last}"
    return str(part)


def _range(text: str) -> tuple[int, int | None]:
    match = _RANGE.fullmatch(text)
    first = int(match[1]) if match else 0
    last = first if match and match[2] is None else None
    if match and match[3]:
        last = int(match[3])
    if first < 1 or (last is not None and last < first):
        raise ValueError(f"schedule must be like '1,3,10-20,50-', counted from 1, not {text!r}")
    return first, last


def _endpoint(_fault: Any, _attribute: Any, value: Any) -> None:
    if value is not None and value not in ENDPOINTS:
        raise ValueError(f"endpoint must be one of {', '.join(ENDPOINTS)}, not {value!r}")


def _share(_fault: Any, attribute: Any, value: Any) -> None:
    if value is not None and not 0 <= checks.seconds(attribute.name, value) <= 1:
        raise ValueError(f"{attribute.name} must be from 0 to 1, not {value!r}")


def _count(_fault: Any, attribute: Any, value: Any) -> None:
    if value is not None:
        checks.whole_number(attribute.name, value, 1)


def _at_least_one(_fault: Any, attribute: Any, value: Any) -> None:
    checks.whole_number(attribute.name, value, 1)


def _seconds(_fault: Any, attribute: Any, value: Any) -> None:
    if value is not None:
        checks.seconds(attribute.name, value)


def _positive(_fault: Any, attribute: Any, value: Any) -> None:
    if not checks.seconds(attribute.name, value):
        raise ValueError(f"{attribute.name} must be above 0, not {value!r}")


def _flag(_fault: Any, attribute: Any, value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{attribute.name} must be true or false, not {value!r}")  # noqa: TRY004


def _retry_after(_fault: Any, _attribute: Any, value: Any) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return
    elif value is None or (isinstance(value, str) and _RETRY_AFTER.fullmatch(value)):
        return
    forms = ", ".join(RETRY_AFTER_FORMS)
    raise ValueError(f"retry_after must be seconds or one of {forms}, not {value!r}")


RetryAfter: TypeAlias = float | str | None


@frozen(kw_only=True)
class Fault:
    """What all kinds share: which requests are hit (see the module)."""

    name: ClassVar[str] = ""

    endpoint: Endpoint | None = field(default=None, validator=_endpoint)
    share: float | None = field(default=None, validator=_share)
    schedule: Ranges | None = field(default=None, converter=_ranges)
    count: int | None = field(default=None, validator=_count)

    def __attrs_post_init__(self) -> None:
        if self.share is not None and self.schedule is not None:
            raise ValueError("share and schedule exclude each other")


@frozen(kw_only=True)
class Latency(Fault):
    """The answer comes later: after ``seconds``, or lognormal around ``median`` seconds.

    ``sigma`` is the standard deviation of the logarithm: with 0.5, one answer in forty takes more
    than 2.7 times the median.
    """

    name: ClassVar[str] = "latency"

    seconds: float | None = field(default=None, validator=_seconds)
    median: float | None = field(default=None, validator=_seconds)
    sigma: float = field(default=0.5, validator=_seconds)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if (self.seconds is None) is (self.median is None):
            raise ValueError("latency takes either seconds or median")


@frozen(kw_only=True)
class TooManyRequests(Fault):
    """429, not applied, with ``retry_after``: seconds, ``date:5`` or another form, or nothing."""

    name: ClassVar[str] = "429"

    retry_after: RetryAfter = field(default=None, validator=_retry_after)


@frozen(kw_only=True)
class RateCap(Fault):
    """429 above ``rate`` requests a second; ``burst`` of them may come at once."""

    name: ClassVar[str] = "rate-cap"

    rate: float = field(validator=_positive)
    burst: int = field(default=1, validator=_at_least_one)
    retry_after: RetryAfter = field(default=None, validator=_retry_after)


@frozen(kw_only=True)
class ConcurrencyCap(Fault):
    """429 where more than ``limit`` requests are in flight."""

    name: ClassVar[str] = "concurrency-cap"

    limit: int = field(validator=_at_least_one)
    retry_after: RetryAfter = field(default=None, validator=_retry_after)


@frozen(kw_only=True)
class ServerFailure(Fault):
    """A 5xx; ``applied`` after the action was applied. ``html`` is a page of infrastructure."""

    name: ClassVar[str] = "5xx"

    status: int = field(default=503)
    applied: bool = field(default=False, validator=_flag)
    html: bool = field(default=False, validator=_flag)
    retry_after: RetryAfter = field(default=None, validator=_retry_after)

    @status.validator
    def _is_5xx(self, attribute: Any, value: Any) -> None:
        checks.whole_number(attribute.name, value, 500, 599)


@frozen(kw_only=True)
class Reset(Fault):
    """The connection is reset instead of an answer, before the action is ``applied`` or after."""

    name: ClassVar[str] = "reset"

    applied: bool = field(default=False, validator=_flag)


@frozen(kw_only=True)
class Hang(Fault):
    """No answer: the connection stays open, for good or for ``seconds``, and is then closed."""

    name: ClassVar[str] = "hang"

    applied: bool = field(default=False, validator=_flag)
    seconds: float | None = field(default=None, validator=_seconds)


@frozen(kw_only=True)
class Truncate(Fault):
    """The answer, applied, is cut after the share ``keep`` of its body.

    ``silent``: without a Content-Length, so that only the broken JSON shows it.
    """

    name: ClassVar[str] = "truncate"

    keep: float = field(default=0.5, validator=_share)
    silent: bool = field(default=False, validator=_flag)


@frozen(kw_only=True)
class Drift(Fault):
    """The inventory changes just before a page is listed: so many ``rows`` leave and others join.

    ``change``: ``churn`` (as many leave as join: no total shows it), ``join`` or ``leave``.
    """

    name: ClassVar[str] = "drift"

    change: Literal["churn", "join", "leave"] = "churn"
    rows: int = field(default=1, validator=_at_least_one)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.change not in ("churn", "join", "leave"):
            raise ValueError(f"change must be churn, join or leave, not {self.change!r}")
        if self.endpoint not in (None, "anis"):
            raise ValueError("drift happens at the endpoint anis only")


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
"""Every kind of fault."""
