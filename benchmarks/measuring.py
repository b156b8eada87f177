"""How things are measured: in turns, against rivals of the same run, medians with their spread."""

import asyncio
import gc
import statistics
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import Any, Final, TypeAlias

import attrs


@attrs.define
class Took:
    """Seconds that some work took: of this process's CPU, and on the wall, for so many units."""

    cpu: float = 0.0
    wall: float = 0.0
    units: int = 1

    @property
    def us(self) -> float:
        """Microseconds of CPU for each unit."""
        return self.cpu / self.units * 1e6


@contextmanager
def stopwatch(units: int = 1) -> Iterator[Took]:
    """Measure what stands inside, garbage of before not counted."""
    gc.collect()
    took = Took(units=units)
    cpu, wall = process_time(), perf_counter()
    yield took
    took.cpu, took.wall = process_time() - cpu, perf_counter() - wall


Contender: TypeAlias = Callable[[], Awaitable[Took]]
Loops: TypeAlias = Mapping[str, Callable[[], asyncio.AbstractEventLoop] | None]


def loops() -> dict[str, Callable[[], asyncio.AbstractEventLoop] | None]:
    """The event loops there are: asyncio's, and uvloop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return {"asyncio": None}
    return {"asyncio": None, "uvloop": uvloop.new_event_loop}


def in_turns(
    contenders: Mapping[str, Contender],
    rounds: int,
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> dict[str, list[Took]]:
    """Let each run once a round, in turn, so that a slow moment of the machine hits all."""
    taken: dict[str, list[Took]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            with asyncio.Runner(loop_factory=loop) as runner:
                taken[name].append(runner.run(_awaited(run)))
    return taken


async def _awaited(run: Contender) -> Took:
    return await run()


_SIGNS: Final = {"<=": "≤", ">=": "≥", "<": "<"}


@attrs.frozen
class Aim:
    """What a ratio is to be: ``Aim("<=", 1.15)``."""

    sign: str
    bound: float

    def is_met(self, ratio: float) -> bool:
        """Whether this ratio is as it is to be."""
        if self.sign == ">=":
            return ratio >= self.bound
        return ratio < self.bound if self.sign == "<" else ratio <= self.bound

    def __str__(self) -> str:
        return f"{_SIGNS[self.sign]} {self.bound:g}"


@attrs.frozen
class Figure:
    """One line of the table: ours and a rival's, and the ratio of the two in each round.

    Attributes:
        what: What was measured.
        rival: Whom it is compared with.
        unit: Unit of ``ours`` and ``theirs``.
        ours: Median.
        theirs: Median of the rival.
        ratios: Of each round.
        wall_ratio: The same ratio by the clock on the wall, where ``ratios`` are of CPU time.
        aim: What the median ratio is to be, if anything.
    """

    what: str
    rival: str
    unit: str
    ours: float
    theirs: float
    ratios: list[float]
    wall_ratio: float | None = None
    aim: Aim | None = None

    @property
    def ratio(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.ratios)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "what": self.what,
            "rival": self.rival,
            "unit": self.unit,
            "ours": round(self.ours, 4),
            "theirs": round(self.theirs, 4),
            "ratio": round(self.ratio, 4),
            "low": round(min(self.ratios), 4),
            "high": round(max(self.ratios), 4),
            "wall_ratio": None if self.wall_ratio is None else round(self.wall_ratio, 4),
            "aim": None if self.aim is None else str(self.aim),
            "met": None if self.aim is None else self.aim.is_met(self.ratio),
        }


def compared(
    what: str, taken: Mapping[str, list[Took]], ours: str, rival: str, aim: Aim | None = None
) -> Figure:
    """CPU of each unit: ours over the rival's."""
    mine, theirs = taken[ours], taken[rival]
    pairs = list(zip(mine, theirs, strict=True))
    return Figure(
        what,
        rival,
        "µs CPU",
        statistics.median(took.us for took in mine),
        statistics.median(took.us for took in theirs),
        [m.us / t.us for m, t in pairs],
        statistics.median((m.wall / m.units) / (t.wall / t.units) for m, t in pairs),
        aim,
    )
