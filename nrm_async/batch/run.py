"""A batch from beginning to end: streamed, or run into a report."""

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nrm_async.batch.crew import Crew
from nrm_async.batch.options import BatchOptions, Call, Inputs, OnResult, Prepare
from nrm_async.batch.outbox import Outbox
from nrm_async.results import BatchReport, CallResult


@asynccontextmanager
async def stream(
    inputs: Inputs, prepare: Prepare, call: Call, options: BatchOptions
) -> AsyncIterator[Outbox]:
    """Run the workers while the caller takes results; stop them when the caller leaves.

    What is in flight then is cancelled and decided; the results stay in the ``Outbox``.
    """
    crew = Crew(inputs, prepare, call, options)
    options.watch.begin(inputs)
    workers = [asyncio.create_task(crew.work()) for _ in range(options.concurrency)]
    for worker in workers:
        crew.outbox.expect(worker)
    try:
        yield crew.outbox
    finally:
        crew.outbox.stop()
        for worker in workers:
            worker.cancel()
        try:
            await asyncio.gather(*workers, return_exceptions=True)
        finally:  # cancelled once more, it is over all the same
            crew.outbox.close()
            options.watch.end()


async def run(
    inputs: Inputs,
    prepare: Prepare,
    call: Call,
    options: BatchOptions,
    on_result: OnResult | None = None,
) -> BatchReport:
    """Run all inputs to their end.

    Raises:
        Exception: What the inputs raised, or what ``on_result`` raised first, after all results
            are in. Whatever ends the batch, its ``report`` attribute is a ``BatchReport`` of
            the results so far.
    """
    started = asyncio.get_running_loop().time()
    results: list[CallResult] = []
    callback = _Callback(on_result)
    outbox = None
    try:
        async with stream(inputs, prepare, call, options) as outbox:
            async for result in outbox:
                results.append(result)
                await callback(result)
        callback.raise_if_failed()
    except BaseException as error:
        callback.mention(error)
        rest = outbox.rest() if outbox is not None else ()
        _attach(error, _report([*results, *rest], started))
        raise
    return _report(results, started)


class _Callback:
    """The caller's ``on_result``: one that fails does not stop the batch."""

    def __init__(self, on_result: OnResult | None) -> None:
        self._on_result = on_result
        self._error: Exception | None = None

    async def __call__(self, result: CallResult) -> None:
        if self._on_result is None:
            return
        try:
            answer = self._on_result(result)
            if inspect.isawaitable(answer):
                await answer
        except Exception as error:  # noqa: BLE001 - the caller's own, raised when all is done
            self._error = self._error or error

    def raise_if_failed(self) -> None:
        if self._error is not None:
            raise self._error

    def mention(self, error: BaseException) -> None:
        """Do not let it go under where something else ended the batch."""
        if self._error is not None and self._error is not error:
            error.add_note(f"on_result had failed too: {self._error!r}")


def _report(results: list[CallResult], started: float) -> BatchReport:
    ordered = sorted(results, key=lambda result: result.index)
    return BatchReport(tuple(ordered), elapsed=asyncio.get_running_loop().time() - started)


def _attach(error: BaseException, report: BatchReport) -> None:
    with contextlib.suppress(AttributeError):  # exceptions with slots have no room for it
        error.report = report  # type: ignore[attr-defined]
