"""start: ``import nrm_async`` over ``import aiohttp``, each in a fresh interpreter.

Bytecode is there for both, in a folder of its own, as it is where pip has installed them: else a
source tree would be compiled anew wherever writing bytecode is switched off.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Final

from benchmarks.measuring import Aim, Figure
from benchmarks.options import Options

_CODE: Final = "import time; t = time.process_time(); import {}; print(time.process_time() - t)"


def seconds(module: str, bytecode: str) -> float:
    """Seconds of CPU that one import takes."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(
        [sys.executable, "-c", _CODE.format(module)],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"PYTHONPYCACHEPREFIX": bytecode},
    )
    return float(run.stdout)


def measure(options: Options) -> Iterator[Figure]:
    """One line."""
    with tempfile.TemporaryDirectory(prefix="nrm-bench-") as bytecode:
        seconds("nrm_async", bytecode)  # writes the bytecode, aiohttp's too
        pairs = [
            (seconds("nrm_async", bytecode), seconds("aiohttp", bytecode))
            for _ in range(4 * options.rounds)
        ]
    yield Figure(
        "import",
        "import aiohttp",
        "ms CPU",
        1e3 * statistics.median(ours for ours, _ in pairs),
        1e3 * statistics.median(theirs for _, theirs in pairs),
        [ours / theirs for ours, theirs in pairs],
        aim=Aim("<=", 1.3),
    )
