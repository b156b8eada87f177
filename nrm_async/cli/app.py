"""The command and its help; its parts that need no account; how it begins and ends."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import click
from click.core import ParameterSource

from nrm_async import __version__
from nrm_async.cli import act_commands, read_commands
from nrm_async.cli.changes import Complaints
from nrm_async.cli.demo import demo
from nrm_async.cli.run import INTERRUPTED, USAGE, run, tolerant_output
from nrm_async.cli.serve import explain_sandbox, sandbox_of, serve

_EPILOG: Final = """\
The API key is read from OUTBOUNDIQ_API_KEY in the environment, and from nowhere else: a key on
the command line would show in process lists.

\b
Exit codes:
  0  all numbers listed, all actions applied
  1  some were not, what was read is not complete, or something failed on the way
  2  wrong usage, settings or files; nothing was sent
  3  the API does not accept the key
  130  ended by Ctrl-C
"""

_MOST_ANIS: Final = 1_000_000  # twice the largest account known; it only stops slips

_seed: Final = click.option(
    "--seed", type=int, default=1, show_default=True, help="Same seed, same numbers."
)


class _WrongError(click.ClickException):
    """Settings that cannot be; one line says why."""

    exit_code = USAGE


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code; ``None`` takes the arguments of the process."""
    tolerant_output()
    try:
        with _warnings_told():
            # Not click's standalone mode: it has words and a code of its own for Ctrl-C.
            code = app.main(arguments, prog_name="nrm-async", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = INTERRUPTED
    sys.exit(code)


@contextmanager
def _warnings_told() -> Iterator[None]:
    """The library's warnings come as lines of the command's."""
    log, handler = logging.getLogger("nrm_async"), Complaints(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def app() -> None:
    """Work with the NRM API: list numbers, pause, activate and remediate them in bulk."""


@app.command("demo")
@click.option("--anis", type=click.IntRange(1, _MOST_ANIS), default=5_000, show_default=True,
              help="Numbers in the inventory.")  # fmt: skip
@_seed
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def _demo(anis: int, seed: int, *, as_json: bool) -> int:
    """Show the SDK at work on a sandbox, in a few seconds.

    Needs no account and no key. Lists an inventory, acts on the unhealthy numbers, and checks
    what was reported against the sandbox's own books: exit code 1 if they differ.
    """
    return run(demo(anis, seed, as_json=as_json))


@app.command("sandbox")
@click.option("--anis", type=click.IntRange(0, _MOST_ANIS), default=500, show_default=True,
              help="Numbers in the inventory.")  # fmt: skip
@_seed
@click.option("--inventory", metavar="FILE", type=click.Path(),
              help="Load the inventory from a file that was saved instead.")  # fmt: skip
@click.option("--state", "state_file", metavar="FILE", type=click.Path(),
              help="Keep everything in this SQLite file, over restarts.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True,
              help="Port on this machine; 0 takes a free one.")  # fmt: skip
@click.option("--api-key", default="sandbox-key", show_default=True, help="The key to let in.")
@click.option("--latency", type=float, default=0.0, show_default=True,
              help="Seconds added to each answer.")  # fmt: skip
@click.option("--fault", "faults", metavar="NAME:OPTIONS", multiple=True,
              help="Let this go wrong: 429:share=0.1,retry_after=2; repeatable.")  # fmt: skip
@click.option("--refusal-status", type=int, default=200, show_default=True,
              help="HTTP status of refusals, 200 or 4xx.")  # fmt: skip
@click.option("--dialect", type=click.Choice(["v1", "v2"]), default="v2", show_default=True,
              help="How refusals are worded.")  # fmt: skip
@click.option("--text-ids", is_flag=True, help="Ids of rows as strings.")
@click.option("--contradictory", is_flag=True, help="Envelopes that contradict themselves.")
@click.option("--explain", is_flag=True, is_eager=True,
              help="Show what it does, on whose word, and its faults.")  # fmt: skip
@click.pass_context
def _sandbox(context: click.Context, /, port: int, *, explain: bool, **settings: Any) -> int:
    """Run a local emulator of the NRM API until Ctrl-C.

    It listens on this machine only, and without --state it forgets everything when it stops.
    """
    if explain:
        return explain_sandbox()
    typed = {
        name: settings[name]
        for name in ("anis", "seed")
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }
    try:
        sandbox = sandbox_of(port, settings, typed)
    except ValueError as error:
        raise _WrongError(str(error)) from None
    return run(serve(sandbox, port))


for _command in (*read_commands.COMMANDS, *act_commands.COMMANDS):
    app.add_command(_command)
