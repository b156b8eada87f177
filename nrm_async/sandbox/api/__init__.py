"""The API itself, without HTTP: requests are read, judged and worded here.

::

    parsing    queries and bodies to well-formed requests, or to an error
    endpoints  who is let in, and what each of the four endpoints does
    switches   what may be worded otherwise
    wording    answers and errors as the API writes them
    openapi    the description served at /openapi.json
"""

from nrm_async.sandbox.api.endpoints import BASE_PATH, PATHS, Call, Endpoints
from nrm_async.sandbox.api.parsing import RequestError
from nrm_async.sandbox.api.switches import Switches
from nrm_async.sandbox.api.wording import Reply, error_reply

__all__ = [
    "BASE_PATH",
    "PATHS",
    "Call",
    "Endpoints",
    "Reply",
    "RequestError",
    "Switches",
    "error_reply",
]
