"""Signals that end a command: the first cancels the command, the second its clean-up."""

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, TypeVar

import attrs

T = TypeVar("T")

# Sent by Ctrl-C; by ``kill``, systemd and Kubernetes; by a closed terminal; by Ctrl-Break or a
# closed console on Windows. Not every platform defines all of them.
_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_SIGNALS: Final = tuple(signal.Signals[name] for name in _NAMES if hasattr(signal, name))

# Only default handlers are replaced. ``nohup`` ignores SIGHUP, and a shell ignores SIGINT for
# background processes: these signals remain ignored.
_DEFAULTS: Final = (signal.SIG_DFL, signal.default_int_handler)

# The third signal raises KeyboardInterrupt, which also interrupts a blocked write to a pipe. The
# second only cancels again: it may follow immediately, while a task is recording a result.
_MOST_CANCELLATIONS: Final = 2

_EXIT_CODE: Final = 128  # plus the signal number: the exit code that shells report


@attrs.define(eq=False)
class EndingSignals:
    """Signal handlers that cancel a command, as asyncio does for Ctrl-C only.

    They are installed with ``signal.signal``, not ``loop.add_signal_handler``, so that they also
    work on Windows and interrupt code that blocks the event loop.

    Attributes:
        received: The first signal, or ``None``.
    """

    received: signal.Signals | None = attrs.field(default=None, init=False)
    _task: "asyncio.Task[Any] | None" = attrs.field(default=None, init=False)
    _count: int = attrs.field(default=0, init=False)

    @property
    def exit_code(self) -> int:
        """128 plus the number of the first signal."""
        return _EXIT_CODE + (self.received or signal.SIGINT)

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle signals while the block runs; do nothing outside the main thread."""
        before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            before = {one: signal.getsignal(one) for one in _SIGNALS}
            before = {one: handler for one, handler in before.items() if handler in _DEFAULTS}
        for one in before:
            signal.signal(one, self._handle)
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    async def cancelling(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the work in the current task, and cancel this task on a signal."""
        self._task = asyncio.current_task()
        if self._task is not None and self.received is not None:  # before the loop started
            self._task.cancel()
        return await work

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        one, task = signal.Signals(number), self._task
        # Ignore SIGHUP after another signal: a closed terminal causes several (from the kernel,
        # from the shell and when the shell exits), and systemd may send one after SIGTERM.
        if self.received is not None and one.name == "SIGHUP":
            return
        self.received = self.received or one
        self._count += 1
        if self._count > _MOST_CANCELLATIONS:
            raise KeyboardInterrupt
        if task is not None and not task.done():
            task.cancel()
            task.get_loop().call_soon_threadsafe(lambda: None)  # wake the loop


@contextmanager
def ignore_signals() -> Iterator[None]:
    """Ignore signals while the block runs, so that a further signal cannot lose the report."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # ``None`` means a handler that was not installed by Python and could not be restored.
    before = {one: handler for one in _SIGNALS if (handler := signal.getsignal(one)) is not None}
    for one in before:
        signal.signal(one, signal.SIG_IGN)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
