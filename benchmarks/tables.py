"""Write Markdown tables of saved runs to ``benchmarks/README.md``.

A run of ``python -m benchmarks --json`` is one JSON object, and is converted to the table of
ratios. A run of ``python -m benchmarks.flow --json`` has one line of JSON per figure, and is
converted to the table of flow control. Each table replaces the text between two HTML comments.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

README: Final = Path(__file__).with_name("README.md")


def write(saved: str, document: Path = README) -> None:
    """Replace the table for this run in the document.

    Raises:
        ValueError: The text is not the output of a run, or the document has no such table.
    """
    name, table = _table_of(saved)
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    text = document.read_text()
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{document.name} has no lines {begin} and {end}")
    document.write_text(f"{before}{begin}\n{table}\n{end}{after}")


def _table_of(saved: str) -> tuple[str, str]:
    try:
        run = json.loads(saved)
    except json.JSONDecodeError:  # more than one line, or no JSON at all
        run = [json.loads(line) for line in saved.splitlines() if line.strip()]
    if isinstance(run, dict) and {"machine", "parts"} <= run.keys():
        return "ratios", ratios(run)
    if isinstance(run, list) and (limits := [line for line in run if line["part"] == "limits"]):
        return "flow", flow(limits)
    raise ValueError("not a run of benchmarks or benchmarks.flow, saved with --json")


# --- ratios -----------------------------------------------------------------------------------

_TITLES: Final = ("what", "rival", "ours", "rival's", "unit", "ratio", "low to high", "wall", "aim")
HEAD: Final = f"| {' | '.join(_TITLES)} |\n|{'---|' * len(_TITLES)}"


def ratios(run: Mapping[str, Any]) -> str:
    """Return the machine, the table and the notes of a run."""
    rows = [row(figure) for figures in run["parts"].values() for figure in figures]
    notes = ["", "; ".join(run["notes"]) + "."] if run["notes"] else []
    return "\n".join([f"{describe(run['machine'])}.", "", HEAD, *rows, *notes])


def describe(machine: Mapping[str, Any]) -> str:
    """Return the description of the machine in one line."""
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def row(figure: Mapping[str, Any]) -> str:
    """Return a figure as a table row."""
    aim = "" if figure["aim"] is None else f"{figure['aim']} {'✓' if figure['met'] else '✗'}"
    cells = (
        figure["what"],
        figure["rival"],
        _three_digits(figure["ours"]),
        _three_digits(figure["theirs"]),
        figure["unit"],
        f"**{figure['ratio']:.3f}**",
        f"{figure['low']:.3f} to {figure['high']:.3f}",
        "" if figure["wall_ratio"] is None else f"{figure['wall_ratio']:.3f}",
        aim,
    )
    return f"| {' | '.join(cells)} |"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


# --- flow control -----------------------------------------------------------------------------

OURS: Final = "nrm_async"
RIVAL: Final = "pool of 50, vendor's rule"
_SERVERS: Final = {
    "a": "200 calls a second",
    "b": "20 calls a second",
    "c": "20 concurrent calls",
    "d": "200 a second, then 20 concurrent",
}
_FLOW_HEAD: Final = (
    "| the server accepts | `Retry-After` | nrm-async: used | 429 | lost "
    "| pool of 50, vendor's rule: used | 429 | lost |\n|---|---|---|---|---|---|---|---|"
)


def flow(limits: Iterable[Mapping[str, Any]]) -> str:
    """Return one row per limit, with the lowest and the highest figure of its servers."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for line in limits:
        groups.setdefault((line["server"].partition(":")[0], line["Retry-After"]), []).append(line)
    rows = [
        f"| {_SERVERS[server]} | {retry_after} | {' | '.join(_flow_cells(lines))} |"
        for (server, retry_after), lines in groups.items()
    ]
    return "\n".join([_FLOW_HEAD, *rows])


def _flow_cells(lines: list[Mapping[str, Any]]) -> Iterator[str]:
    for client, digits in ((OURS, 1), (RIVAL, 0)):
        own = [line for line in lines if line["client"] == client]
        yield _span([f"{line['goodput_%']:.0f}" for line in own]) + " %"
        yield _span([f"{line['429_%']:.{digits}f}" for line in own]) + " %"
        yield f"{_span([format(line['lost'], ',') for line in own])} of {own[0]['calls']:,}"


def _span(values: Iterable[str]) -> str:
    low, *rest = sorted(set(values), key=lambda text: float(text.replace(",", "")))
    return f"{low} to {rest[-1]}" if rest else low
