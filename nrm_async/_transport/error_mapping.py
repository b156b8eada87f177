"""Map aiohttp's exceptions to errors of this package."""

import errno
import os
import ssl
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from nrm_async._context import CallContext
from nrm_async._transport.compat import is_refused_by_recorder
from nrm_async._transport.redact import Redactor
from nrm_async._validation import printable
from nrm_async._wire import Request
from nrm_async.errors import ClientTimeoutError, NotSentError, NRMError, TransportError

# Only these prove that no part of the request was sent. Note the class hierarchy:
# ClientConnectorError is a subclass of ClientOSError, which can also be raised after sending.
# ConnectionTimeoutError has the same base class as SocketTimeoutError, which is raised after
# sending.
_NOT_SENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)

_PERMANENT: Final = (
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
)


def map_error(
    error: Exception, request: Request, context: CallContext, redact: Redactor
) -> NRMError:
    """Return the error for an exception raised while sending the request."""
    seen = printable(redact.text(_describe(error)), 300)
    if isinstance(error, _NOT_SENT) or not context.maybe_sent:
        context.maybe_sent = False
        mapped: TransportError = _not_sent(error, seen)
    elif isinstance(error, TimeoutError) and request.safe:
        mapped = ClientTimeoutError(f"timed out before the response was complete: {seen}")
    else:
        after = "" if context.status is None else f" after the headers of HTTP {context.status}"
        mapped = TransportError(f"no usable response{after}: {seen}")
    mapped.seen, mapped.status = type(error).__name__, context.status
    return mapped


def _not_sent(error: Exception, seen: str) -> NotSentError:
    mapped = NotSentError(f"the request was not sent: {seen}")
    mapped.permanent = isinstance(error, _PERMANENT) or is_refused_by_recorder(error)
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    mapped.out_of_descriptors = isinstance(cause, OSError) and cause.errno in (
        errno.EMFILE,
        errno.ENFILE,
    )
    return mapped


def _describe(error: Exception) -> str:
    """Describe an exception without its ``repr``, which often contains the request headers."""
    details = next((read for kind, read in _DETAILS if isinstance(error, kind)), str)
    text = details(error)
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def _tls_details(error: ssl.SSLError) -> str:
    # Only errors raised by OpenSSL have these attributes.
    reasons = (getattr(error, name, None) for name in ("verify_message", "reason"))
    return next(filter(None, reasons), "TLS failed")


def _os_details(error: OSError) -> str:
    return str(error) if error.errno is None else error.strerror or os.strerror(error.errno)


# How to describe exceptions whose ``str`` contains secrets or too little detail. The first match
# is used, so subclasses must be listed before their base classes.
_DETAILS: Final[tuple[tuple[type[Exception], Callable[[Any], str]], ...]] = (
    (
        aiohttp.ClientConnectorCertificateError,
        lambda error: (
            f"certificate of {error.host}:{error.port}: {_describe(error.certificate_error)}"
        ),
    ),
    (
        aiohttp.ClientConnectorError,
        lambda error: f"connection to {error.host}:{error.port}: {_describe(error.os_error)}",
    ),
    (ssl.SSLError, _tls_details),
    # The ``str`` of these contains the URL, and a proxy URL can contain a password.
    (aiohttp.ClientResponseError, lambda error: f"{error.status} {error.message}"),
    (aiohttp.InvalidURL, lambda _error: ""),
    (HttpProcessingError, lambda error: f"{error.code} {error.message}"),
    (OSError, _os_details),
)
