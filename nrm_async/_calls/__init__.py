"""The two kinds of call: a page that is read, and an action that is carried out.

A page is one conversation. An action is one conversation too, as long as its answer comes; it
holds its number meanwhile, so that no other action on the number comes in between. If the
answer is lost, the truth is looked for before the number is let go.

::

    calls  both kinds, from the request to what became of it
    known  whether numbers are in service, as far as this client's own actions tell
    told   the events that a call begins and ends with, and what is counted
"""

from nrm_async._calls.calls import Calls

__all__ = ["Calls"]
