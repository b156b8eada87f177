"""start: ``import nrm_async`` over ``import aiohttp``, each in a fresh interpreter."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from benchmarks.measuring import Aim, Figure
from benchmarks.options import Options

_CODE: Final = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def seconds(module: str) -> float:
    """Seconds that one import takes, bytecode being there already."""
    command = [sys.executable, "-c", _CODE.format(module)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(options: Options) -> Iterator[Figure]:
    """One line."""
    rounds = 4 * options.rounds
    seconds("nrm_async")  # writes the bytecode
    pairs = [(seconds("nrm_async"), seconds("aiohttp")) for _ in range(rounds)]
    yield Figure(
        "import",
        "import aiohttp",
        "ms",
        1e3 * statistics.median(ours for ours, _ in pairs),
        1e3 * statistics.median(theirs for _, theirs in pairs),
        [ours / theirs for ours, theirs in pairs],
        aim=Aim("<=", 1.3),
    )
