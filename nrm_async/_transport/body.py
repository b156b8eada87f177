"""An answer's body, read to its end, but not without end."""

from typing import Final

import aiohttp

from nrm_async._wire import Request
from nrm_async.errors import NRMError, ResponseError, TransportError

# A page of 1,000 rows takes 566 kB and an action's answer 50 bytes; these bounds only keep a
# hostile or broken server from filling the memory.
_MAX_PAGE_BYTES: Final = 64 * 2**20
_MAX_ANSWER_BYTES: Final = 2**20

# Bytes. A page fits in without stopping and starting the socket: that takes a tenth off reading
# one.
READ_AHEAD: Final = 2**20


async def read_body(
    content: aiohttp.StreamReader, request: Request, status: int
) -> bytes | NRMError:
    """The whole body, or an error as soon as it is longer than any answer to this can be."""
    cap = _MAX_PAGE_BYTES if request.repeatable else _MAX_ANSWER_BYTES
    body = await _read_capped(content, cap)
    if body is not None:
        return body
    message = f"the answer is longer than {cap:,} bytes"
    if request.repeatable:
        return ResponseError(message)
    fault = TransportError(message)
    fault.status = status
    return fault


async def _read_capped(content: aiohttp.StreamReader, cap: int) -> bytes | None:
    if content.is_eof():  # it came along with the headers, as short answers do
        body = content.read_nowait()
        return body if len(body) <= cap else None
    chunks: list[bytes] = []
    size = 0
    async for chunk in content.iter_any():
        size += len(chunk)
        if size > cap:
            return None
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
