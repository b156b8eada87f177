"""A sandbox until it is told to stop."""

import asyncio
import errno
import shlex
import signal
import sys
from contextlib import suppress

from nrm_async.cli.options import KEY_VARIABLE
from nrm_async.cli.run import OK, USAGE
from nrm_async.cli.show import complain, counted
from nrm_async.sandbox import Sandbox


async def serve(sandbox: Sandbox, port: int) -> int:
    """Run the sandbox until Ctrl-C or SIGTERM; ``port`` is for the words when it is taken."""
    stop = _told_to_stop()
    try:
        await sandbox.start()
    except OSError as error:
        complain(f"cannot listen on port {port}: {_reason(error)}")
        return USAGE
    try:
        _introduce(sandbox)
        await stop.wait()
    finally:
        await sandbox.stop()
    return OK


def _told_to_stop() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C then ends it as any command
            loop.add_signal_handler(number, stop.set)
    return stop


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "it is in use (choose another with --port; 0 takes a free one)"
    return error.strerror or str(error)


def _introduce(sandbox: Sandbox) -> None:
    sys.stdout.write(f"""\
NRM sandbox with {counted(len(sandbox.phones))} at {sandbox.url}

Point this command, the SDK and curl at it:
  export NRM_BASE_URL={shlex.quote(sandbox.url)}
  export {KEY_VARIABLE}={shlex.quote(sandbox.api_key)}
  curl -H "Authorization: Bearer ${KEY_VARIABLE}" "$NRM_BASE_URL/anis?page_size=2"

Ctrl-C stops it.
""")
    sys.stdout.flush()  # whoever waits for the address in a pipe gets it now
