"""Send requests over HTTP. Only this subpackage imports aiohttp's client.

A transport returns a response or an error; it does not raise. The error is ``NotSentError`` if no
part of the request was sent, and ``TransportError`` otherwise. aiohttp's exceptions are never
returned, because their ``repr`` contains the request headers, including the API key.

::

    transport      the Transport protocol, and HTTPTransport, which chooses one of two paths
    direct         the direct path: aiohttp's connections and parser, without its session
    session_path   the session path, for proxies, mocks and sessions passed in by the caller
    compat         decides whether the direct path is safe
    session        creates and closes our own session, and inspects a caller's session
    connector      an aiohttp connector that records whether a request may have been sent
    body           reads a response body, up to a size limit
    error_mapping  maps aiohttp's exceptions to errors of this package
    redact         removes secrets from responses
"""

from nrm_async._transport.session import HTTPSession, verifies_tls
from nrm_async._transport.transport import HTTPTransport, Transport

__all__ = ["HTTPSession", "HTTPTransport", "Transport", "verifies_tls"]
