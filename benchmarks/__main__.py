"""Run the benchmarks against their rivals: ``python -m benchmarks [calls rows latency …]``.

Each figure is a ratio to a rival measured in the same run, alternating with it: the median of
several rounds, with the lowest and the highest ratio. CPU times exclude the server, which runs in
another process.

``python -m benchmarks --json > results.json`` saves a run, and ``python -m benchmarks tables
results.json`` writes its table to ``benchmarks/README.md``.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks import calls, latency, memory, rows, stall, start, tables
from benchmarks.measurement import Figure
from benchmarks.options import Options, add_arguments, machine

Part: TypeAlias = Callable[[Options], Iterator[Figure]]

PARTS: Final[dict[str, Part]] = {
    "calls": calls.measure,
    "rows": rows.measure,
    "latency": latency.measure,
    "stall": stall.measure,
    "memory": memory.measure,
    "start": start.measure,
}
_TABLES: Final = "tables"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=(__doc__ or "").splitlines()[0],
        epilog=f"'{_TABLES} FILE...' measures nothing: it writes the tables of runs saved with "
        "--json, of this command or of benchmarks.flow, to benchmarks/README.md",
    )
    parser.add_argument("parts", nargs="*", help=f"any of: {' '.join(PARTS)}; default: all")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_arguments(parser)
    arguments = parser.parse_args()
    if arguments.parts[:1] == [_TABLES]:
        _write_tables(parser, arguments.parts[1:])
        return
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; choose from {[*PARTS]}")
    _run(arguments.parts or list(PARTS), Options.of(arguments), as_json=arguments.json)


def _write_tables(parser: argparse.ArgumentParser, names: list[str]) -> None:
    if not names:
        parser.error(f"{_TABLES} needs the file of a run, saved with --json")
    for name in names:
        try:
            tables.write(Path(name).read_text())
        except (OSError, ValueError) as error:
            parser.error(f"{name}: {error}")


def _run(parts: list[str], options: Options, *, as_json: bool) -> None:
    about = machine()
    if not as_json:
        print(tables.describe(about))
        print(f"\n{tables.HEAD}", flush=True)
    done: dict[str, list[dict[str, object]]] = {}
    for part in parts:
        done[part] = []
        for figure in PARTS[part](options):
            done[part].append(figure.to_dict())
            if not as_json:
                print(tables.row(figure.to_dict()), flush=True)
    if options.typescript is None and {"calls", "rows"} & done.keys():
        options.note("skipped: TypeScript SDK (not specified)")
    if as_json:
        print(json.dumps({"machine": about, "notes": options.notes, "parts": done}, indent=2))
    else:
        print("\n" + "; ".join(options.notes))


if __name__ == "__main__":
    main()
