"""What can go wrong: one tree under one root.

::

    NRMError
    ├── ConfigurationError        a setting breaks a rule (also a ValueError)
    ├── InvalidRequestError       an argument breaks a rule (also a ValueError)
    ├── ClientStateError          the client is closed, or belongs to another event loop
    ├── TransportError            no usable answer came back
    │   ├── NotSentError          ... and the request provably never left
    │   ├── ClientTimeoutError    ... a read ran out of time
    │   └── OutcomeUnknownError   ... and an action may have been applied
    ├── APIError                  the API answered with an error
    │   ├── AuthenticationError   401, 403
    │   ├── RejectedError         it refused the request, in either of its dialects
    │   ├── RateLimitError        429, to the end of all retries
    │   └── ServerError           5xx
    ├── ResponseError             a 2xx whose body breaks the contract
    ├── InventoryDriftError       the inventory changed while it was read
    ├── FileFormatError           a file is not what it should be (also a ValueError)
    ├── BatchStoppedError         the item was not begun, because its batch was stopped
    └── BatchError                raised on request by ``BatchReport.raise_if_failed``

Every error tells the ``method`` and ``path`` of the call, the ``attempts`` made, the seconds
``elapsed`` over all of them, and ``maybe_applied``: whether the action may have taken effect.
No error holds or shows the API key, and none keeps an exception of the HTTP library.
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

# The server did not take the request up and says that it may be sent again:
# RFC 9110, sections 15.5.9 (408) and 15.5.20 (421), RFC 8470, section 5.2 (425).
NOT_TAKEN_UP: Final = frozenset({408, 421, 425})

# Enough of a body to see what answered; an infrastructure page can be megabytes.
_MAX_TEXT = 500


def _text(value: object) -> str | None:
    return None if value is None else str(value)


class NRMError(Exception):
    """The root: ``except NRMError`` catches everything this package raises on purpose.

    Attributes:
        method: HTTP method of the call, or ``None`` if no request was meant.
        path: Path below the base URL, such as ``/pause``.
        attempts: How many times the request was tried; 0 if it never was.
        elapsed: Seconds over all attempts and the waits between them.
        maybe_applied: ``True`` if the action may have taken effect at the API.
        page: Page of the inventory that was asked for, or ``None``.
    """

    method: str | None = None
    path: str | None = None
    attempts: int = 0
    elapsed: float = 0.0
    maybe_applied: bool = False
    page: int | None = None

    @property
    def message(self) -> str:
        """What went wrong, without the call it happened to."""
        return str(self.args[0]) if self.args else type(self).__name__

    def at(self, method: str, path: str, attempts: int, elapsed: float) -> Self:
        """Note which call this ended and what it took; returns the error itself."""
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
    """A setting breaks a rule; nothing was sent. The message names the setting and the rule."""


class InvalidRequestError(NRMError, ValueError):
    """An argument breaks a rule; nothing was sent. The message names the argument and the rule."""


class ClientStateError(NRMError, RuntimeError):
    """The client cannot be used here: it is closed, or it belongs to another event loop."""


class TransportError(NRMError):
    """No usable answer came back; ``message`` says what was seen.

    Attributes:
        seen: Name of the exception that was seen below, if there was one.
        status: HTTP status of the answer whose headers were seen, if there was one.
    """

    seen: str | None = None
    status: int | None = None


class NotSentError(TransportError):
    """The request provably never left this machine: nothing happened, safe to run again.

    Attributes:
        permanent: ``True`` where trying again cannot help, as with an invalid certificate.
        starved: ``True`` where this machine is out of file descriptors.
    """

    permanent: bool = False
    starved: bool = False


class ClientTimeoutError(TransportError):
    """A read was not answered in time. Reads change nothing: safe to run again."""


class OutcomeUnknownError(TransportError):
    """The action may or may not have been applied.

    Attributes:
        status: HTTP status of the answer that proved nothing, if there was one.
        request_id: The answer's ``x-request-id``, if there was one.
    """

    maybe_applied = True

    def __init__(
        self, message: str, status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message, status, request_id)
        self.status = status

    @property
    def request_id(self) -> str | None:
        """The answer's ``x-request-id``, if there was one."""
        return _text(self.args[2])


class APIError(NRMError):
    """The API answered with an error.

    Attributes:
        status: HTTP status code of the answer.
        message: The API's own words.
        request_id: The answer's ``x-request-id``: support asks for it.
        body: The beginning of the answer's text.
    """

    def __init__(
        self, status: int, message: str, request_id: str | None = None, body: str | None = None
    ) -> None:
        super().__init__(status, message, request_id, None if body is None else body[:_MAX_TEXT])
        self.status = status

    @property
    def message(self) -> str:
        """The API's own words."""
        return str(self.args[1])

    @property
    def request_id(self) -> str | None:
        """The answer's ``x-request-id``, if there was one."""
        return _text(self.args[2])

    @property
    def body(self) -> str | None:
        """The beginning of the answer's text."""
        return _text(self.args[3])

    def _headline(self) -> str:
        return f"HTTP {self.status}: {self.message}"


class AuthenticationError(APIError):
    """401 or 403: the key is missing, invalid or of the wrong type. Nothing was applied."""


class RejectedError(APIError):
    """The API refused the request: a rule of its own, or a request it does not take."""


class RateLimitError(APIError):
    """429 to the end of all retries. Nothing was applied.

    Attributes:
        retry_after: Seconds the server asked to wait, or ``None`` if it did not say.
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
        self.args = (*self.args, retry_after)
        self.retry_after = retry_after


class ServerError(APIError):
    """5xx on a read, to the end of all retries."""


class ResponseError(NRMError):
    """A 2xx whose body breaks the contract; the message names the part, as in ``$.data``.

    Attributes:
        request_id: The answer's ``x-request-id``, if it had one.
    """

    def __init__(self, message: str, request_id: str | None = None) -> None:
        super().__init__(message, request_id)

    @property
    def request_id(self) -> str | None:
        """The answer's ``x-request-id``, if it had one."""
        return _text(self.args[1])


class InventoryDriftError(NRMError):
    """The inventory kept changing while it was read, and the caller asked to be told."""


class FileFormatError(NRMError, ValueError):
    """A file cannot be read as what it should be; the message names the file, line and rule."""


class BatchStoppedError(NRMError):
    """The item was not begun, because something had stopped its batch: nothing happened.

    Attributes:
        cause: What stopped it: an invalid key, say, or the batch's deadline.
    """

    def __init__(self, cause: NRMError) -> None:
        super().__init__(cause)
        self.cause = cause

    @property
    def message(self) -> str:
        """What went wrong, without the call it happened to."""
        return f"not begun, the batch was stopped: {self.cause}"


class BatchError(NRMError):
    """Some items of a batch did not succeed.

    Attributes:
        failed: The results that did not, in input order.
    """

    def __init__(self, message: str, failed: Sequence[Any] = ()) -> None:
        super().__init__(message, tuple(failed))
        self.failed = tuple(failed)
