"""Exceptions raised by this package. All of them derive from ``NRMError``.

::

    NRMError
    ├── ConfigurationError        a setting is invalid (also a ValueError)
    ├── InvalidRequestError       an argument is invalid (also a ValueError)
    ├── ClientStateError          the client is closed, or used in another event loop
    ├── TransportError            no usable response was received
    │   ├── NotSentError          the request was not sent
    │   ├── ClientTimeoutError    a read timed out
    │   └── OutcomeUnknownError   an action may have been applied
    ├── APIError                  the API returned an error
    │   ├── AuthenticationError   401 or 403
    │   ├── RejectedError         the API rejected the request (v1 and v2 formats)
    │   ├── RateLimitError        429, after all retries
    │   │   └── FirewallError     403 from a firewall or proxy, after all retries
    │   └── ServerError           5xx on a read, after all retries
    ├── ResponseError             a 2xx response has an invalid body
    ├── InventoryDriftError       the inventory changed while it was read
    ├── FileFormatError           a file has the wrong format (also a ValueError)
    ├── BatchStoppedError         the batch was stopped before this item started
    └── BatchError                raised by ``BatchReport.raise_if_failed``

Every error has the ``method`` and ``path`` of the call, the number of ``attempts``, the total
seconds ``elapsed``, and ``maybe_applied``: whether the action may have taken effect. No error
contains the API key or an exception from the HTTP library.

Unpickling an error, or loading it from a saved report, calls its class with ``args`` and then sets
its attributes. For this reason, ``args`` contains every constructor argument.
"""

from collections.abc import Sequence
from typing import Any, Final, Self

__all__ = [
    "APIError",
    "AuthenticationError",
    "BatchError",
    "BatchStoppedError",
    "ClientStateError",
    "ClientTimeoutError",
    "ConfigurationError",
    "FileFormatError",
    "FirewallError",
    "InvalidRequestError",
    "InventoryDriftError",
    "NRMError",
    "NotSentError",
    "OutcomeUnknownError",
    "RateLimitError",
    "RejectedError",
    "ResponseError",
    "ServerError",
    "TransportError",
]

# Statuses for which the server did not process the request, and a client may retry it:
# RFC 9110, sections 15.5.9 (408) and 15.5.20 (421), RFC 8470, section 5.2 (425).
NOT_TAKEN_UP: Final = frozenset({408, 421, 425})

# Number of characters of a body to keep. This is enough to recognise the sender, whereas a proxy's
# error page can be megabytes long.
_MAX_BODY: Final = 500


def _text(value: object) -> str | None:
    return None if value is None else str(value)


class NRMError(Exception):
    """Base class of all errors raised by this package.

    Attributes:
        method: HTTP method of the call, or ``None`` for an error outside a call.
        path: Path below the base URL, such as ``/pause``.
        attempts: Number of attempts; 0 if nothing was sent.
        elapsed: Total seconds, including the delays between attempts.
        maybe_applied: ``True`` if the action may have taken effect.
        page: Page number of the requested inventory page, or ``None``.
    """

    method: str | None = None
    path: str | None = None
    attempts: int = 0
    elapsed: float = 0.0
    maybe_applied: bool = False
    page: int | None = None

    @property
    def message(self) -> str:
        """The description of the problem, without the method, path and attempts."""
        return str(self.args[0]) if self.args else type(self).__name__

    def at(self, method: str, path: str, attempts: int, elapsed: float) -> Self:
        """Set the method, path, attempts and elapsed time of the failed call; return ``self``."""
        self.method, self.path = method, path
        self.attempts, self.elapsed = attempts, elapsed
        return self

    def _headline(self) -> str:
        return self.message

    def __str__(self) -> str:
        if self.path is None:
            return self._headline()
        tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        where = self.path if self.page is None else f"{self.path} page {self.page}"
        return f"{self.method} {where}: {self._headline()} ({tries}, {self.elapsed:.2f} s)"


class ConfigurationError(NRMError, ValueError):
    """A setting is invalid. Nothing was sent; the message describes which setting and why."""


class InvalidRequestError(NRMError, ValueError):
    """An argument is invalid. Nothing was sent; the message describes which argument and why."""


class ClientStateError(NRMError, RuntimeError):
    """The client is closed, or was used in a different event loop or process."""


class TransportError(NRMError):
    """No usable response was received.

    Attributes:
        seen: Class name of the underlying exception, if there was one.
        status: HTTP status code, if response headers were received.
    """

    seen: str | None = None
    status: int | None = None


