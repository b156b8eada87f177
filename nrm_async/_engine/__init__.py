"""Request engine: send requests with retries, and execute actions.

::

    runtime          lifecycle, tasks, statistics, and objects bound to the event loop
    pipeline         request loop: admit, send, read, decide
    retry            pure decision on whether and when to retry
    actions          execution of one action: lock its number, send it, create its result;
                     StateCache, the last known state of each number
    reconciler       resolution of an action whose response was lost
    instrumentation  call events and outcome counts
"""

from nrm_async._engine.actions import ActionExecutor
from nrm_async._engine.instrumentation import Instrumentation
from nrm_async._engine.pipeline import RequestPipeline
from nrm_async._engine.runtime import ClientState, Runtime

__all__ = ["ActionExecutor", "ClientState", "Instrumentation", "RequestPipeline", "Runtime"]
