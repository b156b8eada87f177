"""The numbers to act on, from arguments and standard input, read as they are needed."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from typing import Final

from nrm_async.files.lists import is_comment

FROM_INPUT: Final = "-"

_STANDARD_INPUT: Final = 0
_CHUNK: Final = 65_536  # bytes; a full pipe on Linux
_AROUND_A_NUMBER: Final = "\ufeff \t\r\n"  # a byte order mark begins files from Windows


async def numbers(given: Sequence[str], source: int = _STANDARD_INPUT) -> AsyncIterator[str]:
    """The numbers given; ``-`` stands for those on standard input, one on each line.

    Blank lines are passed over there, and remarks, which begin with ``#``.
    """
    for item in given:
        if item != FROM_INPUT:
            yield item
            continue
        async for text in _lines(source):
            yield text


async def _lines(source: int) -> AsyncIterator[str]:
    """Lines with a number on them: neither blank nor a remark."""
    if source == _STANDARD_INPUT and sys.stdin is None:  # the descriptor may be another file's
        raise OSError("standard input is closed")
    rest = b""
    while chunk := await _read(source):
        *whole, rest = (rest + chunk).split(b"\n")
        for raw in whole:
            if (text := _text(raw)) and not is_comment(text):
                yield text
    if (text := _text(rest)) and not is_comment(text):
        yield text


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip(_AROUND_A_NUMBER)


async def _read(source: int) -> bytes:
    """Read without holding up the event loop, whatever is behind the descriptor.

    The thread is a daemon and reads past ``sys.stdin`` and its lock: one that still waits for
    input when the command is interrupted must not hold up the exit either.
    """
    chunk: Future[bytes] = Future()
    chunk.set_running_or_notify_cancel()

    def work() -> None:
        try:
            chunk.set_result(os.read(source, _CHUNK))
        except OSError as error:
            chunk.set_exception(error)

    threading.Thread(target=work, name="nrm-async-stdin", daemon=True).start()
    return await asyncio.wrap_future(chunk)
