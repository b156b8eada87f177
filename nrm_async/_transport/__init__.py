"""One exchange over HTTP, and the only place that touches aiohttp's client.

A request goes in; an answer, or an error *as a value*, comes out. The error says what can be
proved: ``NotSentError`` if no byte of the request left, ``TransportError`` otherwise. No aiohttp
exception gets out of here, because their ``repr`` holds the headers, and so the key.

::

    transport   sends a request, on one of two paths, and says what became of it
    direct      the direct path: aiohttp's connections and parser, without its session
    support     whether the direct path may be taken
    exchange    one exchange on one connection, on the direct path
    by_session  the path through aiohttp's session: one that was lent, a proxy, a mock
    session     how a session of our own is made and dropped, and whether another's is safe
    connector   aiohttp's connector, which knows the moment before anything was sent
    progress    what is known of an exchange while it is under way
    body        an answer's body, read to its end, but not without end
    faults      what an exception proves
    scrub       secrets taken out of what comes back
"""

from nrm_async._transport.session import HTTPSession, verifies_tls
from nrm_async._transport.transport import Transport

__all__ = ["HTTPSession", "Transport", "verifies_tls"]
