"""Read and decompress a response body, up to a size limit."""

import zlib
from typing import Final

import aiohttp

from nrm_async._wire import Request
from nrm_async.errors import NRMError, ResponseError, TransportError

# A page of 1,000 rows is 566 kB and the response to an action 50 bytes. These limits only prevent
# a hostile or broken server from exhausting memory.
_MAX_PAGE_BYTES: Final = 64 * 2**20
_MAX_ANSWER_BYTES: Final = 2**20

# In bytes. A whole page fits, so the socket is not paused, which makes reading a tenth faster.
READ_AHEAD: Final = 2**20


# The first bytes of gzip (RFC 1952) and, at its usual settings, zlib (RFC 1950). JSON, HTML and
# plain text do not start with them. aiohttp decompresses only one layer, and ignores encodings that
# it does not know.
_PACKED: Final = (b"\x1f\x8b", b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
_MOST_LAYERS: Final = 3
_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32  # zlib detects which from the header


async def read_body(
    content: aiohttp.StreamReader, request: Request, status: int
) -> bytes | NRMError:
    """Read and decompress the body, or return an error as soon as it exceeds the size limit."""
    limit = _MAX_PAGE_BYTES if request.safe else _MAX_ANSWER_BYTES
    body = await _read_limited(content, limit)
    if body is not None and body.startswith(_PACKED):
        try:
            body = _unpack(body, limit)
        except zlib.error as problem:
            return _about_status(
                TransportError(f"the response cannot be decompressed: {problem}"), status
            )
    if body is not None:
        return body
    message = f"the response is longer than {limit:,} bytes"
    if request.safe:
        return ResponseError(message)
    return _about_status(TransportError(message), status)


def _about_status(error: TransportError, status: int) -> TransportError:
    error.status = status
    return error


def _unpack(body: bytes, limit: int) -> bytes | None:
    """Remove compression that aiohttp left; return ``None`` if the body exceeds the limit.

    ``Content-Encoding`` may be ``gzip, gzip`` or ``x-gzip`` (RFC 9110, section 8.4.1.3), or list
    only one encoding if both the server and a proxy compressed the body.

    Raises:
        zlib.error: The body is invalid or truncated.
    """
    unpacked: bytes | None = body
    for _ in range(_MOST_LAYERS):
        if unpacked is None or not unpacked.startswith(_PACKED):
            break
        unpacked = _unpack_layer(unpacked, limit)
    return unpacked


def _unpack_layer(packed: bytes, limit: int) -> bytes | None:
    chunks: list[bytes] = []
    left = limit
    while packed.startswith(_PACKED):  # a gzip file can have several members
        member = zlib.decompressobj(_GZIP_OR_ZLIB)
        chunks.append(member.decompress(packed, left + 1))
        left -= len(chunks[-1])
        if left < 0:
            return None
        if not member.eof:
            raise zlib.error("it was truncated")
        packed = member.unused_data
    return b"".join(chunks)


async def _read_limited(content: aiohttp.StreamReader, limit: int) -> bytes | None:
    if content.is_eof():  # short bodies arrive together with the headers
        body = content.read_nowait()
        return body if len(body) <= limit else None
    chunks: list[bytes] = []
    size = 0
    async for chunk in content.iter_any():
        size += len(chunk)
        if size > limit:
            return None
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
