"""Forks: a child drops the client it inherited, and nothing happens to its parent's connections."""

import asyncio
import importlib.util
import json
import os
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trustme
from aiohttp import web

from tests.conftest import API_KEY

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

# Opens a client, forks, lets the child drop it, and uses it again. The child ends as those of
# multiprocessing do; the functions registered with atexit run first.
PROGRAM = """
import asyncio, atexit, gc, os, sys
from nrm_async import NRMClient
from nrm_async._transport import transport

url, key, bundle, loop, path, way = sys.argv[1:]

if path == "session":
    transport.is_direct_path_safe = lambda _: False

new_loop = asyncio.new_event_loop
if loop == "uvloop":
    import uvloop
    new_loop = uvloop.new_event_loop

class Holder:
    client = None

def end_child():
    atexit._run_exitfuncs()
    gc.collect()
    os._exit(0)

def wait_for(child):
    assert os.waitpid(child, 0)[1] == 0

async def pause(*anis):
    report = await Holder.client.pause_many(anis)
    print(*(result.outcome for result in report), flush=True)

async def first():
    Holder.client = NRMClient(
        key, base_url=url, ca_bundle=bundle or None, on_unknown="report", timeout=5
    )
    await pause(1000001, 1000002, 1000003)

async def fork_in_flight():
    batch = asyncio.create_task(pause(2000001, 2000002))
    while Holder.client.stats().attempts < 5:
        await asyncio.sleep(0)
    if (child := os.fork()) == 0:
        await Holder.client.aclose()
        end_child()
    wait_for(child)
    await Holder.client.list_anis()
    await batch

with asyncio.Runner(loop_factory=new_loop) as runner:
    runner.run(first())
    if way == "in-flight":
        runner.run(fork_in_flight())
    elif (child := os.fork()) == 0:
        if way == "aclose":
            asyncio.run(Holder.client.aclose())
        elif way == "collect":
            Holder.client = None
        end_child()
    else:
        wait_for(child)
    runner.run(pause(3000001, 3000002, 3000003))
    runner.run(pause(4000001))
    runner.run(Holder.client.aclose())
"""

LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]


@attrs.define
class PauseServer:
    """Pauses numbers; holds those that begin with 2 until a page is read."""

    url: str
    bundle: str
    paused: Counter[str] = attrs.field(factory=Counter)
    connections: set[object] = attrs.field(factory=set)
    release: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport)
        if request.method == "GET":
            self.release.set()
            return web.json_response({"data": []})
        ani = str(json.loads(await request.read())["ani"])
        self.paused[ani] += 1
        if ani.startswith("2"):
            await self.release.wait()
        return web.json_response({"status": "paused", "ani": ani})


@asynccontextmanager
async def pausing(bundle: Path | None) -> AsyncIterator[PauseServer]:
    """Serve on loopback, over TLS if there is a file for the certificate."""
    context = None
    if bundle is not None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(bundle)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    server = PauseServer("", str(bundle or ""))
    runner = web.ServerRunner(web.Server(server.answer), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    server.url = f"{'https' if context else 'http'}://127.0.0.1:{port}/nrm"
    try:
        yield server
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("way", ["collect", "aclose", "exit", "in-flight"])
@pytest.mark.parametrize("path", ["direct", "session"])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.fault(46)
async def test_child_that_drops_a_client_leaves_the_parent_alone(
    tmp_path: Path, scheme: str, loop: str, path: str, way: str
) -> None:
    """The parent's next calls, and those in flight, are applied on the same connections."""
    async with pausing(tmp_path / "ca.pem" if scheme == "https" else None) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", PROGRAM),
            *(server.url, API_KEY, server.bundle, loop, path, way),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, problems = await asyncio.wait_for(process.communicate(), 20)
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        assert problems.decode() == ""
        numbers = 9 if way == "in-flight" else 7
        assert out.decode().split() == ["applied"] * numbers
        assert list(server.paused.values()) == [1] * numbers
        assert len(server.connections) <= 3
