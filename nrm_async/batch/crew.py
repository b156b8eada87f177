"""The workers of a batch: each takes an input, and hands in exactly one result for it."""

import asyncio

from nrm_async._flight import Flight
from nrm_async.actions import Action
from nrm_async.batch.brake import Brake
from nrm_async.batch.options import BatchOptions, Call, Inputs, Prepare, Recorder
from nrm_async.batch.outbox import Outbox
from nrm_async.batch.source import Source
from nrm_async.errors import InvalidRequestError, NotSentError, NRMError, OutcomeUnknownError
from nrm_async.results import CallResult, Failed, Outcome, outcome_of


class Crew:
    """The workers of one batch, and what they share."""

    def __init__(self, inputs: Inputs, prepare: Prepare, call: Call, options: BatchOptions) -> None:
        self._clock = asyncio.get_running_loop().time
        self._prepare = prepare
        self._call = call
        self._recorder = options.recorder
        self._watch = options.watch
        self._source = Source(inputs)
        self._brake = Brake(options)
        self.outbox = Outbox(self._source, ordered=options.ordered)

    async def work(self) -> None:
        """Take inputs and hand in results until there are no more."""
        source, outbox, clock = self._source, self.outbox, self._clock
        deadline, halted, number = self._brake.deadline, self._brake.halted, self._watch.number
        is_plain = source.is_plain
        while True:
            if not outbox.reserve_at_once():
                await outbox.reserve()
            taken = source.take_at_once() if is_plain else await source.take()
            if taken is None:
                return
            flight = Flight(deadline, is_patient=True, halted=halted, batch=number, started=clock())
            await self._handle(*taken, flight)
            if not flight.attempts:
                await asyncio.sleep(0)  # a million bad inputs must not hold up the event loop

    async def _handle(self, index: int, item: object, flight: Flight) -> None:
        """Exactly one result is handed in, however this ends."""
        try:
            action = self._prepare(item)
        except Exception as error:  # noqa: BLE001 - an item never ends a batch, whatever it is
            await self._hand_in(_failed_input(index, item, error))
            return
        try:
            problem = self._brake.halted()
            if problem is None and self._recorder is not None:
                problem = await self._intend(self._recorder, index, action)
            if problem is None:
                result = await self._call(index, item, action, flight)
            else:
                result = _failed(index, item, action, flight, problem)
        except asyncio.CancelledError:
            await self._hand_in(_failed(index, item, action, flight, _cut_off(flight)))
            raise
        self._brake.look_at(result)
        if self._recorder is None:
            self._deliver(result)
        else:
            await self._hand_in(result)

    async def _intend(self, recorder: Recorder, index: int, action: Action) -> NRMError | None:
        try:
            await recorder.intent(index, action)
        except Exception as error:  # noqa: BLE001 - what is not recorded is not sent
            self._recorder_failed(error)
            return self._brake.halted()
        return None

    async def _hand_in(self, result: CallResult) -> None:
        try:
            if self._recorder is not None:
                await self._recorder.outcome(result)
        except Exception as error:  # noqa: BLE001 - raised at the end; the result stands
            self._recorder_failed(error)
        finally:
            self._deliver(result)

    def _deliver(self, result: CallResult) -> None:
        self.outbox.put(result)
        self._watch.item(result)

    def _recorder_failed(self, error: Exception) -> None:
        self._source.error = self._source.error or error
        self._brake.pull(NRMError(f"the recorder failed: {type(error).__name__}: {error}"))


def _failed_input(index: int, item: object, error: Exception) -> Failed:
    if not isinstance(error, InvalidRequestError):
        error = InvalidRequestError(f"the input cannot be read: {type(error).__name__}: {error}")
    error = error.with_traceback(None)  # a result holds no frames, and what they hold
    return Failed(index=index, input=item, action=None, outcome=Outcome.NOT_APPLIED, error=error)


def _failed(index: int, item: object, action: Action, flight: Flight, error: NRMError) -> Failed:
    elapsed = asyncio.get_running_loop().time() - flight.started
    error.at("POST", action.path, flight.attempts, elapsed)
    return Failed(
        index=index,
        input=item,
        action=action,
        outcome=outcome_of(error),
        attempts=flight.attempts,
        elapsed=elapsed,
        error=error,
    )


def _cut_off(flight: Flight) -> NRMError:
    if flight.may_be_applied:
        return OutcomeUnknownError("cancelled after it was sent; the action may have been applied")
    return NotSentError("cancelled before anything was sent")
