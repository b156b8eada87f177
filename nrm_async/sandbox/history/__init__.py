"""The history ("books"): all requests and applied actions, and assertions on them.

::

    history     Books: a thread-safe record of requests and applied actions
    columns     storage of that record in arrays
    assertions  assertions with detailed failure messages
"""

from nrm_async.sandbox.history.assertions import Assertions
from nrm_async.sandbox.history.columns import AppliedAction, Ending, RequestEntry, Seen
from nrm_async.sandbox.history.history import Books, OpenRequest

__all__ = [
    "AppliedAction",
    "Assertions",
    "Books",
    "Ending",
    "OpenRequest",
    "RequestEntry",
    "Seen",
]
