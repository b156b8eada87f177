"""A server in a thread of its own, for those who have no event loop, or one that comes and goes."""

import asyncio
import threading
from collections.abc import Awaitable, Callable


class LoopThread:
    """An event loop that runs in a thread until it is stopped."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="nrm-sandbox", daemon=True)
        self._thread.start()

    def call(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run this in the loop, and wait until it is done."""

        async def run() -> None:
            await work()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def stop(self) -> None:
        """End the loop and the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
