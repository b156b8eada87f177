"""The API, independent of the HTTP server.

::

    parsing    parsing and validation of queries and bodies
    endpoints  authorization and the four endpoints
    replies    success and error replies, and the switches that change their format
    openapi    the OpenAPI document served at /openapi.json
"""

from nrm_async.sandbox.api.endpoints import BASE_PATH, PATHS, Endpoints
from nrm_async.sandbox.api.parsing import RequestError
from nrm_async.sandbox.api.replies import Reply, Switches, error_reply

__all__ = [
    "BASE_PATH",
    "PATHS",
    "Endpoints",
    "Reply",
    "RequestError",
    "Switches",
    "error_reply",
]
