"""What an exception proves: that nothing was sent, or nothing at all."""

import errno
import os
import ssl
from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from nrm_async._transport.progress import Progress
from nrm_async._transport.scrub import Scrubber
from nrm_async._wire import Request, printable
from nrm_async.errors import ClientTimeoutError, NotSentError, NRMError, TransportError


def fault_of(error: Exception, request: Request, progress: Progress, scrub: Scrubber) -> NRMError:
    """The error to hand on for an exchange that ended in this exception."""
    flight = progress.flight
    seen = printable(scrub.text(_describe(error)), 300)
    if isinstance(error, _NOT_SENT) or not flight.is_exposed:
        flight.is_exposed = False
        fault: TransportError = _not_sent(error, seen)
    elif isinstance(error, TimeoutError) and request.repeatable:
        fault = ClientTimeoutError(f"no complete answer in time: {seen}")
    else:
        after = (
            "" if progress.status is None else f" after the headers of an HTTP {progress.status}"
        )
        fault = TransportError(f"no usable answer{after}: {seen}")
    fault.seen, fault.status = type(error).__name__, progress.status
    return fault


def _not_sent(error: Exception, seen: str) -> NotSentError:
    fault = NotSentError(f"the request was not sent: {seen}")
    fault.permanent = isinstance(error, _NO_USE_TRYING_AGAIN)
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    fault.starved = isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE)
    return fault


# Only these prove that no byte of the request left. Note the relations: ClientConnectorError is
# a ClientOSError, which proves nothing, and ConnectionTimeoutError shares its base with
# SocketTimeoutError, which comes after sending.
_NOT_SENT: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)

_NO_USE_TRYING_AGAIN: Final = (
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
)


def _describe(error: Exception) -> str:
    """Name what was seen, by ``str``: the ``repr`` of many of them holds the headers."""
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"{name} for {error.host}:{error.port}: {_describe(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{name} to {error.host}:{error.port}: {_describe(error.os_error)}"
    if isinstance(error, ssl.SSLError):
        return f"{name}: {getattr(error, 'verify_message', '') or error.reason or 'TLS failed'}"
    if isinstance(error, aiohttp.ClientResponseError):  # its text has the URL, a proxy's too
        return f"{name}: {error.status} {error.message}"
    if isinstance(error, HttpProcessingError):
        return f"{name}: {error.code} {error.message}"
    if isinstance(error, aiohttp.InvalidURL):
        return name
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: {error.strerror or os.strerror(error.errno)}"
    return f"{name}: {error}" if str(error) else name
