"""The commands that act: their arguments, their help, and nothing of what they do."""

from typing import Any, Final

import click

from nrm_async.cli.bulk import ActionName, Files, act
from nrm_async.cli.options import Connection, connection, existing_file, json_lines, usage
from nrm_async.cli.run import run

_anis_argument: Final = click.argument("anis", metavar="ANI...", nargs=-1)
_file: Final = click.option(
    "--file", metavar="FILE", type=existing_file,
    help="CSV or JSON Lines of numbers, in a column ani, phone or number; action, carrier, note "
    "and date are optional columns.",
)  # fmt: skip
_report: Final = click.option(
    "--report", metavar="FILE", type=click.Path(dir_okay=False),
    help="Save the results: .csv, .jsonl or .parquet.",
)  # fmt: skip
_carrier: Final = click.option("--carrier", metavar="ID", help="Six-digit carrier id.")
_note: Final = click.option("--note", metavar="TEXT", help="Free text.")


@click.command("pause")
@_anis_argument
@_file
@_report
@_carrier
@_note
@click.option("--date", metavar="DATE", help="YYYY-MM-DD or YYYYMMDDHHMMSS; now if left out.")
@json_lines
@connection
def pause_command(**arguments: Any) -> int:
    """Rest numbers: they go into their cooling-off period. '-' reads numbers from input."""
    return _act("pause", ("carrier", "note", "date"), **arguments)


@click.command("activate")
@_anis_argument
@_file
@_report
@click.option("--date", metavar="DATE", help="YYYY-MM-DD or YYYYMMDDHHMMSS; needed unless the "
              "file gives it.")  # fmt: skip
@_carrier
@_note
@json_lines
@connection
def activate_command(**arguments: Any) -> int:
    """Bring rested numbers back. '-' reads numbers from input."""
    if arguments["date"] is None and arguments["file"] is None:
        raise click.UsageError("Missing option '--date'.")
    return _act("activate", ("carrier", "note", "date"), **arguments)


@click.command("remediate")
@_anis_argument
@_file
@_report
@_carrier
@_note
@json_lines
@connection
def remediate_command(**arguments: Any) -> int:
    """Ask carriers to clear spam labels. '-' reads numbers from input."""
    return _act("remediate", ("carrier", "note"), **arguments)


def _act(
    name: ActionName,
    about: tuple[str, ...],
    *,
    anis: tuple[str, ...],
    file: str | None,
    report: str | None,
    as_json: bool,
    **given: Any,
) -> int:
    """Run one of the actions; ``about`` names the options that describe it to the API."""
    if not anis and file is None:
        raise click.UsageError("Missing argument 'ANI...', or option '--file'.")
    options = {key: given.pop(key) for key in about}
    with usage():
        files = Files(file, report)
    return run(act(name, anis, options, files, Connection(**given), as_json=as_json))


COMMANDS: Final = (pause_command, activate_command, remediate_command)
