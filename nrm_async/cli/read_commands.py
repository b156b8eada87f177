"""The commands that read: their arguments, their help, and nothing of what they do."""

from datetime import timedelta
from typing import Any, Final

import click

from nrm_async.cli.changes import show_diff, watch
from nrm_async.cli.export import TO_OUTPUT, Target, export
from nrm_async.cli.listing import Wanted, list_numbers
from nrm_async.cli.options import (
    Connection,
    Whole,
    connection,
    existing_file,
    json_lines,
    span,
    usage,
)
from nrm_async.cli.overview import show_summary
from nrm_async.cli.run import run
from nrm_async.files import Format

_number: Final = click.option(
    "--number", metavar="PREFIX", help="Only numbers that begin with these digits."
)
_all_fields: Final = click.option(
    "--all-fields", is_flag=True,
    help="A line for each field that changed; else a line for each number, with its status (or "
    "first field that changed) and the names of the others. --json has all.",
)  # fmt: skip


@click.command("anis")
@_number
@click.option("--page", type=int, metavar="N", help="Only this page, from 1.")
@click.option("--page-size", type=int, metavar="N", help="Rows on a page, 1 to 1000.")
@click.option("--limit", type=Whole(min=1), metavar="N", help="At most so many numbers.")
@json_lines
@connection
def anis_command(
    number: str | None,
    page: int | None,
    page_size: int | None,
    limit: int | None,
    *,
    as_json: bool,
    **settings: Any,
) -> int:
    """List the numbers of the account, as they come."""
    wanted = Wanted(number, page, page_size, limit)
    return run(list_numbers(Connection(**settings), wanted, as_json=as_json))


@click.command("export")
@click.argument("file", default=TO_OUTPUT)
@click.option("--format", "form", type=click.Choice(["csv", "jsonl", "parquet"]),
              help="If the file's name does not tell; needed for standard output.")  # fmt: skip
@click.option("--spreadsheet", is_flag=True,
              help="CSV that a spreadsheet leaves as it is: numbers stay text.")  # fmt: skip
@_number
@connection
def export_command(
    file: str, form: Format | None, number: str | None, *, spreadsheet: bool, **settings: Any
) -> int:
    """Write the whole inventory to FILE: .csv, .jsonl or .parquet, and .gz of the first two.

    It is read until nothing is missing, and FILE is replaced only when it is written whole.
    Exit code 1 says that it is not complete. '-' or nothing is standard output.
    """
    with usage():
        target = Target(file, form, for_spreadsheet=spreadsheet)
    return run(export(Connection(**settings), target, number))


@click.command("summary")
@click.argument("file", required=False, type=existing_file)
@_number
@json_lines
@connection
def summary_command(file: str | None, number: str | None, *, as_json: bool, **settings: Any) -> int:
    """Count the numbers of a saved inventory, or of the account as it is now.

    Exit code 1 says that what was read from the account is not complete. A file that does not
    say that it is complete (CSV never does) is told of, with exit code 0.
    """
    return run(show_summary(Connection(**settings), file, number, as_json=as_json))


@click.command("diff")
@click.argument("old", type=existing_file)
@click.argument("new", required=False, type=existing_file)
@_number
@_all_fields
@json_lines
@connection
def diff_command(
    old: str,
    new: str | None,
    number: str | None,
    *,
    all_fields: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    """Show what changed from OLD to NEW; without NEW, to the account as it is now.

    Both are files that 'export' wrote. Exit code 0 does not mean that nothing changed;
    1 says that what was read from the account is not complete, 2 that a file is none of those.
    """
    connection = Connection(**settings)
    return run(show_diff(connection, old, new, number, all_fields=all_fields, as_json=as_json))


@click.command("watch")
@click.option("--every", type=span, default="5m", show_default=True, metavar="TIME",
              help="From one read to the next: 90s, 5m, 1h30m.")  # fmt: skip
@click.option("--from", "start", metavar="FILE", type=existing_file,
              help="A saved inventory to compare the first read with.")  # fmt: skip
@_number
@_all_fields
@json_lines
@connection
def watch_command(
    every: timedelta,
    start: str | None,
    number: str | None,
    *,
    all_fields: bool,
    as_json: bool,
    **settings: Any,
) -> int:
    """Print what changes in the account, as it changes, until Ctrl-C.

    A read that fails is told, and tried again in its turn. Ctrl-C makes exit code 130.
    """
    connection = Connection(**settings)
    return run(watch(connection, every, start, number, all_fields=all_fields, as_json=as_json))


COMMANDS: Final = (anis_command, export_command, summary_command, diff_command, watch_command)
