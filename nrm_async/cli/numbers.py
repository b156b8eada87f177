"""The numbers to act on, from arguments and standard input, read as they are needed."""

import asyncio
import os
import stat
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from typing import Final

from nrm_async.files.lists import is_comment

FROM_INPUT: Final = "-"

_STANDARD_INPUT: Final = 0
_CHUNK: Final = 65_536  # bytes; a full pipe on Linux
_AROUND_A_NUMBER: Final = "\ufeff \t\r\n"  # a byte order mark begins files from Windows


class Numbers(AsyncIterator[str]):
    """The numbers given; ``-`` stands for those on standard input, one on each line.

    Blank lines are passed over there, and remarks, which begin with ``#``. Cancelling who waits
    for a number takes none away: the next one who asks gets it.
    """

    def __init__(self, given: Sequence[str], source: int = _STANDARD_INPUT) -> None:
        self._given = deque(given)
        self._source = source
        self._lines: _Lines | None = None

    async def __anext__(self) -> str:
        while True:
            if self._lines is None:
                if not self._given:
                    raise StopAsyncIteration
                item = self._given.popleft()
                if item != FROM_INPUT:
                    return item
                self._lines = _Lines(self._source)
            async for text in self._lines:
                return text
            self._lines = None

    def has_certain_end(self) -> bool:
        """Whether standard input is a file, or nothing more is expected of it."""
        is_awaited = self._lines is not None and not self._lines.is_over
        if not is_awaited and FROM_INPUT not in self._given:
            return True
        try:
            return stat.S_ISREG(os.fstat(self._source).st_mode)
        except OSError:
            return False


class _Lines(AsyncIterator[str]):
    """Lines with a number on them: neither blank nor a remark."""

    def __init__(self, source: int) -> None:
        if source == _STANDARD_INPUT and sys.stdin is None:  # the descriptor may be another file's
            raise OSError("standard input is closed")
        self._source = source
        self._reading: Future[bytes] | None = None
        self._ready: deque[str] = deque()
        self._rest = b""
        self.is_over = False

    async def __anext__(self) -> str:
        while not self._ready and not self.is_over:
            self._take(await self._chunk())
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def _chunk(self) -> bytes:
        """The next bytes; those that nobody waited for to the end are still there."""
        if self._reading is None:
            self._reading = _read(self._source)
        chunk = await asyncio.wrap_future(self._reading)
        self._reading = None
        return chunk

    def _take(self, chunk: bytes) -> None:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        if not chunk:
            self.is_over = True
            whole.append(self._rest)
        texts = (raw.decode("utf-8", "replace").strip(_AROUND_A_NUMBER) for raw in whole)
        self._ready.extend(text for text in texts if text and not is_comment(text))


def _read(source: int) -> Future[bytes]:
    """Read without holding up the event loop, whatever is behind the descriptor.

    The thread is a daemon and reads past ``sys.stdin`` and its lock: one that still waits for
    input when the command is interrupted must not hold up the exit either.
    """
    chunk: Future[bytes] = Future()
    chunk.set_running_or_notify_cancel()  # from now on, giving up the wait does not cancel it

    def work() -> None:
        try:
            chunk.set_result(os.read(source, _CHUNK))
        except OSError as error:
            chunk.set_exception(error)

    threading.Thread(target=work, name="nrm-async-stdin", daemon=True).start()
    return chunk
