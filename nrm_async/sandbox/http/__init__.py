"""The sandbox's HTTP server.

::

    server       the server, its connections, and error responses in the API's format
    api_handler  API requests and fault responses
    control      control endpoints: health, history, faults, clock and switches
"""

from nrm_async.sandbox.http.api_handler import ApiHandler
from nrm_async.sandbox.http.control import PREFIXES, Control
from nrm_async.sandbox.http.server import LoopThread, Server

__all__ = ["PREFIXES", "ApiHandler", "Control", "LoopThread", "Server"]
