"""Run a sandbox until it is stopped; list its behaviours and faults."""

import asyncio
import errno
import shlex
import sys
from collections.abc import Mapping
from typing import Any

import attrs

from nrm_async.cli.console import (
    Column,
    pluralize,
    print_line,
    print_table,
    stdout_console,
    warn,
)
from nrm_async.cli.exit_codes import OK, USAGE
from nrm_async.cli.options import KEY_VARIABLE
from nrm_async.sandbox import BEHAVIOURS, Sandbox
from nrm_async.sandbox.faults import KINDS


def make_sandbox(port: int, settings: Mapping[str, Any], typed: Mapping[str, int]) -> Sandbox:
    """Create a sandbox with these settings.

    Args:
        port: The port to listen on.
        settings: Other arguments of ``Sandbox``.
        typed: Values of ``anis`` and ``seed`` given on the command line. An existing state file
            was created with its own values, so a different value is an error.

    Raises:
        ValueError: A setting is invalid, or a file cannot be used.
    """
    try:
        sandbox = Sandbox(port=port, **settings)
    except OSError as error:
        raise ValueError(f"cannot read {error.filename}: {error.strerror}") from None
    for name, value in typed.items():
        kept = getattr(sandbox.founding, name)
        if kept != value:
            asyncio.run(sandbox.stop())  # closes the state file
            raise ValueError(
                f"the state file was created with --{name} {kept}, not {value}: "
                "omit the option, or use another file"
            )
    return sandbox


async def serve(sandbox: Sandbox, port: int) -> int:
    """Run the sandbox until it is cancelled; ``port`` is only used in an error message."""
    try:
        await sandbox.start()
    except OSError as error:
        warn(f"cannot listen on port {port}: {_reason(error)}")
        return USAGE
    try:
        _print_introduction(sandbox)
        await asyncio.Event().wait()
    finally:
        await sandbox.stop()
    return OK


async def explain_sandbox() -> int:
    """Print each behaviour with its basis, and each fault with its options."""
    console = stdout_console()
    print_line(console, "D: documented; V: the vendor's SDKs; ?: assumed, the real API may differ.")
    print_line(console, "")
    print_table(
        console,
        (Column("Basis", 5), Column("Behaviour")),
        ((behaviour.basis.value, behaviour.what) for behaviour in BEHAVIOURS),
    )
    print_line(console, "")
    print_table(
        console,
        (Column("Fault", 15), Column("Options"), Column("Effect")),
        ((kind.name, _options_of(kind), _description(kind)) for kind in KINDS),
    )
    print_line(console, "")
    shared = "endpoint, count, and share or schedule (1,3,10-20,50-)"
    print_line(console, f"Each fault also accepts {shared}.")
    return OK


def _options_of(kind: type[Any]) -> str:
    shared = ("endpoint", "share", "schedule", "count")
    return ", ".join(one.name for one in attrs.fields(kind) if one.name not in shared) or "-"


def _description(kind: type[Any]) -> str:
    text = " ".join((kind.__doc__ or "").split("\n\n", 1)[0].split())
    return text.replace("``", "")


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "it is in use (choose another with --port; 0 selects a free one)"
    return error.strerror or str(error)


def _print_introduction(sandbox: Sandbox) -> None:
    sys.stdout.write(f"""\
NRM sandbox with {pluralize(len(sandbox))} at {sandbox.url}

To use it with this command, the SDK and curl:
  export NRM_BASE_URL={shlex.quote(sandbox.url)}
  export {KEY_VARIABLE}={shlex.quote(sandbox.api_key)}
  curl -H "Authorization: Bearer ${KEY_VARIABLE}" "$NRM_BASE_URL/anis?page_size=2"

The vendor's SDKs also read the key from {KEY_VARIABLE}; set their base URL to
  {sandbox.url}

Besides the API, without a key:
  {sandbox.root_url}/openapi.json    OpenAPI description
  {sandbox.root_url}/health          health check
  {sandbox.root_url}/books           requests and applied actions
  {sandbox.root_url}/control/faults  injected faults: GET, POST, DELETE

Ctrl-C stops it.
""")
    sys.stdout.flush()  # so that a program reading a pipe receives the address immediately
