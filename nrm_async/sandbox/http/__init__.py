"""The sandbox over HTTP.

::

    server   a port, its connections, and errors in the API's own style
    visits   one request to the API, from its arrival to its end
    faulty   how each fault looks on the wire
    control  what is not NRM: health, books, faults, clock, switches
    asked    what a call to that asks for
    thread   a loop in a thread, for those without one
"""

from nrm_async.sandbox.http.control import PREFIXES, Control
from nrm_async.sandbox.http.server import Server
from nrm_async.sandbox.http.thread import LoopThread
from nrm_async.sandbox.http.visits import Visits

__all__ = ["PREFIXES", "Control", "LoopThread", "Server", "Visits"]
