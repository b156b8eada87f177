"""A dry run: everything is read and checked, shown, and nothing is sent."""

from collections.abc import AsyncIterator
from typing import Any, Final

import attrs
from rich.console import Console

from nrm_async.cli.inputs import Inputs
from nrm_async.cli.run import FAILED, OK
from nrm_async.cli.show import Column, console, counted, json_line, line, table
from nrm_async.files import BadInput
from nrm_async.files.actions import AnyAction

_MOST_SHOWN: Final = 5  # actions
_MOST_BAD: Final = 20  # --json has all of both

_COLUMNS: Final = (Column("ANI", 10), Column("Carrier"), Column("Date"), Column("Note"))


async def rehearse(inputs: Inputs, *, as_json: bool) -> int:
    """Show what would be sent; bad inputs make the exit code 1."""
    if as_json:
        return await _as_lines(inputs)
    found = await _Found.of(inputs.opened())
    found.show(console(), inputs.name)
    return FAILED if found.bad else OK


async def _as_lines(inputs: Inputs) -> int:
    index, code = 0, OK
    async for item in inputs.opened():
        json_line({"index": index, **_plain(item, inputs.name)})
        index += 1
        code = FAILED if isinstance(item, BadInput) else code
    return code


def _plain(item: AnyAction | BadInput, name: str) -> dict[str, Any]:
    error = item.error.message if isinstance(item, BadInput) else None
    ani = item.text if isinstance(item, BadInput) else item.ani
    options = {name: getattr(item, name, None) for name in ("carrier", "note", "date")}
    return {"ani": ani, "action": name, **options, "ok": error is None, "error": error}


@attrs.define
class _Found:
    """How many inputs there are, and the first of them."""

    good: int = 0
    bad: int = 0
    first: list[AnyAction] = attrs.field(factory=list)
    first_bad: list[BadInput] = attrs.field(factory=list)

    @classmethod
    async def of(cls, items: AsyncIterator[AnyAction | BadInput]) -> "_Found":
        found = cls()
        async for item in items:
            if isinstance(item, BadInput):
                found._take_bad(item)
            else:
                found._take(item)
        return found

    def _take(self, action: AnyAction) -> None:
        self.good += 1
        if self.good <= _MOST_SHOWN:
            self.first.append(action)

    def _take_bad(self, item: BadInput) -> None:
        self.bad += 1
        if self.bad <= _MOST_BAD:
            self.first_bad.append(item)

    def show(self, screen: Console, name: str) -> None:
        rows = ((a.ani, a.carrier, getattr(a, "date", None), a.note) for a in self.first)
        table(screen, _COLUMNS, rows)
        if self.good > len(self.first):
            line(screen, f"... and {self.good - len(self.first):,} more")
        for item in self.first_bad:
            line(screen, f"bad: {item.text}: {item.error.message}")
        if self.bad > len(self.first_bad):
            line(screen, f"... and {self.bad - len(self.first_bad):,} more that are bad")
        bad = f"; {self.bad:,} bad, which would not be sent" if self.bad else ""
        line(screen, f"Would {name} {counted(self.good)}{bad}. Nothing was sent.")
