"""Client settings: frozen, validated on creation, and safe to print.

The API key and base URL can also be set by environment variables. An invalid setting raises
``ConfigurationError`` with the name of the setting.
"""

import ipaddress
import os
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, Self, SupportsIndex, TypeAlias
from urllib.parse import urlsplit

import attrs

from nrm_async._validation import check_choice, check_int, check_number
from nrm_async._values import Value
from nrm_async._version import __version__
from nrm_async.errors import ConfigurationError

__all__ = ["ApiKey", "ConfirmPolicy", "OnUnknown", "RetryPolicy", "Settings", "Timeouts"]

OnUnknown: TypeAlias = Literal["confirm", "report"]

API_KEY_VARIABLE: Final = "OUTBOUNDIQ_API_KEY"  # as in the vendor's SDKs
BASE_URL_VARIABLE: Final = "NRM_BASE_URL"
DEFAULT_BASE_URL: Final = "https://api.outboundiq.cloud/nrm"

# A failed connection proves that nothing was sent, but a missing response proves nothing. To
# distinguish the two, the connect timeout always expires before the attempt timeout.
_CONNECT_SHARE: Final = 0.9

_check_int = partial(check_int, error=ConfigurationError)
_check_number: Callable[..., float] = partial(check_number, error=ConfigurationError)


def _seconds(
    name: str, **bounds: float
) -> Callable[[object, "attrs.Attribute[Any]", float | None], None]:
    def check(_instance: object, _attribute: "attrs.Attribute[Any]", value: float | None) -> None:
        _check_number(name, value, **(bounds or {"least": 0}))

    return check


def _count(
    name: str, *, least: int
) -> Callable[[object, "attrs.Attribute[Any]", int | None], None]:
    def check(_instance: object, _attribute: "attrs.Attribute[Any]", value: int | None) -> None:
        _check_int(name, value, least=least)

    return check


class _Hidden:
    """Mixin for text or bytes whose ``repr`` and pickle contain only a placeholder.

    A copy within the process returns the same object, so that settings can be deep-copied, and
    tools that copy or record requests work without displaying the secret.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class SecretStr(_Hidden, str):
    """String whose ``repr`` and pickle contain only a placeholder."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[object, ...]:
        return str, ("***",)


class SecretBytes(_Hidden, bytes):
    """Bytes whose ``repr`` and pickle contain only a placeholder."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[object, ...]:
        return bytes, (b"***",)


def _is_visible_ascii(text: str) -> bool:
    return all("!" <= character <= "~" for character in text)


class ApiKey:
    """API key that is sent in one header and never displayed.

    ``repr``, ``str`` and formatting return a placeholder. Pickling raises ``TypeError``, and
    copying returns the same object.
    """

    __slots__ = ("_header",)

    def __init__(self, value: str) -> None:
        self._header = SecretStr(f"Bearer {value}")

    @classmethod
    def take(cls, value: object) -> "ApiKey | ConfigurationError":
        """Wrap the key, or the one from the environment if ``value`` is ``None``.

        The error of an invalid key is returned instead of raised, because tracebacks may be
        displayed with local variables, which contain the plain key.
        """
        if value is None:
            value = os.environ.get(API_KEY_VARIABLE, "")
        if not isinstance(value, str):
            rule = f"must be a string, not {type(value).__name__}"
        elif not value:
            rule = f"is missing: pass api_key=… or set {API_KEY_VARIABLE}"
        elif not _is_visible_ascii(value):
            rule = "must be visible ASCII: no spaces, line breaks or control characters"
        else:
            return cls(value)
        return ConfigurationError(f"api_key {rule}")

    @property
    def header(self) -> str:
        """The value of the ``Authorization`` header; its ``repr`` is a placeholder."""
        return self._header

    def __repr__(self) -> str:
        return "ApiKey('***')"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("an ApiKey cannot be pickled: pass the key to each process")


@attrs.frozen(eq=False, repr=False)
class Timeouts(Value):
    """Timeouts of attempts and calls, in seconds.

    Attributes:
        attempt: Timeout of one attempt, from its admission to the end of the response.
        connect: Timeout of connecting (DNS, TCP and TLS). It is limited to nine tenths of
            ``attempt``, because a timeout while connecting proves that nothing was sent.
        call: Timeout of the whole call, including admission, all attempts and the delays between
            them; ``None`` for no limit. No attempt starts after this timeout, but an attempt in
            flight is completed.

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
    """Policy of when and how often to retry a request.

    Reads are retried after network errors, 429 and 5xx. Actions are retried only if they provably
    were not sent or were throttled (429), as in the vendor's SDKs but with more attempts. The
    delay before retry *n* is uniformly distributed between zero and ``base * 2**(n-1)``, up to
    ``cap`` ("full jitter":
    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/), and is
    never less than the server's ``Retry-After``.

    Batch items have more retries, because a retry budget for the whole client limits the number of
    retries per second.

    Attributes:
        max_retries: Maximum number of retries of a call; 0 disables retries.
        max_batch_retries: Maximum number of retries of a batch item; ``None`` for three times
            ``max_retries``. With 30 % transient faults, 1 in 400 calls fails after 4 retries, and
            1 in 6 million after 12 retries.
        base: Maximum delay before the first retry, in seconds.
        cap: Maximum delay before any retry, in seconds, without a ``Retry-After``.
        max_retry_after: Maximum ``Retry-After`` to wait for, in seconds. A longer one ends the
            call, except for a batch item if the deadline of the batch allows the delay.
    """

    max_retries: int = attrs.field(default=4, validator=_count("retry.max_retries", least=0))
    max_batch_retries: int | None = attrs.field(
        default=None,
        kw_only=True,
        validator=attrs.validators.optional(_count("retry.max_batch_retries", least=0)),
    )
    base: float = attrs.field(default=0.5, validator=_seconds("retry.base"))
    cap: float = attrs.field(default=8.0, validator=_seconds("retry.cap"))
    max_retry_after: float = attrs.field(default=120.0, validator=_seconds("retry.max_retry_after"))

    def is_too_long(self, retry_after: float) -> bool:
        """Return whether a ``Retry-After``, in seconds, is too long to wait for."""
        return retry_after > self.max_retry_after

    def most(self, *, in_batch: bool) -> int:
        """Return the maximum number of retries."""
        if not in_batch:
            return self.max_retries
        return 3 * self.max_retries if self.max_batch_retries is None else self.max_batch_retries


