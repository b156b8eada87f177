"""List numbers as a table or as JSON Lines."""

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

import attrs

from nrm_async import Ani, AniPage, MalformedRow, NRMClient
from nrm_async._wire import to_dict
from nrm_async.cli.console import (
    Column,
    TableWriter,
    pluralize,
    print_json,
    print_line,
    stdout_console,
    warn,
)
from nrm_async.cli.exit_codes import FAILED, OK
from nrm_async.cli.options import Connection

_MAX_PAGE_SIZE: Final = 1_000  # NRM API documentation, GET /anis; also the default

_COLUMNS: Final = (
    Column("ANI", 10),
    Column("Status", 24),
    Column("Campaign", 14),
    Column("State", 5),
    Column("Dials", 6, is_number=True),
    Column("Contact %", 9, is_number=True),
    Column("Block %", 7, is_number=True),
)


@attrs.frozen
class ListQuery:
    """The parameters of a listing: all pages or one page, and at most ``limit`` rows."""

    number: str | None = None
    page: int | None = None
    page_size: int | None = None
    limit: int | None = None

    @property
    def rows_per_page(self) -> int:
        """Number of rows per page; by default no larger than the limit."""
        if self.page_size is not None:
            return self.page_size
        if self.limit is None or self.page is not None:
            return _MAX_PAGE_SIZE
        return min(self.limit, _MAX_PAGE_SIZE)

    def prefetch(self, concurrency: int) -> int:
        """Return the number of pages to prefetch, which is no more than the limit requires."""
        if self.limit is None or self.rows_per_page < 1:
            return concurrency
        return min(-(-self.limit // self.rows_per_page), concurrency)


async def list_numbers(connection: Connection, query: ListQuery, *, as_json: bool) -> int:
    """Print the numbers page by page and return the exit code."""
    console = stdout_console()
    table = TableWriter(console, _COLUMNS)
    listed, malformed = 0, list[MalformedRow]()
    async with (
        connection.client() as client,
        aclosing(_pages(client, query, connection.concurrency)) as pages,
    ):
        async for page in pages:
            rows = page.data if query.limit is None else page.data[: query.limit - listed]
            if as_json:
                _print_json_rows(rows)
            else:
                table.add(_cells(ani) for ani in rows)
            listed += len(rows)
            malformed += page.malformed
            if listed == query.limit:
                break
    if not as_json:
        print_line(console, f"{pluralize(listed)} listed")
    return _exit_code(malformed)


async def _pages(
    client: NRMClient, query: ListQuery, concurrency: int
) -> AsyncGenerator[AniPage, None]:
    number, size = query.number, query.rows_per_page
    if query.page is not None:
        yield await client.list_anis(page=query.page, page_size=size, number=number)
        return
    stream = client.anis(number=number, page_size=size, prefetch=query.prefetch(concurrency))
    async with stream.pages() as pages:
        async for page in pages:
            yield page


def _print_json_rows(rows: Sequence[Ani]) -> None:
    for ani in rows:
        print_json(to_dict(ani))
    sys.stdout.flush()  # so that a program reading a pipe receives each page immediately


def _cells(ani: Ani) -> tuple[str | float | None, ...]:
    return (
        ani.phone,
        ani.status_label or ani.status,
        ani.campaign_name,
        ani.state,
        ani.last_30_days_dials,
        ani.contact_rate,
        ani.block_rate,
    )


def _exit_code(malformed: Sequence[MalformedRow]) -> int:
    """Return the exit code; warn about malformed rows, which the listing omits."""
    if not malformed:
        return OK
    first = malformed[0]
    warn(
        f"{pluralize(len(malformed), 'malformed row')} left out; "
        f"the first: {first.phone or 'no number'}: {first.path} {first.problem}"
    )
    return FAILED
