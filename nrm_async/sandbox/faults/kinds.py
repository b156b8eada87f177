"""What can go wrong on purpose: frozen values, each with the requests that it hits.

Which requests are hit is the same for all kinds:

- ``endpoint``: those to one endpoint (``anis``, ``pause``, ``activate``, ``remediate``), or all.
- ``share``: this share of them, drawn from the sandbox's seed.
- ``schedule``: these of them, counted for each endpoint from 1 when the fault is injected:
  ``"1,3,10-20,50-"``, or a list of whole numbers.
- ``count``: no more than so many in all.

Without ``share`` and ``schedule``, every one is hit.
"""

from typing import Any, ClassVar, Final, Literal, TypeAlias

from attrs import field, frozen

from nrm_async.sandbox import checks
from nrm_async.sandbox.faults import rules
from nrm_async.sandbox.values import Endpoint

RetryAfter: TypeAlias = float | str | None


@frozen(kw_only=True)
class Fault:
    """What all kinds share: which requests are hit (see the module)."""

    name: ClassVar[str] = ""

    endpoint: Endpoint | None = field(default=None, validator=rules.an_endpoint)
    share: float | None = field(default=None, validator=rules.a_share)
    schedule: rules.Ranges | None = field(default=None, converter=rules.ranges)
    count: int | None = field(default=None, validator=rules.a_count)

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

    seconds: float | None = field(default=None, validator=rules.some_seconds)
    median: float | None = field(default=None, validator=rules.some_seconds)
    sigma: float = field(default=0.5, validator=rules.a_spread)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if (self.seconds is None) is (self.median is None):
            raise ValueError("latency takes either seconds or median")


@frozen(kw_only=True)
class TooManyRequests(Fault):
    """429, not applied, with ``retry_after``: seconds, ``date:5`` or another form, or nothing."""

    name: ClassVar[str] = "429"

    retry_after: RetryAfter = field(default=None, validator=rules.a_retry_after)


@frozen(kw_only=True)
class RateCap(Fault):
    """429 above ``rate`` requests a second; ``burst`` of them may come at once."""

    name: ClassVar[str] = "rate-cap"

    rate: float = field(validator=rules.positive)
    burst: int = field(default=1, validator=rules.at_least_one)
    retry_after: RetryAfter = field(default=None, validator=rules.a_retry_after)


@frozen(kw_only=True)
class ConcurrencyCap(Fault):
    """429 where more than ``limit`` requests are in flight."""

    name: ClassVar[str] = "concurrency-cap"

    limit: int = field(validator=rules.at_least_one)
    retry_after: RetryAfter = field(default=None, validator=rules.a_retry_after)


@frozen(kw_only=True)
class ServerFailure(Fault):
    """A 5xx; ``applied`` after the action was applied. ``html`` is a page of infrastructure."""

    name: ClassVar[str] = "5xx"

    status: int = field(default=503)
    applied: bool = field(default=False, validator=rules.a_flag)
    html: bool = field(default=False, validator=rules.a_flag)
    retry_after: RetryAfter = field(default=None, validator=rules.a_retry_after)

    @status.validator
    def _is_5xx(self, attribute: Any, value: Any) -> None:
        checks.whole_number(attribute.name, value, 500, 599)


@frozen(kw_only=True)
class Reset(Fault):
    """The connection is reset instead of an answer, before the action is ``applied`` or after."""

    name: ClassVar[str] = "reset"

    applied: bool = field(default=False, validator=rules.a_flag)


@frozen(kw_only=True)
class Hang(Fault):
    """No answer: the connection stays open, for good or for ``seconds``, and is then closed."""

    name: ClassVar[str] = "hang"

    applied: bool = field(default=False, validator=rules.a_flag)
    seconds: float | None = field(default=None, validator=rules.some_seconds)


@frozen(kw_only=True)
class Truncate(Fault):
    """The answer, applied, is cut after the share ``keep`` of its body.

    ``silent``: without a Content-Length, so that only the broken JSON shows it.
    """

    name: ClassVar[str] = "truncate"

    keep: float = field(default=0.5, validator=rules.a_part)
    silent: bool = field(default=False, validator=rules.a_flag)


@frozen(kw_only=True)
class Drift(Fault):
    """The inventory changes just before a page is listed: so many ``rows`` leave and others join.

    ``change``: ``churn`` (as many leave as join: no total shows it), ``join`` or ``leave``.
    """

    name: ClassVar[str] = "drift"

    change: Literal["churn", "join", "leave"] = "churn"
    rows: int = field(default=1, validator=rules.some_rows)

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
