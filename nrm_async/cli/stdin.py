"""Read inputs from arguments and standard input on demand."""

import asyncio
import io
import os
import queue
import stat
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, BinaryIO, Final, Generic, TypeAlias, TypeVar, cast

T = TypeVar("T")

FROM_STDIN: Final = "-"
"""The argument that stands for standard input."""

_STDIN: Final = 0
_LARGEST_PORTION: Final = 500  # inputs
_MOST_PORTIONS: Final = 4  # read ahead of the batch

ReadList: TypeAlias = Callable[[BinaryIO], Iterator[T]]


class GivenInputs(AsyncIterator[T], Generic[T]):
    """An iterator over arguments; ``-`` stands for the list on standard input.

    No input is lost if ``__anext__`` is cancelled: the next call returns it.

    Args:
        given: The arguments.
        parse: Converts an argument to an input.
        read_list: Reads inputs from a file, yielding each as soon as its line arrives.
        descriptor: The file descriptor to read for ``-``.
    """

    def __init__(
        self,
        given: Sequence[str],
        parse: Callable[[str], T],
        read_list: ReadList[T],
        descriptor: int = _STDIN,
    ) -> None:
        self._given = deque(given)
        self._parse = parse
        self._read_list = read_list
        self._descriptor = descriptor
        self._list: _ListInThread[T] | None = None

    async def __anext__(self) -> T:
        while True:
            if self._list is None:
                if not self._given:
                    raise StopAsyncIteration
                item = self._given.popleft()
                if item != FROM_STDIN:
                    return self._parse(item)
                self._list = _ListInThread(self._read_list, self._descriptor)
            async for found in self._list:
                return found
            self._list = None

    def has_certain_end(self) -> bool:
        """Return whether reaching the end proves that no input is missing.

        The end of a pipe does not: an interrupted writer also closes the pipe.
        """
        is_reading = self._list is not None and not self._list.is_at_end
        if not is_reading and FROM_STDIN not in self._given:
            return True
        try:
            return stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        except OSError:
            return False


class _ListInThread(AsyncIterator[T], Generic[T]):
    """An iterator over a list that a background thread reads and parses.

    Reads block, which works for any kind of descriptor. The thread is a daemon and does not use
    ``sys.stdin``, whose lock would delay the exit of an interrupted command until the read
    returns. Before each read, the thread hands over the inputs parsed so far.
    """

    def __init__(self, read_list: ReadList[T], descriptor: int) -> None:
        if descriptor == _STDIN and sys.stdin is None:  # descriptor 0 may be another file
            raise OSError("standard input is closed")
        self._read_list = read_list
        self._file = _Descriptor(descriptor, self._hand_over)
        self._parsed: list[T] = []
        self._portions: queue.Queue[list[T] | BaseException | None] = queue.Queue(_MOST_PORTIONS)
        self._has_portion = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._ready: deque[T] = deque()
        self.is_at_end = False
        threading.Thread(target=self._read, name="nrm-async-stdin", daemon=True).start()

    async def __anext__(self) -> T:
        while not self._ready and not self.is_at_end:
            self._has_portion.clear()
            try:
                portion = self._portions.get_nowait()
            except queue.Empty:
                await self._has_portion.wait()
                continue
            if isinstance(portion, list):
                self._ready.extend(portion)
                continue
            self.is_at_end = True
            if portion is not None:
                raise portion
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    # The methods below run in the thread.

    def _read(self) -> None:
        end: BaseException | None = None
        try:
            for item in self._read_list(cast("BinaryIO", self._file)):
                self._parsed.append(item)
                if len(self._parsed) == _LARGEST_PORTION:
                    self._hand_over()
        except BaseException as error:  # noqa: BLE001 - re-raised by `__anext__`
            end = error
        self._hand_over()
        self._put(end)

    def _hand_over(self) -> None:
        if self._parsed:
            self._put(self._parsed)
            self._parsed = []

    def _put(self, portion: list[T] | BaseException | None) -> None:
        self._portions.put(portion)
        if not self._has_portion.is_set():
            try:
                self._loop.call_soon_threadsafe(self._has_portion.set)
            except RuntimeError:  # the command has ended and closed its loop
                return


class _Descriptor(io.RawIOBase):
    """A raw file that calls a function before each read and leaves its descriptor open."""

    def __init__(self, descriptor: int, before_read: Callable[[], None]) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._before_read = before_read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._before_read()
        chunk = os.read(self._descriptor, len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)