@attrs.frozen(eq=False, repr=False)
class ConfirmPolicy(Value):
    """Policy for resolving a lost response to a pause or an activation.

    The number is read back after ``settle`` seconds, and then at intervals that grow by
    ``factor``, at most ``reads`` times. If the number is unchanged after the last read, the action
    is sent once more, and the number is read back again.

    Attributes:
        settle: Delay before the first read, in seconds, during which the API can finish
            processing the action.
        factor: Factor by which each interval is longer than the previous one.
        reads: Maximum number of reads after each of the two requests.

    Example:
        >>> ConfirmPolicy().delays
        (0.5, 1.0, 2.0, 4.0)
    """

    settle: float = attrs.field(default=0.5, validator=_seconds("confirm.settle"))
    factor: float = attrs.field(default=2.0, validator=_seconds("confirm.factor", above=0))
    reads: int = attrs.field(default=4, validator=_count("confirm.reads", least=1))

    @property
    def delays(self) -> tuple[float, ...]:
        """The delay before each read, in seconds."""
        return tuple(self.settle * self.factor**number for number in range(self.reads))


def check_on_unknown(value: object) -> OnUnknown:
    """Return the value if it is ``"confirm"`` or ``"report"``.

    Raises:
        ConfigurationError: The value is neither.
    """
    choice: OnUnknown = check_choice("on_unknown", value, ("confirm", "report"), ConfigurationError)
    return choice


def tls_context(
    ssl_context: ssl.SSLContext | None, ca_bundle: str | os.PathLike[str] | None
) -> ssl.SSLContext | None:
    """Return the TLS context for API requests, or ``None`` for the system's default.

    Raises:
        ConfigurationError: The context disables verification, or the bundle cannot be read.
    """
    if ssl_context is not None and ca_bundle is not None:
        raise ConfigurationError("ssl_context and ca_bundle exclude each other: pass one of them")
    if ca_bundle == "":
        raise ConfigurationError(
            "ca_bundle must not be empty: leave it out for the system's certificates"
        )
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
            "ssl_context must verify certificate and host name, or the key would go to any server"
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
    # These messages do not show the value: user info may be a secret.
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
    """Validated settings of one client."""

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

    def __deepcopy__(self, memo: object) -> Self:
        return self  # frozen, and a TLS context cannot be copied

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
        """Validate the arguments, falling back to environment variables and then defaults.

        Raises:
            ConfigurationError: A setting is invalid.
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
            max_concurrency=_check_int("max_concurrency", max_concurrency, least=1),
            max_rate=None if max_rate is None else _check_number("max_rate", max_rate, above=0),
            timeouts=timeout if isinstance(timeout, Timeouts) else Timeouts(attempt=timeout),
            retry=retry or RetryPolicy(),
            confirm=confirm or ConfirmPolicy(),
            on_unknown=check_on_unknown(on_unknown),
            proxy=_proxy(proxy),
            user_agent=_user_agent(user_agent),
            ssl_context=tls_context(ssl_context, ca_bundle),
        )
