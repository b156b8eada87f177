"""Time and memory needed to stream rows to and from each file format.

Each measurement runs in a separate process, because memory is not returned to the system. Rows are
generated lazily, so memory grows only because of writing or reading. ``rss_growth_mb`` is the
growth of resident memory from before the library of the format is loaded to the peak. The rival in
the same run writes the rows as dicts with ``csv.DictWriter``, which streams but does not preserve
types.

Run it with ``python -m benchmarks.files``; ``--json`` prints JSON Lines.
"""

import argparse
import asyncio
import csv
import json
import multiprocessing
import resource
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import attrs

from nrm_async import Ani
from nrm_async.files import read_anis, save_anis, save_inventory

ROWS: Final = 500_000
FORMS: Final = ("csv", "csv.gz", "jsonl", "jsonl.gz", "parquet")

_DAYS: Final = [date.fromordinal(739_000 + day) for day in range(400)]
_CREATED: Final = datetime(2025, 1, 15, 12, 0, 0, 123_456, tzinfo=UTC)


def rows(count: int) -> Iterator[Ani]:
    """Yield realistic rows: figures and dates vary, and names repeat."""
    for n in range(count):
        day = _DAYS[n % 400]
        yield Ani(
            id=n,
            phone=f"{2_000_000_000 + n}",
            brand="Acme",
            status="ACTIVE_AND_BEING_MANAGED",
            status_label="Active and Being Managed",
            campaign_name=f"Campaign {n % 50}",
            area_code=f"{200 + n % 700}",
            region="South",
            state="TX",
            locality=f"City {n % 900}",
            frequency_assigned=n % 7,
            frequency_dialed=n % 5_000,
            frequency_contacted=n % 1_000,
            date_last_dialed=day,
            date_activated=day,
            date_inventoried=day,
            created_at=_CREATED,
            last_30_days_dials=n % 3_000,
            last_30_days_contacts=n % 900,
            contact_rate=n % 10_000 / 100,
            success_rate=n % 9_999 / 100,
            block_rate=n % 5_003 / 100,
            no_answer_rate=n % 10_007 / 100,
        )


async def _stream(count: int) -> AsyncIterator[Ani]:
    for ani in rows(count):
        yield ani


def _write(path: Path, count: int) -> None:
    save_inventory(path, rows(count))


def _write_stream(path: Path, count: int) -> None:
    asyncio.run(save_anis(path, _stream(count)))


def _read(path: Path, count: int) -> None:
    assert sum(1 for _ in read_anis(path)) == count


def _write_dicts(path: Path, count: int) -> None:
    names = [field.name for field in attrs.fields(Ani)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for ani in rows(count):
            writer.writerow({name: getattr(ani, name) for name in names})


def _make(_path: Path, count: int) -> None:
    for _ in rows(count):
        pass


_TASKS: Final[dict[str, Callable[[Path, int], None]]] = {
    "make": _make,
    "write": _write,
    "write stream": _write_stream,
    "read": _read,
    "rival": _write_dicts,
}


class _Memory:
    """Sampler that polls resident memory in a thread, in MB, as reported by the kernel."""

    def __init__(self) -> None:
        self.before = self.most = _resident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._stop.wait(0.005):
            self.most = max(self.most, _resident())

    def growth(self) -> float:
        self._stop.set()
        self._thread.join()
        return max(self.most, _resident()) - self.before


def _resident() -> float:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def _measure(task: str, path: Path, count: int) -> dict[str, float]:
    memory = _Memory()
    started = perf_counter()
    _TASKS[task](path, count)
    seconds = perf_counter() - started
    return {"seconds": round(seconds, 2), "rss_growth_mb": round(memory.growth(), 1)}


def measure(task: str, path: Path, count: int = ROWS) -> dict[str, Any]:
    """Run a task in a separate process and return its figures."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        figures = pool.apply(_measure, (task, path, count))
    size = path.stat().st_size / 1e6 if path.exists() else 0.0
    return {"task": task, "file": path.name, "rows": count, **figures, "file_mb": round(size, 1)}


def figures(count: int = ROWS) -> Iterator[dict[str, Any]]:
    """Yield the figures for generating rows, the rival, and writing and reading each format."""
    with tempfile.TemporaryDirectory() as folder:
        yield measure("make", Path(folder) / "nothing", count)
        yield measure("rival", Path(folder) / "dicts.csv", count)
        for form in FORMS:
            path = Path(folder) / f"numbers.{form}"
            for task in ("write", "write stream", "read"):
                yield measure(task, path, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    for row in figures(options.rows):
        if options.json:
            print(json.dumps(row), flush=True)
        else:
            print(
                f"{row['task']:13} {row['file']:17} {row['seconds']:7.2f} s  "
                f"+{row['rss_growth_mb']:6.1f} MB resident  {row['file_mb']:7.1f} MB on disk",
                flush=True,
            )


if __name__ == "__main__":
    main()
