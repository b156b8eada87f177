"""The inventory, as a table for people or as JSON Lines for programs."""

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Final, TypeAlias

import attrs

from nrm_async import Ani, AniPage, MalformedRow, NRMClient
from nrm_async._wire import to_plain
from nrm_async.cli.options import Connection
from nrm_async.cli.run import FAILED, OK
from nrm_async.cli.show import (
    Cell,
    Column,
    TableWriter,
    complain,
    console,
    counted,
    json_line,
    line,
)

_LARGEST_PAGE: Final = 1_000  # NRM API documentation, GET /anis; also its default

_COLUMNS: Final = (
    Column("ANI", 10),
    Column("Status", 24),
    Column("Campaign", 14),
    Column("State", 5),
    Column("Dials", 6, is_number=True),
    Column("Contact %", 9, is_number=True),
    Column("Block %", 7, is_number=True),
)

Write: TypeAlias = Callable[[Sequence[Ani]], object]


@attrs.frozen
class Wanted:
    """Which numbers to list: all, or those of one page; at most ``limit``."""

    number: str | None = None
    page: int | None = None
    page_size: int | None = None
    limit: int | None = None

    @property
    def rows_per_page(self) -> int:
        """No more than are wanted, where nothing else was asked for."""
        if self.page_size is not None:
            return self.page_size
        is_short = self.limit is not None and self.page is None
        return min(self.limit or _LARGEST_PAGE, _LARGEST_PAGE) if is_short else _LARGEST_PAGE

    def prefetch(self, most: int) -> int:
        """Pages to fetch ahead: fewer than could be, if fewer are wanted."""
        if self.limit is None or self.rows_per_page < 1:
            return most
        return min(-(-self.limit // self.rows_per_page), most)


async def list_numbers(connection: Connection, wanted: Wanted, *, as_json: bool) -> int:
    """Print the numbers as their pages come."""
    screen = console()
    writer = TableWriter(screen, _COLUMNS)
    write = _write_json if as_json else lambda rows: writer.add(_cells(ani) for ani in rows)
    async with (
        connection.client() as client,
        aclosing(_pages(client, wanted, connection.concurrency)) as pages,
    ):
        listed, malformed = await _copy(pages, wanted.limit, write)
    if not as_json:
        line(screen, f"{counted(listed)} listed")
    return _complain_of(malformed)


async def _copy(
    pages: AsyncIterator[AniPage], limit: int | None, write: Write
) -> tuple[int, list[MalformedRow]]:
    """Write rows up to the limit; say how many there were, and which could not be read."""
    listed, malformed = 0, list[MalformedRow]()
    async for page in pages:
        rows = page.data if limit is None else page.data[: limit - listed]
        write(rows)
        listed += len(rows)
        malformed += page.malformed
        if listed == limit:
            break
    return listed, malformed


async def _pages(client: NRMClient, wanted: Wanted, most: int) -> AsyncGenerator[AniPage, None]:
    number, size = wanted.number, wanted.rows_per_page
    if wanted.page is not None:
        yield await client.list_anis(page=wanted.page, page_size=size, number=number)
        return
    stream = client.anis(number=number, page_size=size, prefetch=wanted.prefetch(most))
    async with stream.pages() as pages:
        async for page in pages:
            yield page


def _write_json(rows: Sequence[Ani]) -> None:
    for ani in rows:
        json_line(to_plain(ani))
    sys.stdout.flush()  # a page is worth having when it comes


def _cells(ani: Ani) -> tuple[Cell, ...]:
    return (
        ani.phone,
        ani.status_label or ani.status,
        ani.campaign_name,
        ani.state,
        ani.last_30_days_dials,
        ani.contact_rate,
        ani.block_rate,
    )


def _complain_of(malformed: Sequence[MalformedRow]) -> int:
    """A row left out in silence would pass for a number that is not there."""
    if not malformed:
        return OK
    first = malformed[0]
    complain(
        f"rows that could not be read, and are missing above: {len(malformed)}; "
        f"the first: {first.phone or 'no number'}: {first.path} {first.problem}"
    )
    return FAILED