class NotSentError(TransportError):
    """The request was not sent, so nothing was applied and it is safe to retry.

    Attributes:
        permanent: ``True`` if a retry cannot succeed, for example with an invalid certificate.
        out_of_descriptors: ``True`` if this process ran out of file descriptors.
    """

    permanent: bool = False
    out_of_descriptors: bool = False

    @property
    def starved(self) -> bool:
        """Alias of ``out_of_descriptors``, for backwards compatibility."""
        return self.out_of_descriptors

    @starved.setter
    def starved(self, value: bool) -> None:
        self.out_of_descriptors = value


class ClientTimeoutError(TransportError):
    """A read timed out. Reads do not change anything, so it is safe to retry."""


class OutcomeUnknownError(TransportError):
    """The action may or may not have been applied.

    Attributes:
        status: HTTP status code of the inconclusive response, if there was one.
        request_id: The ``x-request-id`` header of the response, if there was one.
    """

    maybe_applied = True

    def __init__(
        self, message: str, status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message, status, request_id)
        self.status = status

    @property
    def request_id(self) -> str | None:
        """The ``x-request-id`` header of the response, if there was one."""
        _message, _status, request_id, *_ = self.args
        return _text(request_id)


class APIError(NRMError):
    """The API returned an error.

    Attributes:
        status: HTTP status code of the response.
        message: The error message from the response.
        request_id: The ``x-request-id`` header of the response, to quote to support.
        body: The first 500 characters of the response body.
    """

    def __init__(
        self, status: int, message: str, request_id: str | None = None, body: str | None = None
    ) -> None:
        super().__init__(status, message, request_id, None if body is None else body[:_MAX_BODY])
        self.status = status

    @property
    def message(self) -> str:
        """The error message from the response."""
        _status, message, *_ = self.args
        return str(message)

    @property
    def request_id(self) -> str | None:
        """The ``x-request-id`` header of the response, if there was one."""
        _status, _message, request_id, *_ = self.args
        return _text(request_id)

    @property
    def body(self) -> str | None:
        """The first 500 characters of the response body, if there was one."""
        _status, _message, _request_id, body, *_ = self.args
        return _text(body)

    def _headline(self) -> str:
        return f"HTTP {self.status}: {self.message}"


class AuthenticationError(APIError):
    """401 or 403: the API key is missing, invalid or of the wrong type. Nothing was applied."""


class RejectedError(APIError):
    """The API rejected the request, because it is malformed or the API's rules do not allow it."""


class RateLimitError(APIError):
    """429 after all retries. Nothing was applied.

    Attributes:
        retry_after: Seconds to wait, from the ``Retry-After`` header, or ``None``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        request_id: str | None = None,
        body: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, message, request_id, body)
        self.args += (retry_after,)  # pickle calls the class with ``args``
        self.retry_after = retry_after


class FirewallError(RateLimitError):
    """403 with a web page as its body, after all retries. Nothing was applied.

    A firewall, proxy or CDN blocked the request before it reached the API, so the API key may be
    valid. Such blocks are usually temporary, so the client retries them like a 429. It is safe to
    retry later.
    """


class ServerError(APIError):
    """5xx on a read, after all retries."""


class ResponseError(NRMError):
    """A 2xx response has an invalid body. The message contains the path, such as ``$.data``.

    Attributes:
        request_id: The ``x-request-id`` header of the response, if there was one.
    """

    def __init__(self, message: str, request_id: str | None = None) -> None:
        super().__init__(message, request_id)

    @property
    def request_id(self) -> str | None:
        """The ``x-request-id`` header of the response, if there was one."""
        _message, request_id, *_ = self.args
        return _text(request_id)


class InventoryDriftError(NRMError):
    """The inventory kept changing while it was read. Only raised if the caller requests it."""


class FileFormatError(NRMError, ValueError):
    """A file has the wrong format. The message contains the file name, line and problem."""


class BatchStoppedError(NRMError):
    """The batch was stopped before this item started. Nothing was applied.

    Attributes:
        cause: The error that stopped the batch, such as an invalid API key or a missed deadline.
    """

    def __init__(self, cause: NRMError) -> None:
        super().__init__(cause)
        self.cause = cause

    @property
    def message(self) -> str:
        """The description of the problem, without the method, path and attempts."""
        return f"not started because the batch was stopped: {self.cause}"


class BatchError(NRMError):
    """At least one batch item failed.

    Attributes:
        failed: The failed results, in input order.
    """

    def __init__(self, message: str, failed: Sequence[Any] = ()) -> None:
        super().__init__(message, tuple(failed))
        self.failed = tuple(failed)
