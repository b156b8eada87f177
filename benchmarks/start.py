"""start: importing this package over ``import aiohttp``, each in a fresh interpreter.

What a program does is import the client and make one, so that is measured too: nothing of it is
merely put off. Left out of all three is what the first page builds, its decoder: 1 ms.

Bytecode is there for all, in a folder of its own, as it is where pip has installed them: else a
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

_CODE: Final = "import time; t = time.process_time(); {}; print(time.process_time() - t)"
_RIVAL: Final = "import aiohttp"
_OURS: Final = {
    "import nrm_async": "import nrm_async",
    "from nrm_async import NRMClient": "from nrm_async import NRMClient",
    "the same, and a client made": "from nrm_async import NRMClient; NRMClient('key')",
}


def seconds(statement: str, bytecode: str) -> float:
    """Seconds of CPU that one statement takes in an interpreter of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(
        [sys.executable, "-c", _CODE.format(statement)],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"PYTHONPYCACHEPREFIX": bytecode},
    )
    return float(run.stdout)


def measure(options: Options) -> Iterator[Figure]:
    """A line for each statement; all take turns with the rival's."""
    with tempfile.TemporaryDirectory(prefix="nrm-bench-") as bytecode:
        seconds("import nrm_async", bytecode)  # writes the bytecode, aiohttp's too
        rounds = [
            {statement: seconds(statement, bytecode) for statement in (_RIVAL, *_OURS.values())}
            for _ in range(4 * options.rounds)
        ]
    for what, statement in _OURS.items():
        yield _figure(what, [(took[statement], took[_RIVAL]) for took in rounds])


def _figure(what: str, pairs: list[tuple[float, float]]) -> Figure:
    return Figure(
        what,
        _RIVAL,
        "ms CPU",
        1e3 * statistics.median(ours for ours, _ in pairs),
        1e3 * statistics.median(theirs for _, theirs in pairs),
        [ours / theirs for ours, theirs in pairs],
        aim=Aim("<=", 1.3),
    )
