"""Measurement: alternating runs of all contenders, summarised as medians with a range."""

import asyncio
import gc
import statistics
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import Any, Final, TypeAlias

import attrs


@attrs.define
class Timing:
    """CPU seconds of this process and wall-clock seconds for a number of units."""

    cpu: float = 0.0
    wall: float = 0.0
    units: int = 1

    @property
    def us(self) -> float:
        """CPU microseconds per unit."""
        return self.cpu / self.units * 1e6


@contextmanager
def stopwatch(units: int = 1) -> Iterator[Timing]:
    """Time the block, after collecting existing garbage."""
    gc.collect()
    timing = Timing(units=units)
    cpu, wall = process_time(), perf_counter()
    yield timing
    timing.cpu, timing.wall = process_time() - cpu, perf_counter() - wall


Contender: TypeAlias = Callable[[], Awaitable[Timing]]
LoopFactory: TypeAlias = Callable[[], asyncio.AbstractEventLoop]


def loops() -> dict[str, LoopFactory | None]:
    """Return the event loops to measure: asyncio, and uvloop if it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return {"asyncio": None}
    return {"asyncio": None, "uvloop": uvloop.new_event_loop}


def interleave(
    contenders: Mapping[str, Contender], rounds: int, loop: LoopFactory | None = None
) -> dict[str, list[Timing]]:
    """Run each contender once per round, so that temporary slowdowns affect all of them."""
    timings: dict[str, list[Timing]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            with asyncio.Runner(loop_factory=loop) as runner:
                timings[name].append(runner.run(_awaited(run)))
    return timings


async def _awaited(run: Contender) -> Timing:
    return await run()


_SIGNS: Final = {"<=": "≤", ">=": "≥", "<": "<"}


@attrs.frozen
class Aim:
    """Target for a ratio, such as ``Aim("<=", 1.15)``."""

    sign: str
    bound: float

    def is_met(self, ratio: float) -> bool:
        """Return whether the ratio meets the target."""
        if self.sign == ">=":
            return ratio >= self.bound
        return ratio < self.bound if self.sign == "<" else ratio <= self.bound

    def __str__(self) -> str:
        return f"{_SIGNS[self.sign]} {self.bound:g}"


@attrs.frozen
class Figure:
    """One row of the table: our figure, that of a rival, and their ratio in each round.

    Attributes:
        what: Name of the measurement.
        rival: Name of the rival.
        unit: Unit of ``ours`` and ``theirs``.
        ours: Our median.
        theirs: The rival's median.
        ratios: Our figure divided by the rival's, per round.
        wall_ratio: Median ratio of wall-clock times, if ``ratios`` are of CPU times.
        aim: Target for the median ratio, if any.
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
        """Median ratio over the rounds."""
        return statistics.median(self.ratios)

    def to_dict(self) -> dict[str, Any]:
        """Return the figure as a JSON-serialisable dict."""
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


def compare(
    what: str, timings: Mapping[str, list[Timing]], ours: str, rival: str, aim: Aim | None = None
) -> Figure:
    """Compare the CPU time per unit of two contenders."""
    pairs = list(zip(timings[ours], timings[rival], strict=True))
    return Figure(
        what,
        rival,
        "µs CPU",
        statistics.median(mine.us for mine, _ in pairs),
        statistics.median(other.us for _, other in pairs),
        [mine.us / other.us for mine, other in pairs],
        statistics.median(
            (mine.wall / mine.units) / (other.wall / other.units) for mine, other in pairs
        ),
        aim,
    )
