"""Results on their way to the caller, in input order or as they complete."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Self

import anyio

from nrm_async.batch.options import READ_AHEAD
from nrm_async.batch.source import Source
from nrm_async.results import CallResult


class Outbox(AsyncIterator[CallResult]):
    """Results on their way to the caller, with room for ``READ_AHEAD`` of them."""

    def __init__(self, source: Source, *, ordered: bool) -> None:
        self._source = source
        self._ordered = ordered
        self._room = anyio.Semaphore(READ_AHEAD, fast_acquire=True)
        self._ready: deque[CallResult] = deque()
        self._early: dict[int, CallResult] = {}  # finished before one of their predecessors
        self._next = 0
        self._news = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._is_stopping = False

    def reserve_at_once(self) -> bool:
        """Take room for one more result, if there is any: it costs less than being awaited."""
        try:
            self._room.acquire_nowait()
        except anyio.WouldBlock:
            return False
        return True

    async def reserve(self) -> None:
        """Wait until there is room for one more result."""
        await self._room.acquire()

    def put(self, result: CallResult) -> None:
        """Hand in a result, into the room reserved for it."""
        if self._ordered:
            self._early[result.index] = result
            while (following := self._early.pop(self._next, None)) is not None:
                self._ready.append(following)
                self._next += 1
        else:
            self._ready.append(result)
        self._news.set()

    def stop(self) -> None:
        """Expect the workers to be cancelled: the caller leaves."""
        self._is_stopping = True

    def close(self) -> None:
        """Let what waits for predecessors go: there will be none."""
        self._ready.extend(self._early[index] for index in sorted(self._early))
        self._early.clear()

    def rest(self) -> tuple[CallResult, ...]:
        """The results that nobody has taken yet."""
        return tuple(self._ready)

    def expect(self, worker: "asyncio.Task[None]") -> None:
        """Stay open until this worker is done."""
        self._working.add(worker)
        worker.add_done_callback(self._worker_is_done)

    def _worker_is_done(self, worker: "asyncio.Task[None]") -> None:
        self._working.discard(worker)
        if not worker.cancelled():
            # A mistake of ours, if there is one: it must not pass for the end.
            self._failure = self._failure or worker.exception()
        elif not self._is_stopping:
            self._failure = RuntimeError(
                "the batch was cut short: its inputs or its recorder raised CancelledError"
            )
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CallResult:
        while not self._ready:
            if not self._working:
                self._end()
            self._news.clear()
            await self._news.wait()
        self._room.release()
        return self._ready.popleft()

    def _end(self) -> None:
        failure = self._failure or self._source.error
        self._failure = self._source.error = None
        raise failure or StopAsyncIteration
