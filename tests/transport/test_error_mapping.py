"""The mapping of aiohttp's exceptions: what is proved, and a description without secrets."""

import errno
import ssl
from unittest import mock

import aiohttp
import pytest
from aiohttp.http_exceptions import BadHttpMessage

from nrm_async._context import CallContext
from nrm_async._transport import HTTPTransport, Transport
from nrm_async._transport.error_mapping import map_error
from nrm_async._transport.redact import Redactor
from nrm_async._wire import Request
from nrm_async.config import ApiKey, Settings
from nrm_async.errors import ClientTimeoutError, NotSentError, NRMError, TransportError

KEY = "a-secret-key-of-the-tests"
POST = Request("POST", "/pause", body=b"{}")
GET = Request("GET", "/anis")
REFUSED = OSError(errno.ECONNREFUSED, "Connection refused")
HOST = mock.Mock(host="api.test", port=443, ssl=True)
INFO = mock.Mock(real_url=f"http://user:{KEY}@proxy.test", method="POST", headers={})


@pytest.fixture
def redact() -> Redactor:
    """A redactor of the key."""
    key = ApiKey.take(KEY)
    assert isinstance(key, ApiKey)
    return Redactor(mock.Mock(spec=Settings, api_key=key, proxy=None))


def mapped(error: Exception, redact: Redactor, request: Request = POST) -> NRMError:
    """Map an exception that ended a request which may have been sent."""
    return map_error(error, request, CallContext(maybe_sent=True), redact)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            aiohttp.ClientConnectorError(HOST, REFUSED),
            "ClientConnectorError: connection to api.test:443: ConnectionRefusedError: "
            "Connection refused",
        ),
        (
            aiohttp.ClientConnectorCertificateError(HOST, ssl.CertificateError("expired")),
            "ClientConnectorCertificateError: certificate of api.test:443: "
            "SSLCertVerificationError: TLS failed",
        ),
        (aiohttp.InvalidURL(f"http://{KEY}"), "InvalidURL"),
        (aiohttp.ConnectionTimeoutError("connect"), "ConnectionTimeoutError: connect"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exception_that_proves_not_sent(error: Exception, text: str, redact: Redactor) -> None:
    """These exceptions prove that nothing was sent, whatever the context says."""
    result = mapped(error, redact)
    assert type(result) is NotSentError
    assert result.message.startswith(f"the request was not sent: {text}")
    assert KEY not in str(result)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (aiohttp.ClientOSError(errno.ECONNRESET, "reset"), "ClientOSError: reset"),
        (aiohttp.ServerDisconnectedError(), "ServerDisconnectedError: Server disconnected"),
        (aiohttp.ClientResponseError(INFO, (), status=502, message="no"), "502 no"),
        (BadHttpMessage("Bad status line"), "BadHttpMessage: 400 Bad status line"),
        (ValueError(f"unexpected {KEY}"), "ValueError: unexpected ***"),
        (ValueError(), "ValueError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exception_that_proves_nothing(error: Exception, text: str, redact: Redactor) -> None:
    """After the first byte may have left, other exceptions prove nothing."""
    result = mapped(error, redact)
    assert type(result) is TransportError
    assert text in result.message
    assert result.seen == type(error).__name__
    assert KEY not in str(result)


def test_timeout_of_a_read(redact: Redactor) -> None:
    """A timeout is a ``ClientTimeoutError`` for a read only."""
    assert type(mapped(TimeoutError(), redact, GET)) is ClientTimeoutError
    assert type(mapped(TimeoutError(), redact, POST)) is TransportError


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_out_of_descriptors(number: int, redact: Redactor) -> None:
    """Running out of file descriptors is marked, so that fewer connections are opened."""
    result = mapped(aiohttp.ClientConnectorError(HOST, OSError(number, "too many")), redact)
    assert isinstance(result, NotSentError)
    assert result.out_of_descriptors


def test_http_transport_implements_the_protocol() -> None:
    """``HTTPTransport`` implements the protocol for custom transports; mypy checks it."""
    implementation: type[Transport] = HTTPTransport
    assert implementation is HTTPTransport
