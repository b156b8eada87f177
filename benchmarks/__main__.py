"""All benchmarks, or those that are named: ``python -m benchmarks [calls rows latency …]``.

Every figure is a ratio to a rival that was measured in the same run, in turns with it; the median
of several rounds, with the least and the greatest beside it. CPU time is this process's own: the
server runs in another one.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from benchmarks import calls, latency, memory, rows, stall, start
from benchmarks.measuring import Figure
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

_TITLES: Final = ("what", "rival", "ours", "rival's", "unit", "ratio", "low to high", "wall", "aim")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("parts", nargs="*", help=f"of: {' '.join(PARTS)}; all, if none is named")
    parser.add_argument("--json", action="store_true", help="JSON, for machines")
    add_arguments(parser)
    given = parser.parse_args()
    if strangers := set(given.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(strangers))}; there are {[*PARTS]}")
    _report(given.parts or list(PARTS), Options.of(given), as_json=given.json)


def _report(parts: list[str], options: Options, *, as_json: bool) -> None:
    about = machine()
    if not as_json:
        print(", ".join(f"{name} {value}" for name, value in about.items()))
        print(f"\n| {' | '.join(_TITLES)} |\n|{'---|' * len(_TITLES)}", flush=True)
    done: dict[str, list[dict[str, object]]] = {}
    for part in parts:
        done[part] = []
        for figure in PARTS[part](options):
            done[part].append(figure.plain())
            if not as_json:
                print(_line(figure), flush=True)
    if options.typescript is None and {"calls", "rows"} & done.keys():
        options.note("left out: an SDK in TypeScript; none was given")
    if as_json:
        print(json.dumps({"machine": about, "notes": options.notes, "parts": done}, indent=2))
    else:
        print("\n" + "; ".join(options.notes))


def _line(figure: Figure) -> str:
    aim = ""
    if figure.aim is not None:
        aim = f"{figure.aim} {'✓' if figure.aim.is_met(figure.ratio) else '✗'}"
    cells = (
        figure.what,
        figure.rival,
        _three_digits(figure.ours),
        _three_digits(figure.theirs),
        figure.unit,
        f"**{figure.ratio:.3f}**",
        f"{min(figure.ratios):.3f} to {max(figure.ratios):.3f}",
        "" if figure.wall_ratio is None else f"{figure.wall_ratio:.3f}",
        aim,
    )
    return f"| {' | '.join(cells)} |"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"


if __name__ == "__main__":
    main()
