"""Actions on many numbers: a result for each of them."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Unpack

from nrm_async import batch
from nrm_async._flight import Flight
from nrm_async._inputs import (
    ActionInputs,
    AniInputs,
    check_inputs,
    check_on_result,
    given_action,
    preparer,
)
from nrm_async.actions import Action, ActionDate, Activate, Pause, Remediate
from nrm_async.batch import BatchKeywords, BatchOptions, OnResult, check_keywords
from nrm_async.client.base import ClientBase, at_least_one
from nrm_async.results import BatchReport, CallResult


class Batches(ClientBase):
    """The part of a client that acts on many numbers."""

    async def pause_many(
        self,
        anis: AniInputs,
        *,
        carrier: str | None = None,
        note: str | None = None,
        date: ActionDate | None = None,
        concurrency: int | None = None,
        on_result: OnResult | None = None,
        **more: Unpack[BatchKeywords],
    ) -> BatchReport:
        """Pause many numbers; one result for each input, in input order.

        Args:
            anis: Numbers, ``Ani`` values, ``Pause`` actions, or results to run again: an
                iterable or async iterable, read lazily.
            carrier: Six-digit carrier id, for inputs that are no actions.
            note: Free text, for inputs that are no actions.
            date: When, as in ``pause``, for inputs that are no actions.
            concurrency: Most tasks at once; ``None`` takes the client's ``max_concurrency``,
                which stays the ceiling in any case.
            on_result: Called with each result as it comes, plain or async. If it raises, the
                batch goes on and the first error is raised at the end.
            more: ``on_unknown``, ``deadline``, ``max_refused`` and ``recorder``: see
                ``BatchKeywords``.

        Returns:
            A report that never hides an item: bad inputs and refusals are results too. After
            an invalid key, an invalid certificate or a redirect nothing more is sent, and the
            items that were not begun are ``NOT_APPLIED`` with a ``BatchStoppedError``.

        Raises:
            InvalidRequestError: An option breaks its rule; nothing was sent.

        What the iterable itself raises is raised at the end. Whatever ends a batch early
        carries the results so far as its ``report`` attribute.

        Example::

            report = await client.pause_many(["2345678901", "(234) 567-8902"])
            for result in report.failed:
                print(result.ani, result.outcome, result.error)
        """
        prepare = preparer(Pause, carrier=carrier, note=note, date=date)
        return await self._run(anis, prepare, concurrency, on_result, more)

    async def activate_many(
        self,
        anis: AniInputs,
        *,
        date: ActionDate,
        carrier: str | None = None,
        note: str | None = None,
        concurrency: int | None = None,
        on_result: OnResult | None = None,
        **more: Unpack[BatchKeywords],
    ) -> BatchReport:
        """Activate many numbers; as ``pause_many``, and always with a date.

        Example::

            report = await client.activate_many(["2345678901"], date="2026-05-27")
            print(report.counts)
        """
        prepare = preparer(Activate, carrier=carrier, note=note, date=date)
        return await self._run(anis, prepare, concurrency, on_result, more)

    async def remediate_many(
        self,
        anis: AniInputs,
        *,
        carrier: str | None = None,
        note: str | None = None,
        concurrency: int | None = None,
        on_result: OnResult | None = None,
        **more: Unpack[BatchKeywords],
    ) -> BatchReport:
        """Ask for remediation of many numbers; as ``pause_many``, without a date.

        Example::

            report = await client.remediate_many(["2345678901"], note="Spam tag identified")
            print(report.counts)
        """
        prepare = preparer(Remediate, carrier=carrier, note=note)
        return await self._run(anis, prepare, concurrency, on_result, more)

    async def run_batch(
        self,
        actions: ActionInputs,
        *,
        concurrency: int | None = None,
        on_result: OnResult | None = None,
        **more: Unpack[BatchKeywords],
    ) -> BatchReport:
        """Run mixed actions; as ``pause_many``. Failed results may be given to run again.

        Example::

            report = await client.run_batch([Pause("2345678901"), Remediate("2345678902")])
            report = await client.run_batch(report.retryable)
        """
        return await self._run(actions, given_action, concurrency, on_result, more)

    def stream_batch(
        self,
        actions: ActionInputs,
        *,
        concurrency: int | None = None,
        ordered: bool = False,
        **more: Unpack[BatchKeywords],
    ) -> AbstractAsyncContextManager[AsyncIterator[CallResult]]:
        """Run mixed actions and take their results as they come, in flat memory.

        Args:
            actions: Actions, or results to run again: an iterable or async iterable, read
                lazily, at most 1,000 ahead of the results taken.
            concurrency: Most tasks at once; ``None`` takes the client's ``max_concurrency``.
            ordered: Give results out in input order instead of as they complete.
            more: As in ``pause_many``.

        Returns:
            An async context manager around an async iterator of results. Leaving it stops the
            batch: what is in flight is cancelled, and its results can still be iterated.

        Raises:
            InvalidRequestError: An option breaks its rule; nothing was sent.

        What the iterable itself raises is raised after the results of what came before.

        Example::

            async with client.stream_batch([Pause("2345678901")], ordered=True) as results:
                async for result in results:
                    print(result.index, result.ani, result.outcome)
        """
        check_inputs(actions)
        options = self._options(concurrency, more, ordered=ordered)
        self._session.check_open()
        return batch.stream(actions, given_action, self._call(more), options)

    async def _run(
        self,
        inputs: AniInputs | ActionInputs,
        prepare: batch.Prepare,
        concurrency: int | None,
        on_result: OnResult | None,
        more: BatchKeywords,
    ) -> BatchReport:
        check_inputs(inputs)
        check_on_result(on_result)
        options = self._options(concurrency, more)
        self._session.network()
        return await batch.run(inputs, prepare, self._call(more), options, on_result)

    def _options(
        self, concurrency: int | None, more: BatchKeywords, *, ordered: bool = False
    ) -> BatchOptions:
        check_keywords(more)
        most = self._settings.max_concurrency
        return BatchOptions(
            min(at_least_one("concurrency", concurrency, most), most),
            ordered,
            more.get("deadline"),
            more.get("max_refused"),
            more.get("recorder"),
            self._settings.retry.max_retry_after,
            self._watch(),
        )

    def _watch(self) -> batch.Watch:
        session = self._session
        return batch.Watch(session.next_batch(), session.events, session.tally.outcomes)

    def _call(self, more: BatchKeywords) -> batch.Call:
        """What a batch carries its items out with."""
        how = self._on_unknown(more.get("on_unknown"))
        if self._settings.timeouts.call is None:
            return partial(self._calls.perform, on_unknown=how)

        def call(index: int, item: object, action: Action, flight: Flight) -> Awaitable[CallResult]:
            limit = self._deadline()
            if limit is not None:
                flight.deadline = limit if flight.deadline is None else min(limit, flight.deadline)
            return self._calls.perform(index, item, action, flight, how)

        return call
