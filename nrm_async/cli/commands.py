"""Arguments and help texts of the commands that require an account."""

from datetime import timedelta
from typing import Any, Final

import click

from nrm_async.cli.act import ReportFile, act
from nrm_async.cli.changes import show_diff, watch
from nrm_async.cli.exit_codes import run
from nrm_async.cli.inputs import ActionName, Inputs
from nrm_async.cli.inventory import STDOUT, ExportTarget, export, show_summary
from nrm_async.cli.listing import ListQuery, list_numbers
from nrm_async.cli.options import (
    Command,
    Connection,
    WholeNumber,
    chosen_columns,
    column_options,
    connection_options,
    duration,
    existing_file,
    json_option,
    typed_connection_options,
    usage_errors,
)
from nrm_async.cli.results import show_dry_run
from nrm_async.cli.stdin import FROM_STDIN
from nrm_async.files import Format

_number: Final = click.option(
    "--number", metavar="PREFIX", help="Only numbers that start with these digits."
)
_all_fields: Final = click.option(
    "--all-fields", is_flag=True,
    help="Print a line for each changed field, not for each number. The line for a number shows "
    "its status (or its first changed field) and the names of its other changed fields. --json "
    "always includes every field.",
)  # fmt: skip


@click.command("anis")
@_number
@click.option("--page", type=int, metavar="N", help="Only this page; the first is 1.")
@click.option("--page-size", type=int, metavar="N", help="Rows per page, 1 to 1000.")
@click.option(
    "--limit", type=WholeNumber(min=1), metavar="N", help="Maximum number of rows to list."
)
@json_option
@connection_options
def anis_command(
    number: str | None,
    page: int | None,
    page_size: int | None,
    limit: int | None,
    *,
    as_json: bool,
    **settings: Any,
) -> int:
    """List the numbers of the account."""
    query = ListQuery(number, page, page_size, limit)
    return run(list_numbers(Connection(**settings), query, as_json=as_json))


@click.command("export")
@click.argument("file", default=STDOUT)
@click.option("--format", "file_format", type=click.Choice(["csv", "jsonl", "parquet"]),
              help="Default: the suffix of FILE. Required without FILE.")  # fmt: skip
@click.option("--spreadsheet", is_flag=True,
              help="Write CSV in which spreadsheets keep phone numbers as text.")  # fmt: skip
@_number
@connection_options
def export_command(
    file: str, file_format: Format | None, number: str | None, *, spreadsheet: bool, **settings: Any
) -> int:
    """Write the whole inventory to a file.

    The suffix of FILE selects the format: .csv, .jsonl, .csv.gz, .jsonl.gz or .parquet. Without
    FILE, or with '-', the inventory is written to standard output. The inventory is read up to
    four times, until it is complete; exit code 1 means that it is incomplete. FILE is replaced
    only after the new content is fully written.
    """
    with usage_errors():
        target = ExportTarget(file, file_format, for_spreadsheet=spreadsheet)
    return run(export(Connection(**settings), target, number))


@click.command("summary")
@click.argument("file", required=False, type=existing_file)
@_number
@json_option
@connection_options
def summary_command(file: str | None, number: str | None, *, as_json: bool, **settings: Any) -> int:
    """Summarise a saved inventory, or the current inventory of the account.

    Exit code 1 means that the inventory read from the account is incomplete. A file that is not
    marked as complete (a CSV file never is) causes a warning and exit code 0.
    """
    return run(show_summary(Connection(**settings), file, number, as_json=as_json))


