"""Settings: frozen, validated when made, and safe to print.

A setting comes from an argument or, where it is left out, from the environment; what it may be
is said once, here. A broken rule is a ``ConfigurationError`` that names the setting.
"""

import ipaddress
import os
import ssl
import sys
from collections.abc import Callable
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs

from nrm_async._secrets import SecretStr
from nrm_async._values import Value
from nrm_async._version import __version__
from nrm_async.errors import ConfigurationError

__all__ = ["ApiKey", "ConfirmPolicy", "OnUnknown", "RetryPolicy", "Settings", "Timeouts"]

OnUnknown: TypeAlias = Literal["confirm", "report"]

API_KEY_VARIABLE: Final = "OUTBOUNDIQ_API_KEY"  # the name the vendor's own SDKs use
BASE_URL_VARIABLE: Final = "NRM_BASE_URL"
DEFAULT_BASE_URL: Final = "https://api.outboundiq.cloud/nrm"

# A connect that never ends must be told apart from an answer that never comes: the first
# provably sent nothing. So its time always ends before the attempt's does.
_CONNECT_SHARE: Final = 0.9


def _check_number(name: str, value: object, *, above: float | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{name} must be a number, not {type(value).__name__}")
    allowed = value >= 0 if above is None else value > above
    # Also refuses infinity, and whole numbers that no float can hold.
    if not (allowed and value <= sys.float_info.max):
        rule = "at least 0" if above is None else f"above {above:g}"
        raise ConfigurationError(f"{name} must be {rule} and finite, not {value}")


def _seconds(
    name: str, *, above: float | None = None
) -> Callable[[object, "attrs.Attribute[float]", float], None]:
    def check(_instance: object, _attribute: "attrs.Attribute[float]", value: float) -> None:
        _check_number(name, value, above=above)

    return check


def _whole(name: str, value: object, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{name} must be a whole number, not {type(value).__name__}")
    if value < least:
        raise ConfigurationError(f"{name} must be at least {least}, not {value}")
    return value


def _rate(value: float | None) -> float | None:
    if value is not None:
        _check_number("max_rate", value, above=0)
    return value


def _is_visible_ascii(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


class ApiKey:
    """The API key: it goes into one header and shows nowhere else.

    ``repr``, ``str`` and formatting give a placeholder, and pickling is refused.
    """

    __slots__ = ("_header",)

    def __init__(self, value: str) -> None:
        self._header = SecretStr(f"Bearer {value}")

    @classmethod
    def take(cls, value: object) -> "ApiKey | ConfigurationError":
        """Wrap the key, or the one from the environment where ``value`` is ``None``.

        A broken rule is handed back, not raised: tracebacks can be shown with their local
        variables, so nothing may be raised while a frame of ours holds the bare key.
        """
        if value is None:
            value = os.environ.get(API_KEY_VARIABLE, "")
        problem = _key_problem(value)
        return cls(str(value)) if problem is None else ConfigurationError(f"api_key {problem}")

    @property
    def header(self) -> str:
        """The value of the ``Authorization`` header; its ``repr`` is a placeholder."""
        return self._header

    def __repr__(self) -> str:
        return "ApiKey('***')"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("an ApiKey is not pickled: give the key to each process")


def _key_problem(value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be a string, not {type(value).__name__}"
    if not value:
        return f"is missing: pass api_key=… or set {API_KEY_VARIABLE}"
    if not _is_visible_ascii(value):
        return "must be visible ASCII: no spaces, line breaks or control characters"
    return None


@attrs.frozen(eq=False, repr=False)
class Timeouts(Value):
    """How long one attempt may take, in seconds, counted from its admission to the pool.

    Attributes:
        attempt: The whole attempt: connecting, sending, waiting, reading.
        connect: Connecting alone (name look-up, TCP, TLS). Running out of it proves that
            nothing was sent. It always ends before the attempt does.
        call: The whole call, from the moment it is made: waiting for a place, all attempts and
            the waits between them; ``None`` for no such limit. Nothing is begun after it, so a
            call outlives it by the attempt in flight at most.

    Example:
        >>> Timeouts(attempt=10)
        Timeouts(attempt=10, connect=9.0, call=None)
    """

    attempt: float = attrs.field(default=30.0, validator=_seconds("timeout", above=0))
    connect: float = attrs.field(default=10.0, validator=_seconds("timeout.connect", above=0))
    call: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(_seconds("timeout.call", above=0))
    )

    def __attrs_post_init__(self) -> None:
        longest = self.attempt * _CONNECT_SHARE
        if self.connect > longest:
            object.__setattr__(self, "connect", longest)


@attrs.frozen(eq=False, repr=False)
class RetryPolicy(Value):
    """When and how often a request is tried again.

    Reads are tried again after network errors, 429 and 5xx; actions only when they provably
    were not sent or were throttled (429): the vendor's own rule, which these defaults beat in
    patience. The delay before retry *n* is drawn evenly from zero to ``base * 2**(n-1)``,
    at most ``cap`` ("full jitter": https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/),
    and is never less than the server's ``Retry-After``.

    An item of a batch has time: what is limited for it is how often there is a retry at all, by a
    budget of the whole client, not how soon it is given up.

    Attributes:
        max_retries: Attempts after the first one; 0 switches retries off.
        max_batch_retries: The same for an item of a batch; ``None`` for three times as many as
            for a single call. At 30 % of transient faults, 4 retries leave 1 in 400 calls
            failed, 12 leave 1 in 6 million.
        base: Seconds before the first retry, at most.
        cap: Seconds before any retry, at most, where the server names no time itself.
        max_retry_after: The longest ``Retry-After`` in seconds that is waited for; a longer
            one ends the call, but an item of a batch with a deadline waits as long as that allows.
    """

    max_retries: int = attrs.field(default=4)
    max_batch_retries: int | None = attrs.field(default=None, kw_only=True)
    base: float = attrs.field(default=0.5, validator=_seconds("retry.base"))
    cap: float = attrs.field(default=8.0, validator=_seconds("retry.cap"))
    max_retry_after: float = attrs.field(default=120.0, validator=_seconds("retry.max_retry_after"))

    @max_retries.validator
    def _check_max_retries(self, _attribute: "attrs.Attribute[int]", value: int) -> None:
        _whole("retry.max_retries", value, least=0)

    @max_batch_retries.validator
    def _check_max_batch_retries(
        self, _attribute: "attrs.Attribute[int | None]", value: int | None
    ) -> None:
        if value is not None:
            _whole("retry.max_batch_retries", value, least=0)

    def most(self, *, in_batch: bool) -> int:
        """Attempts after the first one."""
        if not in_batch:
            return self.max_retries
        return 3 * self.max_retries if self.max_batch_retries is None else self.max_batch_retries


@attrs.frozen(eq=False, repr=False)
class ConfirmPolicy(Value):
    """How the truth is looked for when the answer to a pause or an activation was lost.

    The number is read back after ``settle`` seconds and then at intervals that grow by
    ``factor``, ``reads`` times at most. If it stands unchanged to the end, the action is sent
    once more, and looked for once more.

    Attributes:
        settle: Seconds before the first read: the API may still be at work.
        factor: How much longer each interval is than the one before.
        reads: Reads at most, before and again after the action is sent once more.

    Example:
        >>> ConfirmPolicy().delays
        (0.5, 1.0, 2.0, 4.0)
    """

    settle: float = attrs.field(default=0.5, validator=_seconds("confirm.settle"))
    factor: float = attrs.field(default=2.0, validator=_seconds("confirm.factor", above=0))
    reads: int = attrs.field(default=4)

    @reads.validator
    def _check_reads(self, _attribute: "attrs.Attribute[int]", value: int) -> None:
        _whole("confirm.reads", value, least=1)

    @property
    def delays(self) -> tuple[float, ...]:
        """Seconds before each read."""
        return tuple(self.settle * self.factor**number for number in range(self.reads))


def check_on_unknown(value: object) -> OnUnknown:
    """Whether lost answers are confirmed or reported.

    Raises:
        ConfigurationError: It is neither.
    """
    if value == "confirm" or value == "report":
        return value
    raise ConfigurationError(f"on_unknown must be 'confirm' or 'report', not {value!r}")


def tls_context(
    ssl_context: ssl.SSLContext | None, ca_bundle: str | os.PathLike[str] | None
) -> ssl.SSLContext | None:
    """The context to verify the API with; ``None`` for the system's own.

    Raises:
        ConfigurationError: Verification would be off, or the bundle cannot be read.
    """
    if ssl_context is not None and ca_bundle is not None:
        raise ConfigurationError("ssl_context and ca_bundle exclude each other: give one of them")
    if ca_bundle == "":
        raise ConfigurationError("ca_bundle must not be empty: leave it out for the system's own")
    if ca_bundle is not None:
        try:
            return ssl.create_default_context(cafile=ca_bundle)
        except (OSError, ValueError, TypeError) as error:  # an SSLError is an OSError
            raise ConfigurationError(
                f"ca_bundle must be a file of PEM certificates: {error}"
            ) from None
    if ssl_context is not None:
        _check_context(ssl_context)
    return ssl_context


def _check_context(context: object) -> None:
    if not isinstance(context, ssl.SSLContext):
        raise ConfigurationError(f"ssl_context must be an SSLContext, not {type(context).__name__}")
    if context.verify_mode is ssl.CERT_NONE or not context.check_hostname:
        raise ConfigurationError(
            "ssl_context must verify certificate and host name: the key would go to anybody"
        )


def _base_url(value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"base_url must be a string, not {type(value).__name__}")
    if not value or not _is_visible_ascii(value):
        raise ConfigurationError("base_url must be a URL in visible ASCII")
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError("base_url is not a valid URL") from None
    # The value itself stays out of these messages: user info may be a secret.
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not contain user info")
    if "?" in value or "#" in value:
        raise ConfigurationError("base_url must not contain a query or a fragment")
    if not host:
        raise ConfigurationError("base_url must name a host, as in https://host/nrm")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ConfigurationError("base_url must be https (http only to a loopback host)")
    return value.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _proxy(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ConfigurationError(f"proxy must be a string, not {type(value).__name__}")
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        valid = valid and _is_visible_ascii(value)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError("proxy must be an http or https URL with a host")
    return SecretStr(value)


def _user_agent(suffix: object) -> str:
    product = f"nrm-async/{__version__}"
    if suffix is None:
        return product
    if not isinstance(suffix, str) or not suffix.strip():
        raise ConfigurationError("user_agent must be a string that is not empty")
    if not all(" " <= character <= "~" for character in suffix):
        raise ConfigurationError("user_agent must be printable ASCII, without line breaks")
    return f"{product} {suffix.strip()}"


@attrs.frozen(eq=False, repr=False)
class Settings(Value):
    """All settings of one client, resolved and checked."""

    api_key: ApiKey
    base_url: str
    max_concurrency: int
    max_rate: float | None
    timeouts: Timeouts
    retry: RetryPolicy
    confirm: ConfirmPolicy
    on_unknown: OnUnknown
    proxy: str | None
    user_agent: str
    ssl_context: ssl.SSLContext | None

    @classmethod
    def resolve(
        cls,
        api_key: ApiKey,
        *,
        base_url: str | None,
        max_concurrency: int,
        max_rate: float | None,
        timeout: float | Timeouts,
        retry: RetryPolicy | None,
        confirm: ConfirmPolicy | None,
        on_unknown: OnUnknown,
        proxy: str | None,
        user_agent: str | None,
        ssl_context: ssl.SSLContext | None,
        ca_bundle: str | os.PathLike[str] | None,
    ) -> "Settings":
        """Check the arguments, fill the gaps from the environment and the defaults.

        Raises:
            ConfigurationError: A setting breaks its rule.
        """
        if retry is not None and not isinstance(retry, RetryPolicy):
            raise ConfigurationError(f"retry must be a RetryPolicy, not {type(retry).__name__}")
        if confirm is not None and not isinstance(confirm, ConfirmPolicy):
            raise ConfigurationError(
                f"confirm must be a ConfirmPolicy, not {type(confirm).__name__}"
            )
        if base_url is None:
            base_url = os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL
        return cls(
            api_key=api_key,
            base_url=_base_url(base_url),
            max_concurrency=_whole("max_concurrency", max_concurrency, least=1),
            max_rate=_rate(max_rate),
            timeouts=timeout if isinstance(timeout, Timeouts) else Timeouts(attempt=timeout),
            retry=retry or RetryPolicy(),
            confirm=confirm or ConfirmPolicy(),
            on_unknown=check_on_unknown(on_unknown),
            proxy=_proxy(proxy),
            user_agent=_user_agent(user_agent),
            ssl_context=tls_context(ssl_context, ca_bundle),
        )
