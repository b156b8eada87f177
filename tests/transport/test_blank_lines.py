"""Empty lines around responses, with both of aiohttp's parsers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = r"""
import asyncio, sys
import aiohttp
from aiohttp.http_parser import HttpResponseParser, HttpResponseParserPy
from nrm_async import NRMClient, Outcome, RetryPolicy
from nrm_async._transport import transport
from tests.transport.conftest import serving

is_pure = HttpResponseParser is HttpResponseParserPy
assert is_pure is (sys.argv[1] == "python"), "the parser is another one"
if sys.argv[2] == "session":
    transport.is_direct_path_safe = lambda session: False
BODY = b'{"status": "paused", "ani": "2345678901"}'
WITH_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
    len(BODY), BODY
)
PADDED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(BODY) + 2, BODY)
SPLIT = object()

async def pauses(*parts):
    "Pause three times, each time answered so; the outcomes, and the number of connections."
    connections = 0

    async def handle(reader, writer):
        nonlocal connections
        connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(b'{"ani":"2345678901"}'))
                for part in parts:
                    if part is SPLIT:
                        for _ in range(5):  # until the client has read what there is
                            await asyncio.sleep(0)
                    else:
                        writer.write(part)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has closed it

    retry = RetryPolicy(max_retries=0)
    async with serving(handle) as url:
        client = NRMClient("a-key-of-the-tests-012345", base_url=url, retry=retry,
                           on_unknown="report")
        async with client as nrm:
            report = await nrm.pause_many(["2345678901"] * 3, concurrency=1)
    return [result.outcome for result in report], connections

async def main():
    for answer in (WITH_LENGTH, CHUNKED, PADDED):
        for parts in (
            [answer],
            [answer + b"\r\n"],
            [answer + b"\r\n\r\n"],
            [answer, SPLIT, b"\r\n"],
            [b"\r\n" + answer],
            [b"\r\n", SPLIT, answer],
            [b"\r", SPLIT, b"\n" + answer],
            [answer[:-1], SPLIT, answer[-1:] + b"\r\n"],
            [answer[:12], SPLIT, answer[12:]],
            [answer[:17], SPLIT, answer[17:]],
        ):
            outcomes, connections = await pauses(*parts)
            assert outcomes == [Outcome.APPLIED] * 3, (parts, outcomes)
            assert connections <= 3
    outcomes, connections = await pauses(WITH_LENGTH + b"\r\n")
    assert connections == 1, "the connection is kept"
    # What is not an empty line is still taken for what it is.
    outcomes, _ = await pauses(b"\r\nnoise\r\n" + WITH_LENGTH)
    assert outcomes == [Outcome.UNKNOWN] * 3, outcomes

asyncio.run(main())
"""


@pytest.mark.parametrize("path", ["direct", "session"])
@pytest.mark.parametrize("parser", ["python", "c"])
def test_blank_lines_are_skipped(parser: str, path: str) -> None:
    """An empty line before or behind a response does no harm: no action becomes unknown by it."""
    environment = {k: v for k, v in os.environ.items() if k != "AIOHTTP_NO_EXTENSIONS"}
    if parser == "python":
        environment["AIOHTTP_NO_EXTENSIONS"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, parser, path],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
