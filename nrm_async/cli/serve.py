"""A sandbox until it is told to stop; and what it does, explained."""

import asyncio
import errno
import shlex
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import attrs

from nrm_async.cli.options import KEY_VARIABLE
from nrm_async.cli.run import OK, USAGE
from nrm_async.cli.show import Column, complain, console, counted, line, table
from nrm_async.sandbox import BEHAVIOURS, Sandbox
from nrm_async.sandbox.faults import KINDS


def sandbox_of(port: int, settings: Mapping[str, Any], typed: Mapping[str, int]) -> Sandbox:
    """A sandbox with these settings.

    Args:
        port: Where to listen.
        settings: Other arguments of ``Sandbox``.
        typed: Those of ``anis`` and ``seed`` that somebody has typed: a state file that says
            otherwise is not overruled, and not obeyed in silence either.

    Raises:
        ValueError: A setting breaks its rule, or a file cannot be used.
    """
    try:
        sandbox = Sandbox(port=port, **settings)
    except OSError as error:
        raise ValueError(f"cannot read {error.filename}: {error.strerror}") from None
    for name, value in typed.items():
        kept = getattr(sandbox.founding, name)
        if kept != value:
            raise ValueError(
                f"the state file was made with --{name} {kept}, not {value}: "
                "leave it out, or take another file"
            )
    return sandbox


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


def explain_sandbox() -> int:
    """Print every behaviour with its basis, and every fault with its options."""
    screen = console()
    line(screen, "D: documented; V: the vendor's SDKs; ?: assumed, the real API may differ.")
    line(screen, "")
    table(
        screen,
        (Column("Basis", 5), Column("What the sandbox does")),
        ((behaviour.basis.value, behaviour.what) for behaviour in BEHAVIOURS),
    )
    line(screen, "")
    table(
        screen,
        (Column("Fault", 15), Column("Options"), Column("What happens")),
        ((kind.name, _options_of(kind), _first_sentence(kind)) for kind in KINDS),
    )
    line(screen, "")
    line(screen, "Each fault also takes endpoint, count, and share or schedule (1,3,10-20,50-).")
    return OK


def _options_of(kind: type[Any]) -> str:
    shared = ("endpoint", "share", "schedule", "count")
    return ", ".join(one.name for one in attrs.fields(kind) if one.name not in shared) or "-"


def _first_sentence(kind: type[Any]) -> str:
    text = " ".join((kind.__doc__ or "").split("\n\n", 1)[0].split())
    return text.replace("``", "")


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
NRM sandbox with {counted(len(sandbox))} at {sandbox.url}

Point this command, the SDK and curl at it:
  export NRM_BASE_URL={shlex.quote(sandbox.url)}
  export {KEY_VARIABLE}={shlex.quote(sandbox.api_key)}
  curl -H "Authorization: Bearer ${KEY_VARIABLE}" "$NRM_BASE_URL/anis?page_size=2"

The vendor's SDKs take the same key from {KEY_VARIABLE}; give them the base URL
  {sandbox.url}

Beside the API, no key needed:
  {sandbox.root_url}/openapi.json    its description
  {sandbox.root_url}/health          whether it runs
  {sandbox.root_url}/books           what was asked and applied
  {sandbox.root_url}/control/faults  what goes wrong: GET, POST, DELETE

Ctrl-C stops it.
""")
    sys.stdout.flush()  # whoever waits for the address in a pipe gets it now
