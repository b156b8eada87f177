"""Local server with static responses, in a separate process, on loopback.

The server is nginx if that is on the PATH, else a minimal asyncio protocol, which is also used if
responses are delayed. Both serve the same paths::

    GET  /plain/nrm/anis?page=N    a page
    GET  /gzip/nrm/anis?page=N     a compressed page
    POST /plain/nrm/pause          {"status": "paused", "ani": the number from the request}
"""

import asyncio
import multiprocessing
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, cast

import attrs

from benchmarks import pages


@attrs.frozen
class LocalServer:
    """Address and kind of a running server."""

    origin: str
    kind: str

    @property
    def plain(self) -> str:
        """Base URL for uncompressed responses."""
        return f"{self.origin}/plain/nrm"

    @property
    def gzip(self) -> str:
        """Base URL for compressed responses."""
        return f"{self.origin}/gzip/nrm"


@contextmanager
def serve(count: int = 1, *, rows: int = pages.ROWS, latency: float = 0.0) -> Iterator[LocalServer]:
    """Serve ``count`` pages of ``rows`` rows, delaying each response by ``latency`` seconds."""
    with tempfile.TemporaryDirectory(prefix="nrm-bench-") as name:
        folder = Path(name)
        pages.write(folder / "pages", count, rows)
        program = shutil.which("nginx") if latency == 0 else None
        with _nginx(program, folder) if program else _protocol(folder, latency) as site:
            yield site


# --- nginx ----------------------------------------------------------------------------------

# ``return`` cannot read the request body, so a proxy passes the body on as a header.
_CONFIG: Final = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_timeout 60s; tcp_nodelay on;
  sendfile on; default_type application/json; open_file_cache max=1000;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  map $http_x_body $ani {{ ~"ani":"(?<digits>[0-9]+)" $digits; }}
  upstream back {{ server unix:{folder}/back; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen unix:{folder}/back;
    location / {{ return 200 '{{"status":"paused","ani":"$ani"}}'; }}
  }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location = /plain/nrm/anis {{ root {folder}/pages; try_files /$arg_page.json =404; }}
    location = /gzip/nrm/anis {{
      root {folder}/pages; rewrite ^ /packed/$arg_page.json last;
    }}
    location /packed/ {{ internal; alias {folder}/pages/; gzip_static always; }}
    location /plain/nrm/ {{
      proxy_pass http://back; proxy_http_version 1.1; proxy_pass_request_body off;
      proxy_set_header Connection ""; proxy_set_header Content-Length "";
      proxy_set_header X-Body $request_body;
    }}
  }}
}}
"""


@contextmanager
def _nginx(program: str, folder: Path) -> Iterator[LocalServer]:
    folder.chmod(0o755)  # nginx's worker may run as another user
    port = _free_port()
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port))
    command = [program, "-p", str(folder), "-c", str(config), "-e", f"{folder}/error.log"]
    version = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            _wait_for(port, process)
            yield LocalServer(f"http://127.0.0.1:{port}", version.split()[-1])
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"nginx did not start: {process.communicate()[1].decode()}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("nginx did not respond")


# --- asyncio protocol ------------------------------------------------------------------------

_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s"
)
_PAGE: Final = re.compile(rb"/(plain|gzip)/nrm/anis\?(?:.*&)?page=(\d+)")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANI: Final = re.compile(rb'"ani":\s*"(\d+)"')


class _Bare(asyncio.Protocol):
    """Minimal server protocol, without validation or pipelining."""

    def __init__(self, folder: Path, latency: float) -> None:
        self._pages, self._latency = folder / "pages", latency
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, end, rest = self._seen.partition(b"\r\n\r\n")
        length = int(found[1]) if (found := _LENGTH.search(head)) else 0
        if not end or len(rest) < length:
            return
        self._seen = b""
        answer = self._answer(head, rest)
        if self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer)
        else:
            self._transport.write(answer)

    def _answer(self, head: bytes, sent: bytes) -> bytes:
        if found := _PAGE.search(head):
            packed = found[1] == b"gzip"
            name = f"{int(found[2])}.json" + (".gz" if packed else "")
            body = _read(self._pages / name)
            return _HEAD % (b"Content-Encoding: gzip\r\n" if packed else b"", len(body), body)
        found = _ANI.search(sent)
        body = b'{"status":"paused","ani":"%s"}' % (found[1] if found else b"")
        return _HEAD % (b"", len(body), body)


_cache: dict[Path, bytes] = {}


def _read(path: Path) -> bytes:
    if path not in _cache:
        _cache[path] = path.read_bytes()
    return _cache[path]


def _run(folder: Path, latency: float, pipe: Connection) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        for path in (folder / "pages").iterdir():
            _read(path)
        server = await loop.create_server(lambda: _Bare(folder, latency), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(pipe.recv)

    asyncio.run(run())


@contextmanager
def _protocol(folder: Path, latency: float) -> Iterator[LocalServer]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(folder, latency, theirs), daemon=True)
    process.start()
    try:
        yield LocalServer(f"http://127.0.0.1:{ours.recv()}", "asyncio protocol")
    finally:
        ours.send("done")
        process.join(10)
