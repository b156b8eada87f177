"""Run a batch and stream its results or return a report."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import attrgetter

from nrm_async.batch.options import BatchOptions, Call, Inputs, OnResult, ToAction
from nrm_async.batch.result_queue import ResultQueue
from nrm_async.batch.workers import WorkerPool
from nrm_async.results import BatchReport, CallResult


@asynccontextmanager
async def stream(
    inputs: Inputs, to_action: ToAction, call: Call, options: BatchOptions
) -> AsyncIterator[ResultQueue]:
    """Run the workers within the context; cancel them when it is left.

    The results of cancelled items remain in the queue and can still be iterated.
    """
    pool = WorkerPool(inputs, to_action, call, options)
    options.progress.start(inputs)
    pool.start()
    try:
        yield pool.results
    finally:
        try:
            await pool.aclose()
        finally:
            options.progress.finish()


async def run(
    inputs: Inputs,
    to_action: ToAction,
    call: Call,
    options: BatchOptions,
    on_result: OnResult | None = None,
) -> BatchReport:
    """Run all inputs, and return a report.

    Raises:
        Exception: The exception raised by the inputs, or the first one raised by ``on_result``,
            which does not stop the batch. The ``report`` attribute of every raised exception is a
            ``BatchReport`` of the results so far.
    """
    started = asyncio.get_running_loop().time()
    results: list[CallResult] = []
    queue: ResultQueue | None = None
    callback_error: Exception | None = None
    try:
        async with stream(inputs, to_action, call, options) as queue:
            async for result in queue:
                results.append(result)
                if on_result is not None:
                    raised = await _call_back(on_result, result)
                    callback_error = raised if callback_error is None else callback_error
    except BaseException as error:
        if callback_error is not None:
            error.add_note(f"on_result had failed too: {callback_error!r}")
        if queue is not None:
            results += queue.drain()
        _attach(error, _report(results, started))
        raise
    report = _report(results, started)
    if callback_error is not None:
        _attach(callback_error, report)
        raise callback_error
    return report


async def _call_back(on_result: OnResult, result: CallResult) -> Exception | None:
    try:
        returned = on_result(result)
        if inspect.isawaitable(returned):
            await returned
    except Exception as error:  # noqa: BLE001 - user code; raised after the results
        return error
    return None


def _report(results: list[CallResult], started: float) -> BatchReport:
    ordered = sorted(results, key=attrgetter("index"))
    return BatchReport(tuple(ordered), elapsed=asyncio.get_running_loop().time() - started)


def _attach(error: BaseException, report: BatchReport) -> None:
    with contextlib.suppress(AttributeError):  # exceptions with slots may not accept it
        error.report = report  # type: ignore[attr-defined]