@click.command("diff")
@click.argument("old", type=existing_file)
@click.argument("new", required=False, type=existing_file)
@_number
@_all_fields
@json_option
@connection_options
def diff_command(
    old: str,
    new: str | None,
    number: str | None,
    *,
    all_fields: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    """Show the changes between two inventories.

    OLD and NEW are files written by 'export'; without NEW, OLD is compared with the current
    inventory of the account. Exit code 0 means success, with or without changes; 1 means that the
    inventory read from the account is incomplete; 2 means that a file is not a saved inventory.
    """
    connection = Connection(**settings)
    return run(show_diff(connection, old, new, number, all_fields=all_fields, as_json=as_json))


@click.command("watch")
@click.option("--every", type=duration, default="5m", show_default=True, metavar="TIME",
              help="Interval between reads, e.g. 90s, 5m or 1h30m.")  # fmt: skip
@click.option("--from", "start", metavar="FILE", type=existing_file,
              help="Compare the first read with this saved inventory.")  # fmt: skip
@_number
@_all_fields
@json_option
@connection_options
def watch_command(
    every: timedelta,
    start: str | None,
    number: str | None,
    *,
    all_fields: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    """Print changes in the account as they are found, until Ctrl-C.

    A failed read causes a warning and is retried at the next interval. Ctrl-C ends the command
    with exit code 130.
    """
    connection = Connection(**settings)
    return run(watch(connection, every, start, number, all_fields=all_fields, as_json=as_json))


_anis_argument: Final = click.argument("anis", metavar="[ANI]...", nargs=-1)
_carrier: Final = click.option("--carrier", metavar="ID", help="Six-digit carrier id.")
_note: Final = click.option("--note", metavar="TEXT", help="Free text.")
_file_options: Final = (
    click.option(
        "--file", metavar="FILE", type=existing_file,
        help="Read numbers from CSV or JSON Lines, from the column ani, phone or number. The "
        "columns action, carrier, note and date are optional. A plain list needs no header; lines "
        "that start with # are skipped.",
    ),
    *column_options,
    click.option(
        "--retry", metavar="REPORT", type=existing_file,
        help="Instead of numbers, read a report saved with --report, and send only the actions "
        "that were not applied and are safe to send again. The exit code is 1 while the report "
        "contains unknown outcomes.",
    ),
    click.option(
        "--report", metavar="FILE", type=click.Path(dir_okay=False),
        help="Save the results to a file that ends in .csv, .jsonl, .csv.gz, .jsonl.gz or "
        ".parquet. After Ctrl-C, the report also contains the numbers that were not started, "
        "for --retry.",
    ),
    click.option(
        "--dry-run", is_flag=True,
        help="Read and check all inputs, show what would be sent, and send nothing. The exit "
        "code is 1 if an input is bad.",
    ),
    click.option(
        "--json", "as_json", is_flag=True,
        help="Print JSON Lines as results complete; index is the position of the input, from 0.",
    ),
)  # fmt: skip


def _file_and_report_options(command: Command) -> Command:
    for option in reversed(_file_options):
        command = option(command)
    return command


@click.command("pause")
@_anis_argument
@_file_and_report_options
@_carrier
@_note
@click.option("--date", metavar="DATE", help="YYYY-MM-DD or YYYYMMDDHHMMSS; default: now.")
@connection_options
def pause_command(**arguments: Any) -> int:
    """Pause numbers. '-' reads a list from standard input.

    A paused number is out of service for a cooling-off period.
    """
    return _act("pause", ("carrier", "note", "date"), **arguments)


@click.command("activate")
@_anis_argument
@_file_and_report_options
@click.option("--date", metavar="DATE", help="YYYY-MM-DD or YYYYMMDDHHMMSS. Required, unless the "
              "list contains dates.")  # fmt: skip
@_carrier
@_note
@connection_options
def activate_command(**arguments: Any) -> int:
    """Activate paused numbers. '-' reads a list from standard input."""
    has_list = FROM_STDIN in arguments["anis"]
    if not has_list and all(arguments[name] is None for name in ("date", "file", "retry")):
        raise click.UsageError("Missing option '--date'.")
    return _act("activate", ("carrier", "note", "date"), **arguments)


@click.command("remediate")
@_anis_argument
@_file_and_report_options
@_carrier
@_note
@connection_options
def remediate_command(**arguments: Any) -> int:
    """Ask carriers to remove spam labels. '-' reads a list from standard input."""
    return _act("remediate", ("carrier", "note"), **arguments)


def _act(
    name: ActionName,
    option_names: tuple[str, ...],
    *,
    anis: tuple[str, ...],
    file: str | None,
    retry: str | None,
    column: tuple[tuple[str, str], ...],
    no_column: tuple[str, ...],
    report: str | None,
    dry_run: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    """Run an action; ``option_names`` lists its own options, as opposed to connection options."""
    options = {key: settings.pop(key) for key in option_names}
    with usage_errors():
        columns = chosen_columns(column, no_column)
        inputs = Inputs(name, anis, options, file, retry, columns)
        target = ReportFile(name, report, typed_connection_options())
        target.check_differs(file=file, retry=retry)
    if dry_run:
        return run(show_dry_run(inputs, as_json=as_json))
    return run(act(inputs, target, Connection(**settings), as_json=as_json))


COMMANDS: Final = (
    anis_command,
    export_command,
    summary_command,
    diff_command,
    watch_command,
    pause_command,
    activate_command,
    remediate_command,
)
