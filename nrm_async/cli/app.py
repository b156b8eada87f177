"""The command group, its entry point, and the ``demo`` and ``sandbox`` commands."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import click
from click.core import ParameterSource

from nrm_async import __version__
from nrm_async.cli.commands import COMMANDS
from nrm_async.cli.console import WarningHandler
from nrm_async.cli.demo import demo
from nrm_async.cli.exit_codes import INTERRUPTED, OK, USAGE, harden_output, run
from nrm_async.cli.sandbox import explain_sandbox, make_sandbox, serve

_EPILOG: Final = """\
The API key is read only from the environment variable OUTBOUNDIQ_API_KEY: a key on the command
line would be visible in process lists.

\b
Exit codes:
  0  all numbers listed, all actions applied
  1  some actions not applied, an incomplete inventory, or another failure
  2  invalid usage, settings or files; nothing was sent
  3  the API rejected the key
  130  interrupted by Ctrl-C; for any other signal 128 + its number (143 for SIGTERM)
"""

_MAX_ANIS: Final = 1_000_000  # twice the largest known account; catches typos

_seed: Final = click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="The same seed generates the same numbers.",
)


class _InvalidSettingsError(click.ClickException):
    """A sandbox setting is invalid."""

    exit_code = USAGE


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its exit code; ``arguments`` defaults to ``sys.argv[1:]``."""
    harden_output()
    try:
        with _library_warnings():
            # Click's standalone mode prints its own message and uses its own exit code for Ctrl-C.
            code = app.main(arguments, prog_name="nrm-async", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = INTERRUPTED
    sys.exit(code)


@contextmanager
def _library_warnings() -> Iterator[None]:
    """Print warnings logged by the library to standard error."""
    log, handler = logging.getLogger("nrm_async"), WarningHandler(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def app() -> None:
    """Work with the NRM API: list, pause, activate and remediate numbers in bulk."""


@app.command("demo")
@click.option("--anis", type=click.IntRange(1, _MAX_ANIS), default=5_000, show_default=True,
              help="Numbers in the inventory.")  # fmt: skip
@_seed
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def _demo(anis: int, seed: int, *, as_json: bool) -> int:
    """Show the SDK at work on a sandbox, in a few seconds.

    Requires no account and no key. Lists an inventory, acts on the unhealthy numbers, and checks
    the results against the sandbox's own history; exit code 1 means that they differ.
    """
    return run(demo(anis, seed, as_json=as_json))


@app.command("sandbox")
@click.option("--anis", type=click.IntRange(0, _MAX_ANIS), default=500, show_default=True,
              help="Numbers in the inventory.")  # fmt: skip
@_seed
@click.option("--inventory", metavar="FILE", type=click.Path(),
              help="Load the inventory from a saved file instead.")  # fmt: skip
@click.option("--state", "state_file", metavar="FILE", type=click.Path(),
              help="Keep the state across restarts in this SQLite file.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True,
              help="Port to listen on; 0 selects a free one.")  # fmt: skip
@click.option("--api-key", default="sandbox-key", show_default=True, help="The key to accept.")
@click.option("--latency", type=float, default=0.0, show_default=True,
              help="Seconds to wait before each response.")  # fmt: skip
@click.option("--fault", "faults", metavar="NAME:OPTIONS", multiple=True,
              help="Inject a fault, e.g. 429:share=0.1,retry_after=2; repeatable.")  # fmt: skip
@click.option("--refusal-status", type=int, default=200, show_default=True,
              help="HTTP status of refusals, 200 or 4xx.")  # fmt: skip
@click.option("--dialect", type=click.Choice(["v1", "v2"]), default="v2", show_default=True,
              help="Wording of refusals.")  # fmt: skip
@click.option("--text-ids", is_flag=True, help="Send row ids as strings.")
@click.option("--contradictory", is_flag=True, help="Send envelopes that contradict themselves.")
@click.option("--explain", is_flag=True, is_eager=True,
              help="List behaviours, with the basis of each, and faults.")  # fmt: skip
@click.pass_context
def _sandbox(context: click.Context, /, port: int, *, explain: bool, **settings: Any) -> int:
    """Run a local emulator of the NRM API until Ctrl-C.

    The emulator listens on this machine only. Without --state, all changes are lost when it stops.
    """
    if explain:
        return run(explain_sandbox())
    typed = {
        name: settings[name]
        for name in ("anis", "seed")
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    try:
        sandbox = make_sandbox(port, settings, typed)
    except ValueError as error:
        raise _InvalidSettingsError(str(error)) from None
    return run(serve(sandbox, port), interrupted=OK)


for _command in COMMANDS:
    app.add_command(_command)
