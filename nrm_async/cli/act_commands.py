"""The commands that act: their arguments, their help, and nothing of what they do."""

from typing import Any, Final

import click

from nrm_async.cli.bulk import act
from nrm_async.cli.inputs import ActionName, Inputs
from nrm_async.cli.options import (
    Command,
    Connection,
    connection,
    existing_file,
    typed_connection,
    usage,
)
from nrm_async.cli.rehearsal import rehearse
from nrm_async.cli.report_file import ReportFile
from nrm_async.cli.run import run

_anis_argument: Final = click.argument("anis", metavar="[ANI]...", nargs=-1)
_files: Final = (
    click.option(
        "--file", metavar="FILE", type=existing_file,
        help="CSV or JSON Lines of numbers, in a column ani, phone or number; action, carrier, "
        "note and date are optional columns. Plain lists of numbers need no header; lines that "
        "begin with # are passed over.",
    ),
    click.option(
        "--retry", metavar="REPORT", type=existing_file,
        help="Instead of numbers: a report that --report saved. Only what was not applied, and "
        "is safe to send, is sent again; exit code 1 as long as the report has unknown ones.",
    ),
    click.option(
        "--report", metavar="FILE", type=click.Path(dir_okay=False),
        help="Save the results: .csv, .jsonl (.gz may follow) or .parquet. After Ctrl-C it also "
        "has the numbers that were not begun, for --retry.",
    ),
    click.option(
        "--dry-run", is_flag=True,
        help="Read and check everything, show what would be sent, and send nothing; exit code 1 "
        "if there are bad inputs.",
    ),
    click.option(
        "--json", "as_json", is_flag=True,
        help="Print JSON Lines, in the order in which results come; their index is the input's.",
    ),
)  # fmt: skip
_carrier: Final = click.option("--carrier", metavar="ID", help="Six-digit carrier id.")
_note: Final = click.option("--note", metavar="TEXT", help="Free text.")


def _with_files(command: Command) -> Command:
    """Give a command the options that all actions have."""
    for option in reversed(_files):
        command = option(command)
    return command


@click.command("pause")
@_anis_argument
@_with_files
@_carrier
@_note
@click.option("--date", metavar="DATE", help="YYYY-MM-DD or YYYYMMDDHHMMSS; now if left out.")
@connection
def pause_command(**arguments: Any) -> int:
    """Rest numbers: they go into their cooling-off period. '-' reads numbers from input."""
    return _act("pause", ("carrier", "note", "date"), **arguments)


@click.command("activate")
@_anis_argument
@_with_files
@click.option("--date", metavar="DATE", help="YYYY-MM-DD or YYYYMMDDHHMMSS; needed unless the "
              "file gives it.")  # fmt: skip
@_carrier
@_note
@connection
def activate_command(**arguments: Any) -> int:
    """Bring rested numbers back. '-' reads numbers from input."""
    if all(arguments[name] is None for name in ("date", "file", "retry")):
        raise click.UsageError("Missing option '--date'.")
    return _act("activate", ("carrier", "note", "date"), **arguments)


@click.command("remediate")
@_anis_argument
@_with_files
@_carrier
@_note
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
    retry: str | None,
    report: str | None,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> int:
    """Run one of the actions; ``about`` names the options that describe it to the API."""
    options = {key: given.pop(key) for key in about}
    with usage():
        inputs = Inputs(name, anis, options, file, retry)
        target = ReportFile(name, report, typed_connection())
        target.check_beside(file=file, retry=retry)
    if dry_run:
        return run(rehearse(inputs, as_json=as_json))
    return run(act(inputs, target, Connection(**given), as_json=as_json))


COMMANDS: Final = (pause_command, activate_command, remediate_command)
