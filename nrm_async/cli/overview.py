"""What an inventory has in all: counts, and rates weighted by dials."""

from collections.abc import Iterator, Mapping
from typing import Final

from nrm_async.cli.options import Connection
from nrm_async.cli.run import OK
from nrm_async.cli.show import Cell, Column, complain, console, json_line, line, table
from nrm_async.cli.source import code_of, load, read
from nrm_async.inventory import Summary

_GROUPS: Final = {"by_status": "Status", "by_campaign": "Campaign", "by_area_code": "Area code"}
_MOST_SHOWN: Final = 10  # of each kind; --json has all
_RATES: Final = ("contact_rate", "success_rate", "block_rate", "no_answer_rate")


async def show_summary(
    connection: Connection, path: str | None, number: str | None, *, as_json: bool
) -> int:
    """Sum up a saved inventory, or the one there is now."""
    inventory = await (read(connection, number) if path is None else load(path, number))
    code = OK if path is not None else code_of(inventory)
    if path is not None and not inventory.complete:
        complain(f"{path} does not say that it is complete")
    summary = inventory.summary()
    if as_json:
        json_line({**summary.as_dict(), "complete": inventory.complete})
    else:
        _show(summary)
    return code


def _show(summary: Summary) -> None:
    screen = console()
    line(
        screen,
        f"{summary.numbers:,} numbers, {summary.active:,} active; in the last 30 days "
        f"{summary.dials:,} dials, {summary.contacts:,} contacts",
    )
    rates = [
        f"{name.removesuffix('_rate').replace('_', ' ')} {value:.2f} %"
        for name in _RATES
        if (value := getattr(summary, name)) is not None
    ]
    line(screen, f"Rates, weighted by dials: {', '.join(rates) or 'none known'}")
    for name, title in _GROUPS.items():
        counts = getattr(summary, name)
        if counts:
            line(screen, "")
            table(screen, (Column(title, 24), Column("Numbers", is_number=True)), _rows(counts))


def _rows(counts: Mapping[str | None, int]) -> Iterator[tuple[Cell, Cell]]:
    most = list(counts.items())[:_MOST_SHOWN]
    yield from most
    if len(counts) > len(most):
        yield f"{len(counts) - len(most):,} others", sum(counts.values()) - sum(n for _, n in most)
