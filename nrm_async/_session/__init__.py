"""One client's life, and the loop that every request goes through: admit → send → read → decide.

A request and a function that reads its answer go in; a value, or the error it ended in, comes
out, with what it took. The network is opened by the first request, for the event loop that
runs it, and closed once.

::

    state         where a client is in its life, and the words for being in the wrong place
    network       what exists only inside an event loop: limits, locks, the transport
    lifecycle     opening, closing, the tasks that must not outlive the client, statistics
    conversation  the loop
"""

from nrm_async._session.conversation import Session
from nrm_async._session.network import Network
from nrm_async._session.state import TOO_LATE, ClientState

__all__ = ["TOO_LATE", "ClientState", "Network", "Session"]
